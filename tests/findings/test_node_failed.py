"""node-failed: who marked a node failed, after how long, and why."""

import pytest

from lib import bustap, captures, findings, resp, scene, wire

FAILOVER = "failover_crash-valkey-8.1.1"
PARTITION = "partition_minority-redis-7.0.15"


def node(take, name):
    return next(n for n in take.truth["topology"]["nodes"] if n["name"] == name)


def logged(take, word):
    return [e for e in take.truth["log_events"] if word in e["msg"]]


@pytest.mark.parametrize("run, verdict", [(FAILOVER, "process-died"),
                                          (PARTITION, "host-unreachable")])
def test_fires_as_the_servers_logged_it(run, verdict):
    take = captures.take(run)
    found = findings.only(findings.of(take.path), "node-failed")
    n1 = node(take, "n1")["id"]
    assert found.nodes == [n1] == [found.metrics["node"]]
    assert found.verdict == verdict and found.severity == "critical" and found.ruled_out
    marked = min(e["t"] for e in logged(take, "Marking node") if n1 in e["msg"]
                 and "failing" in e["msg"])
    failed = found.span[0] + found.metrics["detection_ms"] / 1000
    assert abs(failed - marked) < 0.1
    announcer = next(e["node"] for e in logged(take, "Marking node") if e["t"] == marked)
    assert found.metrics["announced_by"] == node(take, announcer)["id"]
    assert found.metrics["quorum_needed"] == 2


@pytest.mark.parametrize("what, verdict", [
    (lambda play: play.stall("p1"), "process-stalled"),
    (lambda play: play.dead("p1"), "host-unreachable"),
    (lambda play: play.kill("p1"), "process-died"),
    (lambda play: play.cut("p2 p3 r1 r2 r3", "p1"), "one-way-loss"),
])
def test_fires_with_the_cause(store, what, verdict):
    play = scene.Scene()
    play.run(3)
    what(play)
    play.run(7)
    found = findings.only(findings.of(store(play.pcap())), "node-failed")
    assert found.metrics["node"] == play.nodes["p1"].id
    assert found.verdict == verdict
    assert set(found.metrics["reporters"]) >= {play.nodes[n].id for n in ("p2", "p3")}
    assert found.metrics["quorum_seen"] >= found.metrics["quorum_needed"] == 2
    assert 2000 <= found.metrics["detection_ms"] <= 6000


def test_fires_with_the_cause_if_it_only_tries_to_connect(store):
    """What p1 sends arrives, but it has no more to say until it has connected anew; the SYN-ACKs are
    lost on the way to it, and show that it lives."""
    play = scene.Scene()
    play.run(3)
    play.cut("p2 p3 r1 r2 r3", "p1")
    for (a, _), link in play.links.items():
        link.pinged = play.now if a == "p1" else link.pinged
    play.run(7)
    found = findings.only(findings.of(store(play.pcap())), "node-failed")
    assert found.verdict == "one-way-loss"
    assert any("went on sending" in reason for reason in found.ruled_out)


@pytest.mark.parametrize("host", (None, "p2"))
def test_fires_where_nothing_was_seen_of_it_at_all(store, host):
    """Packets are dropped on the hosts: none of them shows what the others tried, and lost."""
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2 p3 r1 r2 r3")
    play.run(7)
    found = findings.only(findings.of(store(play.pcap(host, lost=False))), "node-failed")
    assert found.verdict == "host-unreachable" and found.confidence == "likely"
    assert "not even attempts" in found.explanation and found.ruled_out


def test_near_miss_a_capture_that_saw_nothing_of_anybody(store):
    """Nor of those who say so when it sees them again: then no cause is given."""
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2 p3 r1 r2 r3")
    begin = play.capture.now
    play.run(7)
    end = play.capture.now
    play.run(1)
    frames = [f for i, f in enumerate(play.capture.frames()) if i not in play.capture.lost]
    some = scene.wire.pcap([f for f in frames if not begin <= f[0] < end])
    assert findings.only(findings.of(store(some)), "node-failed").verdict == "unknown"


def test_fires_from_one_hosts_view(store):
    """Only p2's traffic: what it cannot have seen is said."""
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(7)
    found = findings.only(findings.of(store(play.pcap("p2"))), "node-failed")
    assert found.metrics["node"] == play.nodes["p1"].id
    assert found.verdict == "process-stalled"


def test_fires_from_the_view_of_the_one_that_failed(store):
    """It hears of it when it is back: told is the silence before, and not how fast they were."""
    play = scene.Scene()
    play.run(3)
    play.kill("p1")
    play.run(7)
    play.back("p1")
    play.run(3)
    found = findings.only(findings.of(store(play.pcap("p1"))), "node-failed")
    assert found.metrics["node"] == play.nodes["p1"].id and found.verdict == "process-died"
    died = scene.wire.START / 1e9 + 3
    assert died - 1.1 <= found.span[0] <= died + 0.01
    assert "detection_ms" not in found.metrics
    assert any("when it was back" in caveat for caveat in found.caveats)


def back_after_it_failed(heir=None):
    """p1's host, captured; nobody mentions p1 to it."""
    play = scene.Scene()
    play.discreet = True
    play.run(3)
    play.stall("p1")
    play.run(7)
    if heir:
        play.elect(heir, voters=("p2", "p3"))
    for name in ("p2", "p3", "r1", "r2", "r3"):
        play.set(name, state=0 if heir else 1)
    play.run(1)
    play.wake("p1")
    play.run(1)
    return play


def test_ends_on_its_own_host_when_it_answers_and_has_no_slots_any_more(store):
    play = back_after_it_failed(heir="r1")
    woken = scene.wire.START / 1e9 + play.now - 1
    found = findings.only(findings.of(store(play.pcap("p1"))), "node-failed")
    assert found.metrics["node"] == play.nodes["p1"].id
    assert found.span[1] and woken <= found.span[1] < woken + 1


def test_near_miss_it_answers_and_nobody_has_taken_its_slots(store):
    """For twice the node timeout the others go on to hold it for failed; then all is well to them."""
    play = back_after_it_failed()
    found = findings.of(store(play.pcap("p1")))
    assert findings.only(found, "node-failed").end is None
    assert findings.only(found, "slot-uncovered").end is None
    for name in ("p2", "p3", "r1", "r2", "r3"):
        play.set(name, state=0)
    well = scene.wire.START / 1e9 + play.now
    play.run(2)
    found = findings.of(store(play.pcap("p1")))
    for type_ in ("node-failed", "slot-uncovered"):
        assert well <= findings.only(found, type_).span[1] < well + 1.2


def test_fires_with_likely_from_the_view_of_the_one_that_was_cut_off(store):
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2 p3 r1 r2 r3")
    play.run(8)
    play.heal()
    play.run(3)
    found = findings.only(findings.of(store(play.pcap("p1"))), "node-failed")
    assert found.metrics["node"] == play.nodes["p1"].id
    assert found.verdict == "host-unreachable" and found.confidence == "likely"
    cut = scene.wire.START / 1e9 + 3
    assert cut - 1.1 <= found.span[0] <= cut + 0.01


def test_fires_with_all_it_knows_where_the_others_could_be_heard(store):
    """p3 is cut off, and stalls for a moment. That it speaks to its replica again just before the
    others say that they miss it, makes their words no late ones."""
    play = scene.Scene()
    play.run(3)
    play.split("p3 r3", "p1 p2 r1 r2")
    play.stall("p3")
    play.run(3.4)
    play.wake("p3")
    play.run(4)
    found = next(f for f in findings.all_of(findings.of(store(play.pcap())), "node-failed")
                 if f.metrics["node"] == play.nodes["p3"].id)
    cut = scene.wire.START / 1e9 + 3
    assert cut - 1.1 <= found.span[0] <= cut + 0.01
    assert 3000 <= found.metrics["detection_ms"] <= 5500


def test_fires_twice_on_two_failures(store):
    """Of the first one r3 never says that it is over: it says nothing any more."""
    play = scene.Scene()
    play.run(3)
    play.kill("r1")
    play.run(7)
    play.kill("r3")
    play.back("r1")
    play.run(4)
    play.kill("r1")
    play.run(7)
    found = [f for f in findings.all_of(findings.of(store(play.pcap())), "node-failed")
             if f.metrics["node"] == play.nodes["r1"].id]
    start = scene.wire.START / 1e9
    assert [-1.1 <= f.span[0] - start - died <= 0.01 for f, died in zip(found, (3, 14))] \
        == [True, True]
    assert start + 10 <= found[0].span[1] <= start + 14


def test_fires_as_administrative_after_shutdown(store):
    play = scene.Scene()
    client = play.capture.conversation(("10.0.9.9", 5000), (play.nodes["r1"].ip, 6379)).open()
    client.send("client", resp.command("PING"))
    client.send("server", resp.simple("PONG"))
    play.run(3)
    client.send("client", resp.command("SHUTDOWN", "NOSAVE"))
    client.close("server")
    play.kill("r1")
    play.run(7)
    found = findings.only(findings.of(store(play.pcap())), "node-failed")
    assert found.verdict == "administrative"
    assert any("crash" in reason for reason in found.ruled_out)


def test_near_miss_suspected_by_one(store):
    """Only one of three sees it as possibly failed: nobody marks it."""
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2")
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "node-failed")


def test_near_miss_back_in_time(store):
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(2.5)
    play.wake("p1")
    play.run(4)
    findings.none(findings.of(store(play.pcap())), "node-failed")


def test_fires_on_a_node_whose_address_is_another_ones(store):
    """Valkey 9 marks it failed as soon as another one answers there: nobody has waited for it."""
    play = scene.Scene()
    play.run(3)
    old = play.nodes["p1"]
    play.kill("p1")
    play.reborn("p1", 77)
    play.run(1.5)
    play.tell("p2", wire.fail(play.nodes["p2"], old))
    play.run(3)
    found = findings.only(findings.of(store(play.pcap())), "node-failed")
    assert found.metrics["node"] == old.id and found.verdict == "identity-changed"


def test_fires_on_a_node_whose_address_is_another_ones_a_moment_later(store):
    """The word of somebody who had heard the other one already is faster than that one's own."""
    play = scene.Scene()
    play.run(3.95)
    old = play.nodes["p1"]
    play.nodes["p1"] = wire.Node(77, ip=old.ip, epoch=0, current_epoch=0)
    play.tell("p2", wire.fail(play.nodes["p2"], old))
    play.run(3)
    found = findings.only(findings.of(store(play.pcap())), "node-failed")
    assert found.metrics["node"] == old.id and found.verdict == "identity-changed"


def test_near_miss_a_node_that_comes_back_as_itself(store):
    play = scene.Scene()
    play.run(3)
    play.kill("p1")
    play.run(1.5)
    play.tell("p2", wire.fail(play.nodes["p2"], play.nodes["p1"]))
    play.run(1)
    play.back("p1")
    play.run(3)
    found = findings.only(findings.of(store(play.pcap())), "node-failed")
    assert found.verdict == "process-died"


def test_fires_on_a_death_while_a_ping_was_lost(store):
    """Clients were served after that PING, but not after the first refusal: no blocked port."""
    play = scene.Scene()
    client = resp.Dialogue(play.capture, ("10.9.0.1", 40000), (play.nodes["p1"].ip, 6379))
    play.run(3)
    play.cut("p2", "p1")
    for _ in range(12):
        play.run(0.1)
        client.trade("GET k", resp.OK)
    play.kill("p1")
    play.heal()
    play.run(7)
    found = findings.of(store(play.pcap()))
    assert findings.only(found, "node-failed").verdict == "process-died"
    findings.none(found, "bus-unreachable")


def forgotten_after_it_failed(by):
    """p1 dies; some are told to forget it (CLUSTER FORGET), and tell others so."""
    play = scene.Scene()
    play.run(3)
    play.kill("p1")
    play.run(7)
    for a, b in by:
        ping = wire.ping(play.nodes[a], extensions=[wire.forgotten(play.nodes["p1"], 60)])
        play.links[a, b].send("client", ping)
    return play


def test_ends_when_it_is_forgotten(store):
    play = forgotten_after_it_failed([("p2", "p3"), ("p2", "r2"), ("p2", "r3")])
    found = findings.only(findings.of(store(play.pcap())), "node-failed")
    assert found.span[1] == pytest.approx(scene.wire.START / 1e9 + play.now, abs=0.1)


def test_near_miss_its_replica_does_not_forget_its_primary(store):
    play = forgotten_after_it_failed([("r2", "r1")])
    assert findings.only(findings.of(store(play.pcap())), "node-failed").end is None


def test_near_miss_its_end_where_it_is_only_not_mentioned(store):
    """FAIL is not repeated: whoever named the node as suspected and then no more holds it for failed."""
    play = scene.Scene()
    play.run(3)
    play.unpicked = {"p1"}
    play.dead("p1")
    play.run(11)
    assert findings.only(findings.of(store(play.pcap())), "node-failed").end is None


@pytest.mark.parametrize("replica", (True, False))
def test_ends_from_one_host_when_the_node_is_back_as_a_replica(store, replica):
    """p1 and p2 die and come back; the host of p1 hears that p2 has failed, and never that it is
    well. A primary that has its slots still may be failed to the others for long."""
    play = scene.Scene(primaries=5)
    play.run(3)
    play.kill("p1", "p2")
    play.run(7)
    play.elect("r2")
    play.run(1)
    play.back("p1")
    play.run(2)
    play.unpicked = {"p2"}
    if replica:
        play.demote("p2", "r2")
    play.back("p2")
    play.run(4)
    found = findings.of(store(play.pcap("p1")))
    one = next(f for f in findings.all_of(found, "node-failed")
               if f.metrics["node"] == play.nodes["p2"].id)
    assert one.verdict == "process-died" and (one.end is not None) == replica
    assert replica == any("taken for the end" in caveat for caveat in one.caveats)


def test_fires_with_the_cause_that_the_host_finds_out_later(store):
    """p1 stands still while p2 dies and is marked failed; when it goes on, p2 refuses it."""
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(1)
    play.kill("p2")
    play.run(5)
    play.fail("p3", "p2")
    play.run(1)
    play.wake("p1")
    play.run(4)
    found = findings.of(store(play.pcap("p1")))
    one = next(f for f in findings.all_of(found, "node-failed")
               if f.metrics["node"] == play.nodes["p2"].id)
    assert one.verdict == "process-died"


def on_the_smaller_side(store, what):
    """p1 and r2 are cut off; the host of r2 is captured. Something is done to p1 meanwhile."""
    play = scene.Scene()
    play.run(3)
    play.split("p1 r2", "p2 p3 r1 r3")
    what(play)
    play.run(7)
    play.elect("r1", voters=("p2", "p3"))
    play.run(1)
    play.wake("p1")
    play.heal()
    play.run(1)
    play.demote("p1", "r1")
    play.run(4)
    found = findings.of(store(play.pcap("r2")))
    return next(f for f in findings.all_of(found, "node-failed")
                if f.metrics["node"] == play.nodes["p1"].id)


def test_fires_on_a_node_that_stood_on_the_captured_side_of_a_cut(store):
    """It spoke here all the time; those who mark it failed could not be heard here either."""
    found = on_the_smaller_side(store, lambda play: None)
    assert found.verdict == "host-unreachable" and found.confidence == "likely"
    assert "It was alive" in found.explanation
    cut = scene.wire.START / 1e9 + 3
    assert cut - 0.1 <= found.span[0] <= cut + 1.6
    assert "detection_ms" not in found.metrics


def test_near_miss_one_of_that_side_that_stood_still(store):
    found = on_the_smaller_side(store, lambda play: play.stall("p1"))
    assert "It was alive" not in found.explanation


def test_near_miss_loss_where_connections_recover_from_a_cut(store):
    """r2, whose host is captured, was cut off; now p2 gets in there, but r2 not at p2."""
    play = scene.Scene()
    play.run(3)
    play.split("r2", "p1 p2 p3 r1 r3")
    play.run(5)
    play.heal()
    play.block("p2")
    play.run(1.5)
    play.fail("p3", "p2")
    play.run(1)
    found = findings.of(store(play.pcap("r2")))
    found = next(f for f in findings.all_of(found, "node-failed")
                 if f.metrics["node"] == play.nodes["p2"].id)
    assert (found.verdict, found.confidence) == ("host-unreachable", "likely")


@pytest.mark.parametrize("heir", (True, False))
def test_fires_on_a_primary_that_was_never_heard(store, heir):
    """The capture began when it had stopped. That it was one is known once somebody takes over."""
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(1.2)
    begin = bustap.when(play.capture.now)
    play.run(7)
    if heir:
        play.elect("r1")
    play.run(2)
    found = findings.only(findings.of(store(play.pcap()), "--from", begin), "node-failed")
    assert found.title.startswith("Primary" if heir else "Node")
    assert found.severity == ("critical" if heir else "warning")

"""gossip-loss: a directed pair waits for answers, and the path between the two is why."""

import pytest

from lib import findings, scene


def test_fires_on_one_way_loss_between_two(store):
    """What p2 sends to p1 does not arrive; p1's own words do."""
    play = scene.Scene()
    play.run(4)
    play.cut("p2", "p1")
    play.run(4)
    play.heal()
    play.run(3)
    found = findings.all_of(findings.of(store(play.pcap())), "gossip-loss")
    pair = (play.nodes["p2"].id, play.nodes["p1"].id)
    assert pair in {(f.metrics["from"], f.metrics["to"]) for f in found}
    one = next(f for f in found if (f.metrics["from"], f.metrics["to"]) == pair)
    assert one.metrics["longest_silence_ms"] >= 2500
    assert one.verdict in ("one-way-loss", "lossy-path")


def cut(play, pairs, seconds, then):
    """What the first sends to the second of each pair arrives late."""
    for a, b in pairs:
        play.cut(a, b)
    play.run(seconds)
    play.heal()
    play.run(then)


def lossy(play, a, b, times):
    """So it goes again and again: TCP has to send it twice."""
    for _ in range(times):
        cut(play, [(a, b)], 1.1, 0.9)


def test_fires_as_a_warning_where_nothing_else_tells_it(store):
    play = scene.Scene(nt=12.0)
    play.run(4)
    lossy(play, "p2", "p1", 4)
    play.cut("p2", "p1")
    play.run(3)
    play.heal()
    play.run(3)
    found = findings.of(store(play.pcap()))
    pair = [play.nodes["p2"].id, play.nodes["p1"].id]
    one = next(f for f in findings.all_of(found, "gossip-loss")
               if [f.metrics["from"], f.metrics["to"]] == pair)
    assert one.severity == "warning" and one.verdict == "lossy-path"
    findings.quiet(found, but={"gossip-loss"})


def test_fires_once_for_a_network_that_loses_packets(store):
    """Three pairs wait at about the same time, and one that has no node in common with the two."""
    play = scene.Scene(nt=12.0)
    play.run(4)
    pairs = (("p2", "p1"), ("r2", "p1"), ("p3", "r3"))
    for _ in range(4):
        cut(play, pairs, 1.1, 0.9)
    cut(play, pairs, 3, 3)
    found = findings.only(findings.of(store(play.pcap())), "gossip-loss")
    assert found.severity == "warning" and found.verdict == "lossy-path"
    told = {(f["from"], f["to"]) for f in found.metrics["pairs"]}
    assert told >= {(play.nodes[a].id, play.nodes[b].id) for a, b in pairs}
    assert set(found.nodes) >= {play.nodes[n].id for pair in pairs for n in pair}
    worst = max(found.metrics["pairs"], key=lambda pair: pair["longest_silence_ms"])
    assert found.metrics["longest_silence_ms"] == worst["longest_silence_ms"] >= 2500


def test_near_miss_a_minute_later_is_another_finding(store):
    play = scene.Scene(nt=12.0)
    play.run(4)
    for pair in (("p2", "p1"), ("p3", "r3")):
        for _ in range(4):
            cut(play, [pair], 1.1, 0.9)
        cut(play, [pair], 3, 40)
    found = findings.all_of(findings.of(store(play.pcap())), "gossip-loss")
    assert len(found) >= 2 and found[0].start != found[1].start


def test_fires_quietly_where_the_node_was_suspected(store):
    play = scene.Scene()
    play.run(4)
    play.cut("p2", "p1")
    play.run(6)
    play.heal()
    play.run(3)
    found = findings.of(store(play.pcap()))
    assert findings.all_of(found, "node-suspected")
    assert all(f.severity == "notice" for f in findings.all_of(found, "gossip-loss")
               if f.metrics["to"] == play.nodes["p1"].id)


def test_near_miss_what_a_stall_explains(store):
    play = scene.Scene()
    play.run(4)
    play.stall("p1")
    play.run(4)
    play.wake("p1")
    play.run(2)
    findings.none(findings.of(store(play.pcap())), "gossip-loss")


@pytest.mark.parametrize("host", ["p2", "r1"])
def test_near_miss_a_stall_that_one_host_sees(store, host):
    """The one connection that shows it acknowledged in time: nothing was late."""
    play = scene.Scene(nt=12.0)
    play.run(4)
    play.stall("p1")
    play.run(5)
    play.wake("p1")
    play.run(4)
    findings.none(findings.of(store(play.pcap(host))), "gossip-loss")


def test_near_miss_an_answer_in_time(store):
    play = scene.Scene()
    play.run(4)
    play.cut("p2", "p1")
    play.run(0.8)
    play.heal()
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "gossip-loss")


@pytest.mark.parametrize("host", (None, "p1", "p2"))
def test_fires_on_a_port_that_is_blocked_for_one(store, host):
    """p1 does not get in at p2; others do, and p2 gets in at p1."""
    play = scene.Scene()
    play.run(4)
    play.shut.add(("p1", "p2"))
    play.run(8)
    play.shut.clear()
    play.run(3)
    found = findings.only(findings.of(store(play.pcap(host))), "gossip-loss")
    assert (found.metrics["from"], found.metrics["to"]) == \
        (play.nodes["p1"].id, play.nodes["p2"].id)
    assert found.verdict == "bus-port-blocked"


@pytest.mark.parametrize("host", (None, "p1", "p2"))
def test_near_miss_two_that_were_cut_off_from_each_other(store, host):
    """When the path is whole again one of them tries at once, the other one seconds later."""
    play = scene.Scene(nt=5.0)
    play.run(4)
    play.split("p1", "p2")
    play.run(7.5)
    play.heal()
    play.run(8)
    found = findings.of(store(play.pcap(host)))
    assert "bus-port-blocked" not in {f.verdict for f in found}


def test_near_miss_syns_that_a_lossy_path_ate(store):
    """Before and after, what was sent between the two was late: no firewall does that."""
    play = scene.Scene(nt=6.0)
    play.run(4)
    for _ in range(3):
        play.cut("p1", "p2")
        play.run(1.1)
        play.heal()
        play.run(1.1)
    play.shut.add(("p1", "p2"))
    play.run(8)
    play.shut.clear()
    play.run(3)
    for found in findings.all_of(findings.of(store(play.pcap())), "gossip-loss"):
        assert found.verdict == "lossy-path"


def test_near_miss_a_node_that_was_forgotten(store):
    """p2 closes a connection while a PING is on its way; p1 closes its other one, of a handshake, and
    does not call any more: it waits for nothing. If it went on to call, it would."""
    def waits(forgets):
        play = scene.Scene()
        play.run(3)
        link, other = play.links["p1", "p2"], scene.Link(play, "p1", "p2", 39000)
        link.talk.segment("server", flags=scene.wire.FIN | scene.wire.ACK)
        link.talk.next["server"] += 1
        play.cut("p1", "p2")
        link.send("client", play.heartbeat(scene.wire.ping, "p1", "p2"))
        play.heal()
        other.close()
        link.talk.segment("server", flags=scene.wire.RST, seq=link.talk.next["server"])
        link.opened, link.unacked, link.pinged = None, [], play.now
        if forgets:
            del play.links["p1", "p2"]
        else:
            play.shut.add(("p1", "p2"))
        play.run(5)
        return findings.all_of(findings.of(store(play.pcap())), "gossip-loss")

    assert waits(forgets=False) and not waits(forgets=True)


def test_near_miss_who_asked_has_died_meanwhile(store):
    """p2 dies while it waits for p1, which stands still; when p2 is back, p1 goes on for long."""
    play = scene.Scene()
    play.run(4)
    play.stall("p1")
    play.run(2)
    play.kill("p2")
    play.run(3)
    play.wake("p1")
    play.run(4)
    play.back("p2")
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "gossip-loss")


@pytest.mark.parametrize("host", (None, "p1", "p2"))
def test_fires_quietly_on_two_that_were_cut_off_too_shortly_to_suspect(store, host):
    """The path between p1 and p2 is cut for less than the node timeout."""
    play = scene.Scene(nt=8.0)
    play.run(4)
    play.split("p1", "p2")
    play.run(3)
    play.heal()
    play.run(4)
    found = [f for f in findings.of(store(play.pcap(host))) if f.type == "gossip-loss"]
    ends = {play.nodes[n].id for n in ("p1", "p2")}
    assert found and all({f.metrics["from"], f.metrics["to"]} == ends for f in found)
    assert all(f.severity == "notice" and f.verdict == "host-unreachable" for f in found)
    assert all(1500 < f.metrics["longest_silence_ms"] < 4500 for f in found)


def test_near_miss_two_that_were_cut_off_and_suspect_each_other(store):
    """That is told as what it came to."""
    play = scene.Scene(nt=3.0)
    play.run(4)
    play.split("p1", "p2")
    play.run(8)
    play.heal()
    play.run(4)
    found = findings.of(store(play.pcap()))
    assert findings.all_of(found, "node-suspected")
    findings.none(found, "gossip-loss")


@pytest.mark.parametrize("tenths", range(0, 10, 3))
def test_near_miss_the_end_of_a_cut_is_no_lossy_path(store, tenths):
    """p1 is cut off for a while; who asked late is answered late, when some of it passes again."""
    play = scene.Scene(primaries=5, nt=8.0)
    play.run(4)
    play.split("p1", " ".join(n for n in play.nodes if n != "p1"))
    play.run(2.5 + tenths / 10)
    play.heal()
    play.run(5)
    found = [f for f in findings.of(store(play.pcap())) if f.type == "gossip-loss"]
    assert "lossy-path" not in {f.verdict for f in found}

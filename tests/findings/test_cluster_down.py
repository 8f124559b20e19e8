"""cluster-down: nodes that say so, and answers CLUSTERDOWN; not those that are only starting."""

import pytest

from lib import bustap, captures, findings, scene

CRASH = captures.take("failover_crash-valkey-8.1.1")
PARTITION = captures.take("partition_minority-redis-7.0.15")


def logged(take, msg, after):
    return [e["t"] for e in take.truth["log_events"]
            if e["event"] == "cluster_state" and e["msg"].endswith(msg) and e["t"] > after]


@pytest.mark.parametrize("take", (CRASH, PARTITION), ids=lambda t: t.run)
def test_fires_when_the_servers_logged_it(take):
    fault = take.truth["faults"][0]["t"]
    found = findings.only(findings.of(take.path), "cluster-down")
    start, end = found.span
    assert start == pytest.approx(min(logged(take, "changed: fail", fault)), abs=0.1)
    # A header says it when its node speaks next.
    assert 0 <= end - max(t for t in logged(take, "changed: ok", fault) if t < end) < 0.6
    assert found.severity == "warning"


def test_fires_with_the_answers_that_the_servers_counted():
    for take in (CRASH, PARTITION):
        found = findings.only(findings.of(take.path), "cluster-down")
        errors = sum(s["errors"].get("CLUSTERDOWN", 0)
                     for s in bustap.analyze(take.path)["clients"]["servers"])
        assert found.metrics["replies"] == errors > 0
        assert found.subjects["clients"]


def failed(play):
    """p1 fails for good, and all others say that the cluster is down."""
    play.dead("p1")
    play.run(6)
    for name in ("p2", "p3", "r1", "r2", "r3"):
        play.set(name, state=1)


def test_fires_critically_if_it_lasts(store):
    play = scene.Scene()
    play.run(3)
    failed(play)
    play.run(8)
    found = findings.only(findings.of(store(play.pcap())), "cluster-down")
    assert found.severity == "critical" and found.end is None
    assert set(found.nodes) == {play.nodes[n].id for n in ("p2", "p3", "r1", "r2", "r3")}
    assert found.verdict == "slots-uncovered" and "10.0.0.1:6379" in found.explanation
    assert found.metrics["replies"] == 0
    quiet = findings.of(store(play.pcap()), "--set", "cluster-down-critical-seconds=60")
    assert findings.only(quiet, "cluster-down").severity == "notice"


def test_names_the_node_for_which_it_goes_on(store):
    """All but p2 take it back; p2, which still knows no owner of a slot, does not."""
    play = scene.Scene()
    play.run(3)
    failed(play)
    play.run(1)
    for name in ("p3", "r1", "r2", "r3"):
        play.set(name, state=0)
    play.elect("r1")
    play.run(8)
    found = findings.only(findings.of(store(play.pcap())), "cluster-down")
    assert found.end is None and found.severity == "notice"
    assert "to 10.0.0.2:6379 for" in found.title


def says_down_alone(play):
    play.set("p1", state=1)
    play.run(4)
    play.set("p1", state=0)
    play.run(2)
    return play.pcap()


def test_fires_for_a_minority_without_blaming_the_others(store):
    """p1 and its replica hear nobody else, but the others hear of it."""
    play = scene.Scene()
    play.run(3)
    for other in ("p2", "p3", "r2", "r3"):
        play.cut(other, "p1")
    play.run(4)
    found = findings.only(findings.of(store(says_down_alone(play))), "cluster-down")
    assert (found.severity, found.verdict) == ("notice", "minority")
    assert found.nodes == [play.nodes["p1"].id]
    assert any("network" in line for line in found.advice)


def test_blames_no_network_of_a_node_that_hears_the_others(store):
    """A slot has no owner in its own view: there is no other reason."""
    play = scene.Scene()
    play.run(3)
    found = findings.only(findings.of(store(says_down_alone(play))), "cluster-down")
    assert (found.severity, found.verdict) == ("notice", "slots-uncovered")
    assert not any("network" in line for line in found.advice)
    assert found.nodes == [play.nodes["p1"].id]
    assert found.metrics["duration_ms"] == pytest.approx(4000, abs=1000)


def test_names_the_node_that_said_so_longest_if_most_did_not(store):
    """r1 is the last to take it back, and said so for a second only."""
    play = scene.Scene()
    play.run(3)
    play.set("p1", state=1)
    play.run(4)
    play.set("r1", state=1)
    play.run(1)
    play.set("p1", state=0)
    play.run(1.5)
    play.set("r1", state=0)
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "cluster-down")
    assert found.title.startswith("2 nodes held the cluster for down, 10.0.0.1:6379 for 5")


def test_names_the_stranger_that_goes_on_to_refuse():
    """The old primaries said so for a moment; the node that came back without its slots went on."""
    found = findings.only(findings.of(captures.take("node_reborn-valkey-9.1.2").path), "cluster-down")
    assert "10.77.0.11:6379 for 12.0 s" in found.title


def test_names_the_server_where_no_node_was_heard(store):
    """The bus is not in the capture: a client's connection alone is."""
    take = captures.take("partition_minority-redis-7.0.15")
    found = findings.only(findings.of(take.path, "-f", "not portrange 16379-16384"), "cluster-down")
    assert found.title.startswith("10.77.0.11:6379 held the cluster for down")


def test_fires_for_want_of_a_majority(store):
    """Two of three primaries are gone: nobody is marked failed, so no slot is without an owner."""
    play = scene.Scene()
    play.run(3)
    play.kill("p2", "p3")
    play.run(4)
    for name in ("p1", "r1", "r2", "r3"):
        play.set(name, state=1)
    play.run(6)
    found = findings.only(findings.of(store(play.pcap())), "cluster-down")
    assert (found.severity, found.verdict) == ("critical", "no-majority")
    assert "could not reach most of the primaries" in found.explanation
    assert any("bring back the primaries" in line for line in found.advice)


@pytest.mark.parametrize("run, verdict", (("half_and_half-redis-8.0.2", "no-majority"),
                                          ("no_quorum-redis-7.0.15", "no-majority"),
                                          ("coverage_off-redis-6.0.16", "restarted")))
def test_says_why_of_real_ones(run, verdict):
    """A primary that has just been started refuses requests, too: its network is not to blame."""
    found = findings.only(findings.of(captures.take(run).path), "cluster-down")
    assert found.verdict == verdict
    assert not any("network, not at its data" in line for line in found.advice)


def test_fires_if_the_capture_begins_during_it(store):
    play = scene.Scene()
    play.run(3)
    failed(play)
    begin = bustap.when(play.capture.now)
    play.run(8)
    found = findings.only(findings.of(store(play.pcap()), "--from", begin), "cluster-down")
    assert found.severity == "critical" and found.end is None
    assert found.metrics["duration_ms"] == pytest.approx(8000, abs=1000)
    assert any("already when the capture began" in caveat for caveat in found.caveats)


def test_near_miss_the_capture_begins_while_the_cluster_is_made(store):
    play = scene.Scene()
    for name in play.nodes:
        play.set(name, state=1)
    play.run(2)
    begin = bustap.when(play.capture.now)
    play.run(4)
    for name in play.nodes:
        play.set(name, state=0)
    play.run(4)
    findings.none(findings.of(store(play.pcap()), "--from", begin), "cluster-down")


def test_near_miss_the_state_in_an_ordinary_failover(store):
    play = scene.Scene()
    play.run(3)
    failed(play)
    play.run(1)
    for name in ("p2", "p3", "r1", "r2", "r3"):
        play.set(name, state=0)
    play.elect("r1")
    play.run(3)
    findings.quiet(findings.of(store(play.pcap())), but={"failover", "node-failed"})


def test_near_miss_a_cluster_that_is_created(store):
    play = scene.Scene()
    for name in play.nodes:
        play.set(name, state=1)
    play.run(4)
    for name in play.nodes:
        play.set(name, state=0)
    play.run(4)
    findings.none(findings.of(store(play.pcap())), "cluster-down")


def test_near_miss_a_node_that_is_started_anew(store):
    play = scene.Scene()
    play.run(3)
    play.kill("r1")
    play.run(2)
    play.set("r1", state=1)
    play.back("r1")
    play.run(2)
    play.set("r1", state=0)
    play.run(2)
    findings.none(findings.of(store(play.pcap())), "cluster-down")


@pytest.mark.parametrize("take", captures.CALM, ids=lambda take: take.name)
def test_near_miss_healthy_runs_and_reshards(take):
    findings.none(findings.of(take.path), "cluster-down")


def flap(play, state, *names):
    for name in names:
        play.set(name, state=state)


ALL = ("p1", "p2", "p3", "r1", "r2", "r3")


@pytest.mark.parametrize("pause, outages", ((1.6, 2), (0.7, 1)))
def test_two_outages_are_told_as_two(store, pause, outages):
    """All have taken it back for a while before they say so again."""
    play = scene.Scene()
    play.run(3)
    for _ in range(2):
        flap(play, 1, *ALL)
        play.run(1.2)
        flap(play, 0, *ALL)
        play.run(pause)
    play.run(3)
    found = findings.of(store(play.pcap()))
    downs = [f for f in found if f.type == "cluster-down"]
    assert len(downs) == outages
    assert all(f.span[1] - f.span[0] < 2.4 for f in downs) == (outages == 2)


def test_length_is_of_one_stretch(store):
    """p1 takes it back and says so again, while p2 goes on."""
    play = scene.Scene()
    play.run(3)
    flap(play, 1, "p1", "p2")
    play.run(2)
    flap(play, 0, "p1")
    play.run(3)
    flap(play, 1, "p1")
    play.run(1)
    flap(play, 0, "p1")
    flap(play, 0, "p2")
    play.run(4)
    one = findings.only(findings.of(store(play.pcap())), "cluster-down")
    assert play.nodes["p2"].ip in one.title and " 6.0 s" in one.title


def test_says_up_to_of_one_that_was_not_heard(store):
    """p1 stands still when it has said so; when it goes on, it is well."""
    play = scene.Scene()
    play.run(3)
    flap(play, 1, "p1")
    play.run(1)
    play.stall("p1")
    play.run(2)
    flap(play, 0, "p1")
    play.wake("p1")
    play.run(3)
    one = findings.only(findings.of(store(play.pcap())), "cluster-down")
    assert "for up to" in one.title


def test_near_miss_a_host_that_hears_nobody_any_more(store):
    """All say that the cluster is down. p1 dies, and its host does not hear that they take it back."""
    play = scene.Scene()
    play.run(3)
    flap(play, 1, *ALL)
    play.run(2)
    play.kill("p1")
    play.run(0.5)
    flap(play, 0, *ALL)
    play.run(7)
    play.back("p1")
    play.run(3)
    one = findings.only(findings.of(store(play.pcap("p1"))), "cluster-down")
    assert one.severity == "notice" and one.span[1] - one.span[0] < 3


@pytest.mark.parametrize("heals", (True, False))
def test_near_miss_the_capture_begins_on_one_side_of_a_partition(store, heals):
    """p1's side alone is heard: it cannot tell whether the others went on, until they are heard."""
    play = scene.Scene()
    play.run(3)
    play.split("p1 r1", "p2 p3 r2 r3")
    play.run(5)
    play.set("p1", state=1)
    play.set("r1", state=1)
    play.run(1)
    begin = bustap.when(play.capture.now)
    play.run(8)
    if heals:
        play.heal()
        play.run(4)
    found = findings.only(findings.of(store(play.pcap("p1")), "--from", begin), "cluster-down")
    assert (found.severity, found.verdict) == ("notice", "minority" if heals else "unknown")
    assert "2 nodes held the cluster for down" in found.title
    assert heals == ("The others went on" in found.explanation)


def test_says_why_of_one_that_hears_the_others_again_before_it_says_so(store):
    """Whom it missed stands in the first message that tells of it, and in none after that."""
    play = scene.Scene()
    play.run(3)
    play.set("p1", state=1)
    play.views["p1"].update(p2=scene.wire.PFAIL, p3=scene.wire.PFAIL)
    play.tell("p1", play.heartbeat(scene.wire.ping, "p1", "r2"), to="r2")
    play.views["p1"].clear()
    play.run(2)
    play.set("p1", state=0)
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "cluster-down")
    assert found.verdict == "minority"


@pytest.mark.parametrize("restarted", (True, False))
def test_near_miss_a_node_that_has_loaded_its_data(store, restarted):
    """On another's host nobody is refused meanwhile; but it had closed its connections. One that
    stood still, and closes them when it goes on, is told."""
    play = scene.Scene(nt=8.0)
    play.run(4)
    play.set("p1", state=1)
    if restarted:
        play.restart("p1", loading=6)
    else:
        play.stall("p1")
        play.run(6)
        play.wake("p1")
        for (a, _), link in play.links.items():
            if a == "p1":
                link.close()
                link.open()
    play.run(2)
    play.set("p1", state=0)
    play.run(2)
    found = [f for f in findings.of(store(play.pcap("p2"))) if f.type == "cluster-down"]
    assert len(found) == (0 if restarted else 1)

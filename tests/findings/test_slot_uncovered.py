"""slot-uncovered: slots whose owner failed, or that nobody has any more; not those in handover."""

import pytest

from lib import captures, findings, scene

FAILED = {"failover_crash-valkey-8.1.1": ("0-5460", "n1"),
          "partition_minority-redis-7.0.15": ("0-5460", "n1")}


def first_logged(take, event):
    return min(e["t"] for e in take.truth["log_events"] if e["event"] == event)


@pytest.mark.parametrize("run", FAILED)
def test_fires_from_the_failure_to_the_promotion(run):
    take = captures.take(run)
    slots, owner = FAILED[run]
    found = findings.only(findings.of(take.path), "slot-uncovered")
    start, end = found.span
    assert found.metrics["slots"] == found.subjects["slots"] == slots
    assert found.nodes == [n["id"] for n in take.truth["topology"]["nodes"] if n["name"] == owner]
    assert start == pytest.approx(first_logged(take, "fail_quorum"), abs=0.1)
    assert end == pytest.approx(first_logged(take, "election_won"), abs=0.1)
    assert found.severity == "notice"                       # one failover, a second


def test_fires_critically_until_somebody_takes_them(store):
    play = scene.Scene()
    play.run(3)
    play.dead("p1")
    play.run(14)
    found = findings.only(findings.of(store(play.pcap())), "slot-uncovered")
    assert (found.severity, found.end, found.verdict) == ("critical", None, "owner-failed")
    assert found.nodes == [play.nodes["p1"].id]
    few = findings.of(store(play.pcap()), "--set", "slot-uncovered-critical-seconds=60")
    assert findings.only(few, "slot-uncovered").severity == "notice"


def test_fires_on_slots_that_are_given_up(store):
    play = scene.Scene()
    play.run(3)
    play.set("p1", slots=play.nodes["p1"].fields["slots"][:100] + bytes(1948))
    play.run(8)
    found = findings.only(findings.of(store(play.pcap())), "slot-uncovered")
    assert found.metrics["slots"] == "800-5460" and found.verdict == "unassigned"


def test_near_miss_a_handover(store):
    """The source gives them up a little before the target is heard to claim them."""
    play = scene.Scene()
    play.run(3)
    slots = play.nodes["p1"].fields["slots"]
    play.set("p1", slots=slots[:100] + bytes(1948))
    play.run(1)
    others = play.nodes["p2"].fields["slots"]
    moved = bytes(a | b for a, b in zip(bytes(100) + slots[100:], others))
    play.set("p2", slots=moved, config_epoch=9, current_epoch=9)
    play.run(5)
    findings.none(findings.of(store(play.pcap())), "slot-uncovered")


def test_near_miss_a_cluster_that_is_created(store):
    play = scene.Scene()
    slots = {name: play.nodes[name].fields["slots"] for name in ("p1", "p2", "p3")}
    for name in slots:
        play.set(name, slots=bytes(2048))
    play.run(4)
    for name in slots:
        play.set(name, slots=slots[name])
        play.run(2)
    findings.none(findings.of(store(play.pcap())), "slot-uncovered")


@pytest.mark.parametrize("by_all", (True, False))
def test_near_miss_a_failure_that_only_one_who_stood_still_believes_in(store, by_all):
    """r1 had failed, came back and took over; p1, its replica now, reads the old FAIL only then."""
    play = scene.Scene()
    play.run(3)
    play.promote("r1", 9)
    play.demote("p1", "r1")
    play.run(2)
    play.views["p1"]["r1"] = scene.wire.FAIL
    if by_all:
        play.fail("p2", "r1")
    play.run(2)
    found = [f.type for f in findings.of(store(play.pcap()))]
    assert ("slot-uncovered" in found) == by_all


def test_near_miss_a_suspicion_that_passes(store):
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p3")
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "slot-uncovered")


@pytest.mark.parametrize("take", captures.CALM, ids=lambda take: take.name)
def test_near_miss_healthy_runs_and_reshards(take):
    findings.none(findings.of(take.path), "slot-uncovered")

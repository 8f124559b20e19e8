"""failover-failed: elections that nobody won, and failed primaries for which nobody asked."""

import pytest

from lib import captures, findings, scene, wire

NOFAILOVER = 0x0200
PAUSED, FORCED = 1, 2                                               # mflags[0]


def failing(primaries=3, replicas=1):
    """p1 is gone, and held for failed."""
    play = scene.Scene(primaries=primaries, replicas=replicas)
    play.run(3)
    play.dead("p1")
    play.run(6)
    return play


def is_back(play, name):
    """And nobody holds anything against it any more."""
    play.back(name)
    play.run(0.8)
    for views in play.views.values():
        views.pop(name, None)


def only(store, play):
    return findings.only(findings.of(store(play.pcap())), "failover-failed")


def test_fires_without_a_majority(store):
    play = scene.Scene()
    play.run(3)
    play.dead("p1", "p2")
    play.run(6)
    play.elect("r1", win=False)
    play.run(4)
    found = only(store, play)
    assert found.metrics == {"candidate": play.nodes["r1"].id, "epoch": 4, "votes": 1,
                             "votes_needed": 2, "reason": "no-quorum"}
    assert found.nodes == [play.nodes["r1"].id, play.nodes["p1"].id]
    assert found.severity == "warning"


def test_fires_each_time_it_is_tried(store):
    play = scene.Scene()
    play.run(3)
    play.dead("p1", "p2")
    play.run(6)
    for _ in range(3):
        play.elect("r1", win=False)
        play.run(4)
    found = findings.all_of(findings.of(store(play.pcap())), "failover-failed")
    assert [f.metrics["epoch"] for f in found] == [4, 5, 6]


def test_fires_on_a_split_vote(store):
    """r1 and r4 are replicas of p1, and ask in the same epoch."""
    play = failing(replicas=2)
    play.elect("r1", voters=["p2"], win=False)
    play.epoch -= 1
    play.elect("r4", voters=["p3"], win=False)
    play.run(4)
    found = findings.all_of(findings.of(store(play.pcap())), "failover-failed")
    assert [(f.metrics["reason"], f.metrics["votes"]) for f in found] == [("split-vote", 1)] * 2


def alone(hosts=None):
    """r4, which stood still meanwhile, holds r1 for failed, which took over and is well."""
    play = failing(replicas=2)
    play.elect("r1")
    play.run(1)
    play.demote("r4", "r1")
    play.run(1)
    play.elect("r4", voters=[], win=False)
    play.run(4)
    return play.pcap(hosts)


def test_fires_on_a_primary_that_is_well_to_all_others(store):
    """They look for that first, whomever they have voted for lately."""
    found = findings.only(findings.of(store(alone())), "failover-failed")
    assert (found.metrics["reason"], found.metrics["votes"]) == ("primary-well", 0)


def test_near_miss_a_primary_that_others_may_hold_for_failed(store):
    """Where not all who vote are heard."""
    found = findings.only(findings.of(store(alone("p2"))), "failover-failed")
    assert found.metrics["reason"] != "primary-well"


def test_is_less_loud_where_another_has_won(store):
    play = failing(replicas=2)
    play.elect("r1", voters=["p2"], win=False)
    play.epoch -= 1
    play.elect("r4", voters=["p3"])
    play.run(4)
    found = only(store, play)
    assert found.metrics["candidate"] == play.nodes["r1"].id
    assert found.metrics["reason"] == "split-vote" and found.severity == "notice"


def test_a_candidate_of_long_before_split_no_votes(store):
    play = failing(replicas=2)
    play.elect("r4", voters=["p3"], win=False)
    play.run(12)
    play.elect("r1", voters=["p2"], win=False)
    play.run(4)
    found = findings.all_of(findings.of(store(play.pcap())), "failover-failed")
    assert [f.metrics["reason"] for f in found] == ["unknown"] * 2


def test_says_whose_votes_were_not_seen(store):
    """One primary's traffic alone was captured."""
    play = failing()
    play.elect("r1", voters=["p2"], win=False)
    play.run(4)
    found = findings.only(findings.of(store(play.pcap(hosts="p2"))), "failover-failed")
    assert "connections to 1 of the 2 other primaries" in found.caveats[0]
    assert not only(store, play).caveats


def test_is_less_sure_where_the_capture_has_holes(store):
    play = failing()
    play.elect("r1", voters=["p2"], win=False)
    play.run(2)
    play.links["p2", "p3"].talk.skip("client", 2256)
    play.run(4)
    found = only(store, play)
    assert found.confidence == "possible" and "the capture has holes" in found.caveats[0]


def test_fires_on_an_epoch_that_others_have_passed(store):
    """Nobody says so to the candidate."""
    play = failing()
    play.set("p2", current_epoch=9)
    play.run(1.5)
    play.elect("r1", voters=[], win=False)
    play.run(4)
    assert only(store, play).metrics["reason"] == "stale-epoch"


def test_fires_on_an_old_epoch(store):
    play = failing()
    play.elect("r1", voters=[], win=False)
    update = wire.update(play.nodes["p2"], play.nodes["p3"], 9, [(0, 5460)])
    play.tell("p2", update, to="r1")
    play.run(4)
    assert only(store, play).metrics["reason"] == "stale-epoch"


def test_fires_with_the_reason_that_is_given(store):
    """Valkey's refusals: 3, it has voted already."""
    play = failing()
    play.elect("r1", voters=[], win=False)
    play.tell("p2", wire.auth_nack(play.nodes["p2"], play.epoch, 3), to="r1")
    play.run(4)
    found = only(store, play)
    assert found.metrics["reason"] == "split-vote"
    assert any("refuses its vote, reason 3" in e["note"] for e in found.evidence)


def test_fires_where_nothing_shows_why(store):
    play = failing()
    play.elect("r1", voters=["p2"], win=False)
    play.run(4)
    assert only(store, play).metrics["reason"] == "unknown"


def test_fires_when_there_is_no_replica(store):
    play = failing(replicas=0)
    play.run(6)
    found = only(store, play)
    assert found.metrics == {"votes": 0, "votes_needed": 2, "reason": "no-eligible-replica"}
    assert found.subjects["slots"] == "0-5460"


def test_fires_when_the_replica_died_too(store):
    """It may come back later: that does not make it one that could have asked."""
    play = scene.Scene()
    play.run(3)
    play.dead("p1", "r1")
    play.run(7)
    play.back("r1")
    play.run(6)
    found = only(store, play)
    assert found.metrics["reason"] == "no-eligible-replica"
    assert "Its replicas were silent, too." in found.explanation


def test_is_less_sure_of_silence_that_one_host_hears(store):
    play = scene.Scene()
    play.run(3)
    play.dead("p1", "r1")
    play.run(13)
    found = findings.only(findings.of(store(play.pcap(hosts="p2"))), "failover-failed")
    assert "towards the one node whose traffic was captured" in found.explanation
    assert found.confidence == "likely" and only(store, play).confidence == "certain"


def test_fires_when_the_replica_may_not(store):
    play = scene.Scene()
    play.set("r1", flags=wire.MYSELF | wire.REPLICA | NOFAILOVER)
    play.run(3)
    play.dead("p1")
    play.run(12)
    found = only(store, play)
    assert found.metrics["reason"] == "no-eligible-replica"
    assert found.metrics["candidate"] == play.nodes["r1"].id
    assert "replica-no-failover" in found.explanation


def test_fires_when_the_data_are_too_old(store):
    play = scene.Scene()
    play.set("p1", offset=900_000)
    play.set("r1", offset=1000)
    play.run(3)
    play.dead("p1")
    play.run(12)
    found = only(store, play)
    assert found.metrics["reason"] == "data-too-old"
    assert "899000 bytes" in found.explanation


def test_fires_when_nothing_shows_why_nobody_asked(store):
    """Nobody was asked, so nobody refused anything."""
    play = failing()
    play.run(6)
    found = only(store, play)
    assert found.metrics["reason"] == "unknown"
    assert "none of its replicas asked" in found.explanation and "vote for it" not in found.explanation
    assert "unable to failover" in found.advice[0]


def test_fires_when_the_replica_goes_on_hearing_its_primary(store):
    play = scene.Scene()
    play.run(3)
    for other in ("p2", "p3", "r2", "r3"):
        play.cut("p1", other)
        play.cut(other, "p1")
    play.run(13)
    assert "went on hearing its primary" in only(store, play).explanation


def test_ends_when_the_primary_comes_back(store):
    play = failing()
    play.run(6)
    is_back(play, "p1")
    play.run(4)
    assert only(store, play).end


def test_fires_when_the_replica_was_cut_off_with_its_primary(store):
    """Both go on talking, to each other: nobody else hears them."""
    play = scene.Scene(primaries=5)
    play.run(3)
    play.split("p1 r1", "p2 p3 p4 p5 r2 r3 r4 r5")
    play.run(14)
    found = only(store, play)
    assert found.metrics["reason"] == "no-eligible-replica"
    assert "Its replicas were held for failed, too." in found.explanation


def told(play, pauses=True, behind=0):
    """r1 is told to take over; p1 pauses its writes, and r1 lacks so many bytes of them."""
    play.run(3)
    play.set("p1", offset=50_000)
    play.set("r1", offset=50_000 - behind)
    play.tell("r1", wire.message("mfstart", play.nodes["r1"]), to="p1")
    for _ in range(10):
        play.run(0.5)
        if pauses:
            play.tell("p1", wire.ping(play.nodes["p1"], mflags=bytes([PAUSED, 0, 0])), to="r1")


def test_fires_on_a_manual_failover_that_is_not_answered(store):
    play = scene.Scene()
    told(play, pauses=False)
    play.run(3)
    found = only(store, play)
    assert found.metrics == {"candidate": play.nodes["r1"].id, "votes": 0, "votes_needed": 2,
                             "reason": "no-answer"}
    assert found.nodes == [play.nodes["r1"].id, play.nodes["p1"].id]
    assert found.severity == "warning" and found.verdict == "no-answer"


def test_fires_on_a_manual_failover_that_is_answered_too_late(store):
    play = scene.Scene()
    told(play, pauses=False)
    play.run(1.5)
    for _ in range(4):
        play.tell("p1", wire.ping(play.nodes["p1"], mflags=bytes([PAUSED, 0, 0])), to="r1")
        play.run(0.5)
    play.run(2)
    found = only(store, play)
    assert found.metrics["reason"] == "no-answer"
    assert 1400 < found.metrics["paused_ms"] < 1600
    assert "when nobody waited for that any more" in found.explanation


def test_fires_on_a_replica_that_does_not_catch_up(store):
    play = scene.Scene()
    told(play, behind=7000)
    play.run(3)
    found = only(store, play)
    assert found.metrics["reason"] == "replica-behind"
    assert "still lacked 7000 bytes" in found.explanation
    assert 4400 < found.metrics["paused_ms"] < 4600


def test_fires_on_a_replica_that_has_all_and_does_not_ask(store):
    play = scene.Scene()
    told(play)
    play.run(3)
    found = only(store, play)
    assert found.metrics["reason"] == "unknown" and found.confidence == "likely"
    assert "'Manual failover'" in found.advice[0]


def test_fires_when_the_votes_come_late(store):
    play = scene.Scene()
    play.run(3)
    play.elect("r1", voters=[], win=False)
    play.run(4)
    for name in ("p2", "p3"):
        play.links["r1", name].send("server", wire.message("auth-ack", play.nodes[name],
                                                           current_epoch=play.epoch))
    play.run(4)
    found = only(store, play)
    assert found.metrics["reason"] == "votes-late"
    assert found.title.endswith("the votes came 4.0 s later")


def test_near_miss_a_manual_failover_that_succeeds_late(store):
    play = scene.Scene()
    play.run(3)
    play.tell("r1", wire.message("mfstart", play.nodes["r1"]), to="p1")
    play.run(4.5)
    play.elect("r1", mflags=FORCED)
    play.demote("p1", "r1")
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


def test_near_miss_a_forced_failover(store):
    """It asks its primary for nothing."""
    play = scene.Scene()
    play.run(3)
    play.elect("r1", mflags=FORCED)
    play.demote("p1", "r1")
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


def test_near_miss_the_capture_ends_while_the_replica_waits(store):
    play = scene.Scene()
    play.run(3)
    play.tell("r1", wire.message("mfstart", play.nodes["r1"]), to="p1")
    play.run(4)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


def test_near_miss_an_election_that_is_won(store):
    play = failing()
    play.elect("r1")
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


def test_near_miss_the_capture_ends_before_it_is_decided(store):
    play = failing()
    play.elect("r1", voters=["p2"], win=False)
    play.run(1)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


def test_near_miss_a_replica_that_lets_the_other_shard_go_first(store):
    """Half a second for each primary that has failed."""
    play = scene.Scene(primaries=5)
    play.run(3)
    play.dead("p1", "p2")
    while play.views["p3"].get("p1") != wire.FAIL:
        play.run(0.1)
    play.run(4.8)
    play.elect("r1")
    play.run(0.7)
    play.elect("r2")
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


def test_near_miss_slots_that_another_primary_takes(store):
    """Before anybody would have asked."""
    play = failing(replicas=0)
    slots = bytes(a | b for a, b in zip(play.nodes["p1"].fields["slots"],
                                        play.nodes["p2"].fields["slots"]))
    play.set("p2", slots=slots, config_epoch=9, current_epoch=9)
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


def test_near_miss_a_primary_that_comes_back_at_once(store):
    play = scene.Scene(replicas=0, nt=1.0)
    play.run(3)
    play.dead("p1")
    play.run(2.5)
    is_back(play, "p1")
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "failover-failed")


@pytest.mark.parametrize("take", captures.CALM, ids=lambda take: take.name)
def test_near_miss_real_runs(take):
    findings.none(findings.of(take.path), "failover-failed")

"""failover: a replica took over, by itself, by hand, by force, or without asking anybody."""

import copy

import pytest

from lib import bustap, captures, findings, scene, wire

CRASH = "failover_crash-valkey-8.1.1"
PARTITION = "partition_minority-redis-7.0.15"
FORCEACK, PAUSED = 2, 1
MY_PRIMARY_FAILED = 0x2000

# The servers' logs of the runs: new primary, old primary, kind, epoch, votes granted.
TRUTH = {CRASH: [("n5", "n1", "automatic", 7, 2), ("n1", "n5", "manual", 8, 3),
                 ("n6", "n2", "forced", 9, 3), ("n4", "n3", "takeover", 10, 0)],
         PARTITION: [("n5", "n1", "automatic", 7, 2)]}


def ids(take):
    return {n["name"]: n["id"] for n in take.truth["topology"]["nodes"]}


def story(found):
    return [e["note"] for e in found.evidence]


def logged(take, event, node, after):
    return next(e["t"] for e in take.truth["log_events"]
                if e["event"] == event and e["node"] == node and e["t"] >= after - 0.2)


@pytest.mark.parametrize("run", TRUTH)
def test_fires_as_the_servers_logged(run):
    take = captures.take(run)
    name = ids(take)
    found = sorted(findings.all_of(findings.of(take.path), "failover"), key=lambda f: f.start)
    assert [(f.metrics["new_primary"], f.metrics["old_primary"], f.metrics["kind"],
             f.metrics["epoch"], f.metrics["votes"]) for f in found] == [
        (name[new], name[old], kind, epoch, votes) for new, old, kind, epoch, votes in TRUTH[run]]
    for one, (new, *_) in zip(found, TRUTH[run]):
        assert one.confidence == "certain"
        assert one.metrics["votes_needed"] == 2
        start, end = one.span
        assert end - logged(take, "epoch_set", new, start) < 0.1
        if one.metrics["votes"]:
            assert abs(start - logged(take, "election_start", new, start)) < 0.1


@pytest.mark.parametrize("run", TRUTH)
def test_the_time_without_service_is_that_of_the_diary(run):
    """A failed write is tried again at once by the writers of these runs."""
    take = captures.take(run)
    found = [f for f in findings.of(take.path) if f.type == "failover"][0]
    fault = take.truth["faults"][0]["t"]
    first_served = found.span[1]
    assert found.metrics["unavailable_ms"] / 1000 == pytest.approx(first_served - fault, abs=0.3)


def test_from_one_host_it_says_what_it_did_not_see():
    take = captures.take(CRASH, "n1")
    name = ids(take)
    found = {f.metrics["new_primary"]: f for f in findings.of(take.path) if f.type == "failover"}
    while_it_was_dead, forced = found[name["n5"]], found[name["n6"]]
    assert "kind" not in while_it_was_dead.metrics
    assert while_it_was_dead.confidence == "likely"
    assert any("last heard as a replica" in c for c in while_it_was_dead.caveats)
    assert "kind" not in forced.metrics                     # n6 and n2 talk elsewhere
    assert (forced.metrics["votes"], forced.metrics["votes_needed"]) == (1, 2)
    assert any("votes seen: 1 of the 2 needed" in c for c in forced.caveats)
    assert found[name["n1"]].metrics["kind"] == "manual"
    assert found[name["n4"]].metrics["kind"] == "takeover"


def test_fires_on_an_automatic_failover_with_its_chronology(store):
    play = scene.Scene()
    play.run(3)
    play.dead("p1")
    play.run(6)
    play.elect("r1")
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert found.severity == "warning" and found.confidence == "certain"
    assert found.nodes == [play.nodes["p1"].id, play.nodes["r1"].id]
    slots = found.metrics.pop("slots")
    out = found.metrics.pop("unavailable_ms")
    assert found.metrics == {"old_primary": play.nodes["p1"].id, "kind": "automatic", "votes": 2,
                             "new_primary": play.nodes["r1"].id, "votes_needed": 2, "epoch": 4}
    assert slots == found.subjects["slots"] == "0-5460"
    assert out == pytest.approx(6000, abs=1100)
    steps = story(found)
    order = ["last heard", "(PFAIL)", "(FAIL)", "asks for votes", "gives its vote", "as the primary"]
    places = [next(i for i, step in enumerate(steps) if part in step) for part in order]
    assert places == sorted(places)


def test_fires_as_automatic_when_valkey_forces_the_vote_of_a_failure(store):
    """Valkey 9.1 sets FORCEACK when all know that the primary has failed, and asks at once."""
    play = scene.Scene()
    play.run(3)
    play.dead("p1")
    play.run(4)
    play.elect("r1", mflags=FORCEACK)
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert (found.metrics["kind"], found.verdict) == ("automatic", "primary-failed")


def test_fires_as_forced_when_somebody_forces_it_later(store):
    play = scene.Scene()
    play.run(3)
    play.dead("p1")
    play.run(9)
    play.elect("r1", mflags=FORCEACK)
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert (found.metrics["kind"], found.severity) == ("forced", "warning")


def test_a_forced_vote_proves_nothing_where_the_voters_are_not_heard(store):
    """On the host of the old primary, which stands still, nobody has told that it is marked failed."""
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(2.5)
    play.elect("r1", mflags=FORCEACK)
    play.run(2)
    found = findings.only(findings.of(store(play.pcap(hosts="p1"))), "failover")
    assert "kind" not in found.metrics and found.verdict == "unknown"
    assert any("newer Valkey asks so by itself" in caveat for caveat in found.caveats)


def test_a_forced_vote_proves_nothing_if_the_candidate_says_that_its_primary_has_failed(store):
    """Valkey 9 has a flag for that, and asks so by itself; nobody else was heard to say it."""
    play = scene.Scene()
    play.run(3)
    play.set("r1", flags=wire.MYSELF | wire.REPLICA | MY_PRIMARY_FAILED)
    play.elect("r1", mflags=FORCEACK)
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert "kind" not in found.metrics and found.verdict == "unknown"


def test_near_miss_an_old_header_of_a_primary_that_has_become_a_replica(store):
    """A stopped process has old messages in its buffers; they come when it is a replica already."""
    play = scene.Scene()
    play.run(3)
    old = wire.pong(play.nodes["p1"])
    play.stall("p1")
    play.run(6)
    play.elect("r1")
    play.wake("p1")
    play.demote("p1", "r1")
    play.tell("p1", old, to="p2")
    play.run(3)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert found.metrics["new_primary"] == play.nodes["r1"].id


def test_a_request_that_reaches_a_host_after_the_promotion(store):
    """It waited for the network to heal, as that host was cut off: the failover did not begin then."""
    play = scene.Scene()
    play.run(3)
    play.dead("p1")
    play.run(6)
    play.epoch += 1
    play.set("r1", current_epoch=play.epoch)
    request = wire.message("auth-req", play.nodes["r1"])
    play.promote("r1", play.epoch)
    play.tell("r1", request)
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert found.start == found.end


def handed_over(play):
    """A manual failover of r1, as B.5 of the reference has it."""
    play.tell("r1", wire.message("mfstart", play.nodes["r1"]), to="p1")
    play.tell("p1", wire.ping(play.nodes["p1"], mflags=bytes([PAUSED, 0, 0])), to="r1")
    play.elect("r1", mflags=FORCEACK)
    play.demote("p1", "r1")


def test_near_miss_a_manual_failover_is_no_alarm(store):
    play = scene.Scene()
    play.run(3)
    handed_over(play)
    play.run(3)
    found = findings.of(store(play.pcap()))
    findings.quiet(found)
    assert findings.only(found, "failover").metrics["kind"] == "manual"


def kinds(store, play):
    """Of all failovers, in the order of time."""
    found = findings.all_of(findings.of(store(play.pcap())), "failover")
    return [f.metrics["kind"] for f in sorted(found, key=lambda f: f.metrics["epoch"])]


def test_fires_on_each_by_its_own_kind(store):
    """What a node asked its primary for has been given: the next time it asks nobody."""
    play = scene.Scene()
    play.run(3)
    handed_over(play)
    play.run(1)
    play.elect("p1", mflags=2)
    play.demote("r1", "p1")
    play.run(1)
    play.promote("r1", play.epoch + 1)
    play.demote("p1", "r1")
    play.run(4)
    assert kinds(store, play) == ["manual", "forced", "takeover"]


def test_fires_on_a_takeover(store):
    play = scene.Scene()
    play.run(3)
    play.promote("r1", 4)
    play.demote("p1", "r1")
    play.run(3)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert found.metrics["kind"] == "takeover" and found.severity == "warning"


def test_fires_on_a_takeover_whose_first_word_answers_a_ping(store):
    """Votes are asked for on other connections than that: those say that none were."""
    play = scene.Scene()
    play.run(3)
    play.promote("r1", 4, asker="p2")
    play.demote("p1", "r1")
    play.run(3)
    assert kinds(store, play) == ["takeover"]


def test_near_miss_no_connection_on_which_votes_would_have_been_asked_for(store):
    """All that it speaks on were opened when it was the primary already."""
    play = scene.Scene()
    play.run(3)
    mine = [link for (a, _), link in play.links.items() if a == "r1"]
    for link in mine:
        link.close()
    play.promote("r1", 4, asker="p2")
    for link in mine:
        link.open()
    play.tell("r1", wire.pong(play.nodes["r1"]))
    play.demote("p1", "r1")
    play.run(3)
    found = findings.only(findings.of(store(play.pcap())), "failover")
    assert "kind" not in found.metrics


def test_near_miss_a_new_primary_without_an_old_one(store):
    """A node that is given slots (ADDSLOTS), and a replica that is reset: nobody took over."""
    play = scene.Scene(replicas=1)
    play.run(3)
    play.set("r1", replica_of=b"", slots=bytes(2048), flags=wire.MYSELF | wire.PRIMARY)
    play.run(2)
    findings.none(findings.of(store(play.pcap())), "failover")


@pytest.mark.parametrize("take", captures.CALM, ids=lambda take: take.name)
def test_near_miss_runs_without_a_failover(take):
    findings.none(findings.of(take.path), "failover")


def test_says_by_whom_the_old_primary_was_last_heard():
    """By the candidate; others may have heard it later, as node-failed tells."""
    found = findings.of(captures.take("told_to_end-valkey-9.1.2").path)
    assert story(findings.only(found, "failover"))[0] == "10.77.0.11:6379 was last heard by 10.77.0.14:6379"


def heirs(second):
    """p1 is dead; r1 takes over, then, if `second`, r4 from r1. The host of p1 hears of it later."""
    play = scene.Scene(replicas=2)
    play.run(3)
    play.kill("p1")
    play.run(6)
    play.elect("r1")
    play.demote("r4", "r1")
    play.run(2)
    if second:
        play.kill("r1")
        play.run(6)
        play.elect("r4")
        play.run(2)
    play.back("p1")
    play.run(2)
    play.demote("p1", "r4" if second else "r1")
    play.run(2)
    return play


def test_does_not_say_from_whom_where_another_may_have_been_between(store):
    play = heirs(second=True)
    found = findings.only(findings.of(store(play.pcap("p1"))), "failover")
    assert found.metrics["new_primary"] == play.nodes["r4"].id
    assert "old_primary" not in found.metrics and "took over from" not in found.title
    assert any("may have come between" in caveat for caveat in found.caveats)
    both = [f for f in findings.of(store(play.pcap())) if f.type == "failover"]
    assert [(f.metrics["old_primary"], f.metrics["new_primary"]) for f in both] == \
        [(play.nodes[a].id, play.nodes[b].id) for a, b in (("p1", "r1"), ("r1", "r4"))]


def test_near_miss_the_first_that_took_over_unseen(store):
    """No epoch was taken in between."""
    play = heirs(second=False)
    found = findings.only(findings.of(store(play.pcap("p1"))), "failover")
    assert found.metrics["old_primary"] == play.nodes["p1"].id and "took over from" in found.title


def test_near_miss_a_request_for_votes_that_waited_for_a_connection(store):
    """It comes through when p1 can be reached again: r1 has been elected long since."""
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2 p3 r1 r2 r3")
    play.run(6)
    before = copy.deepcopy(play.nodes["r1"])
    play.elect("r1")
    before.fields["current_epoch"] = play.epoch
    play.run(2)
    play.heal()
    link = play.links["r1", "p1"]
    link.close()
    link.open()
    link.send("client", wire.message("auth-req", before))
    play.run(2)
    path = store(play.pcap())
    findings.only(findings.of(path), "failover")
    roles = [e["role"] for e in bustap.dump(path) if e["event"] == "node-role"
             and e["node"] == play.nodes["r1"].id]
    assert roles == ["primary"]

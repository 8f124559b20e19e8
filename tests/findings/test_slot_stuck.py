"""slot-stuck: a slot that stays open while no key of it moves; not one that is being moved."""

import pytest

from lib import bustap, captures, findings, scene
from lib.migrating import OK, SOURCE_TEXT, TARGET_TEXT, Migrating, resp
from lib.redirected import Redirected

LEFT_OPEN = captures.take("slot_left_open-redis-7.0.15")
MOVING = [captures.take(run) for run in ("reshard-redis-7.0.15", "slow_migration-redis-7.0.15",
                                         "atomic_migration-valkey-9.1.2")]
KEY = "a{7}"
SLOT = resp.slot(KEY)


def test_fires_for_the_slot_that_was_left_open():
    found = findings.only(findings.of(LEFT_OPEN.path), "slot-stuck")
    nodes = {n["id"]: n["name"] for n in LEFT_OPEN.truth["topology"]["nodes"]}
    assert found.severity == "warning" and found.metrics["slot"] == 7
    assert nodes[found.metrics["source"]] == "n1" and nodes[found.metrics["target"]] == "n2"
    assert found.metrics["asks"] > 500 and 7000 < found.metrics["duration_ms"] < 10_000
    assert "COUNTKEYSINSLOT 7" in found.advice[0], "it was closed again: what is left to be done"


def stuck(path, *args):
    return findings.only(findings.of(path, *args), "slot-stuck")


def test_fires_for_a_slot_that_nobody_asks_for(store):
    """Only SETSLOT tells of it: so far it costs nobody anything."""
    play = Migrating()
    play.open_slot(SLOT)
    play.move(KEY)
    play.wait(20)
    play.setslot(play.target, 8, "STABLE")
    found = stuck(store(play.pcap()))
    assert found.metrics["slot"] == SLOT and 19_900 < found.metrics["duration_ms"] < 20_200
    assert (found.metrics["source"], found.metrics["target"]) == (SOURCE_TEXT, TARGET_TEXT)
    assert found.severity == "notice" and found.end is None and found.metrics["asks"] == 0
    assert "end the migration" in found.advice[0]


@pytest.mark.parametrize("end", [lambda play: play.give(SLOT), lambda play: play.close_slot(SLOT),
                                 lambda play: play.move(KEY)], ids=["given", "closed", "goes on"])
def test_fires_for_the_time_until_somebody_looks_after_it(store, end):
    play = Migrating()
    play.open_slot(SLOT)
    play.wait(8)
    end(play)
    play.wait(3)
    play.setslot(play.target, 8, "STABLE")
    found = stuck(store(play.pcap()))
    assert 7_900 < found.metrics["duration_ms"] < 8_200 and found.metrics["slot"] == SLOT


def test_fires_for_each_slot(store):
    play = Migrating()
    for slot in range(40):
        play.open_slot(slot)
    play.wait(8)
    for slot in range(40):
        play.close_slot(slot)
    found = findings.all_of(findings.of(store(play.pcap())), "slot-stuck")
    assert [f.metrics["slot"] for f in found] == list(range(32)), "the others are counted"
    assert any("8 more slots" in caveat for caveat in found[-1].caveats)


@pytest.mark.parametrize("gap", [1, 3, 6])
def test_fires_for_each_of_several_left_open_in_turn(store, gap):
    """That another one is opened, or given up, moves nothing; each has stood open since its own
    beginning."""
    play = Migrating()
    for slot in range(3):
        play.open_slot(slot)
        play.wait(gap)
    play.wait(6)
    for slot in range(3):
        play.close_slot(slot)
        play.wait(gap)
    found = findings.all_of(findings.of(store(play.pcap())), "slot-stuck")
    assert {f.metrics["slot"]: f.metrics["duration_ms"] // 1000 for f in found} == \
        {slot: 6 + 3 * gap for slot in range(3)}


def test_fires_until_the_source_is_taken_over(store):
    """Its replica knows of no migration, and the target goes on importing."""
    play = scene.Scene()
    play.run(2)
    p1, p2 = play.nodes["p1"], play.nodes["p2"]
    for port, node, words in ((40000, p2, ["IMPORTING", p1.id]), (40001, p1, ["MIGRATING", p2.id])):
        resp.Dialogue(play.capture, ("10.9.0.1", port), (node.ip, 6379)).trade(
            ["CLUSTER", "SETSLOT", "0", *words], OK)
    play.run(8)
    play.kill("p1")
    play.elect("r1")
    play.run(3)
    found = stuck(store(play.pcap()))
    assert "Then another node took the slot from its source" in found.explanation
    assert "CLUSTER SETSLOT 0 STABLE at the target" in found.advice[0]


@pytest.mark.parametrize("take", MOVING, ids=lambda take: take.run)
def test_near_miss_slots_that_move(take):
    findings.none(findings.of(take.path), "slot-stuck")


def test_near_miss_a_call_that_takes_long(store):
    """A big key: for ten seconds nothing is seen but its bytes."""
    play = Migrating()
    play.open_slot(SLOT)
    play.migrate(KEY)
    play.wait(10)
    play.restore(KEY)
    play.restored(b"+OK\r\n")
    play.migrated(b"+OK\r\n")
    play.give(SLOT)
    findings.none(findings.of(store(play.pcap())), "slot-stuck")


def test_near_miss_slots_that_wait_for_their_turn(store):
    """All are opened at once; their keys move one after the other."""
    play = Migrating()
    for slot in range(5):
        play.open_slot(slot)
    play.open_slot(SLOT)
    for _ in range(5):
        play.move(KEY)
        play.wait(3)
    for slot in range(5):
        play.give(slot)
    findings.none(findings.of(store(play.pcap())), "slot-stuck")


def test_near_miss_slots_without_keys_that_wait_for_their_turn(store):
    """All are opened, and given one after the other."""
    play = Migrating()
    for slot in range(5):
        play.open_slot(slot)
    for slot in range(5):
        play.wait(3)
        play.give(slot)
    findings.none(findings.of(store(play.pcap())), "slot-stuck")


def test_near_miss_open_for_a_moment(store):
    play = Redirected()
    client = play.client("10.1.0.1")
    for _ in range(200):
        client.asked("a", 17, "b")
        client.served("b", 17)
        play.wait(0.01)
    path = store(play.pcap())
    findings.none(findings.of(path), "slot-stuck")
    findings.only(findings.of(path, "--set", "slot-stuck-seconds=1"), "slot-stuck")


def test_slots_past_the_cap_are_counted(store):
    """CAP_OPEN_SLOTS: of those that were open for long, and are closed."""
    play = Migrating()
    for _ in range(2):
        for slot in range(8200):
            play.setslot(play.target, slot, "IMPORTING", "1" * 40)
        play.wait(8)
        for slot in range(8200):
            play.setslot(play.target, slot, "STABLE")
    assert bustap.analyze(store(play.pcap()))["cluster"]["migrations_over_cap"] == 2 * 8200 - 16384

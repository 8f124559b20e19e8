"""slot-stuck: a slot that stays open while clients are sent on; not one that is being moved."""

import pytest

from lib import captures, findings
from lib.redirected import Redirected

LEFT_OPEN = captures.take("slot_left_open-redis-7.0.15")
MOVING = [captures.take(run) for run in ("reshard-redis-7.0.15", "slow_migration-redis-7.0.15",
                                         "atomic_migration-valkey-9.1.2")]


def test_fires_for_the_slot_that_was_left_open():
    found = findings.only(findings.of(LEFT_OPEN.path), "slot-stuck")
    nodes = {n["id"]: n["name"] for n in LEFT_OPEN.truth["topology"]["nodes"]}
    assert found.severity == "warning" and found.metrics["slot"] == 7
    assert nodes[found.metrics["source"]] == "n1" and nodes[found.metrics["target"]] == "n2"
    assert found.metrics["asks"] > 500 and 7000 < found.metrics["duration_ms"] < 10_000


@pytest.mark.parametrize("take", MOVING, ids=lambda take: take.run)
def test_near_miss_slots_that_move(take):
    findings.none(findings.of(take.path), "slot-stuck")


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

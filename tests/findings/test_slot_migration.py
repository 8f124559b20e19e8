"""slot-migration: which slots moved between two primaries, with how many keys; no failover is one."""

import pytest

from lib import bustap, captures, findings, scene, wire

RESHARD = captures.take("reshard-redis-7.0.15")
ATOMIC = captures.take("atomic_migration-valkey-9.1.2")
FAILOVERS = [captures.take(run) for run in
             ("kill_primary-redis-8.0.2", "manual_failover-redis-7.0.15", "takeover-valkey-9.1.2",
              "forced_failover-redis-6.0.16", "partition_primary-valkey-9.1.2", "healthy-redis-7.0.15")]


def id_of(take, name):
    return next(n["id"] for n in take.truth["topology"]["nodes"] if n["name"] == name)


def calls(take, name, command):
    """How often the node was asked that, says its INFO commandstats."""
    node = next(n for n in take.truth["topology"]["nodes"] if n["name"] == name)
    return take.snapshot(node)["commandstats"].get(command, {"calls": 0})["calls"]


def test_fires_with_the_keys_that_the_target_counted():
    found = findings.only(findings.of(RESHARD.path), "slot-migration")
    assert found.severity == "info" and found.metrics["kind"] == "migrate"
    assert (found.metrics["source"], found.metrics["target"]) == (id_of(RESHARD, "n1"),
                                                                  id_of(RESHARD, "n2"))
    assert found.metrics["slots"] == "0-519,540"
    assert found.metrics["keys"] == calls(RESHARD, "n2", "restore-asking") > 1000
    assert found.metrics["outcome"] == "completed"


def test_fires_for_an_atomic_one():
    found = findings.only(findings.of(ATOMIC.path), "slot-migration")
    assert found.metrics["kind"] == "atomic" and found.metrics["slots"] == "0-99"
    assert found.metrics["bytes"] > 100_000 and "keys" not in found.metrics
    assert found.caveats


def test_fires_for_slots_without_keys(store):
    play = scene.Scene()
    play.run(2)
    p1, p2 = play.nodes["p1"], play.nodes["p2"]
    moved, rest = wire.bitmap((0, 9)), wire.bitmap((10, 5460))
    both = bytes(a | b for a, b in zip(moved, p2.fields["slots"]))
    play.set("p2", slots=both, config_epoch=9)
    play.set("p1", slots=rest)
    play.run(3)
    found = findings.only(findings.of(store(play.pcap())), "slot-migration")
    assert found.metrics["slots"] == "0-9" and found.metrics["keys"] == 0
    assert found.nodes == [p1.id, p2.id]


@pytest.mark.parametrize("take", FAILOVERS, ids=lambda take: take.run)
def test_near_miss_slots_that_were_taken(take):
    findings.none(findings.of(take.path), "slot-migration")


def test_every_capture_counts_as_its_target_did():
    """Wherever one is found, RESTOREs and errors of the target add up to its book."""
    for take in captures.TAKES:
        if take.vantage or "reshard" not in take.run:
            continue
        keys = sum(f.metrics["keys"] for f in findings.of(take.path) if f.type == "slot-migration")
        assert keys == calls(take, "n2", "restore-asking"), take.run
        assert bustap.analyze(take.path)["cluster"]["migrations_over_cap"] == 0     # CAP_MIGRATIONS

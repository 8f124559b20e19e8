"""migration-failed: MIGRATE that gave up, and keys that are on both sides; not one that went well."""

import pytest

from lib import bustap, captures, findings

SLOW = captures.take("slow_migration-redis-7.0.15")
WELL = [captures.take(run) for run in ("reshard-redis-7.0.15", "atomic_migration-valkey-9.1.2",
                                       "ask_ignored-valkey-8.1.1", "every_client-valkey-8.1.1")]


def test_fires_for_a_timeout_and_the_keys_that_were_copied_and_not_deleted():
    """MIGRATE timed out; its second try found there what the first one had brought."""
    found = findings.only(findings.of(SLOW.path), "migration-failed")
    servers = bustap.analyze(SLOW.path)["clients"]["servers"]
    refused = sum(s["errors"].get("BUSYKEY", 0) for s in servers)
    nodes = {n["id"]: n["name"] for n in SLOW.truth["topology"]["nodes"]}
    assert found.severity == "warning" and found.verdict == "timeout"
    assert found.metrics["errors"] == {"IOERR": 1, "BUSYKEY": refused}
    assert found.metrics["keys_on_both"] == refused == 10
    assert found.metrics["keys_at_risk"] >= found.metrics["keys_on_both"]
    assert nodes[found.metrics["source"]] == "n1" and nodes[found.metrics["target"]] == "n2"
    assert found.subjects["slots"] == "7"


@pytest.mark.parametrize("take", WELL, ids=lambda take: take.run)
def test_near_miss_migrations_that_went_well(take):
    findings.none(findings.of(take.path), "migration-failed")

"""Client traffic and replication against the books the servers keep themselves.

For every command, error and offset the wire has what INFO said (lib/balance.py says how the two are
read). A server counts a command as called when it runs it, or as rejected when it refuses it; both
are replies on the wire. It counts what comes down its primary's replication stream, too: those are no
client's requests, so they stand apart in the report and are added. Where the books must differ the
tables say by how much and why.
"""

import pytest

from lib import balance, captures, explained
from lib.balance import host, report

TAKES = pytest.mark.parametrize("take", captures.TAKES, ids=lambda take: take.name)
BRIDGES = pytest.mark.parametrize("take", [t for t in captures.TAKES if not t.vantage],
                                  ids=lambda take: take.name)

# Commands of a replication stream that were on the wire and never arrived. (capture, node, command)
CUT_OFF = "the stream of the primary beyond the partition: the bridge drops behind the capture"
NEVER_ARRIVED = {("partition_minority-redis-7.0.15", "n5", "set"): (53, CUT_OFF)}
ACK_CUT_OFF = "the replica's ACK, likewise"
REPLCONF_CUT_OFF = {("partition_minority-redis-7.0.15", "n1", "replconf"): (1, ACK_CUT_OFF)}
LOST = {**NEVER_ARRIVED, **REPLCONF_CUT_OFF}


def check(take, rows):
    def missing(row):
        lost, _ = LOST.get((take.name, row.node, row.name), (0, ""))
        return -lost
    wrong = explained.but_for_faults(
        take, [row for row in rows if not row.balances(missing(row))])
    assert not wrong, f"{take.path}: books and wire differ" + balance.listing(wrong)


MODERN = pytest.mark.parametrize(
    "take", [t for t in captures.TAKES if not balance.counts_words(t)],
    ids=lambda take: take.name)


@TAKES
def test_commands_equal_commandstats(take):
    check(take, balance.commands(take))


@MODERN
def test_errors_equal_errorstats(take):
    check(take, balance.errors(take))


def sent_offset(take, node, until):
    """How far the node's stream to any replica had come."""
    offsets = [link["offset"] for link in report(take, until)["replication"]
               if host(link["primary"]) == node["ip"] and link["offset"] is not None]
    return max(offsets, default=None)


@BRIDGES
def test_offsets_equal_info_replication(take):
    """A primary's master_repl_offset is where the stream to its replicas stands."""
    for node in take.nodes:
        books = take.snapshot(node)["replication"]
        if books["role"] != "master" or int(books["connected_slaves"]) == 0:
            continue
        low, high = (sent_offset(take, node, take.snapshot(node)[t]) for t in ("t0", "t_frozen"))
        assert low is not None, f"{node['name']}: no replication stream is reported"
        assert low <= int(books["master_repl_offset"]) <= high, node["name"]


@TAKES
def test_every_byte_is_decoded(take):
    clients = report(take)["clients"]
    assert clients["undecoded_bytes"] == 0
    assert clients["unmatched_replies"] == 0
    assert clients["anomalies"] == {}

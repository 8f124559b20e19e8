"""Client traffic and replication against the books the servers keep themselves.

As in test_books.py each node's INFO was asked at t0 and the node stopped at t_frozen, so for every
command, error and offset

    on the wire up to t0  <=  what INFO said  <=  on the wire up to t_frozen

A server counts a command as called when it runs it, or as rejected when it refuses it; both are
replies on the wire. It counts what comes down its primary's replication stream, too: those are no
client's requests, so they stand apart in the report and are added here. Where the books must differ
the tables say by how much and why.
"""

import collections
import functools

import pytest

from lib import bustap, captures

TAKES = pytest.mark.parametrize("take", captures.TAKES, ids=lambda take: take.name)
BRIDGES = pytest.mark.parametrize("take", [t for t in captures.TAKES if not t.vantage],
                                  ids=lambda take: take.name)

# Commands that a server counted and nobody sent. (part of the server's name, command): why
NOT_ON_THE_WIRE = {
    ("valkey-9", "config|get"): "Valkey 9 asks itself for two or three settings when it starts",
}

# Valkey replicates SETSLOT before it carries it out: the client is blocked meanwhile, and the
# command, run again once the replicas have it, is counted twice.
COUNTED_TWICE = {("valkey", "cluster|setslot")}

# Commands of a replication stream that were on the wire and never arrived. (capture, node, command)
CUT_OFF = "the stream of the primary beyond the partition: the bridge drops behind the capture"
NEVER_ARRIVED = {("partition_minority-redis-7.0.15", "n5", "set"): (53, CUT_OFF)}
ACK_CUT_OFF = "the replica's ACK, likewise"
REPLCONF_CUT_OFF = {("partition_minority-redis-7.0.15", "n1", "replconf"): (1, ACK_CUT_OFF)}
LOST = {**NEVER_ARRIVED, **REPLCONF_CUT_OFF}


@functools.lru_cache(maxsize=None)
def report(take, until=None):
    window = ["--to", bustap.when(round(until * 10 ** 9))] if until else []
    return bustap.analyze(take.path, *window)


def host(address):
    return address.rpartition(":")[0].strip("[]")


def counts(take, node, until, member):
    """A node's commands or errors up to a time, what its primary's stream brought included."""
    found = collections.Counter()
    for server in report(take, until)["clients"]["servers"]:
        if host(server["addr"]) == node["ip"]:
            found.update(server[member])
    if member == "commands":
        for link in report(take, until)["replication"]:
            if host(link["replica"]) == node["ip"]:
                found.update(link["commands"])
            if host(link["primary"]) == node["ip"]:
                found.update(link.get("commands_back", {}))
    return found


def since_restart(take, node, until, member):
    """A restarted server starts its books again."""
    found = counts(take, node, until, member)
    if len(node["starts"]) > 1:
        found -= counts(take, node, node["starts"][-1]["t"], member)
    return found


def called(stats):
    return stats["calls"] + stats.get("rejected_calls", 0)


def is_known(take, command):
    return any(server in take.truth["server"] and command == name for server, name in NOT_ON_THE_WIRE)


def times(take, node, command):
    twice = any(server in take.truth["server"] and command == name for server, name in COUNTED_TWICE)
    return 2 if twice and take.snapshot(node)["replication"]["role"] == "master" else 1


def differing(take, node, member, books):
    """Rows (node, name, books, wire at t0, wire when frozen) of what does not fit."""
    snapshot = take.snapshot(node)
    low = since_restart(take, node, snapshot["t0"], member)
    high = since_restart(take, node, snapshot["t_frozen"], member)
    for name in sorted({*low, *high, *books}):
        lost, _ = LOST.get((take.name, node["name"], name), (0, ""))
        known = books.get(name, 0) / times(take, node, name) + lost
        if not low[name] <= known <= high[name] and not is_known(take, name):
            yield node["name"], name, books.get(name, 0), low[name], high[name]


def fail_with(take, rows):
    lines = "\n".join("  " + "  ".join(map(str, row)) for row in rows)
    assert not rows, f"{take.path}: node, name, books, wire at t0, wire when frozen\n{lines}"


@TAKES
def test_commands_equal_commandstats(take):
    rows = []
    for node in take.nodes:
        books = {name: called(s) for name, s in take.snapshot(node)["commandstats"].items()}
        rows += differing(take, node, "commands", books)
    fail_with(take, rows)


@TAKES
def test_errors_equal_errorstats(take):
    rows = []
    for node in take.nodes:
        rows += differing(take, node, "errors", take.snapshot(node)["errorstats"])
    fail_with(take, rows)


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

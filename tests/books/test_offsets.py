"""Replicas: what three sources say of their offsets, and what the servers' logs say of their resyncs.

The stream itself, the ACKs and the headers of the bus are counted apart. An ACK names a place where a
command of the stream ended, or where the stream began; a header does, too, wherever the stream was
seen. So the three agree to the byte, or one of them is read wrongly.
"""

import pytest

from lib import bustap, captures
from lib.balance import host, report
from lib.findings import seconds

NOTHING_RESTARTS = {"healthy", "lagging_replica", "resync_loop", "every_client", "short_stall",
                    "stale_clients", "slot_left_open", "bus_port_blocked", "random_loss_30"}
BRIDGES = [t for t in captures.TAKES if not t.vantage]
QUIET = [t for t in BRIDGES if t.truth["scenario"] in NOTHING_RESTARTS]
LOGGED = [t for t in BRIDGES if any(e["event"] == "full-sync" for e in t.truth.get("logged", ()))]
LOG_LATE = 0.1                                      # seconds
NAMED = {"ids": lambda take: take.name}


# ------------------------------------------------------------------------------- the three agree


class Stream:
    """What a primary sent its replicas: where commands ended, and which parts of it were seen."""

    def __init__(self):
        self.ends, self.parts, self.links = set(), [], {}

    def begins(self, link, offset):
        self.ends.add(offset)
        self.links[link] = [offset, offset]
        self.parts.append(self.links[link])

    def goes_on(self, link, offset):
        self.ends.add(offset)
        self.links[link][1] = offset

    def contradicts(self, offset):
        """It lies in a part that was seen, and no command ended there."""
        return offset not in self.ends and any(a <= offset <= b for a, b in self.parts)


def streams_of(events):
    """By the primary's address."""
    streams = {}
    for e in bustap.of_clients(events):
        stream, link = streams.setdefault(host(e["src"]), Stream()), (e["src"], e["dst"])
        if e["event"] == "replication" and e["what"] in ("fullresync", "continue"):
            stream.begins(link, e["offset"])
        elif e["event"] == "replicated" and link in stream.links:
            stream.goes_on(link, e["offset"])
    return streams


def primary_by_node(take):
    """Whose stream a node's offset counts in: its own address, or that of its primary."""
    nodes = {n["id"]: n for n in report(take)["cluster"]["nodes"]}
    return {id_: host(nodes[n["primary"]]["addr"] if n["primary"] else n["addr"])
            for id_, n in nodes.items()}


@pytest.mark.parametrize("take", QUIET, **NAMED)
def test_acks_and_headers_stand_where_commands_ended(take):
    events = bustap.dump(take.path)
    streams, primaries = streams_of(events), primary_by_node(take)
    acks = [e for e in bustap.named(events, "replication") if e["what"] == "ack"]
    wrong = [f"frame {e['frame']}: ACK {e['offset']}" for e in acks
             if streams[host(e["dst"])].contradicts(e["offset"])]
    headers = [m for m in bustap.messages(events) if not m.get("light") and m.get("repl_offset")]
    wrong += [f"frame {m['frame']}: header {m['repl_offset']}" for m in headers
              if streams[primaries[m["sender"]]].contradicts(m["repl_offset"])]
    assert len(acks) > 10 and len(headers) > 10
    assert not wrong, f"{take.path}: no command ended there\n  " + "\n  ".join(wrong[:20])


@pytest.mark.parametrize("take", QUIET, **NAMED)
def test_offsets_equal_info_replication(take):
    """What is said of a replica is what it and its primary say: by the last ACK, or since."""
    rows = {host(r["replica_addr"]): r for r in report(take)["replicas"]}
    for node in take.nodes:
        books = take.snapshot(node)["replication"]
        if books["role"] != "slave":
            continue
        row = rows[node["ip"]]
        assert row["link"] == "up" and row["replica"] == node["id"]
        assert row["offsets"]["acked"] <= row["offsets"]["sent"] <= row["offset"]
        assert row["offsets"]["acked"] <= int(books["slave_repl_offset"]) <= row["offset"]


# ----------------------------------------------------------------------- a capture that begins later


@pytest.mark.parametrize("run", ["healthy-redis-7.0.15", "healthy-valkey-9.1.2",
                                 "kill_replica-valkey-8.1.1", "lagging_replica-valkey-9.1.2"])
def test_offsets_of_joined_streams_are_those_of_the_whole_capture(run):
    """The ACKs tell them: exactly, or not at all."""
    take = captures.take(run)
    whole = bustap.named(bustap.dump(take.path), "replicated")
    begin = min(e["time"] for e in whole)
    ends = {(e["src"], e["dst"], e["offset"]) for e in whole}
    late = bustap.dump("--from", begin, take.path)
    joined = [e for e in bustap.named(late, "replication") if e["what"] == "offset"]
    told = [e for e in bustap.named(late, "replicated") if e.get("offset") is not None]
    assert joined, "nothing was learnt"
    assert {(e["src"], e["dst"], e["offset"]) for e in told} <= ends
    rows = bustap.analyze("--from", begin, take.path)["replicas"]
    assert any(row["offsets"]["learnt"] for row in rows)


# ------------------------------------------------------------------------------------------ resyncs


@pytest.mark.parametrize("take", LOGGED, **NAMED)
def test_full_resyncs_are_those_of_the_logs(take):
    """Each when the replica logged it, at the offset that it logged."""
    found = {}
    for row in report(take)["replicas"]:
        found.setdefault(host(row["replica_addr"]), []).extend(row["resyncs"])
    for node in take.nodes:
        logged = [e for e in take.truth["logged"]
                  if e["node"] == node["name"] and e["event"] == "full-sync"]
        seen = sorted(found.get(node["ip"], ()), key=lambda r: r["time"])
        assert [r["offset"] for r in seen] == [e["offset"] for e in logged], node["name"]
        for resync, line in zip(seen, logged):
            assert abs(seconds(resync["time"]) - line["time"]) < LOG_LATE, node["name"]


@pytest.mark.parametrize("take", LOGGED, **NAMED)
def test_resyncs_last_as_long_as_the_logs_say(take):
    """From "sync started" to "Finished with success", which the first ACK follows: at once, or, of
    Redis 6.0, when the second is over."""
    for row in report(take)["replicas"]:
        node = next(n for n in take.nodes if n["ip"] == host(row["replica_addr"]))
        ends = [e["time"] for e in take.truth["logged"]
                if e["node"] == node["name"] and e["event"] == "sync-ended"]
        for resync in row["resyncs"]:
            if resync["duration_ms"] is None:
                continue
            online = seconds(resync["time"]) + resync["duration_ms"] / 1000
            assert any(-LOG_LATE < online - end < 1 + LOG_LATE for end in ends), node["name"]
            assert resync["bytes"] > 0 and resync["transfer_ms"] <= resync["duration_ms"]

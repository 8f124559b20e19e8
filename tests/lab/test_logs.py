"""Are servers' logs read as their authors meant them?

The lines are the wording of each server, by the formats in its program, with ids made short to read
here. The truth beside the captures was parsed by another program, years of wording apart: both must
sort the same lines into the same drawers.
"""

import collections
import json
import os
import pathlib

import pytest

from lab import logs
from lib import bustap

A, B, C = ("a" * 40, "b" * 40, "c" * 40)

# (servers, line, event and members). NODE, BY and OLD stand for ids; "S" for a shard's.
LINES = [
    # suspected, agreed upon, over
    ("redis 6.0, 7.0", f"*** NODE {A} possibly failing", "pfail", {"about": A}),
    ("redis 8.0", f"*** NODE {A} possibly failing", "pfail", {"about": A}),
    ("valkey", f"NODE {A} (10.0.0.1:6379) possibly failing.", "pfail", {"about": A}),
    ("redis 6.0", f"Marking node {A} as failing (quorum reached).", "fail",
     {"about": A, "how": "quorum"}),
    ("redis 8.0", f"Marking node {A} () as failing (quorum reached).", "fail",
     {"about": A, "how": "quorum"}),
    ("redis 7.0", f"FAIL message received from {A} about {B}", "fail",
     {"by": A, "about": B, "how": "message"}),
    ("valkey", f"FAIL message received from {A} () about {B} (10.0.0.1:6379)", "fail",
     {"by": A, "about": B, "how": "message"}),
    ("redis 6.0", f"Node {A} reported node {B} as not reachable.", "report", {"by": A, "about": B}),
    ("valkey", f"Node {A} () reported node {B} () is back online.", "report-withdrawn",
     {"by": A, "about": B}),
    ("redis 7.0", f"Clear FAIL state for node {A}: replica is reachable again.", "fail-cleared",
     {"about": A, "reason": "replica"}),
    ("redis 8.0", f"Clear FAIL state for node {A} ():master without slots is reachable again.",
     "fail-cleared", {"about": A, "reason": "master without slots"}),
    ("redis 8.0", f"Clear FAIL state for node {A} (): is reachable again and nobody is serving its "
     "slots after some time.", "fail-cleared", {"about": A}),
    ("valkey", f"PONG contains mismatching sender ID. About node {A} (10.0.0.1:6379) in shard {B} "
     "added 4098 ms ago, having flags 7425", "other-id", {"about": A}),
    # elections
    ("redis", "Start of election delayed for 539 milliseconds (rank #1, offset 1234).",
     "election-delayed", {"delay_ms": 539, "rank": 1, "offset": 1234}),
    ("valkey", "Start of election delayed for 0 milliseconds (rank #0, primary rank #2, offset 7).",
     "election-delayed", {"delay_ms": 0, "rank": 0, "primary_rank": 2, "offset": 7}),
    ("redis, valkey", "Replica rank updated to #1, added 1000 milliseconds of delay.",
     "rank-updated", {"rank": 1, "delay_ms": 1000}),
    ("redis", "Starting a failover election for epoch 7.", "election-started", {"epoch": 7}),
    ("valkey", "Starting a failover election for epoch 7, node config epoch is 2",
     "election-started", {"epoch": 7, "config_epoch": 2}),
    ("redis, valkey", "Currently unable to failover: Disconnected from master for longer than "
     "allowed. Please check the 'cluster-replica-validity-factor' configuration option.",
     "election-held", {"reason": "Disconnected from master for longer than allowed. Please check "
                                 "the 'cluster-replica-validity-factor' configuration option."}),
    ("redis 8.0, valkey", "Needed quorum: 2. Number of votes received so far: 1", "votes-so-far",
     {"quorum": 2, "votes": 1}),
    ("redis", "Failover election won: I'm the new master.", "failover-won", {}),
    ("valkey", "Failover election won: I'm the new primary.", "failover-won", {}),
    ("redis, valkey", "Failover attempt expired.", "failover-expired", {}),
    ("valkey", f"Failover election in progress for epoch 7, but received a claim from node {A} () "
     "with an equal or higher epoch 8. Resetting the election since we cannot win an election in "
     "the past.", "election-reset",
     {"epoch": 7, "reason": f"a claim from node {A} () with an equal or higher epoch 8"}),
    # votes
    ("redis 7.0", f"Failover auth granted to {A} for epoch 7", "vote-granted",
     {"to": A, "epoch": 7}),
    ("valkey", f"Failover auth granted to {A} () for epoch 7", "vote-granted",
     {"to": A, "epoch": 7}),
    ("redis 7.0", f"Failover auth denied to {A}: already voted for epoch 7", "vote-refused",
     {"to": A, "reason": "already voted for epoch 7"}),
    ("redis 8.0", f"Failover auth denied to {A} (): reqEpoch (6) < curEpoch(7)", "vote-refused",
     {"to": A, "reason": "reqEpoch (6) < curEpoch(7)"}),
    ("redis 8.0", f"Failover auth denied to {A} : can't vote about this master before 90 "
     "milliseconds", "vote-refused",
     {"to": A, "reason": "can't vote about this master before 90 milliseconds"}),
    ("valkey", f"Failover auth denied to {A} () for epoch 7: its primary is up", "vote-refused",
     {"to": A, "epoch": 7, "reason": "its primary is up"}),
    # epochs
    ("redis, valkey", "configEpoch set to 7 after successful failover", "epoch",
     {"epoch": 7, "why": "failover"}),
    ("redis, valkey", "New configEpoch set to 7", "epoch",
     {"epoch": 7, "why": "without agreement"}),
    ("redis 6.0", f"WARNING: configEpoch collision with node {A}. configEpoch set to 7", "epoch",
     {"about": A, "epoch": 7, "why": "collision"}),
    ("valkey", f"configEpoch collision with node {A} (). configEpoch set to 7", "epoch",
     {"about": A, "epoch": 7, "why": "collision"}),
    ("redis 7.0", "configEpoch updated after importing slot 5", "epoch",
     {"slot": 5, "why": "import"}),
    # roles
    ("redis 7.0", f"Configuration change detected. Reconfiguring myself as a replica of {A}",
     "role", {"of": A, "role": "replica"}),
    ("valkey", f"Configuration change detected. Reconfiguring myself as a replica of node {A} () "
     f"in shard {B}", "role", {"of": A, "role": "replica"}),
    ("valkey", f"Setting myself to primary in shard {B} after failover; my old primary is {A} ()",
     "role", {"old": A, "role": "primary"}),
    ("redis 7.0", f"Migrating to orphaned master {A}", "role", {"of": A, "role": "replica"}),
    ("valkey 9.1", f"A failover occurred in shard {C}; node {A} () lost 5461 slot(s) and failed "
     f"over to node {B} () with a config epoch of 8", "failover-seen",
     {"old": A, "slots": 5461, "about": B, "epoch": 8}),
    # the cluster
    ("redis, valkey", "Cluster state changed: fail", "cluster-state", {"state": "fail"}),
    ("redis 8.0, valkey", "Cluster is currently down: I am part of a minority partition.",
     "cluster-down", {"reason": "I am part of a minority partition."}),
    ("redis, valkey", f"Address updated for node {A}, now 10.0.0.9:6379", "address",
     {"about": A, "address": "10.0.0.9:6379"}),
    ("valkey", f"Cluster forget {A} (user request from 'id=3 addr=10.0.0.1:5 name=').", "forget",
     {"target": A}),
    ("valkey", "Clusterbus handshake timeout 10.0.0.9:16379", "handshake-timeout",
     {"address": "10.0.0.9:16379"}),
    ("valkey", "Closing link for node <unknown> (<unknown>) that sent a lightweight message of type "
     "publish as its first message on the link", "link-refused", {"type": "publish"}),
    ("redis 7.0", f"Node {A} has old slots configuration, sending an UPDATE message about {B}",
     "update-sent", {"to": A, "about": B}),
    # asked for
    ("redis", "Manual failover user request accepted.", "manual-asked", {"how": "agreed"}),
    ("redis", "Forced failover user request accepted.", "manual-asked", {"how": "force"}),
    ("redis", "Taking over the master (user request).", "manual-asked", {"how": "takeover"}),
    ("valkey", "Taking over the primary (user request from 'id=9').", "manual-asked",
     {"how": "takeover"}),
    ("redis 7.0", f"Manual failover requested by replica {A}.", "manual-requested", {"by": A}),
    ("redis, valkey", "Manual failover timed out.", "manual-expired", {}),
    # replication
    ("redis", f"Full resync from master: {A}:34355", "full-sync", {"id": A, "offset": 34355}),
    ("valkey", f"Trying a partial resynchronization (request {A}:34356).", "psync-asked",
     {"id": A, "offset": 34356}),
    ("redis", "Successful partial resynchronization with master.", "partial-sync", {}),
    ("redis", "Partial resynchronization request from 10.0.0.2:6379 accepted. Sending 134 bytes of "
     "backlog starting from offset 47988.", "partial-accepted",
     {"replica": "10.0.0.2:6379", "bytes": 134, "offset": 47988}),
    ("redis", "Connection with replica 10.0.0.2:6379 lost.", "replica-lost",
     {"replica": "10.0.0.2:6379"}),
    ("redis 8.0", "Connection with replica (rdb-channel) 10.0.0.2:6379 lost.", "replica-lost",
     {"replica": "10.0.0.2:6379"}),
    ("redis", "Timeout connecting to the MASTER...", "sync-failed", {}),
    ("redis", "Client id=7 addr=10.0.0.1:5 cmd=psync scheduled to be closed ASAP for overcoming of "
     "output buffer limits.", "output-limit", {"client": "id=7 addr=10.0.0.1:5 cmd=psync"}),
    # slots
    ("redis 7.0", f"Migrating slot 5 to node {A} ()", "slot-migrating", {"slot": 5, "to": A}),
    ("valkey", f"Slot 5 is migrated from node {A} () in shard {C} to node {B} () in shard {C}.",
     "slot-moved", {"slot": 5, "of": A, "to": B}),
    ("valkey 9.1", "Slot migration {name: x, slots: 0-9} state transition: snapshotting -> "
     "streaming", "migration",
     {"job": "{name: x, slots: 0-9}", "old": "snapshotting", "state": "streaming"}),
]

# What the truth's parser calls our events. It knows neither the roles of who became primary nor
# what was forced.
DRAWERS = {
    "addr_change": {"own-address"}, "clear_fail": {"fail-cleared"},
    "cluster_state": {"cluster-state", "cluster-down"}, "election_scheduled": {"election-delayed"},
    "election_start": {"election-started"}, "election_won": {"failover-won"},
    "epoch_set": {"epoch"}, "fail_quorum": {"fail quorum"}, "fail_received": {"fail message"},
    "fail_report": {"report"}, "fail_report_back": {"report-withdrawn"},
    "manual_failover": {"manual-asked agreed", "manual-offset", "manual-ready", "manual-requested"},
    "master_lost": {"primary-lost"}, "possibly_failing": {"pfail"},
    "replica_lost": {"replica-lost"}, "slots_lost": {"role replica"},
    "sync_done": {"sync-ended", "sync-done"}, "vote_granted": {"vote-granted"},
    "vote_needed": {"election-held", "votes-so-far"},
}

OUTSIDE = os.environ.get("BUSTAP_CAPTURES")
NO_LOGS = "no $BUSTAP_CAPTURES with servers' logs"
LOGS = sorted(pathlib.Path(OUTSIDE).glob("*/logs/*.log.zst")) if OUTSIDE else []
TRUTHS = (sorted(pathlib.Path(OUTSIDE).glob("*/truth.json")) if OUTSIDE
          else sorted((bustap.ROOT / "pcaps").glob("*.truth.json")))


def drawer(event):
    """The truth's name for an event of ours; None if it has none."""
    kind = " ".join(filter(None, (event["event"], event.get("how"), event.get("role"))))
    return next((d for d, kinds in DRAWERS.items() if {event["event"], kind} & kinds), None)


@pytest.mark.parametrize("servers, line, event, members", LINES, ids=[row[1][:50] for row in LINES])
def test_a_line_of(servers, line, event, members):
    assert logs.parse_text(line) == {"event": event, **members}, servers


def test_time_and_node():
    """The time is the server's to the millisecond, which is all that it writes."""
    line = "17888:M 23 Nov 2026 00:49:30.801 # Cluster state changed: ok\nno log line\n"
    assert logs.parse(line, "n3") == [{
        "time": 1795394970.801, "node": "n3", "event": "cluster-state", "state": "ok",
        "text": "Cluster state changed: ok"}]


@pytest.mark.parametrize("line", [
    "FAIL seen where nobody knows it", "An election of a kind that is new", "Lost a vote today",
    "The epoch was changed", "Failover, but not as we know it"])
def test_new_words_are_not_overlooked(line):
    assert logs.parse_text(line) == {"event": "unknown"}


@pytest.mark.parametrize("line", [
    "DB 0: 12 keys (0 volatile) in 16 slots HT.", "Accepted 10.0.0.1:1234",
    "Client closed connection id=3 addr=10.0.0.1:5 cmd=cluster|failover user=default"])
def test_what_does_not_matter_is_left_out(line):
    assert logs.parse_text(line) is None


@pytest.mark.parametrize("path", TRUTHS, ids=[p.parent.name if OUTSIDE else p.name for p in TRUTHS])
def test_same_drawers_as_the_truth(path):
    """Each line that the truth's parser kept goes where it put it."""
    wrong = collections.Counter()
    truth = json.loads(path.read_text())
    if "log_events" not in truth:
        pytest.skip("the lab's own truth: this parser made it")
    for event in truth["log_events"]:
        told = logs.parse_text(event["msg"])
        if event["event"] in DRAWERS and (not told or drawer(told) != event["event"]):
            wrong[event["event"], event["msg"], str(told)] += 1
    assert not wrong


@pytest.mark.skipif(not LOGS, reason=NO_LOGS)
@pytest.mark.parametrize("path", LOGS, ids=[f"{p.parts[-3]}-{p.name}" for p in LOGS])
def test_no_line_is_unknown(path):
    events = logs.read(path)
    assert events, "a log without events"
    assert [e["text"] for e in events if e["event"] == "unknown"] == []


@pytest.mark.skipif(not LOGS, reason=NO_LOGS)
@pytest.mark.parametrize("path", TRUTHS, ids=[p.parent.name for p in TRUTHS])
def test_same_sequence_as_the_truth(path):
    """Per node: the same events at the same times in the same order, none more and none less."""
    truth = json.loads(path.read_text())
    for log in sorted((path.parent / "logs").glob("*.log.zst")):
        expected = [(e["t"], e["event"]) for e in truth["log_events"]
                    if e["node"] == log.name.split(".")[0] and e["event"] in DRAWERS]
        found = [(e["time"], drawer(e)) for e in logs.read(log) if drawer(e)]
        assert found == expected, log

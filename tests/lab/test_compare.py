"""What servers logged and counted, against what bustap says of the same minutes.

The runs in pcaps/ have the servers' words in their truth. Both must agree, in both directions; and
so that agreement means something, a log that says something else must be noticed.
"""

import functools

import pytest

from lab import compare, logs
from lib import balance, bustap, captures

BRIDGES = [t for t in captures.TAKES if not t.vantage]
TAKES = pytest.mark.parametrize("take", BRIDGES, ids=lambda take: take.name)
FAILOVER = next(t for t in BRIDGES if t.run.startswith("failover"))
STALL = next(t for t in BRIDGES if t.run.startswith("long_stall-redis"))
SENT_AT_ONCE = ["fail-announced", "vote-requested", "vote-granted", "manual-failover", "node-epoch",
                "replication"]



# The older runs' truth keeps only lines that its own parser knew: none of these kinds.
UNKNOWN_TO_TRUTH = {"update-sent", "node-role"}


def logged(take):
    """The events of all logs: from the logs themselves if they are here, else from the truth."""
    found = sorted((take.truth_path.parent / "logs").glob("*.log.zst"))
    if found:
        return [event for path in found for event in logs.read(path)]
    if "logged" in take.truth:
        return take.truth["logged"]
    return [{**told, "time": e["t"], "node": e["node"], "text": e["msg"]}
            for e in take.truth["log_events"] if (told := logs.parse_text(e["msg"]))]


def explained(take, miss):
    """Whether we cannot know the line that would explain it."""
    kept = (take.truth_path.parent / "logs").exists() or "logged" in take.truth
    return not kept and miss.what["event"] in UNKNOWN_TO_TRUTH


@functools.lru_cache(maxsize=None)
def dumped(take):
    return bustap.dump(take.path)


@functools.lru_cache(maxsize=None)
def report(take, until=None):
    window = ["--to", bustap.when(round(until * 10 ** 9))] if until else []
    return bustap.analyze(take.path, *window)


def complaints(take, lines=None, events=None):
    missing = compare.timeline(logged(take) if lines is None else lines,
                               dumped(take) if events is None else events, take.truth)
    return [str(miss) for miss in missing if not explained(take, miss)]


@TAKES
def test_timeline_agrees_with_the_logs(take):
    assert complaints(take) == []


@TAKES
def test_report_tells_what_dump_tells(take):
    assert compare.in_report(dumped(take), report(take)) is None


@pytest.mark.parametrize("name", SENT_AT_ONCE)
def test_a_conclusion_that_is_late_is_noticed(name):
    """Half a second is too much for what is sent at once."""
    moved = [{**e, "time": bustap.when(round((compare.seconds(e["time"]) + 0.5) * 10 ** 9))}
             if e["event"] == name else e for e in dumped(FAILOVER)]
    assert complaints(FAILOVER, events=moved)


@pytest.mark.parametrize("name", [*SENT_AT_ONCE, "node-cleared", "node-role", "node-state"])
def test_a_conclusion_that_is_missing_is_noticed(name):
    assert complaints(FAILOVER, events=[e for e in dumped(FAILOVER) if e["event"] != name])


SUSPICIONS = ("node-suspected", "node-failed", "fail-announced")


def unsuspecting(event):
    """The message, if all are well to its sender."""
    return {**event, "gossip": [{**entry, "flags": [f for f in entry["flags"] if f != "pfail"]}
                                for entry in event["gossip"]]} if event.get("gossip") else event


@pytest.mark.parametrize("flagged", [True, False], ids=["told by gossip", "never told"])
def test_a_suspicion_without_a_conclusion_is_noticed_if_anybody_was_told(flagged):
    """A PONG may take it back before the next header."""
    events = [event if flagged else unsuspecting(event) for event in dumped(STALL)
              if event["event"] not in SUSPICIONS]
    lines = [line for line in logged(STALL) if line["event"] in ("pfail", "identity")]
    assert any("possibly failing" in said for said in complaints(STALL, lines, events)) == flagged


@pytest.mark.parametrize("kind", ["fail", "vote-granted", "election-started"])
def test_a_conclusion_without_a_line_is_noticed(kind):
    assert complaints(FAILOVER, lines=[e for e in logged(FAILOVER) if e["event"] != kind])


@pytest.mark.parametrize("member, value", [("epoch", 99), ("to", "f" * 40), ("node", "n6")])
def test_a_vote_for_something_else_is_noticed(member, value):
    lines = logged(FAILOVER)
    next(e for e in lines if e["event"] == "vote-granted")[member] = value
    assert complaints(FAILOVER, lines=lines)


def test_a_miscount_is_noticed():
    """One PING more or less in a cluster without trouble."""
    whole = next(t for t in BRIDGES if t.run.startswith("healthy"))
    for more in (-1, 1):
        take = captures.Take(whole.run, whole.vantage, whole.path, whole.truth_path)
        take.truth["snapshots"]["end"]["n2"]["bus_received"]["ping"] += more
        wrong = [row for row in balance.messages(take) if not row.balances()]
        assert [(r.node, r.kind, r.name) for r in wrong] == [("n2", "received", "ping")]

"""bustap's conclusions against what the servers wrote in their logs.

    wrong = compare.timeline(logged, events, truth)     # logs.parse of all nodes, bustap.dump

Each row of RULES says which conclusion a line of a log must lead to, for the node that wrote it,
and when. Servers log what they think; a capture shows what they say. What is sent at once must be
found within 100 ms. What is only told by the next gossip or header comes later, by the time that
the row gives and for its reason. The other way, what bustap concludes must have a line that explains
it.
Expects a capture that sees all links of the nodes (the bridge), and logs at debug level.
"""

import dataclasses
import datetime
import re
import typing

EXACT = 0.1                      # seconds, either way

# A node pings somebody each second (one of five picked at random), and everybody whose last PONG is
# older than half the node timeout; its PONGs are headers too. So each says something each second.
HEADER = 1.0
# Nodes that are suspected are in every gossip section; other nodes by chance, a tenth of all and at
# least three at a time.
GOSSIP = 5.0
# Until all nodes have heard by gossip what one of them says.
SPREAD = 30.0


@dataclasses.dataclass
class Rule:
    logged: str                           # the kind of event in logs.py
    when: dict                            # members that it must have for the rule to hold
    events: tuple                         # conclusions of bustap, any of which will do
    members: dict                         # its members, from the logged event: "$name", or as given
    late: float = 0.0                     # seconds beyond EXACT
    why: str = ""
    early: float = 0.0                    # likewise: it may be before the line
    optional: bool = False                # the line may lead to nothing, but explains


# Conclusions that nothing but such a line explains. (A replica becomes one by a command too, a
# suspicion ends without a line, a full resync is both ends' affair.)
EXPLAINED = {"node-suspected": {}, "fail-announced": {}, "vote-requested": {}, "vote-granted": {},
             "node-role": {"role": "primary"}, "manual-failover": {}, "update-sent": {}}

RULES = [
    Rule("pfail", {}, ("node-suspected", "node-failed", "fail-announced"),
         {"node": "$node", "about": "$about"}, HEADER,
         "suspicion is told by the next gossip; by then the node may be agreed to have failed. "
         "(A primary of Valkey that may vote writes no such line: others' reports tell.)"),
    Rule("report", {}, ("node-suspected", "node-failed", "fail-announced"),
         {"node": "$by", "about": "$about"}, early=SPREAD,
         why="each node notes it when gossip reaches it, the conclusion is from the first gossip"),
    Rule("report-withdrawn", {}, ("node-cleared",), {"node": "$by", "about": "$about"},
         early=SPREAD, why="likewise"),
    Rule("fail", {"how": "quorum"}, ("fail-announced",), {"node": "$node", "about": "$about"}),
    Rule("fail", {"how": "message"}, ("fail-announced",), {"node": "$by", "about": "$about"}),
    Rule("fail-cleared", {}, ("node-cleared",), {"node": "$node", "about": "$about"}, GOSSIP,
         "a healthy node is in a gossip section by chance"),
    Rule("election-started", {}, ("vote-requested",), {"node": "$node", "epoch": "$epoch"}),
    Rule("vote-granted", {}, ("vote-granted",),
         {"node": "$node", "about": "$to", "epoch": "$epoch"}),
    Rule("failover-won", {}, ("node-role",), {"node": "$node", "role": "primary"}),
    Rule("epoch", {"why": "failover"}, ("node-epoch",),
         {"node": "$node", "config_epoch": "$epoch"}),
    Rule("epoch", {"why": "without agreement"}, ("node-epoch",),
         {"node": "$node", "config_epoch": "$epoch"}, HEADER, "told by the next header"),
    Rule("epoch", {"why": "collision"}, ("node-epoch",),
         {"node": "$node", "config_epoch": "$epoch"}, HEADER, "told by the next header"),
    Rule("role", {"role": "replica"}, ("node-role",),
         {"node": "$node", "role": "replica", "about": "$of"}, HEADER, "told by the next header"),
    Rule("role", {"role": "primary"}, ("node-role",), {"node": "$node", "role": "primary"}),
    Rule("cluster-state", {}, ("node-state",), {"node": "$node", "state": "$state"}, HEADER,
         "told by the next header"),
    Rule("manual-asked", {"how": "agreed"}, ("manual-failover",), {"node": "$node"}),
    Rule("manual-requested", {}, ("manual-failover",), {"node": "$by", "about": "$node"}),
    Rule("update-sent", {}, ("update-sent",), {"node": "$node", "about": "$to", "owner": "$about"},
         optional=True, why="the line is written also when there is no link to send it on"),
    Rule("manual-asked", {"how": "takeover"}, ("node-role",), {"node": "$node", "role": "primary"}),
    Rule("full-sync", {}, ("replication",), {"what": "fullresync", "replid": "$id",
                                             "offset": "$offset"}),
    Rule("psync-asked", {}, ("replication",), {"what": "psync", "replid": "$id"}),
]


class Miss(typing.NamedTuple):
    """A line of a log that bustap does not bear out, or a conclusion that no log explains."""
    what: dict
    wanted: str
    nearest: typing.Optional[float]       # the nearest of those that would do comes so much later

    def __str__(self):
        near = "none" if self.nearest is None else f"nearest {self.nearest:+.3f} s"
        told = self.what.get("text") or " ".join(f"{k}={v}" for k, v in self.what.items())
        return f"{self.what['node']}: {told}: no {self.wanted} ({near})"


def seconds(text):
    """The time of a dumped event, as seconds since 1970."""
    whole, fraction = re.fullmatch(r"(.*)\.(\d+)Z", text).groups()
    stamp = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return stamp.timestamp() + int(fraction) / 10 ** len(fraction)


def identities(logged):
    """{name: id}, as the nodes themselves wrote when they started."""
    return {e["node"]: e["id"] for e in logged if e["event"] == "identity"}


def partitions(truth):
    """[(sides, from, to)] of what was injected; in the words of the lab, and of the runs in pcaps/
    that are older."""
    for fault in truth.get("injected", []):
        if fault["what"] == "partition":
            ends = [f["time"] for f in truth["injected"] if f["what"] == "end of partition"
                    and f["sides"] == fault["sides"] and f["time"] >= fault["time"]]
            yield fault["sides"], fault["time"], min(ends, default=float("inf"))
    for fault in truth.get("faults", []):
        if fault["kind"] == "partition":
            ends = [f["t"] for f in truth["faults"]
                    if f["kind"] == "heal" and f["id"] == fault["id"]]
            yield [fault["a"], fault["b"]], fault["t"], min(ends, default=float("inf"))


def alone(truth):
    """[(name, from, to)]: when a node had no other node to talk to.

    What it says then waits behind segments that TCP sends again and again, or for new connections,
    and so for the heal: nobody hears it, and no packet carries it.
    """
    names = {n["name"] for n in truth["topology"]["nodes"]}
    return [(*names & set(side), start, end) for sides, start, end in partitions(truth)
            for side in sides if len(names & set(side)) == 1]


class Comparison:
    """The logs of all nodes beside the conclusions from one capture."""

    def __init__(self, logged, events, truth=None):
        self.ids = identities(logged)
        self.alone = alone(truth) if truth else []
        self.begin, self.end = seconds(events[0]["time"]), seconds(events[-1]["time"])
        names = {name for rule in RULES for name in rule.events}
        self.told = [{**e, "at": seconds(e["time"])} for e in events if e["event"] in names]
        self.lines = [(line, rule, self.members(rule, line)) for line in logged for rule in RULES
                      if rule.logged == line["event"] and has(line, rule.when)]

    def members(self, rule, line):
        """The members of a conclusion that bears out a line."""
        values = {**line, "node": self.ids[line["node"]]}
        return {m: values[v[1:]] if isinstance(v, str) and v.startswith("$") else v
                for m, v in rule.members.items()}

    def deadline(self, rule, line):
        """The latest time at which a conclusion from a line is due."""
        heal = max((end for name, start, end in self.alone
                    if name == line["node"] and start <= line["time"] <= end), default=0)
        return max(line["time"] + rule.late, heal and heal + HEADER) + EXACT

    def in_time(self, rule, line, event):
        return line["time"] - rule.early - EXACT <= event["at"] <= self.deadline(rule, line)

    def not_borne_out(self):
        """Lines without their conclusion; those that the capture may have ended too soon for do not
        count."""
        for line, rule, members in self.lines:
            if rule.optional or line["time"] < self.begin or self.deadline(rule, line) > self.end:
                continue
            fit = [e for e in self.told if e["event"] in rule.events and has(e, members)]
            if not any(self.in_time(rule, line, e) for e in fit):
                yield Miss(line, " or ".join(rule.events),
                           min((e["at"] - line["time"] for e in fit), key=abs, default=None))

    def unexplained(self):
        """Conclusions without a line."""
        for event in self.told:
            if event["event"] not in EXPLAINED or not has(event, EXPLAINED[event["event"]]):
                continue
            fit = [(rule, line) for line, rule, members in self.lines
                   if rule.events[0] == event["event"] and has(event, members)]
            if not any(self.in_time(rule, line, event) for rule, line in fit):
                yield Miss(event, "line in a log",
                           min((line["time"] - event["at"] for _, line in fit), key=abs,
                               default=None))


def in_report(events, report):
    """The report's timeline is what `dump` tells of conclusions; the first place where not."""
    conclusions = ("node-", "vote-", "fail-", "cluster-", "manual-", "update-")
    dumped = [(e["time"], e["event"], e["node"]) for e in events
              if e["event"].startswith(conclusions)]
    told = [(e["time"], e["event"], e["node"]) for e in report["timeline"]]
    left_out = report["timeline_left_out"]
    if len(told) + left_out != len(dumped):
        return f"{len(dumped)} conclusions, {len(told)} told and {left_out} left out"
    return next((f"{a} dumped, {b} in the report" for a, b in zip(dumped, told) if a != b), None)


def has(thing, members):
    return all(thing.get(name) == value for name, value in members.items())


def timeline(logged, events, truth=None):
    """What the logs and bustap do not agree on."""
    both = Comparison(logged, events, truth)
    return [*both.not_borne_out(), *both.unexplained()]

"""bustap's conclusions against what the servers wrote in their logs.

    wrong = compare.timeline(logged, events, truth)     # logs.parse of all nodes, bustap.dump

Each row of RULES says which conclusion a line of a log must lead to, for the node that wrote it,
and when. Servers log what they think; a capture shows what they say. What is sent at once must be
found within 100 ms. What is only told by the next gossip or header comes later, by the time that
the row gives and for its reason. The other way, what bustap concludes must have a line that tells
of it. Expects a capture that sees all links of the nodes (the bridge), and logs at debug level.
"""

import collections
import dataclasses
import datetime
import re
import typing

EXACT = 0.1                      # seconds, either way

# A node pings somebody each second, and everybody whose last PONG is older than half the node
# timeout; its PONGs are headers too. The one is the best of five picked at random, and if all five
# wait for a PONG, nobody: so once in two seconds.
HEADER = 2.0
# Nodes that are suspected are in every gossip section; other nodes by chance, a tenth of all and at
# least three at a time. For every ten nodes.
GOSSIP = 10.0
# Whoever wins first writes nodes.conf and waits for the disk, then tells.
SAVED = 0.2
# How long packets wait for a link that the lab has limited.
QUEUED = 1.0
# Until all nodes have heard by gossip what one of them says, or have a link again to hear it.
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
    trail: float = 0.0                    # likewise: copies of it may come so much after the first
    optional: bool = False                # the line may lead to nothing, but explains
    state: bool = False                   # it tells a state, which may be what was told already
    by_chance: bool = False               # `late` is for every ten nodes
    to_one: bool = False                  # it goes to one node: without a link to it, nowhere
    until: str = ""                       # a later line about the same node: then it is not told
    takes_back: tuple = ()                # conclusions; it is news only after one of them
    flag: str = ""                        # all gossip tells it so; none in the next header: it is over


# What bustap calls null because nobody has said yet at which node a new connection ends.
UNNAMED = {("update-sent", "about"), ("vote-requested", "about"), ("vote-granted", "about")}

# Conclusions that nothing but such a line explains. (A replica becomes one by a command too, a
# suspicion ends without a line, a full resync is both ends' affair.)
EXPLAINED = {"node-suspected": {}, "fail-announced": {}, "vote-requested": {}, "vote-granted": {},
             "node-role": {"role": "primary"}, "manual-failover": {}, "update-sent": {}}

RULES = [
    Rule("pfail", {}, ("node-suspected", "node-failed", "fail-announced"),
         {"node": "$node", "about": "$about"}, HEADER,
         "suspicion is told by the next gossip; by then the node may be agreed to have failed, "
         "which gossip tells by chance. "
         "(A primary of Valkey that may vote writes no such line: others' reports tell.) "
         "A PONG that comes before that takes it back, and nobody has heard of it.",
         until="fail", flag="pfail"),
    Rule("report", {}, ("node-suspected", "node-failed", "fail-announced"),
         {"node": "$by", "about": "$about"}, early=SPREAD,
         why="each node notes it when gossip reaches it, the conclusion is from the first gossip"),
    Rule("fail", {"how": "quorum"}, ("fail-announced",), {"node": "$node", "about": "$about"},
         trail=SPREAD, why="it is sent to all, and waits for links that are not up"),
    Rule("other-id", {}, ("fail-announced",), {"node": "$node", "about": "$about"}, optional=True,
         why="Valkey 9 takes a node for failed if another answers at its address"),
    Rule("fail", {"how": "message"}, ("fail-announced",), {"node": "$by", "about": "$about"},
         early=SPREAD, why="it is on the wire when it is first sent; across a partition it arrives "
                           "with a retransmission, after the heal"),
    Rule("fail-cleared", {}, ("node-cleared",), {"node": "$node", "about": "$about"}, GOSSIP,
         "a healthy node is in a gossip section by chance. (A FAIL that comes late, from behind a "
         "partition, may be cleared before the next gossip: that tells what the last one did.)",
         by_chance=True, takes_back=("node-suspected", "node-failed", "fail-announced")),
    Rule("election-started", {}, ("vote-requested",), {"node": "$node", "epoch": "$epoch"},
         trail=SPREAD, why="likewise"),
    Rule("vote-granted", {}, ("vote-granted",),
         {"node": "$node", "about": "$to", "epoch": "$epoch"}, trail=SPREAD, to_one=True),
    Rule("failover-won", {}, ("node-role",), {"node": "$node", "role": "primary"}, SAVED,
         "saved first"),
    Rule("epoch", {"why": "failover"}, ("node-epoch",),
         {"node": "$node", "config_epoch": "$epoch"}, SAVED, "saved first"),
    Rule("epoch", {"why": "without agreement"}, ("node-epoch",),
         {"node": "$node", "config_epoch": "$epoch"}, HEADER, "told by the next header"),
    Rule("epoch", {"why": "collision"}, ("node-epoch",),
         {"node": "$node", "config_epoch": "$epoch"}, HEADER, "told by the next header"),
    Rule("role", {"role": "replica"}, ("node-role",),
         {"node": "$node", "role": "replica", "about": "$of"}, HEADER, "told by the next header"),
    Rule("role", {"role": "primary"}, ("node-role",), {"node": "$node", "role": "primary"}, SAVED,
         "saved first"),
    Rule("cluster-state", {}, ("node-state", "node-heard"), {"node": "$node", "state": "$state"},
         HEADER, "told by the next header; by then it may be as it was, nothing new", state=True),
    Rule("manual-asked", {"how": "agreed"}, ("manual-failover",), {"node": "$node"}),
    Rule("manual-requested", {}, ("manual-failover",), {"node": "$by", "about": "$node"},
         early=SPREAD, why="the line is its receiver's, which may stand still when it is asked"),
    Rule("update-sent", {}, ("update-sent",), {"node": "$node", "about": "$to", "owner": "$about"},
         optional=True, trail=SPREAD,
         why="the line is written also when there is no link to send it on"),
    Rule("manual-asked", {"how": "takeover"}, ("node-role",), {"node": "$node", "role": "primary"},
         SAVED, "saved first"),
    Rule("full-sync", {}, ("replication",), {"what": "fullresync", "replid": "$id",
                                             "offset": "$offset"}, early=QUEUED,
         why="a capture of the bridge sees it before it waits for a slow link of the replica"),
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
    """{name: [(time, id)]}: who the nodes said that they are, whenever they started."""
    found = collections.defaultdict(list)
    for event in logged:
        if event["event"] == "identity":
            found[event["node"]].append((event["time"], event["id"]))
    return found


def partitions(truth):
    """[(sides, from, to)] of what was injected: who could not talk to whom, be it one way only, for
    then TCP cannot go on either. In the words of the lab, and of the older runs in pcaps/."""
    for fault in truth.get("injected", []):
        about = {k: v for k, v in fault.items() if k in ("sides", "senders", "receivers")}
        if fault["what"] in ("partition", "one-way loss"):
            ends = [f["time"] for f in truth["injected"] if f["what"] == f"end of {fault['what']}"
                    and about.items() <= f.items() and f["time"] >= fault["time"]]
            sides = about.get("sides") or list(about.values())
            yield sides, fault["time"], min(ends, default=float("inf"))
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
        self.partitions = list(partitions(truth)) if truth else []
        # Valkey's primaries suspect without a word in their logs.
        silent = truth and truth["server"].startswith("valkey")
        self.explained = {k: v for k, v in EXPLAINED.items() if not silent or k != "node-suspected"}
        self.begin, self.end = seconds(events[0]["time"]), seconds(events[-1]["time"])
        names = {name for rule in RULES for name in rule.events}
        self.told = [{**e, "at": seconds(e["time"])} for e in events if e["event"] in names]
        self.lines = [(line, rule, self.members(rule, line)) for line in logged for rule in RULES
                      if rule.logged == line["event"] and has(line, rule.when)]
        self.headers = collections.defaultdict(list)
        for event in events:
            if event["event"] == "bus-message" and event.get("gossip"):
                self.headers[event["sender"]].append((seconds(event["time"]), event["gossip"]))

    def members(self, rule, line):
        """The members of a conclusion that bears out a line."""
        ids = self.ids[line["node"]]
        who = next((i for t, i in reversed(ids) if t <= line["time"]), ids[0][1])
        values = {**line, "node": who}
        return {m: values[v[1:]] if isinstance(v, str) and v.startswith("$") else v
                for m, v in rule.members.items()}

    def deadline(self, rule, line):
        """The latest time at which a conclusion from a line is due."""
        heal = max((end for name, start, end in self.alone
                    if name == line["node"] and start <= line["time"] <= end), default=0)
        late = rule.late * (max(1, len(self.ids) / 10) if rule.by_chance else 1)
        return max(line["time"] + late, heal and heal + HEADER) + EXACT

    def in_time(self, rule, line, event, trail=0.0):
        return (line["time"] - rule.early - EXACT <= event["at"]
                <= self.deadline(rule, line) + trail)

    def unlinked(self, rule, line):
        """What goes to one node may go nowhere while, and shortly after, some cannot be reached."""
        return rule.to_one and any(start <= line["time"] <= end + HEADER
                                   for _, start, end in self.partitions)

    def is_overtaken(self, rule, line):
        """The node has logged what is told instead, before this one was due."""
        return rule.until and any(
            other["event"] == rule.until and other["node"] == line["node"]
            and other["about"] == line["about"]
            and line["time"] <= other["time"] <= self.deadline(rule, line)
            for other, _, _ in self.lines)

    def is_no_news(self, rule, line, members):
        """What it takes back it had taken back already, in what it said last about that node."""
        if not rule.takes_back:
            return False
        said = [e["event"] for e in self.told
                if e["event"] in (*rule.takes_back, *rule.events) and e["at"] <= line["time"]
                and (e["node"], e["about"]) == (members["node"], line["about"])]
        return said[-1:] == [*rule.events]

    def is_unsaid(self, rule, line, members):
        """The node was well again to it by the next time that it told anybody of others."""
        if not rule.flag:
            return False
        after = line["time"] + 0.01                 # a line is written when the message may be out
        gossip = next((gossip for at, gossip in self.headers[members.get("node")] if at > after), None)
        return gossip is not None and not any(
            entry["node"] == line["about"] and rule.flag in entry["flags"] for entry in gossip)

    def stands(self, rule, line, members):
        """A state is told already when it is due, or the node has logged another by then."""
        due = self.deadline(rule, line)
        if any(other is not line and other["node"] == line["node"] and by.logged == rule.logged
               and line["time"] <= other["time"] <= due for other, by, _ in self.lines):
            return True
        told = [e for e in self.told if e["event"] in rule.events and e["at"] <= due
                and e["node"] == members["node"]]
        return bool(told) and has(told[-1], members)

    def not_borne_out(self):
        """Lines without their conclusion; those that the capture may have ended too soon for do not
        count."""
        for line, rule, members in self.lines:
            if rule.optional or line["time"] < self.begin or self.deadline(rule, line) > self.end:
                continue
            if self.unlinked(rule, line) or self.is_overtaken(rule, line) or \
                    self.is_no_news(rule, line, members) or self.is_unsaid(rule, line, members):
                continue
            if rule.state and self.stands(rule, line, members):
                continue
            fit = [e for e in self.told if e["event"] in rule.events and has(e, members)]
            if not any(self.in_time(rule, line, e) for e in fit):
                yield Miss(line, " or ".join(rule.events),
                           min((e["at"] - line["time"] for e in fit), key=abs, default=None))

    def unexplained(self):
        """Conclusions without a line."""
        for event in self.told:
            if not has(event, self.explained.get(event["event"], {"event": None})):
                continue
            fit = [(rule, line) for line, rule, members in self.lines
                   if rule.events[0] == event["event"] and has(event, members)]
            if not any(self.in_time(rule, line, event, rule.trail) for rule, line in fit):
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
    return all(thing.get(name) == value or thing.get(name) is None
               and (thing.get("event"), name) in UNNAMED for name, value in members.items())


def timeline(logged, events, truth=None):
    """What the logs and bustap do not agree on."""
    both = Comparison(logged, events, truth)
    return [*both.not_borne_out(), *both.unexplained()]

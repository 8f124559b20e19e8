"""What the findings of a capture say, against what the servers logged and what was injected.

    wrong = facts.differences(take, found)     # `found` as lib/findings.py has them; empty: all holds

expected.py says which findings a scenario has; here is whether what they say is so, whatever the
scenario: one function for each type, which gives a line for each thing that is not. A capture of
the bridge must say all of it; that of one host may leave out, but what it says must be so.
"""

from lib import findings

from .compare import EXACT, HEADER, SPREAD, identities, partitions


class Truth:
    """What is known of a run. A silence begins with the last message before it, and each node
    hears from each other one at least once in half a node timeout: `ping`."""

    def __init__(self, take):
        self.take, self.told, self.whole = take, take.truth, not take.vantage
        self.logged = take.truth["logged"]
        self.ids = identities(self.logged)
        self.names = {id_: name for name, ids in self.ids.items() for _, id_ in ids}
        self.ping = take.truth["topology"]["node_timeout_ms"] / 2000

    def lines(self, event, **members):
        return [line for line in self.logged if line["event"] == event
                and all(line.get(name) == value for name, value in members.items())]

    def near(self, at, event, **members):
        """Has such a line been written then? What one host gets to see may be a later copy."""
        return any(-EXACT <= at - line["time"] <= (0 if self.whole else SPREAD) + EXACT
                   for line in self.lines(event, **members))

    def is_cut(self, at):
        """Could some not reach others then, or shortly before?"""
        return any(start <= at <= end + HEADER for _, start, end in partitions(self.told))

    def is_down(self, node, at):
        """Did it hold the cluster for down? It does when it has started, without a line of it."""
        told = [line for line in self.logged if line["node"] == node and line["time"] <= at + EXACT
                and line["event"] in ("started", "cluster-state")]
        before = [line for line in told if line["time"] < at - EXACT]
        return any(line.get("state") != "ok" for line in before[-1:] + told[len(before):])

    def injected(self, what):
        """(nodes, from, to) of each fault of a kind."""
        for fault in self.told["injected"]:
            if fault["what"] == what:
                ends = [f["time"] for f in self.told["injected"] if f["time"] >= fault["time"]
                        and f["what"] == f"end of {what}" and f["nodes"] == fault["nodes"]]
                yield fault["nodes"], fault["time"], min(ends, default=float("inf"))


# ---- what was found, by type


def node_failed(one, truth):
    """When and by whom it was marked failed."""
    said, failed = one.metrics, one.span[0] + one.metrics.get("detection_ms", 0) / 1000
    announcer = truth.names.get(said.get("announced_by"))
    marked = (("fail", {"how": "quorum", "node": announcer}), ("other-id", {"node": announcer}),
              ("fail", {"how": "message", "by": said.get("announced_by")}))
    if "detection_ms" in said and announcer and not any(
            truth.near(failed, line, about=said["node"], **members) for line, members in marked):
        yield f"{announcer} logged no FAIL of it at {failed:.3f}"
    if not any(truth.lines(line, about=said["node"]) for line in ("fail", "other-id")):
        yield "nobody logged FAIL of it"
    if truth.whole and not announcer:
        yield "nobody is said to have announced it"


def failover(one, truth):
    """Of which kind, in which epoch, when it began, with how many votes."""
    said = one.metrics
    winner = truth.names.get(said["new_primary"])
    if "epoch" in said and not truth.lines("epoch", node=winner, epoch=said["epoch"]):
        yield f"{winner} logged no epoch {said['epoch']}"
    granted = len(truth.lines("vote-granted", to=said["new_primary"], epoch=said.get("epoch")))
    votes = said.get("votes", 0)
    if votes > granted or (truth.whole and votes < granted and not truth.is_cut(one.span[0])):
        yield f"{votes} votes, {granted} logged"
    kind = said.get("kind")
    if kind in BEGINS and truth.whole and not truth.near(one.span[0], BEGINS[kind], node=winner):
        yield f"{winner} logged nothing that begins it at {one.start}"
    if kind and kind != _kind(winner, one.span[0], truth):
        yield f"kind {kind}, asked for was {_kind(winner, one.span[0], truth)}"
    if truth.whole and not kind:
        yield "it has no kind"


# What its chronology begins with.
BEGINS = {"automatic": "election-started", "forced": "election-started", "manual": "manual-asked"}
ASKED = {"agreed": "manual", "force": "forced", "takeover": "takeover"}


def _kind(winner, start, truth):
    """As somebody asked for it in the seconds before."""
    asked = [line for line in truth.lines("manual-asked", node=winner)
             if -5 <= line["time"] - start <= EXACT]
    return ASKED[asked[-1]["how"]] if asked else "automatic"


def failover_failed(one, truth):
    said = one.metrics
    candidate = truth.names.get(said.get("candidate"))
    if "epoch" in said and not truth.near(one.span[0], "election-started", node=candidate,
                                          epoch=said["epoch"]):
        yield f"{candidate} logged no election of epoch {said['epoch']} at {one.start}"
    granted = truth.lines("vote-granted", to=said.get("candidate"), epoch=said.get("epoch"))
    if said.get("votes", 0) > len(granted):
        yield f"{said['votes']} votes, {len(granted)} logged"


def node_suspected(one, truth):
    """Each reporter has it in its log, or another has what it reported. Primaries of Valkey suspect
    without a word."""
    for reporter in one.metrics.get("reporters", ()):
        name, node = truth.names.get(reporter), one.metrics["node"]
        if not truth.told["server"].startswith("valkey") and not truth.lines("pfail", node=name, about=node) and \
                not truth.lines("report", by=reporter, about=node):
            yield f"nobody logged that {name} suspects it"


def cluster_down(one, truth):
    """Somebody held it for down when it begins, and each of those who are named at some time."""
    named = [truth.names.get(node) for node in one.metrics["nodes"]]
    if named and not any(truth.is_down(name, one.span[0]) for name in named):
        yield f"none of {' '.join(map(str, named))} held it for down at {one.start}"
    for name in named:
        if not truth.lines("cluster-state", node=name, state="fail") and \
                len(truth.lines("started", node=name)) == 1:
            yield f"{name} never logged that it is down"


def partition(one, truth):
    """Who was on which side, and since when."""
    cuts = [(sides, start) for sides, start, end in partitions(truth.told)
            if start - truth.ping - EXACT <= one.span[0] <= end]
    if truth.whole and not cuts:
        yield f"nobody was cut off at {one.start}"
    for sides, start in cuts if truth.whole else ():
        nodes = {name for name in truth.ids}
        cut = {frozenset(nodes & set(side)) for side in sides}
        seen = {frozenset(truth.names.get(n) for n in side) for side in one.metrics["sides"]}
        if cut != seen:
            yield f"sides {_sets(seen)}, were {_sets(cut)}"
        if one.span[0] > start + truth.ping + EXACT:
            yield f"it starts {one.span[0] - start:.3f} s late"


def _sets(sides):
    return " | ".join(sorted(" ".join(sorted(map(str, side))) for side in sides))


def process_stall(one, truth):
    """It was stopped then, or killed."""
    node = truth.names.get(one.metrics["node"])
    fault = "killed" if one.verdict == "process-died" else "frozen"
    stops = [nodes for nodes, start, end in truth.injected(fault)
             if node in nodes and start - truth.ping - EXACT <= one.span[0] <= end]
    if one.severity in findings.LOUD and not stops:
        yield f"{node} was not stopped at {one.start}"


def memory_pressure(one, truth):
    """As often as the server counted it. One that was started again has forgotten. Redis 6.0 does
    not count errors: there it is at least as often as the lab was refused."""
    node, said = truth.names.get(one.metrics["node"]), one.metrics["oom_replies"]
    if truth.told["server"].startswith("redis-6.0"):
        refused = sum(mark.get("refused", 0) for mark in truth.told["marks"]
                      if mark.get("node") == node)
        if truth.whole and said < refused:
            yield f"{node} refused {refused} requests, at least, not {said}"
        return
    counted = truth.told["snapshots"]["end"].get(node, {}).get("errorstats", {}).get("OOM", 0)
    if said > counted or (truth.whole and said != counted):
        yield f"{node} answered OOM {counted} times, not {said}"


# ---- keys that moved


def _counted(truth, name):
    """RESTOREs that a target carried out, by its books; None if they do not tell."""
    said = truth.told["snapshots"]["end"].get(name, {})
    known = said.get("errorstats") and "restore-asking" in said["commandstats"]
    return said["commandstats"]["restore-asking"]["calls"] - \
        said["errorstats"].get("BUSYKEY", 0) if known else None


def _left_on_both(truth):
    """Keys that the lab found on both sides once MIGRATE had given up, each time that it looked;
    None: it did not."""
    looks = [mark["on_both"] for mark in truth.told.get("marks", ()) if "on_both" in mark]
    return sorted({key for keys in looks for key in keys}) if looks else None


def slot_migration(one, truth):
    """What was taken and not deleted is taken again."""
    counted, left = _counted(truth, truth.names.get(one.metrics.get("target"))), _left_on_both(truth)
    if one.metrics["kind"] == "migrate" and truth.whole and left is not None and counted and \
            one.metrics["keys"] != counted - len(left):
        yield f"{one.metrics['keys']} keys, the target took {counted}, {len(left)} of them twice"


def migration_failed(one, truth):
    left = _left_on_both(truth)
    if left is not None and sorted(one.metrics.get("keys", ())) != left:
        yield f"{one.metrics.get('keys_on_both')} keys on both sides, found were {len(left)}"


def migration_saturation(one, truth):
    """A link was limited, and the rate is that. What a burst puts into the queue comes on top."""
    limits = [float(fault["rate"].removesuffix("mbit")) * 1e6 / 8
              for fault in truth.told["injected"] if fault["what"] == "link limited"]
    if not any(0.85 < one.metrics["link_bytes_per_s"] / limit < 1.15 for limit in limits):
        yield f"{one.metrics['link_bytes_per_s']} B/s, the limits were {limits}"


CHECKS = {"node-failed": node_failed, "failover": failover, "failover-failed": failover_failed,
          "node-suspected": node_suspected, "cluster-down": cluster_down, "partition": partition,
          "process-stall": process_stall, "memory-pressure": memory_pressure,
          "slot-migration": slot_migration, "migration-failed": migration_failed,
          "migration-saturation": migration_saturation}


# ---- what was logged, or found by the lab, and must be found


def unfound(found, truth):
    """Failures and takeovers that servers logged, and keys that the lab found on both sides, of which
    a capture of the bridge has no finding."""
    failed = {f.metrics["node"] for f in findings.all_of(found, "node-failed")}
    for about in {line["about"] for line in truth.lines("fail", how="quorum")} - failed:
        yield f"{truth.names.get(about)} was marked failed, and there is no node-failed of it"
    won = {(f.metrics["new_primary"], f.metrics["epoch"])
           for f in findings.all_of(found, "failover") if "epoch" in f.metrics}
    for line in truth.lines("epoch", why="failover"):
        if not any(truth.names.get(node) == line["node"] and epoch == line["epoch"]
                   for node, epoch in won):
            yield f"{line['node']} won epoch {line['epoch']}, and there is no failover of it"
    left = _left_on_both(truth)
    if left and not findings.all_of(found, "migration-failed"):
        yield f"{len(left)} keys are on both sides, and there is no migration-failed"


def lost_writes(found, truth):
    """The diary's list, to the write. Writes that the diary could not read again may be lost too;
    a single host's capture may list fewer."""
    told = truth.told.get("lost_writes", {})
    if "lost" not in told:
        return
    lost = {write["key"] for write in told["lost"]}
    open_ = sum(load.get("undecided", 0) for load in told.get("by_load", {}).values())
    listed = {write["key"] for one in findings.all_of(found, "lost-writes")
              for write in one.metrics.get("writes", ())}
    if len(listed - lost) > open_:
        yield f"{len(listed - lost)} writes are said to be lost that are not"
    missed = lost - listed
    if truth.whole and missed:
        yield f"{len(missed)} of {len(lost)} lost writes are not listed"


def differences(take, found):
    """Lines; nothing of older runs, whose logs were kept in another form."""
    if not isinstance(take.truth.get("logged"), list):
        return []
    truth = Truth(take)
    wrong = [f"{one.id} {one.type}: {line}" for one in found
             for line in CHECKS.get(one.type, lambda *_: ())(one, truth)]
    wrong += lost_writes(found, truth)
    return wrong + (list(unfound(found, truth)) if truth.whole else [])

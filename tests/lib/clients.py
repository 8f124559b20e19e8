"""What the program says of clients and servers, held against what it should have said.

    check(path, {"get": 2}, errors={"MOVED": 1})  # fails with a line for each number that differs

The names of `bustap dump --json` for requests and replies are used in this file only.
"""

import collections
import typing

from lib import bustap


class Between(typing.NamedTuple):
    """A number that may be any from `low` to `high`, because `why`."""
    low: int
    high: int
    why: str

    def __str__(self):
        return f"{self.low} to {self.high} ({self.why})"


def fits(found, allowed):
    return allowed.low <= found <= allowed.high if isinstance(allowed, Between) \
        else found == allowed


NUMBERS = ("requests", "replies", "unanswered", "unmatched", "undecoded")


def counts(clients):
    """The numbers of the report's section "clients", over all servers."""
    found = {name: collections.Counter() for name in ("commands", "errors")}
    found |= {"unanswered": clients["unanswered"], "unmatched": clients["unmatched_replies"],
              "undecoded": clients["undecoded_bytes"], "requests": 0, "replies": 0}
    for server in clients["servers"]:
        for name in ("commands", "errors"):
            found[name].update(server[name])
        for name in ("requests", "replies"):
            found[name] += server[name]
    return found


def disagreements(expected, found):
    """A line for every number that `found` has otherwise. What is None is not compared."""
    lines = [f"{name}: expected {expected[name]}, found {found[name]}" for name in NUMBERS
             if expected[name] is not None and not fits(found[name], expected[name])]
    for name in ("commands", "errors"):
        if expected[name] is not None:
            for key in sorted({*expected[name], *found[name]}):
                wanted, got = expected[name].get(key, 0), found[name].get(key, 0)
                if not fits(got, wanted):
                    lines.append(f"{name}, {key}: expected {wanted}, found {got}")
    return lines


def check(path, commands, *, errors=None, requests=None, replies=None, unanswered=0, unmatched=0,
          undecoded=0, odd=False):
    """The report counts this and nothing else. As many requests as commands and as many replies as
    requests, unless told otherwise; no anomaly, unless `odd`. Returns the section "clients"."""
    clients = bustap.analyze(path)["clients"]
    requests = sum(commands.values()) if requests is None else requests
    expected = {"commands": commands, "errors": errors or {}, "requests": requests,
                "replies": requests if replies is None else replies,
                "unanswered": unanswered, "unmatched": unmatched, "undecoded": undecoded}
    lines = disagreements(expected, counts(clients))
    if not odd and clients["anomalies"]:
        lines.append(f"anomalies: expected none, found {clients['anomalies']}")
    assert not lines, "the report's clients differ\n  " + "\n  ".join(lines)
    return clients


# ------------------------------------------------------------------------------------- events


def asked(events):
    """The commands of the requests, in their order."""
    return [e["command"] for e in bustap.named(events, "request")]


def answered(events):
    """(command, error or None) of the replies, in their order."""
    return [(e.get("command"), e.get("error")) for e in bustap.named(events, "reply")]


def pushes(events):
    return len(bustap.named(events, "push"))


def redirects(events):
    return [(e["kind"], e["slot"], e["target"]) for e in bustap.named(events, "redirect")]


def latencies(events):
    """(command, microseconds) of the replies, in their order."""
    return [(e["command"], e["latency_us"]) for e in bustap.named(events, "reply")]


def types(events):
    """The RESP types of the replies, as words without spaces and dashes."""
    return ["".join(filter(str.isalnum, e["type"].lower())) for e in bustap.named(events, "reply")]


def slots(events):
    """(command, slot or None) of the requests, in their order."""
    return [(e["command"], e.get("slot")) for e in bustap.named(events, "request")]

"""Do the books balance? What each server counted of its bus, against what was on the wire.

    rows = balance.bus(truth, report_until, events)     # none: they do

At the end of a run each node was asked for its counts (t0, t1) and stopped (t_frozen). So

    messages on the wire up to t0  <=  what CLUSTER INFO said  <=  messages up to t_frozen

But a server counts a message as sent when it queues it, and what waits on a link that dies never
leaves; and a link can die with what arrived and was not read. So a node may have counted as many
more sent, or fewer received, of a type, as connections of its bus ended, and as there were times
when it could not reach a peer: one message each, since a link that gets no answer is sent no second
PING, and what goes to all goes once. Where no link died, the numbers are the same.
"""

import collections
import typing

from lab.compare import seconds

DELAYED_ACK = 0.05            # seconds by which an acknowledgement may trail what the server read
UNREACHABLE = ("tcp-refused", "tcp-unanswered")


class Row(typing.NamedTuple):
    """Counts that cannot be."""
    node: str
    direction: str
    type: str
    books: int
    at_t0: int
    when_frozen: int
    dead_links: int


def shown(ip):
    return f"[{ip}]" if ":" in ip else ip


def dead_links(truth, node, events, until):
    """Connections of the bus, from or to a node, that ended, and times that a peer was out of
    reach."""
    buses = {f"{shown(n['ip'])}:{n['bus']}" for n in truth["topology"]["nodes"]}
    mine, dead, out_of_reach = shown(node["ip"]), 0, set()
    for event in events:
        ends = {event.get("src"), event.get("dst")}
        peers = frozenset(end.rpartition(":")[0] for end in ends if end)
        if not event["event"].startswith("tcp-") or not ends & buses or mine not in peers:
            continue
        if seconds(event["time"]) > until:
            break
        if event["event"] in UNREACHABLE:
            dead += peers not in out_of_reach
            out_of_reach.add(peers)
        elif event["event"] == "tcp-open":
            out_of_reach.discard(peers)
        else:
            dead += event["event"] == "tcp-close"
    return dead


def counted(report, node, direction):
    rows = {row["node"]: row for row in report["bus"]["by_node"]}
    return collections.Counter(rows.get(node["id"], {}).get(direction, {}))


def bus(truth, report_until, events):
    """The counts that differ by more than dead links explain. `report_until(t)` is bustap's report
    on the capture up to a time, `events` what it dumps."""
    return [row for node in truth["topology"]["nodes"] if node["name"] in truth["snapshots"]["end"]
            for row in _of_node(truth, node, report_until, events)]


def _of_node(truth, node, report_until, events):
    books = truth["snapshots"]["end"][node["name"]]
    dead = dead_links(truth, node, events, books["t_frozen"])
    began = node["starts"][-1]["t"] if len(node["starts"]) > 1 else None
    for direction in ("sent", "received"):
        # A server that was started again started its books again.
        before = counted(report_until(began), node, direction) if began else collections.Counter()
        low = counted(report_until(books["t0"]), node, direction) - before
        high = counted(report_until(books["t_frozen"] + DELAYED_ACK), node, direction) - before
        said = books[f"bus_{direction}"]
        for type_ in sorted({*low, *high, *said}):
            fewer, more = (0, dead) if direction == "sent" else (dead, 0)
            if not low[type_] - fewer <= said.get(type_, 0) <= high[type_] + more:
                yield Row(node["name"], direction, type_, said.get(type_, 0), low[type_],
                          high[type_], dead)

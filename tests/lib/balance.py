"""The servers' own books beside what the program counted on the wire.

Each run of a real cluster ended with INFO and CLUSTER INFO of every node (asked at t0, answered at
t1), after which the node was stopped (t_frozen). So for every number

    on the wire up to t0  <=  what the server said  <=  on the wire up to t_frozen

and as a rule the three are the same. `messages`, `commands` and `errors` give a Row for every
number; whether one that does not balance is excused is for the tests to say.
"""

import collections
import functools
import typing

from lib import bustap

DELAYED_ACK = 0.050           # seconds by which an acknowledgement may trail what the server read


class Row(typing.NamedTuple):
    node: str
    kind: str                 # sent, received: bus messages; commands, errors
    name: str
    books: float              # commands that a server counts twice are halved
    low: int                  # on the wire up to t0
    high: int                 # on the wire up to t_frozen

    def balances(self, missing=0):
        """Within the wire's numbers, if so many of those in the books never reached the wire."""
        return self.low <= self.books - missing <= self.high


def listing(rows):
    """Rows as an aligned table for an error message."""
    cells = [Row._fields, *[tuple(map(str, row)) for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n" + "\n".join("  " + "  ".join(v.ljust(w) for v, w in zip(row, widths))
                            for row in cells)


@functools.lru_cache(maxsize=None)
def report(take, until=None):
    """The report on a capture, or on its part up to a time in seconds."""
    window = ["--to", bustap.when(round(until * 10 ** 9))] if until else []
    return bustap.analyze(take.path, *window)


def since_restart(count, take, node, until, kind):
    """A restarted server starts its books again: what came before its last start does not count."""
    found = count(take, node, until, kind)
    if len(node["starts"]) > 1:
        found -= count(take, node, node["starts"][-1]["t"], kind)
    return found


def rows(count, take, node, kind, books, late=0.0):
    snapshot = take.snapshot(node)
    low = since_restart(count, take, node, snapshot["t0"], kind)
    high = since_restart(count, take, node, snapshot["t_frozen"] + late, kind)
    for name in sorted({*low, *high, *books}):
        yield Row(node["name"], kind, name, books.get(name, 0), low[name], high[name])


# ---------------------------------------------------------------------------------- bus messages


def count_messages(take, node, until, kind):
    """Under all names that it had: RESET HARD gives it another, and its books go on."""
    names = node.get("ids") or [node["id"]]
    rows = (bustap.node_row(report(take, until), name)[kind] for name in names)
    return sum(map(collections.Counter, rows), collections.Counter())


def messages(take):
    """Sent is what the node put on the wire, received what its TCP acknowledged to the last byte."""
    for node in take.nodes:
        for kind in ("sent", "received"):
            books = take.snapshot(node)[f"bus_{kind}"]
            yield from rows(count_messages, take, node, kind, books, DELAYED_ACK)


# ------------------------------------------------------------------------------------- dead links

UNREACHABLE = ("tcp-refused", "tcp-unanswered")


def bracketed(ip):
    return f"[{ip}]" if ":" in ip else ip


@functools.lru_cache(maxsize=None)
def dump(take):
    return bustap.dump(take.path, without=bustap.BULK)


def dump_with_bus(take):
    """With each message of the bus: many."""
    return bustap.dump(take.path, without=set(bustap.BULK) - {"bus-message"})


def dead_links(take, node):
    """Connections of the bus, from or to a node, that ended, and times that a peer was out of reach.

    A server counts a message as sent when it queues it, and what waits on a link that dies never
    leaves; a link can also die with what arrived and was not read. So as many more may be counted
    sent, or fewer received, of each type: one each, since a link that gets no answer is sent no second
    PING, and what goes to all goes once.
    """
    buses = {f"{bracketed(n['ip'])}:{n['bus']}" for n in take.truth["topology"]["nodes"]}
    until = bustap.when(round(take.snapshot(node)["t_frozen"] * 10 ** 9))
    mine, dead, out_of_reach = bracketed(node["ip"]), 0, set()
    for event in dump(take):
        if not event["event"].startswith("tcp-") or event["time"] > until:
            continue
        ends = {event["src"], event["dst"]}
        peers = frozenset(end.rpartition(":")[0] for end in ends)
        if not ends & buses or mine not in peers:
            continue
        if event["event"] in UNREACHABLE:
            dead += peers not in out_of_reach
            out_of_reach.add(peers)
        elif event["event"] == "tcp-open":
            out_of_reach.discard(peers)
        else:
            dead += event["event"] == "tcp-close"
    return dead


def answers_due(take, node):
    """PINGs and MEETs on connections that the node closed, that it had not answered until then."""
    bus, due, dead = f"{bracketed(node['ip'])}:{node['bus']}", collections.Counter(), 0
    for event in dump_with_bus(take):
        if event.get("dst") == bus and event.get("type") in ("ping", "meet"):
            due[event["src"]] += 1
        elif event.get("src") == bus and event.get("type") == "pong":
            due[event["dst"]] -= due[event["dst"]] > 0
        elif event.get("src") == bus and event["event"] == "tcp-close":
            dead += due.pop(event["dst"], 0)
    return dead


# ------------------------------------------------------------------------------ commands, errors


def host(address):
    return address.rpartition(":")[0].strip("[]")


def count_requests(take, node, until, kind):
    """A node's commands or errors up to a time, what its primary's stream brought included."""
    found = collections.Counter()
    for server in report(take, until)["clients"]["servers"]:
        if host(server["addr"]) == node["ip"]:
            found.update(server[kind])
    if kind == "commands":
        for link in report(take, until)["replication"]:
            if host(link["replica"]) == node["ip"]:
                found.update(link["commands"])
            if host(link["primary"]) == node["ip"]:
                found.update(link.get("commands_back", {}))
    return found


# Commands that a server counted and nobody sent. (part of the server's name, command): why
NOT_ON_THE_WIRE = {
    ("valkey-9", "config|get"): "Valkey 9 asks itself for two or three settings when it starts",
}

# Valkey replicates SETSLOT before it carries it out: the client is blocked meanwhile, and the
# command, run again once the replicas have it, is counted twice.
COUNTED_TWICE = {("valkey", "cluster|setslot")}

# Redis 6.0 counts by the first word, only what it runs (not what it answers MOVED, CLUSTERDOWN, …
# instead), and no errors.
NO_SUBCOMMANDS = "redis-6"


def counts_words(take):
    return take.truth["server"].startswith(NO_SUBCOMMANDS)


def count_words(take, node, until, kind):
    """The same by the first word."""
    words = collections.Counter()
    for name, count in count_requests(take, node, until, kind).items():
        words[name.partition("|")[0]] += count
    return words


def is_of(take, table, command):
    return any(server in take.truth["server"] and command == name for server, name in table)


def called(take, node):
    """What a server counted of each command: run, or rejected; twice what it counts twice."""
    snapshot = take.snapshot(node)
    primary = snapshot["replication"]["role"] == "master"
    return {name: (stats["calls"] + stats.get("rejected_calls", 0))
            / (2 if primary and is_of(take, COUNTED_TWICE, name) else 1)
            for name, stats in snapshot["commandstats"].items()}


def commands(take):
    words = counts_words(take)
    for node in take.nodes:
        late = take.snapshot(node)["t_frozen"]
        refused = count_requests(take, node, late, "errors").total() if words else 0
        for row in rows(count_words if words else count_requests, take, node, "commands",
                        called(take, node)):
            if not is_of(take, NOT_ON_THE_WIRE, row.name):
                yield row._replace(low=row.low - refused)


def errors(take):
    for node in [] if counts_words(take) else take.nodes:
        yield from rows(count_requests, take, node, "errors", take.snapshot(node)["errorstats"])

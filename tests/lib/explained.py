"""When the servers' books and the wire may differ in a run of the lab, and by how much.

Where nothing was broken they are equal, to the message. A fault can make messages that are counted
and never on the wire, or on the wire and never counted; each RULE is a fact about servers that was
looked up, holds only where the run's journal has such a fault, and only in its direction.
"""

from lib import balance, bustap

# What the journal (`injected`) calls a fault that ends connections or loses what is on them.
BREAKS = {"partition", "one-way loss", "random loss", "port blocked", "link limited", "frozen",
          "killed", "shut down"}


def is_broken(truth):
    return any(fault["what"] in BREAKS for fault in truth.get("injected", ()))


def has_handshake(truth):
    """Is somebody still to be introduced? That is given up after a node timeout, and begun anew."""
    return any("handshake" in row["flags"] for said in truth["snapshots"]["end"].values()
               for row in said.get("nodes", ()))


def closes_links(truth):
    """CLUSTER FORGET does, with what waits on them, and so does a handshake that comes to nothing, and
    a PONG of another node than was asked (after RESET HARD, at a wrong address): what comes behind it
    is not read.
    Valkey closes a link of which it does not know yet whose it is, if a light message comes on it."""
    return is_broken(truth) or has_handshake(truth) or \
        any(line["event"] in ("forget", "link-refused", "other-id")
            for line in truth.get("logged", ()))


def node_of(take, row):
    return next(n for n in take.truth["topology"]["nodes"] if n["name"] == row.node)


# A server counts a bus message as sent when it queues it; what waits on a link that dies never leaves.
def never_left(take, row):
    return row.kind == "sent" and \
        row.high < row.books <= row.high + balance.dead_links(take, node_of(take, row))


# Whoever introduces itself may send MEET and PING together. Both are answered, and if a handshake with
# that node times out in the same moment (as with a wrong address), its links are freed with both.
def answers_freed(take, row):
    return row.kind == "sent" and row.name == "pong" and \
        row.high < row.books <= row.high + balance.answers_due(take, node_of(take, row))


def times_out_handshake(truth):
    return any(line["event"] == "handshake-timeout" for line in truth.get("logged", ()))


# TCP has acknowledged what lies unread in a socket when the server closes it: on FAIL of a link, on
# its timeout, with a handshake that comes to nothing, when it is killed. Linux then resets the
# connection, which shows it.
def never_read(take, row):
    return row.kind == "received" and \
        row.low - balance.dead_links(take, node_of(take, row)) <= row.books < row.low


# Likewise of a replica whose output buffer has its limit.
def stream_never_read(take, row):
    return row.kind == "commands" and row.name in STREAMED and row.books < row.low


# What comes down a replication link, and what the replica says back on it.
STREAMED = {"set", "replconf", "del", "ping", "multi", "exec", "publish", "spublish"}


# Whoever waits no longer closes its connection, as MIGRATE does at its timeout: what has arrived is
# carried out all the same, and answered to nobody.
def given_up(take, row):
    node = node_of(take, row)
    waited = sum(server["unanswered"] for server in bustap.analyze(take.path)["clients"]["servers"]
                 if server["node"] == node["id"])
    return row.kind == "commands" and row.high < row.books <= row.high + waited


# What a host drops before it leaves is on no wire: a message on each link, since none gets a second
# one before an answer; and the acknowledgement of one that had arrived as the fault began.
def dropped_unseen(take, row):
    peers = len(take.truth["topology"]["nodes"]) - 1
    return row.kind in ("sent", "received") and row.high < row.books <= row.high + peers + \
        (balance.dead_links(take, node_of(take, row)) if row.kind == "sent" else 0)


def drops_on_hosts(truth):
    return any(fault.get("where") == "hosts" for fault in truth.get("injected", ()))


RULES = {never_left: closes_links, answers_freed: times_out_handshake, never_read: closes_links,
         stream_never_read: is_broken, given_up: is_broken, dropped_unseen: drops_on_hosts}


def unexplained(take, rows):
    """Rows that do not balance and that no rule covers."""
    for row in rows:
        if not row.balances() and not any(holds(take.truth) and rule(take, row)
                                          for rule, holds in RULES.items()):
            yield row


def but_for_faults(take, rows):
    """What remains of rows that do not balance; only runs of the lab have a journal of faults."""
    return list(unexplained(take, rows)) if "injected" in take.truth else rows


def is_opaque(take):
    """With TLS on the bus nothing of it can be counted."""
    return take.truth["scenario"] == "tls_bus"


def bus(take):
    return [] if is_opaque(take) else list(unexplained(take, balance.messages(take)))


# With TLS on the bus replicas speak it too; clients of the lab do not.
ENCRYPTED = STREAMED | {"psync"}


def refused_unseen(take, row):
    """Valkey 9.1 refuses REPLCONF SET-CLUSTER-NODE-ID of a replica that it has not met yet."""
    stats = take.snapshot(node_of(take, row))["commandstats"]
    failed = sum(stats.get(name, {}).get("failed_calls", 0) for name in ENCRYPTED)
    return row.kind == "errors" and row.high < row.books <= row.high + failed


def clients(take):
    rows = [row for kind in (balance.commands, balance.errors)
            for row in unexplained(take, kind(take))]
    if not is_opaque(take):
        return rows
    return [row for row in rows if row.name not in ENCRYPTED and not refused_unseen(take, row)]

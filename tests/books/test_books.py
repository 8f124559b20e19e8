"""The program's counts against the books the servers keep themselves.

For every node, message type and direction the wire has what CLUSTER INFO said (lib/balance.py says
how the two are read). Where the books must differ, the tables below say by how much and why; anything else
fails.
"""

import collections

import pytest

from lib import balance, bustap, captures, explained
from lib.balance import report

# A server counts a message as sent when it queues it. On a link that never connects the message is
# lost with the link and was never on the wire. (run, node, type): (how many, why)
REFUSED = "queued on a link to the killed n1; the connection was refused, so it never left"
UNANSWERED = "queued on a link to n1 across the partition; its SYN got no answer, so it never left"
NEVER_LEFT = {
    ("failover_crash-valkey-8.1.1", "n2", "ping"): (1, REFUSED),
    ("failover_crash-valkey-8.1.1", "n3", "ping"): (1, REFUSED),
    ("failover_crash-valkey-8.1.1", "n4", "ping"): (1, REFUSED),
    ("failover_crash-valkey-8.1.1", "n5", "ping"): (1, REFUSED),
    ("failover_crash-valkey-8.1.1", "n6", "ping"): (1, REFUSED),
    ("failover_crash-valkey-8.1.1", "n5", "auth-req"): (1, REFUSED),
    ("partition_minority-redis-7.0.15", "n6", "fail"): (1, UNANSWERED),
}

# Captures in which a connection ends in the middle of a message, so that its head cannot be
# decoded. name: (bytes, why)
CUT_MESSAGES = {
    "partition_minority-redis-7.0.15-n1": (5 * 1448, "after the heal each of the five peers "
        "retransmits only the first segment of the PING that the partition had swallowed; the old "
        "connection is closed before the rest, and n1's capture never saw the first attempt"),
}

# Runs in which frames were dropped behind the bridge: the bridge saw more than n1 did.
DROPPING = {"partition_minority-redis-7.0.15"}

TAKES = pytest.mark.parametrize("take", captures.TAKES, ids=lambda take: take.name)
HEALTHY = [t for t in captures.TAKES if t.run.startswith("healthy")]


def runs(vantage):
    """The runs that have a capture from there."""
    return sorted({t.run for t in captures.TAKES if t.vantage == vantage})


def view(take, asked):
    """CLUSTER NODES of one node as {id: (role, primary, slots, epoch)}."""
    return {n["id"]: (
        "primary" if "master" in n["flags"] else "replica", n["master"],
        ",".join(f"{a}-{b}" if a != b else f"{a}" for a, b in n["slots"]), n["epoch"])
        for n in take.snapshot(asked)["nodes"]}


def majority(values):
    """The value that most of them have; they need not be hashable."""
    values = list(values)
    return max(values, key=values.count)


def all_frozen(take):
    return max(take.snapshot(n)["t_frozen"] for n in take.truth["topology"]["nodes"])


def table(rows, titles):
    """Rows of values as an aligned table for an error message."""
    rows = [tuple(map(str, row)) for row in (titles, *rows)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n" + "\n".join("  " + "  ".join(v.ljust(w) for v, w in zip(row, widths))
                            for row in rows)


def test_there_are_captures():
    """Without captures everything below would pass by doing nothing."""
    assert captures.TAKES, "no capture with a truth file under pcaps/ (or in $BUSTAP_CAPTURES)"


@TAKES
def test_messages_equal_cluster_info(take):
    """Per node, direction and type: the wire has what CLUSTER INFO counted."""
    def missing(row):
        lost, _ = NEVER_LEFT.get((take.run, row.node, row.name), (0, ""))
        return lost if row.kind == "sent" else 0
    wrong = explained.but_for_faults(
        take, [row for row in balance.messages(take) if not row.balances(missing(row))])
    assert not wrong, f"{take.path}: books and wire differ" + balance.listing(wrong)


@TAKES
def test_totals_are_the_sum_of_the_nodes(take):
    """Every message has one sender, and nothing is received more often than it was sent."""
    bus = report(take)["bus"]
    sent, received = collections.Counter(), collections.Counter()
    for row in bus["by_node"]:
        sent.update(row["sent"])
        received.update(row["received"])
    assert sent == bus["messages"]
    assert not received - sent, f"received and never sent: {received - sent}"


@TAKES
def test_dump_and_report_agree(take):
    """`dump` prints exactly the messages that `analyze` counts."""
    found = collections.Counter(bustap.types(bustap.dump(take.path)))
    assert found == report(take)["bus"]["messages"]


@TAKES
def test_every_byte_is_decoded(take):
    """An undamaged capture leaves nothing over, apart from the messages that were cut off."""
    bus = report(take)["bus"]
    cut, why = CUT_MESSAGES.get(take.name, (0, ""))
    assert bus["undecoded_bytes"] in (0, cut), why
    assert "unknown" not in bus["messages"]
    if not cut:
        assert report(take)["capture"]["loss"]["gaps"] == 0


@TAKES
def test_nothing_is_odd(take):
    """Real servers break no rule of the wire; only a cut-off message may be remarked on."""
    if take.name not in CUT_MESSAGES:
        assert report(take)["bus"]["anomalies"] == {}


@TAKES
def test_cluster_equals_cluster_nodes(take):
    """Roles, primaries, slots and epochs as the majority of the servers listed them at the end.

    A replica's config epoch is its primary's: that is what its header says and CLUSTER NODES shows.
    """
    nodes = take.truth["topology"]["nodes"]
    expected = majority(view(take, n) for n in nodes)
    cluster = report(take, all_frozen(take))["cluster"]
    found = {n["id"]: (n["role"], n["primary"], n["slots"], n["config_epoch"])
             for n in cluster["nodes"]}
    names = {n["id"]: n["name"] for n in nodes}
    names[None] = "-"
    wrong = []
    for i in sorted({*expected, *found}, key=lambda i: names.get(i, i)):
        pairs = list(zip(expected.get(i, ("-",) * 4), found.get(i, ("-",) * 4)))
        if any(a != b for a, b in pairs):
            wrong.append((names.get(i, i), *(
                f"{names.get(a, a)} / {names.get(b, b)}" if a != b else "" for a, b in pairs)))
    assert not wrong, f"{take.path}: CLUSTER NODES / program" + table(
        wrong, ("node", "role", "primary", "slots", "epoch"))
    epochs = [int(take.snapshot(n)["cluster_info"]["cluster_current_epoch"]) for n in nodes]
    assert cluster["current_epoch"] == majority(epochs)
    states = [take.snapshot(n)["cluster_info"]["cluster_state"] for n in nodes]
    assert {n["state"] for n in cluster["nodes"]} == {majority(states)}


@TAKES
def test_slots_equal_cluster_slots(take):
    """Who owns which slots, as the majority answered CLUSTER SLOTS; with the owner's epoch."""
    nodes = take.truth["topology"]["nodes"]
    answer = majority(take.snapshot(n)["slots"] for n in nodes)
    epochs = {i: row[3] for i, row in majority(view(take, n) for n in nodes).items()}
    expected = sorted((first, last, owner[2], epochs[owner[2]])
                      for first, last, owner, *_ in answer)
    found = []
    for row in report(take, all_frozen(take))["cluster"]["slots"]:
        for part in row["range"].split(","):
            first, _, last = part.partition("-")
            found.append((int(first), int(last or first), row["owner"], row["config_epoch"]))
    assert sorted(found) == expected


def shown(ip):
    """An address as it stands before its port."""
    return f"[{ip}]" if ":" in ip else ip


def known_to_most(truth):
    """Ids that most servers list at the end: not who is still to be introduced, but who is lost."""
    views = [said["nodes"] for said in truth["snapshots"]["end"].values() if said.get("nodes")]
    listed = collections.Counter(row["id"] for rows in views for row in rows
                                 if "handshake" not in row["flags"])
    return {id_ for id_, count in listed.items() if count * 2 > len(views)}


@TAKES
def test_addresses_equal_the_topology(take):
    """Each node that most know, under the address and the bus port where it listens, or did."""
    found = {n["id"]: (n["addr"], n["bus_port"]) for n in report(take)["cluster"]["nodes"]}
    listens = {id_: (f"{shown(n['ip'])}:{n['port']}", n["bus"])
               for n in take.truth["topology"]["nodes"] for id_ in n.get("ids", (n["id"],))}
    assert found == {id_: listens[id_] for id_ in known_to_most(take.truth)}


@pytest.mark.parametrize("run", runs("n1-any"))
def test_any_interface_equals_one_interface(run):
    """`-i any` (cooked headers, frames seen twice) yields the messages of the plain capture.

    Both ran from before the servers' start until after they were stopped, so they overlap in all.
    """
    one, many = captures.take(run, "n1"), captures.take(run, "n1-any")
    bustap.same_messages(bustap.dump(one.path), bustap.dump(many.path), names=("n1", "n1-any"))


def drops(run):
    """Whether frames were dropped behind the bridge."""
    return run in DROPPING or explained.is_broken(captures.take(run).truth)


@pytest.mark.parametrize("run", [run for run in runs("n1") if not drops(run)])
def test_one_host_sees_its_share_of_the_bridge(run):
    """Where no frame was dropped, n1's capture holds the bridge's messages from and to n1."""
    bridge, host = captures.take(run), captures.take(run, "n1")
    address = shown(host.nodes[0]["ip"]) + ":"
    share = [m for m in bustap.messages(bustap.dump(bridge.path))
             if m["src"].startswith(address) or m["dst"].startswith(address)]
    bustap.same_messages(share, bustap.dump(host.path), names=("bridge", "n1"))


@pytest.mark.parametrize("take", HEALTHY, ids=lambda take: take.name)
def test_no_node_of_a_healthy_cluster_fails(take):
    """No FAIL message, no finding above a notice."""
    assert "fail" not in report(take)["bus"]["messages"]
    grave = [f for f in report(take)["findings"] if f["severity"] in ("warning", "critical")]
    assert not grave, [f["title"] for f in grave]

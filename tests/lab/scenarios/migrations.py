"""Slots that move between primaries: well, slowly, and not to the end."""

from .. import Unavailable
from ..resp import Error
from ..reshard import give, keys_of, migrate, move, on_both, open_slot, opened
from . import scenario


def filled(run, slot, keys, size, rate=1000, **more):
    """So many keys of that size in a slot."""
    name = run.load("fill", slot=slot, keys=keys, size=size, rate=rate, prefix=f"f{size}-{slot}",
                    timeout=20000, **more)
    run.await_load(name)


@scenario("200 slots with keys of 100 B to 20 MB move from n1 to n2 under load")
def reshard(run):
    cluster = run.start()
    run.load("aware", rate=300, connections=4)
    run.load("diary", rate=100)
    for slot, keys, size in ((0, 200, 100), (1, 50, 10_000), (2, 4, 1_000_000), (3, 1, 20_000_000)):
        filled(run, slot, keys, size)
    run.mark("slots move", source="n1", target="n2", slots="0-199")
    move(cluster, "n1", "n2", range(200))
    run.mark("slots have moved")
    cluster.await_ok()
    run.let_pass(2)


def finish(cluster, source, target, slot):
    """Also what a timeout left on both sides: MIGRATE ... REPLACE would do it; so does the target's
    DEL, since the source has the key still."""
    while cluster[source].ask("CLUSTER", "COUNTKEYSINSLOT", slot):
        replies = migrate(cluster, source, target, slot, batch=20, timeout=60000)
        if replies and isinstance(replies[-1], Error):
            for key in cluster[source].ask("CLUSTER", "GETKEYSINSLOT", slot, 20):
                cluster[target].pipeline(("ASKING",), ("DEL", key))


def slowly(run):
    """Slot 7 moves over a link of 40 Mbit/s: first MIGRATE gives up, then it is let finish."""
    cluster = run.cluster
    with run.faults.limit_link("n2", "40mbit"):
        open_slot(cluster, "n1", "n2", 7)
        run.mark("slot is open", source="n1", target="n2", slots="7")
        migrate(cluster, "n1", "n2", 7, batch=10, timeout=10, rounds=3)
        run.mark("MIGRATE has timed out", on_both=on_both(cluster, "n1", "n2", 7))
        finish(cluster, "n1", "n2", 7)
        give(cluster, "n1", "n2", 7)
        run.mark("slots have moved")
        run.let_pass(1)
    cluster.await_ok()
    run.let_pass(2)


@scenario("a slot of 60 MB moves over a link of 40 Mbit/s; MIGRATE times out, then is let finish")
def slow_migration(run):
    run.start()
    run.load("aware", rate=100)
    filled(run, 7, 300, 200_000)
    slowly(run)


@scenario("the same with 30 MB that MIGRATE cannot compress: for seconds they fill the link")
def full_link(run):
    run.start()
    run.load("aware", rate=100)
    filled(run, 7, 150, 200_000, noise=1)
    run.let_pass(3)
    slowly(run)


@scenario("full_link, just after slot 8 has moved the same way while nothing held it up")
def full_link_later(run):
    cluster = run.start()
    run.load("aware", rate=100)
    filled(run, 8, 400, 200_000, noise=1)
    filled(run, 7, 150, 200_000, noise=1)
    run.let_pass(3)
    move(cluster, "n1", "n2", [8])
    run.let_pass(2)
    slowly(run)


@scenario("a migration stops half-way: slot 7 stays open, half of its keys on either side")
def slot_left_open(run):
    cluster = run.start()
    run.load("aware", rate=100)
    run.load("aware", rate=100, slot=7, keys=100)
    filled(run, 7, 100, 1000)
    with opened(cluster, "n1", "n2", [7]):
        run.mark("slot is open", source="n1", target="n2", slots="7")
        migrate(cluster, "n1", "n2", 7, batch=50, rounds=1)
        run.let_pass(8)
    run.let_pass(1)


@scenario("n2 refuses the keys of slot 7: for want of a password, then of memory; a wrong one takes them")
def migrate_refused(run):
    """A server without a password refuses AUTH, and carries out what comes with it."""
    cluster = run.start()
    run.load("aware", rate=100)
    filled(run, 7, 60, 1000)
    n1, n2 = cluster["n1"], cluster["n2"]
    keys = sorted(keys_of(n1, 7))

    def attempt(what, *words, count=10):
        words = ("MIGRATE", n2.ip, n2.port, "", 0, 1000, *words, "KEYS", *keys[:count])
        run.mark(what, reply=n1.pipeline(words)[0], on_both=on_both(cluster, "n1", "n2", 7))

    with opened(cluster, "n1", "n2", [7]):
        n2.ask("CONFIG", "SET", "requirepass", "secret")
        attempt("no password")
        n2.ask("CONFIG", "SET", "requirepass", "")
        n2.ask("CONFIG", "SET", "maxmemory", 1_000_000)
        attempt("no memory")
        n2.ask("CONFIG", "SET", "maxmemory", 0)
        attempt("a password too many", "AUTH", "wrong")
        attempt("once more", count=20)
        attempt("and over", "REPLACE", count=20)
    run.let_pass(1)


@scenario("five slots of two pairs of primaries are opened, some keys move, and all stay open")
def slots_left_open(run):
    cluster = run.start()
    run.load("aware", rate=100)
    for slot in (7, 8, 9):
        filled(run, slot, 60, 1000)
        run.load("aware", rate=60, slot=slot, keys=100)
    with opened(cluster, "n2", "n3", [5500, 5501]), opened(cluster, "n1", "n2", [7, 8, 9]):
        for slot in (7, 8, 9):
            run.mark("slot is open", source="n1", target="n2", slots=str(slot))
            migrate(cluster, "n1", "n2", slot, batch=20, rounds=1)
            run.let_pass(2)
        run.let_pass(8)
    run.let_pass(1)


@scenario("100 slots move at once from n1 to n2 (CLUSTER MIGRATESLOTS, Valkey 9)")
def atomic_migration(run):
    if run.server.family != "valkey" or run.server.version < (9,):
        raise Unavailable(f"{run.server.name} does not migrate slots atomically")
    cluster = run.start()
    run.load("aware", rate=200)
    run.load("diary", rate=100)
    for slot in (0, 1):
        filled(run, slot, 200, 1000)
    cluster["n1"].ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, 99, "NODE", cluster["n2"].id)
    run.mark("slots move", source="n1", target="n2", slots="0-99")
    cluster.wait_until(lambda: "0-99" in cluster["n2"].ask("CLUSTER", "NODES"), "slots have moved", 40)
    run.mark("slots have moved")
    cluster.await_ok()
    run.let_pass(2)

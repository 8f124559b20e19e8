"""Clients: each kind of traffic, and those that a cluster suffers from."""

from .. import Unavailable
from ..reshard import migrate, move, opened
from . import scenario

EVERY = ("aware", "naive", "pipeline", "pubsub", "blocking", "multi", "diary")


@scenario("every kind of client at once, in a cluster that is well")
def every_client(run):
    run.start()
    modern = run.server.version >= (7,)
    for mode in (*EVERY, *(("spubsub", "resp3") if modern else ())):
        run.load(mode, rate=60, connections=2)
    run.let_pass(10)


@scenario("2000 slots have moved; twenty clients never learn of it and are redirected each time")
def stale_clients(run):
    cluster = run.start()
    run.load("naive", rate=400, connections=20)
    run.let_pass(2)
    run.mark("slots move", source="n1", target="n2", slots="0-1999")
    move(cluster, "n1", "n2", range(2000))
    run.mark("slots have moved")
    run.let_pass(14)                    # long after it they have not learnt


@scenario("a slot is being migrated; clients follow ASK without ASKING and are sent back")
def ask_ignored(run):
    cluster = run.start()
    run.load("no-asking", rate=200, slot=7, keys=100, prefix="a")
    run.let_pass(2)
    with opened(cluster, "n1", "n2", [7]):
        run.mark("slot is open", source="n1", target="n2", slots="7")
        migrate(cluster, "n1", "n2", 7)
        run.let_pass(6)
    run.let_pass(1)


@scenario("servers are told to name no address (\"?\"): clients are sent nowhere")
def nameless_targets(run):
    if run.server.version < (7,):
        raise Unavailable(f"{run.server.name} always names addresses")
    run.start(per_node={f"n{n}": {"cluster-preferred-endpoint-type": "hostname"}
                        for n in range(1, 7)})
    run.load("naive", rate=200, connections=4)
    run.let_pass(10)


@scenario("servers name ports only, which are all the same: each sends clients to itself")
def empty_targets(run):
    if run.server.version < (7,):
        raise Unavailable(f"{run.server.name} always names addresses")
    run.start(per_node={f"n{n}": {"cluster-preferred-endpoint-type": "unknown-endpoint"}
                        for n in range(1, 7)})
    run.load("naive", rate=200, connections=4)
    run.let_pass(10)

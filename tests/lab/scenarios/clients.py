"""Clients: each kind of traffic, and those that a cluster suffers from."""

import contextlib
import time

from .. import Unavailable
from ..reshard import migrate, move, opened
from ..resp import Client, Error
from . import scenario
from .busy import TAG, callers

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


def follow(run, host, node, seconds):
    """Four clients ask a node for a key of n1's, and go where they are sent, each time anew; a name
    they cannot look up."""
    clients, end = callers(run, host, node, 4, "PING"), time.time() + seconds
    while time.time() < end:
        for client in clients:
            (reply,) = client.pipeline(("GET", TAG))
            ip, _, port = str(reply).rpartition(" ")[2].rpartition(":")
            if isinstance(reply, Error) and ip[:1].isdigit():
                with contextlib.suppress(OSError):
                    Client(run.net.connect(host, ip, int(port), timeout=0.3)).__exit__()
        run.let_pass(0.05)


@scenario("servers name hosts that clients cannot look up: they are sent away, and go nowhere")
def names_unknown(run):
    if run.server.version < (7,):
        raise Unavailable(f"{run.server.name} has no host names")
    cluster = run.start(per_node={f"n{n}": {"cluster-announce-hostname": f"node{n}.lab.invalid",
                                            "cluster-preferred-endpoint-type": "hostname"}
                                  for n in range(1, 7)})
    run.let_pass(1)
    follow(run, "web", cluster["n2"], 12)


@scenario("nodes announce addresses at which they reach each other, but clients reach nobody")
def addresses_inside(run):
    """10.77.5.x: each node knows them for those of 10.77.0.x; to the world nobody has them."""
    inside = {f"n{n}": f"10.77.5.{10 + n}" for n in range(1, 7)}
    cluster = run.start(per_node={name: {"cluster-announce-ip": ip} for name, ip in inside.items()},
                        create=False)
    rules = "".join(f"ip daddr {ip} dnat to {cluster[name].ip}\n" for name, ip in inside.items())
    run.client("web")
    for name, ip in inside.items():
        run.net.run(name, "nft", "-f", "-", feed="table ip inside {\nchain c {\n"
                    f"type nat hook output priority -100;\n{rules}}}\n}}\n")
        run.net.run("web", "ip", "neighbour", "replace", ip, "lladdr", run.net.hosts[name].mac,
                    "dev", "eth0", "nud", "permanent")
    cluster.create()
    run.let_pass(1)
    follow(run, "web", cluster["n2"], 14)

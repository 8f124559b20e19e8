"""Clusters that are made otherwise: by address, by settings, by size."""

from .. import Unavailable
from . import scenario


@scenario("IPv6")
def ipv6(run):
    run.start(ipv6=True)
    run.load("diary", rate=50)
    run.let_pass(8)


@scenario("the bus speaks TLS, as do clients on the other port")
def tls_bus(run):
    run.start(tls=True)
    run.let_pass(6)


@scenario("bus ports of their own, host names announced, clients that get no addresses")
def names_and_ports(run):
    if run.server.version < (7,):
        raise Unavailable(f"{run.server.name} has no host names")
    run.start(per_node={f"n{n}": {"cluster-port": 7000 + n, "port": 6000 + n,
                                  "cluster-announce-hostname": f"node{n}.lab.invalid",
                                  "cluster-preferred-endpoint-type": "ip"} for n in range(1, 7)})
    run.load("naive", rate=50)
    run.let_pass(8)


@scenario("n6, a replica, announces an address that nobody can reach")
def wrong_address(run):
    cluster = run.start(per_node={"n6": {"cluster-announce-ip": "10.77.9.99"}}, create=False)
    cluster.create(leave_out=("n6",))
    run.mark("cluster created")
    run.load("diary", rate=50)
    cluster.meet(cluster["n6"], cluster["n1"])
    run.let_pass(10)


@scenario("n2's clock is 30 s ahead of all others")
def clock_ahead(run):
    run.start(clocks={"n2": 30})
    run.load("diary", rate=50)
    run.let_pass(6)


@scenario("strangers speak to the bus port of n1: HTTP, noise, and what begins like a message")
def garbage(run):
    run.start()
    run.load("diary", rate=50)
    noise = bytes(range(256)) * 16
    for data in (b"GET / HTTP/1.1\r\nHost: n1\r\n\r\n", noise, b"RCmb" + bytes(4), b"RCmb" + noise):
        run.faults.garbage("n1", data)
        run.let_pass(1)
    run.let_pass(2)


@scenario("a primary without a replica dies; full coverage is not required, the others go on")
def coverage_off(run):
    cluster = run.start(primaries=3, replicas=2, config={"cluster-require-full-coverage": "no"})
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.kill("n3"):
        cluster.wait_until(lambda: cluster.all_say("fail", "n3"), "all say that n3 has failed")
        run.let_pass(4)
    cluster.await_ok()
    run.let_pass(2)


@scenario("40 nodes, 20 primaries; five of these are killed at once")
def forty_nodes(run):
    cluster = run.start(primaries=20, replicas=20, config={"cluster-node-timeout": 5000},
                        captures=("",))
    run.load("diary", rate=100)
    run.let_pass(5)
    dead = [f"n{n}" for n in range(1, 6)]
    with run.faults.kill(*dead):
        for n in range(21, 26):
            cluster.wait_until(cluster[f"n{n}"].is_primary, f"n{n} has taken over", 60)
        run.let_pass(3)
    cluster.await_ok(timeout=90)
    run.let_pass(3)


@scenario("PUBLISH at full speed: every message goes to every node")
def publish_flood(run):
    run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    run.load("publish-flood", rate=4000, size=200, depth=20)
    run.let_pass(14)


@scenario("nothing goes wrong, under heavy load", name="healthy_heavy", seconds=20)
@scenario("nothing goes wrong for three minutes, under heavy load", name="healthy_long", seconds=180)
def heavy(run, seconds):
    run.start()
    run.load("diary", rate=200)
    for mode, rate in (("aware", 500), ("pipeline", 3000), ("multi", 100), ("blocking", 50),
                       ("pubsub", 50)):
        run.load(mode, rate=rate, connections=4)
    run.let_pass(seconds)

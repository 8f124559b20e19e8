"""Hosts that cannot hear each other. c1 and c2 are clients; the lab asks from c0, which is cut off
from nobody."""

from . import scenario
from .failovers import heir


@scenario("a primary and a client are cut off from all others, then healed")
def partition_primary(run):
    cluster = run.start()
    run.load("diary", host="c1", seeds=["n1"], rate=100, slot=0)    # n1 acknowledges for a while
    run.load("diary", host="c2", seeds=["n2"], rate=50)
    run.let_pass(2)
    with run.faults.partition({"n1", "c1"}, run.rest("n1", "c1")):
        cluster.wait_until(cluster["n4"].is_primary, "n4 has taken over")
        run.mark("n4 has taken over")
        run.let_pass(2)
    cluster.await_ok()
    run.let_pass(2)


@scenario("four shards, two on each side: neither side has a majority", where="bridge")
@scenario("the same, dropped on the hosts: nothing of it is on the wire", name="unseen_halves",
          where="hosts")
def half_and_half(run, where):
    cluster = run.start(primaries=4, replicas=4)
    left, right = {"n1", "n2", "n5", "n6", "c1"}, {"n3", "n4", "n7", "n8", "c2"}
    run.load("diary", host="c1", seeds=["n1"], rate=50)
    run.load("diary", host="c2", seeds=["n3"], rate=50)
    run.let_pass(2)
    with run.faults.partition(left, right, where=where):
        cluster.wait_until(run.all_down, "all nodes say that the cluster is down")
        run.mark("all nodes say that the cluster is down")
        run.let_pass(2 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)


@scenario("three shards, each alone")
def three_sides(run):
    cluster = run.start()
    run.load("diary", host="c1", rate=50)
    run.let_pass(2)
    with run.faults.partition({"n1", "n4", "c1"}, {"n2", "n5"}, {"n3", "n6"}):
        cluster.wait_until(run.all_down, "all nodes say that the cluster is down")
        run.mark("all nodes say that the cluster is down")
        run.let_pass(2 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)


@scenario("a primary is cut off, then the one that took over from it, in shards of three")
def cut_twice(run):
    cluster = run.start(primaries=3, replicas=6, config={"cluster-node-timeout": 2000})
    run.load("diary", host="c1", seeds=["n1"], rate=100, slot=0)
    run.load("diary", host="c2", seeds=["n2"], rate=50)
    run.let_pass(2)
    owner = "n1"
    for _ in range(2):
        with run.faults.partition({owner, "c1"}, run.rest(owner, "c1")):
            owner = heir(run, *{"n1", "n4", "n7"} - {owner})
            run.let_pass(1)
        cluster.await_ok()
        run.let_pass(1)
    run.let_pass(1)


def waits(cluster, one, other):
    """For a PONG."""
    return cluster[one].nodes()[cluster[other].id]["ping_sent"] > 0


@scenario("n1 and n2 do not hear each other for less than the node timeout")
def pair_apart_briefly(run):
    """A node that hears from others that one is well need not ask it itself for a while."""
    cluster = run.start(config={"cluster-node-timeout": 8000})
    run.load("diary", rate=50)
    run.let_pass(4)
    with run.faults.partition({"n1"}, {"n2"}):
        cluster.wait_until(lambda: waits(cluster, "n1", "n2") or waits(cluster, "n2", "n1"),
                           "one has asked the other")
        run.let_pass(0.4 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(3)

"""Hosts that cannot hear each other. c1 and c2 are clients; the lab asks from c0, which is cut off
from nobody."""

from . import scenario


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

"""Replicas that take over, are asked to, or cannot."""

from . import scenario


def taken_over(run, name, timeout=20):
    run.cluster.wait_until(run.cluster[name].is_primary, f"{name} has taken over", timeout)
    run.mark(f"{name} has taken over")


def heir(run, *names, timeout=20):
    """Which of these takes over."""
    nodes = [run.cluster[name] for name in names]
    run.cluster.wait_until(lambda: any(node.is_primary() for node in nodes),
                           f"one of {', '.join(names)} has taken over", timeout)
    name = next(node.name for node in nodes if node.is_primary())
    run.mark(f"{name} has taken over")
    return name


@scenario("CLUSTER FAILOVER: n4 takes over from n1, which hands over", name="manual_failover")
@scenario("CLUSTER FAILOVER FORCE: n4 takes over without asking n1", name="forced_failover",
          how="FORCE")
@scenario("CLUSTER FAILOVER TAKEOVER: n4 takes over without asking anybody", name="takeover",
          how="TAKEOVER")
def failover(run, how=None):
    cluster = run.start()
    run.load("diary", rate=100)
    run.let_pass(2)
    cluster["n4"].ask("CLUSTER", "FAILOVER", *([how] if how else []))
    run.mark("CLUSTER FAILOVER", node="n4", how=how)
    taken_over(run, "n4")
    cluster.await_ok()
    run.let_pass(2)


def told_in_vain(run):
    """n4 is told to take over, and gives up after five seconds."""
    run.cluster["n4"].ask("CLUSTER", "FAILOVER")
    run.mark("CLUSTER FAILOVER", node="n4")
    run.let_pass(7)


@scenario("CLUSTER FAILOVER while n1 stands still: n4 gives up, then n1 pauses its writes for nobody",
          name="handover_unanswered", frozen=["n1"])
@scenario("CLUSTER FAILOVER while n2 and n3 stand still: their votes come when n4 has given up",
          name="handover_late_votes", frozen=["n2", "n3"])
def handover_to_nobody(run, frozen):
    cluster = run.start(config={"cluster-node-timeout": 15_000})
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.freeze(*frozen):
        told_in_vain(run)
    cluster.await_ok()
    run.let_pass(3)


@scenario("CLUSTER FAILOVER while n4's link is too slow for what it lacks: n1 waits, n4 gives up")
def handover_behind(run):
    cluster = run.start(config={"cluster-node-timeout": 15_000,
                                "client-output-buffer-limit": "replica 0 0 0"})
    run.load("big", rate=20, size=100_000, slot=7, keys=10)
    with run.faults.limit_link("n4", "2mbit"):
        run.let_pass(10)
        told_in_vain(run)
    cluster.await_ok(timeout=60)
    run.let_pass(2)


@scenario("n4 and n1 take over from each other: twice in agreement, then by FORCE, then by TAKEOVER")
def failovers_in_turn(run):
    """For twice the node timeout Redis does not vote for the same slots again."""
    cluster = run.start(config={"cluster-node-timeout": 1500})
    run.load("diary", rate=80)
    run.let_pass(2)
    for name, how in (("n4", []), ("n1", []), ("n4", ["FORCE"]), ("n1", ["TAKEOVER"])):
        cluster[name].ask("CLUSTER", "FAILOVER", *how)
        run.mark("CLUSTER FAILOVER", node=name, how=how)
        taken_over(run, name)
        cluster.await_ok()
        run.let_pass(2 * cluster.node_timeout + 0.5)


@scenario("two of three shards are cut off; n4 takes over there without votes; two owners, then one")
def takeover_in_partition(run):
    cluster = run.start()
    run.load("diary", host="c1", seeds=["n1"], rate=100)
    run.load("diary", host="c2", seeds=["n2"], rate=50)
    run.let_pass(2)
    island = {"n4", "n5", "c2"}
    with run.faults.partition(island, run.rest(*island)):
        run.let_pass(1)
        cluster["n4"].ask("CLUSTER", "FAILOVER", "TAKEOVER")
        run.mark("CLUSTER FAILOVER TAKEOVER", node="n4")
        taken_over(run, "n4")
        run.let_pass(4)
    cluster.await_ok()
    run.let_pass(2)


@scenario("two of three primaries die: no replica can get a majority of votes")
def no_quorum(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.kill("n1", "n2"):
        cluster.wait_until(run.all_down, "all nodes say that the cluster is down")
        run.let_pass(4 * cluster.node_timeout)
    cluster.await_ok(timeout=60)
    run.let_pass(2)


@scenario("n4's link to its primary was cut for so long that n4 may not be elected any more")
def replica_too_old(run):
    cluster = run.start(config={"cluster-replica-validity-factor": 1, "repl-timeout": 5,
                                "repl-ping-replica-period": 1})
    run.load("diary", rate=50)
    run.let_pass(1)
    block = run.faults.block_port("n1", "client")
    cluster["n4"].ask("CLIENT", "KILL", "TYPE", "master")
    run.let_pass(3 * cluster.node_timeout)
    with run.faults.kill("n1"):
        cluster.wait_until(lambda: cluster.all_say("fail", "n1"), "all say that n1 has failed")
        run.let_pass(4 * cluster.node_timeout)
        block.heal()
    cluster.await_ok(timeout=60)
    run.let_pass(2)


@scenario("two primaries are given the same configuration epoch; one of them takes a new one")
def epoch_collision(run):
    """TAKEOVER on both sides of a partition: each takes the next epoch, the same."""
    cluster = run.start(primaries=4, replicas=4)
    run.let_pass(2)
    left, right = {"n1", "n2", "n7", "n8"}, {"n3", "n4", "n5", "n6"}
    with run.faults.partition(left, right):
        run.let_pass(0.5)
        for name in ("n7", "n5"):
            cluster[name].ask("CLUSTER", "FAILOVER", "TAKEOVER")
            taken_over(run, name)
        run.let_pass(2)
    cluster.await_ok()
    run.let_pass(3)


@scenario("n4 takes over while n1 stands still, is killed, and comes back empty: n1 copies that")
def heir_comes_back_empty(run):
    """Without diskless copies Redis 6.0 leaves a file behind, and has what it held then."""
    cluster = run.start(config={"cluster-node-timeout": 2000, "repl-diskless-sync": "yes"})
    run.load("diary", rate=100)
    run.let_pass(2)
    with run.faults.freeze("n1"):
        taken_over(run, "n4")
        run.let_pass(1)
    cluster.await_ok()
    run.let_pass(2)
    run.faults.kill("n4").heal()
    run.let_pass(1)
    cluster.await_ok()
    run.let_pass(3)


@scenario("n1 is killed, then its heir: the other replica takes over; then both come again")
def heir_dies(run):
    cluster = run.start(primaries=3, replicas=6, config={"cluster-node-timeout": 2000})
    run.load("diary", rate=80)
    run.let_pass(2)
    run.faults.kill("n1")
    first = heir(run, "n4", "n7")
    cluster.await_ok()
    run.let_pass(2)
    run.faults.kill(first)
    heir(run, *{"n4", "n7"} - {first})
    run.let_pass(3)
    run.faults.start("n1", first)
    cluster.await_ok()
    run.let_pass(3)

"""Processes that stop, die, and come again."""

from . import scenario


@scenario("n1 is stopped for less than the node timeout")
def short_stall(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.freeze("n1"):
        run.let_pass(0.6 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)


@scenario("n1 is stopped until its replica has taken over, then goes on")
def long_stall(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.freeze("n1"):
        cluster.wait_until(cluster["n4"].is_primary, "n4 has taken over")
        run.mark("n4 has taken over")
        run.let_pass(1)
    cluster.await_ok()
    run.let_pass(2)


@scenario("n1 is killed, its replica takes over, n1 comes again")
def kill_primary(run):
    cluster = run.start()
    run.load("diary", rate=100)
    run.let_pass(2)
    with run.faults.kill("n1"):
        cluster.wait_until(cluster["n4"].is_primary, "n4 has taken over")
        run.mark("n4 has taken over")
        run.let_pass(2)
    cluster.await_ok()
    run.let_pass(2)


@scenario("a replica is killed, marked failed, and comes again")
def kill_replica(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.kill("n4"):
        cluster.wait_until(lambda: cluster.all_say("fail", "n4"), "all say that n4 has failed")
        run.let_pass(2)
    cluster.await_ok()
    run.let_pass(2)


@scenario("two of five primaries are killed at once; both shards fail over")
def kill_two_primaries(run):
    cluster = run.start(primaries=5, replicas=5)
    run.load("diary", rate=100)
    run.let_pass(2)
    with run.faults.kill("n1", "n2"):
        for name in ("n6", "n7"):
            cluster.wait_until(cluster[name].is_primary, f"{name} has taken over", 40)
            run.mark(f"{name} has taken over")
        run.let_pass(2)
    cluster.await_ok()
    run.let_pass(2)


@scenario("a primary and its only replica are killed; their slots have no owner until they return")
def kill_shard(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.kill("n1", "n4"):
        cluster.wait_until(run.all_down, "all nodes say that the cluster is down")
        run.let_pass(cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)


@scenario("n1 is killed and at once started again without its nodes.conf, as nobody they know")
def node_reborn(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    run.faults.kill("n1")
    run.faults.start("n1", keep_conf=False)
    run.let_pass(4 * cluster.node_timeout)


@scenario("every node is restarted, replicas first, primaries after a manual failover")
def rolling_restart(run):
    cluster = run.start()
    run.load("diary", rate=50)
    for replica in cluster.replicas:
        run.faults.restart(replica.name)
        cluster.await_ok()
    for replica in cluster.replicas:
        replica.ask("CLUSTER", "FAILOVER")
        cluster.wait_until(replica.is_primary, f"{replica.name} has taken over")
        cluster.await_ok()
        run.faults.restart(cluster.primary_of(replica).name)
        cluster.await_ok()
    run.let_pass(2)


@scenario("all processes stop at once for twice the node timeout: only clients wait")
def all_stall(run):
    cluster = run.start()
    for slot in (0, 6000, 12000):                   # one client of each; patient, so that it waits
        run.load("aware", rate=20, slot=slot, timeout=20000)
    run.let_pass(2)
    with run.faults.freeze(*(node.name for node in cluster.nodes)):
        run.let_pass(2 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)

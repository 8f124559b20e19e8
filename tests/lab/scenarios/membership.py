"""Nodes that leave and join."""

from . import scenario


@scenario("all nodes forget n6, a replica, and meet it again")
def forget_and_meet(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    leaver, others = cluster["n6"], [node for node in cluster.nodes if node.name != "n6"]
    for node in others:
        node.ask("CLUSTER", "FORGET", leaver.id)
    run.mark("n6 is forgotten")
    run.let_pass(cluster.node_timeout)
    for node in others:                 # each: for a minute they learn nothing of it by gossip
        cluster.meet(node, leaver)
    run.mark("n6 is met again")
    cluster.await_ok()
    run.let_pass(2)

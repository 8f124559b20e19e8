"""Nodes that leave and join."""

from . import scenario


# For a minute nodes keep who was forgotten off their lists. Redis 7.2 and Valkey say so to others,
# who then forget as well, also a node that was met meanwhile.

@scenario("all nodes forget n6, a replica, and meet it again after a minute", wait=61)
@scenario("n6, a replica, is met again too early: some versions forget it once more",
          name="meet_too_early", wait=3)
def forget_and_meet(run, wait):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    leaver, others = cluster["n6"], [node for node in cluster.nodes if node.name != "n6"]
    for node in others:
        node.ask("CLUSTER", "FORGET", leaver.id)
    run.mark("n6 is forgotten")
    run.let_pass(wait)
    for node in others:
        cluster.meet(node, leaver)
    run.mark("n6 is met again")
    cluster.await_ok(cluster.nodes if wait > 60 else others)
    run.let_pass(4)


@scenario("n6, a replica, is told to RESET HARD, and is met again under its new name")
def reset_hard(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    cluster["n6"].ask("CLUSTER", "RESET", "HARD")
    run.mark("CLUSTER RESET HARD", node="n6")
    cluster["n6"].await_answer()
    run.let_pass(3)
    cluster.meet(cluster["n6"], cluster["n1"])
    run.mark("n6 is met again")
    run.let_pass(8)

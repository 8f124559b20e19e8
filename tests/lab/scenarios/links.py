"""Links that lose or refuse. Some of it goes unnoticed: what the servers do about it is what they
do, so these wait for nothing until it is over."""

from . import scenario


@scenario("nothing comes in at n1's bus port; clients are served", how="drop")
@scenario("n1's bus port refuses; clients are served", name="bus_port_refused", how="refuse")
def bus_port_blocked(run, how):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.block_port("n1", how=how):
        run.let_pass(4 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)


@scenario("nothing arrives at n1, all that it sends is delivered")
def one_way_loss(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.one_way(run.rest("n1"), {"n1"}):
        run.let_pass(4 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)


@scenario("5 % of all frames between nodes are lost", name="random_loss_5", percent=5)
@scenario("15 % of all frames between nodes are lost", name="random_loss_15", percent=15)
@scenario("30 % of all frames between nodes are lost", name="random_loss_30", percent=30)
def random_loss(run, percent):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.random_loss(percent, {node.name for node in cluster.nodes}):
        run.let_pass(20)
    cluster.await_ok()
    run.let_pass(2)

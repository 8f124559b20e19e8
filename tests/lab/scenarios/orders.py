"""What an operator says to one node, and what looks like a failure to the others."""

from . import scenario


@scenario("n1 is told to stand still (DEBUG SLEEP) for longer than the others wait: n4 takes over")
def told_to_sleep(run):
    modern = run.server.family == "valkey" or run.server.version >= (7,)
    cluster = run.start(config={"enable-debug-command": "yes"} if modern else {})
    run.load("diary", rate=50)
    run.let_pass(2)
    run.faults.sleep("n1", 3 * cluster.node_timeout)
    cluster.await_ok()
    run.let_pass(2)


@scenario("n1 is told to end (SHUTDOWN), and nobody has let its replica take over before")
def told_to_end(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    with run.faults.end("n1"):
        cluster.wait_until(cluster["n4"].is_primary, "n4 has taken over")
        run.mark("n4 has taken over")
        run.let_pass(2)
    cluster.await_ok()
    run.let_pass(2)

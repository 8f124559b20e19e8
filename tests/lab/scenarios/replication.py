"""Replicas that cannot keep up."""

from . import scenario


@scenario("n4 loses its link again and again: its output buffer is small, so is the backlog")
def resync_loop(run):
    cluster = run.start(config={"client-output-buffer-limit": "replica 1mb 1mb 1",
                                "repl-backlog-size": "16kb", "repl-diskless-sync": "yes"})
    run.load("big", rate=30, size=200_000, slot=7, keys=10)
    with run.faults.limit_link("n4", "8mbit"):
        run.let_pass(15)
    cluster.await_ok(timeout=60)
    run.let_pass(2)


@scenario("n4's link is too slow for what is written, within its limits: it lags")
def lagging_replica(run):
    cluster = run.start(config={"client-output-buffer-limit": "replica 0 0 0"})
    run.load("big", rate=20, size=100_000, slot=7, keys=10)
    with run.faults.limit_link("n4", "8mbit"):
        run.let_pass(8)
    cluster.await_ok(timeout=60)
    run.let_pass(2)

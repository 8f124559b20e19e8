"""Replicas that cannot keep up."""

from . import scenario
from .migrations import filled


@scenario("n4 loses its link again and again: its output buffer is small, so is the backlog")
def resync_loop(run):
    cluster = run.start(config={"client-output-buffer-limit": "replica 1mb 1mb 1",
                                "repl-backlog-size": "16kb", "repl-diskless-sync": "yes"})
    load = run.load("big", rate=30, size=200_000, slot=7, keys=10)
    with run.faults.limit_link("n4", "8mbit"):
        run.let_pass(15)
    run.stop_load(load)                 # it could go on like this without the limit, on a slow machine
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


@scenario("n4's link takes half of what is written, without limits: it falls behind and catches up")
def replica_behind(run):
    cluster = run.start(config={"client-output-buffer-limit": "replica 0 0 0"})
    run.load("big", rate=20, size=100_000, slot=7, keys=10)
    with run.faults.limit_link("n4", "3mbit"):
        run.let_pass(14)
    cluster.await_ok(timeout=60)
    run.let_pass(6)


@scenario("n4 loses its link again and again, and stands still meanwhile; n1's backlog is too small")
def resync_cut(run):
    cluster = run.start(config={"repl-backlog-size": "16kb"})
    run.load("big", rate=40, size=50_000, slot=7, keys=10)
    for _ in range(5):
        run.let_pass(2)
        with run.faults.freeze("n4"):
            cluster["n1"].ask("CLIENT", "KILL", "TYPE", "replica")
            run.let_pass(1)
    cluster.await_ok(timeout=60)
    run.let_pass(2)


@scenario("n4 cannot keep up, within its limits; n1 is told to cut its link, four times")
def resync_killed(run):
    cluster = run.start(config={"client-output-buffer-limit": "replica 0 0 0",
                                "repl-backlog-size": "16kb"})
    run.load("big", rate=40, size=100_000, slot=7, keys=10)
    with run.faults.limit_link("n4", "8mbit"):
        for _ in range(4):
            run.let_pass(3)
            cluster["n1"].ask("CLIENT", "KILL", "TYPE", "replica")
    cluster.await_ok(timeout=60)
    run.let_pass(2)


@scenario("n4 is stopped for longer than repl-timeout, three times; then it must copy everything")
def resync_timeout(run):
    cluster = run.start(config={
        "cluster-node-timeout": 30_000, "repl-backlog-size": "16kb", "repl-timeout": 5,
        "repl-ping-replica-period": 1})
    run.load("big", rate=10, size=10_000, slot=7, keys=10)
    for _ in range(3):
        run.let_pass(2)
        with run.faults.freeze("n4"):
            run.let_pass(8)
    cluster.await_ok(timeout=60)
    run.let_pass(2)


@scenario("n4 must copy 20 MB; more is written meanwhile than n1 may keep for it: the copy breaks off")
def resync_in_copy(run):
    cluster = run.start(config={"cluster-node-timeout": 15_000, "repl-backlog-size": "16kb",
                                "client-output-buffer-limit": "replica 2mb 2mb 0",
                                "repl-diskless-sync": "no"})
    filled(run, 8, 40, 500_000, noise=1)
    load = run.load("big", rate=20, size=100_000, slot=7, keys=10, noise=1)
    run.let_pass(1)
    with run.faults.limit_link("n4", "40mbit"):
        with run.faults.freeze("n4"):
            cluster["n1"].ask("CLIENT", "KILL", "TYPE", "replica")
            run.let_pass(1)
        run.let_pass(14)
    run.stop_load(load)
    cluster.await_ok(timeout=60)
    run.let_pass(2)

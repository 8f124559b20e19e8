"""Servers that have too much to do at once, or too little room."""

import contextlib
import shutil

from lib import resp

from ..resp import Client, Error
from . import scenario

TAG = "{06S}"                           # of slot 0, which is n1's

LOOP = "local sum = 0 for i = 1, tonumber(ARGV[1]) do sum = sum + i end return sum"


@scenario("n1 is asked four times for a long script, SORT and a long LRANGE; clients have to wait")
def slow_commands(run):
    cluster = run.start()
    run.load("aware", rate=300, connections=4)
    n1, list_ = cluster["n1"], TAG + "list"
    n1.pipeline(*(("RPUSH", list_, *range(i, i + 1000)) for i in range(0, 200_000, 1000)))
    run.let_pass(2)
    for _ in range(4):
        n1.ask("EVAL", LOOP, 1, list_, 30_000_000)
        run.mark("a long script", node="n1")
        run.let_pass(1)
        n1.ask("SORT", list_, "ALPHA", "LIMIT", 0, 1)
        run.mark("SORT", node="n1")
        run.let_pass(1)
        n1.ask("LRANGE", list_, 0, -1)
        run.let_pass(1)


@scenario("n1 may have 4 MB more than it has, and is sent 6 MB: it refuses writes")
def out_of_memory(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    n1 = cluster["n1"]
    limit = int(n1.info("memory")["used_memory"]) + 4_000_000
    n1.ask("CONFIG", "SET", "maxmemory", limit)
    sets = [("SET", f"{TAG}{i}", "x" * 10_000) for i in range(600)]
    refused = sum(isinstance(reply, Error) for reply in n1.pipeline(*sets))
    run.mark("writes were refused", node="n1", refused=refused)
    run.let_pass(3)
    n1.ask("CONFIG", "SET", "maxmemory", 0)
    run.let_pass(2)


def callers(run, name, node, count, *words):
    """So many connections of a client host, which have asked once each; they stay open."""
    host, clients = run.client(name), []
    for _ in range(count):
        client = Client(run.net.connect(host, node.ip, node.port, timeout=5))
        with contextlib.suppress(OSError, EOFError):                # it may be turned away
            client.pipeline(words)
        clients.append(client)
    return clients


@scenario("a script in n1 does not end: others are told BUSY, until SCRIPT KILL, three times")
def long_script(run):
    cluster = run.start()
    run.load("aware", rate=300, connections=6)
    n1 = cluster["n1"]
    n1.ask("CONFIG", "SET", "lua-time-limit", 300)
    run.let_pass(2)
    with callers(run, "batch", n1, 1, "PING")[0] as batch:
        for _ in range(3):
            batch.socket.sendall(resp.command("EVAL", "while true do end", 1, TAG))
            run.mark("a script runs", node="n1")
            run.let_pass(2)
            n1.ask("SCRIPT", "KILL")
            run.let_pass(2)


@scenario("n2 may have 40 connections, and is asked for a hundred, again and again")
def too_many_clients(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    n2 = cluster["n2"]
    n2.ask("CONFIG", "SET", "maxclients", 40)
    for _ in range(8):
        for client in callers(run, "web", n2, 100, "PING"):
            client.__exit__()
        run.let_pass(0.5)
    n2.ask("CONFIG", "SET", "maxclients", 10000)
    run.let_pass(2)


@scenario("n2 wants a password all of a sudden: some clients have none, others a wrong one")
def wrong_password(run):
    cluster = run.start()
    run.load("diary", rate=50)
    run.let_pass(2)
    n2 = cluster["n2"]
    n2.ask("CONFIG", "SET", "requirepass", "secret")
    clients = callers(run, "web", n2, 5, "PING")
    for _ in range(60):
        for number, client in enumerate(clients):
            client.pipeline(("GET", "a") if number < 3 else ("AUTH", "wrong"))
        run.let_pass(0.1)
    n2.ask("CONFIG", "SET", "requirepass", "")
    run.let_pass(2)


@scenario("n1 cannot write its RDB file: it refuses writes, until it can again")
def cannot_save(run):
    cluster = run.start()
    run.load("aware", rate=200)
    run.let_pass(2)
    n1, in_the_way = cluster["n1"], cluster["n1"].folder / "dump.rdb"
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    (in_the_way / "file").write_text("so that nothing takes its place")
    n1.ask("CONFIG", "SET", "save", "1 1")
    run.let_pass(12)
    shutil.rmtree(in_the_way)
    n1.ask("CONFIG", "SET", "save", "")
    n1.ask("BGSAVE")
    run.let_pass(3)


@scenario("clients read at n4, a replica, and do not say READONLY")
def reads_at_replica(run):
    cluster = run.start()
    run.load("aware", rate=100)
    clients = callers(run, "web", cluster["n4"], 5, "PING")
    for _ in range(80):
        for client in clients:
            client.pipeline(("GET", TAG))
        run.let_pass(0.1)

"""big-key: one key that held its server up when it was moved or served."""

from lib import findings, resp
from lib.busy import Server

BIG = 3_000_000


def found_in(server, store, *args):
    return findings.of(store(server.traffic(1).pcap()), *args)


def migrate(server, size, seconds, to=("10.0.0.2", 6379)):
    """The first client has p1 move a key to p2, which takes so long."""
    target = server.play.capture.conversation((server.node.ip, 41000), to, mss=60000).open()
    server.ask(0, "MIGRATE 10.0.0.2 6379 big{a} 0 5000")
    target.send("client", resp.command("RESTORE-ASKING", "big{a}", "0", "x" * size))
    server.wait(seconds)
    target.send("server", resp.OK)
    server.answer(0, resp.OK)
    return server


def test_fires_on_a_key_that_is_moved(store):
    server = migrate(Server().traffic(2), BIG, 0.4)
    found = findings.all_of(found_in(server, store, "--keys", "full"), "big-key")
    source = {f.metrics["command"]: f for f in found}["migrate"]
    assert source.metrics["server"] == f"{server.node.ip}:6379" and not source.nodes
    assert BIG <= source.metrics["bytes"] <= BIG + 100
    assert 400 <= source.metrics["blocked_ms"] <= 600 and source.severity == "notice"
    assert source.metrics["key"] == "big{a}" and source.metrics["slot"] == resp.slot("a")
    target = {f.metrics["command"]: f for f in found}["restore-asking"]
    assert target.metrics["server"] == "10.0.0.2:6379"


def test_fires_on_a_key_that_is_served(store):
    server = Server().traffic(2).carry_out("LRANGE list 0 -1", 0.3, resp.bulk("x" * BIG))
    found = findings.only(found_in(server, store), "big-key")
    assert found.metrics["command"] == "lrange" and found.metrics["bytes"] >= BIG
    assert 300 <= found.metrics["blocked_ms"] <= 400
    assert "key" not in found.metrics and any("request" in line for line in found.caveats)


def test_fires_louder_if_it_takes_a_second(store):
    server = migrate(Server().traffic(2), BIG, 1.4)
    found = findings.all_of(found_in(server, store), "big-key")
    assert {f.severity for f in found} == {"warning"}
    assert {n for f in found for n in f.nodes} >= {server.node.id}


def test_the_key_is_named_only_if_it_may_be(store):
    path = store(migrate(Server().traffic(2), BIG, 0.4).pcap())
    for found in findings.all_of(findings.of(path), "big-key"):
        assert found.metrics["key"] is None and found.metrics["slot"] == resp.slot("a")


def test_near_miss_big_but_quick(store):
    server = migrate(Server().traffic(2), BIG, 0.02)
    server.quick(0, "GET doc", "x" * BIG)
    findings.none(found_in(server, store), "big-key")


def test_near_miss_a_small_key_that_takes_long(store):
    server = migrate(Server().traffic(2), 20_000, 0.4)
    findings.none(found_in(server, store), "big-key")


def test_near_miss_a_big_reply_of_no_key(store):
    server = Server().traffic(2).carry_out("CLUSTER SLOTS", 0.3, resp.bulk("x" * BIG))
    findings.none(found_in(server, store), "big-key")


def test_near_miss_others_were_served_meanwhile(store):
    """A big value on its way to a slow client holds nobody up."""
    server = Server().traffic(2)
    server.ask(0, "GET doc")
    server.traffic(1)
    server.answer(0, "x" * BIG)
    findings.none(found_in(server, store), "big-key")

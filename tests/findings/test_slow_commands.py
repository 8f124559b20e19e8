"""slow-commands: those that held their server up, and not those that had to wait."""

import pytest

from lib import findings, resp
from lib.busy import Server


def slow(server, store):
    return findings.of(store(server.traffic(1).pcap()))


def test_fires_on_keys(store):
    server = Server().traffic(3)
    for _ in range(4):
        server.carry_out("KEYS *", 0.4).traffic(1)
    found = findings.only(slow(server, store), "slow-commands")
    assert found.severity == "notice" and found.confidence == "certain"
    assert found.metrics["command"] == "keys" and found.metrics["count"] == 4
    assert found.metrics["server"] == f"{server.node.ip}:6379"
    assert 400_000 <= found.metrics["max_us"] <= 450_000 and found.metrics["p99_us"] >= 400_000
    assert 1600 <= found.metrics["busy_ms"] <= 1800 and found.metrics["usual_us"] < 5000
    assert found.subjects["clients"] == ["10.0.9.1:5000"]
    assert any("SCAN" in line for line in found.advice)


def test_fires_on_a_single_long_call(store):
    server = Server().traffic(3).carry_out("EVAL script 0", 1.5)
    found = findings.only(slow(server, store), "slow-commands")
    assert f"eval held {server.node.ip}:6379 up once, for 1.5 s" == found.title
    assert found.severity == "warning" and found.confidence == "likely"
    assert found.metrics["command"] == "eval" and found.nodes == [server.node.id]
    assert found.span[1] - found.span[0] == pytest.approx(1.5, abs=0.1)


def test_fires_and_is_the_cause_of_the_stall(store):
    """Others see on the bus that the process says nothing; this is why."""
    server = Server().traffic(3)
    server.play.stall("p1")
    server.carry_out("KEYS *", 3)
    server.play.wake("p1")
    found = slow(server, store)
    cause = findings.only(found, "slow-commands")
    stall = findings.only(found, "process-stall")
    assert cause.nodes == [server.node.id] == stall.nodes
    assert stall.caused_by == cause.id and stall.metrics["last_command"] == "keys"


def paused(store, told="CLIENT PAUSE 2000", after=0.1):
    """Two clients wait for two seconds, the first one for a command that may take long by itself."""
    server = Server().traffic(3)
    server.quick(0, told, resp.OK)
    server.wait(after)
    server.ask(1, "LRANGE list 0 -1")
    server.wait(0.5)
    server.ask(2, "GET a")
    server.wait(1.4)
    server.answer(1)
    server.answer(2)
    return findings.only(slow(server, store), "slow-commands")


def test_fires_for_a_server_that_is_told_to_let_clients_wait(store):
    found = paused(store)
    assert (found.verdict, found.severity) == ("administrative", "warning")
    assert "let 2 requests wait for up to 1.9 s" in found.title
    assert found.metrics["command"] == "client|pause" and found.metrics["count"] == 2
    assert found.subjects["clients"] == ["10.0.9.1:5000"]
    assert found.span[1] - found.span[0] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("how", [{"told": "CLIENT NO-EVICT on"}, {"after": 1.5}],
                         ids=["something else", "long before"])
def test_near_miss_a_command_that_is_slow_by_itself(store, how):
    found = paused(store, **how)
    assert found.metrics["command"] == "lrange" and found.verdict == "slow-command"


def test_fires_on_a_command_that_is_slow_now_and_then(store):
    """One EVALSHA in ten: the argument decides. Nothing else begins a silence that often."""
    server = Server().traffic(2)
    for number in range(40):
        if number % 10 == 9:
            server.carry_out("EVALSHA 1 0", 0.2)
        server.quick(0, "EVALSHA 2 0")
        server.traffic(0.2)
    found = findings.only(slow(server, store), "slow-commands")
    assert found.metrics["command"] == "evalsha" and found.metrics["count"] == 4


def test_fires_though_others_were_asked_just_before(store):
    """Their replies leave with that of KEYS: what was carried out in one go is written together."""
    server = Server().traffic(3)
    for _ in range(3):
        server.carry_out("KEYS *", 0.3, before=[(1, "GET b"), (2, "GET c")]).traffic(1)
    found = findings.only(slow(server, store), "slow-commands")
    assert found.metrics["command"] == "keys" and found.metrics["count"] == 3


def test_fires_though_its_reply_is_long_on_its_way(store):
    """Others are answered before its last byte is sent; its first one ended the silence."""
    server = Server().traffic(3)
    for _ in range(4):
        server.carry_out_big("KEYS *", 0.4).traffic(1)
    found = findings.only(slow(server, store), "slow-commands")
    assert found.metrics["command"] == "keys" and found.metrics["count"] == 4
    assert 1600 <= found.metrics["busy_ms"] <= 1700


def test_near_miss_a_quick_command_with_a_reply_that_is_long_on_its_way(store):
    server = Server().traffic(3)
    for _ in range(4):
        server.carry_out_big("KEYS *", 0.01, sending=0.4).traffic(1)
    findings.none(slow(server, store), "slow-commands")


def test_fires_for_a_script_while_which_others_are_told_busy(store):
    """It is no silence, but the server says itself what it is."""
    server = Server().traffic(3)
    server.script("EVAL loop 0", 2.5).traffic(3)
    found = slow(server, store)
    script = findings.only(found, "slow-commands")
    assert (script.metrics["command"], script.metrics["count"]) == ("eval", 1)
    assert script.confidence == "certain" and script.severity == "warning"
    assert 2500 <= script.metrics["busy_ms"] <= 2600
    burst = findings.only(found, "error-burst")
    assert burst.verdict == "BUSY" and "It was eval" in burst.explanation
    assert "10.0.9.1:5000" in burst.explanation


def test_near_miss_who_is_told_busy_is_not_slow(store):
    server = Server().traffic(3)
    for _ in range(3):
        server.script("EVAL loop 0", 1).traffic(2)
    assert findings.only(slow(server, store), "slow-commands").metrics["command"] == "eval"


def test_fires_at_the_threshold_that_was_set(store):
    server = Server().traffic(3).carry_out("KEYS *", 0.03).traffic(1).carry_out("KEYS *", 0.03)
    path = store(server.traffic(1).pcap())
    findings.none(findings.of(path), "slow-commands")
    findings.only(findings.of(path, "--set", "slow-commands-ms=20"), "slow-commands")


def test_near_miss_a_process_that_stands_still(store):
    """Whoever asks first waits longest; that is nobody's fault who is quick otherwise."""
    server = Server().traffic(3)
    for _ in range(5):
        server.stand_still(0.6).traffic(1)
    findings.none(slow(server, store), "slow-commands")


def test_near_miss_a_long_stall_is_the_stalls_to_tell(store):
    server = Server()
    server.traffic(3)
    server.play.stall("p1")
    server.stand_still(3)
    server.play.wake("p1")
    found = slow(server, store)
    findings.only(found, "process-stall")
    findings.none(found, "slow-commands")


def test_near_miss_a_rare_quick_command_in_a_stall(store):
    """INFO is asked once, and is the first to wait: it cannot take that long."""
    server = Server().traffic(3).carry_out("INFO", 0.6)
    findings.none(slow(server, store), "slow-commands")


def test_near_miss_who_asks_while_others_work(store):
    """The only SMEMBERS waits behind KEYS, for most of its time."""
    server = Server().traffic(3)
    server.ask(0, "KEYS *")
    server.wait(0.1)
    server.ask(1, "SMEMBERS s")
    server.wait(0.4)
    server.answer(0)
    server.answer(1)
    found = findings.only(slow(server, store), "slow-commands")
    assert found.metrics["command"] == "keys"


def test_near_miss_what_may_wait_for_others(store):
    server = Server().traffic(3)
    for _ in range(4):
        server.carry_out("BLPOP list 1", 0.5)
    findings.none(slow(server, store), "slow-commands")


def test_near_miss_one_client_whose_replies_are_late(store):
    """Its path lost them; the server answered others meanwhile."""
    server = Server().traffic(3)
    for _ in range(4):
        server.ask(0, "KEYS *")
        server.traffic(0.6)
        server.answer(0)
    findings.none(slow(server, store), "slow-commands")


def test_near_miss_a_server_that_is_far_away(store):
    """Every reply takes 80 ms: that is how long its way is."""
    server = Server(clients=2)
    for number in range(60):
        server.ask(0, "KEYS *" if number % 2 else "GET a")
        server.wait(0.08)
        server.answer(0)
    findings.none(slow(server, store), "slow-commands")


def test_the_commands_of_a_server_are_bounded(store):
    """24 of them are looked at; of further ones the finding says how often they were slow."""
    further = ("LRANGE a 0 9", "SMEMBERS a", "HGETALL a", "HKEYS a", "HVALS a", "ZRANGE a 0 9", "SORT a",
               "SINTER a", "SUNION a", "SDIFF a", "ZCOUNT a 0 1", "LINDEX a 5", "LPOS a x", "HSCAN a 0",
               "SSCAN a 0", "ZSCAN a 0", "SCAN 0", "STRLEN a", "BITCOUNT a", "BITPOS a 1", "DUMP a",
               "GETRANGE a 0 9", "TYPE a", "TTL a", "EXISTS a", "LLEN a")
    server = Server().traffic(3)
    for _ in range(4):
        server.carry_out("KEYS *", 0.4).traffic(1)
    for request in further:
        server.carry_out(request, 0.06)
    path = store(server.traffic(1).pcap())
    found = findings.only(findings.of(path, "--set", "slow-commands-ms=100"), "slow-commands")
    assert found.metrics["command"] == "keys"
    assert f"{len(further) - 23} silences of further commands are not looked at" in found.caveats

"""redirect-storm: clients that are told again what they were told, and why; not those that learn."""

import pytest

from lib import bustap, captures, findings
from lib.redirected import Redirected

STALE = captures.take("stale_clients-redis-7.0.15")
CALM = [captures.take(run) for run in
        ("reshard-redis-7.0.15", "manual_failover-redis-7.0.15", "kill_primary-redis-8.0.2",
         "slot_left_open-redis-7.0.15", "every_client-valkey-8.1.1")]


def test_fires_for_clients_that_never_learn():
    """Twenty of them; the servers counted as many MOVED."""
    found = findings.only(findings.of(STALE.path), "redirect-storm")
    servers = bustap.analyze(STALE.path)["clients"]["servers"]
    assert found.severity == "warning" and found.metrics["cause"] == "stale-clients"
    assert found.metrics["moved"] == sum(s["errors"].get("MOVED", 0) for s in servers) > 500
    assert found.metrics["clients"] == 20
    assert found.metrics["servers"] == ["10.77.0.11:6379"]
    assert found.end is None, "it went on until the capture ended"
    assert found.advice


@pytest.mark.parametrize("take", CALM, ids=lambda take: take.run)
def test_near_miss_of_real_clusters(take):
    findings.none(findings.of(take.path), "redirect-storm")


def again(redirect, rounds=300):
    """Some connection does this to its server, again and again, 50 times a second."""
    play = Redirected()
    client = play.client("10.1.0.1")
    for _ in range(rounds):
        redirect(client)
        play.wait(0.015)
    return play


CAUSES = {
    "stale-clients": lambda c: c.moved("a", 17, "b"),
    "self-redirect": lambda c: c.moved("a", 17, "a"),
    "unreachable-target": lambda c: c.moved("a", 17, "?:6379"),
    "disagreement": lambda c: (c.moved("a", 17, "b"), c.moved("b", 17, "c")),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_fires_with_its_cause(store, cause):
    found = findings.only(findings.of(store(again(CAUSES[cause]).pcap())), "redirect-storm")
    assert found.metrics["cause"] == found.verdict == cause and found.severity == "warning"
    assert found.metrics["slots"] == "17" and found.metrics["clients"] >= 1


def test_fires_softly_for_a_slot_that_is_open_for_long(store):
    """ASK is right there, and clients must not learn from it: for ten seconds no word of it."""
    play = again(lambda c: (c.asked("a", 17, "b"), c.served("b", 17)), rounds=1000)
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert found.metrics["cause"] == "migration" and found.severity == "notice"
    short = again(lambda c: (c.asked("a", 17, "b"), c.served("b", 17)), rounds=300)
    findings.none(findings.of(store(short.pcap())), "redirect-storm")


def test_near_miss_many_clients_that_learn_at_once(store):
    """A thousand redirects in ten seconds, each of them news."""
    play = Redirected()
    for number in range(100):
        client = play.client(f"10.1.0.{number}")
        for slot in range(10):
            client.moved("a", slot, "b")
            client.served("b", slot)
        play.wait(0.05)
    findings.none(findings.of(store(play.pcap())), "redirect-storm")


def test_near_miss_a_slot_that_moves_on(store):
    """The same connection and slot, but each time another server: news again."""
    play = Redirected()
    client = play.client("10.1.0.1")
    for number in range(200):
        client.moved("a", 17, "bc"[number % 2])
        play.wait(0.02)
    findings.none(findings.of(store(play.pcap())), "redirect-storm")


def test_near_miss_below_the_threshold(store):
    path = store(again(lambda c: (c.moved("a", 17, "b"), [c.served("b", 17)] * 1)).pcap())
    findings.only(findings.of(path), "redirect-storm")
    findings.none(findings.of(path, "--set", "redirect-storm-per-s=1000"), "redirect-storm")


def test_the_table_is_bounded(store):
    """Beyond CAP_REDIRECTS nothing is kept apart: less is found, and what is found says so."""
    play = Redirected()
    for host in range(5):
        client = play.client(f"10.1.0.{host}")
        for slot in range(16384):
            client.ask("a", b"-MOVED %d 10.0.0.2:6379\r\n" % slot)
    late = play.client("10.2.0.1")
    for _ in range(300):
        late.moved("a", 1, "a")
    found = findings.only(findings.of(store(play.pcap())), "redirect-storm")
    assert any("more clients and slots than are kept" in c for c in found.caveats)

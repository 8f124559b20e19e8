"""redirect-loop: a request that goes from server to server and back; not one that arrives."""

from lib import captures, findings
from lib.redirected import Redirected

IGNORED = captures.take("ask_ignored-valkey-8.1.1")


def test_fires_for_a_client_that_ignores_ask():
    found = findings.only(findings.of(IGNORED.path), "redirect-loop")
    assert found.severity == "warning" and found.verdict == "ask-ignored"
    assert found.metrics["slot"] == 7
    assert set(found.metrics["chain"]) == {"10.77.0.11:6379", "10.77.0.12:6379"}
    assert found.metrics["client"].startswith("10.77.2.")
    assert any("ASKING" in line for line in found.advice)


def test_fires_for_servers_that_name_each_other(store):
    play = Redirected()
    client = play.client("10.1.0.1")
    for _ in range(3):
        client.moved("a", 17, "b")
        client.moved("b", 17, "c")
        client.moved("c", 17, "a")
    found = findings.only(findings.of(store(play.pcap())), "redirect-loop")
    assert found.verdict == "disagreement" and found.metrics["hops"] == 9
    assert found.metrics["chain"][:4] == [f"10.0.0.{n}:6379" for n in (1, 2, 3, 1)]


def test_near_miss_once_back_and_forth(store):
    """A handover: for some milliseconds each names the other one."""
    play = Redirected()
    client = play.client("10.1.0.1")
    client.moved("a", 17, "b")
    client.moved("b", 17, "a")
    client.moved("a", 17, "b")
    client.served("b", 17)
    findings.none(findings.of(store(play.pcap())), "redirect-loop")


def test_near_miss_the_same_hop_again_and_again(store):
    """Followed and served each time: stale, but no loop."""
    play = Redirected()
    client = play.client("10.1.0.1")
    for _ in range(100):
        client.moved("a", 17, "b")
        client.served("b", 17)
    findings.none(findings.of(store(play.pcap())), "redirect-loop")

"""redirect-loop: a request that goes from server to server and back; not one that arrives."""

from lib import captures, findings, resp
from lib.crowd import Crowd, ask, moved, quiet_scene
from lib.redirected import Redirected

IGNORED = captures.take("ask_ignored-valkey-8.1.1")
P1, P2 = "10.0.0.1:6379", "10.0.0.2:6379"


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


def round_trips(play, count, steps, said=()):
    """One client with a connection to each server; each request goes the way of `steps`."""
    crowds = {}
    for i, (server, _) in enumerate(steps):
        crowds.setdefault(server, Crowd(play, server, 1, said, port=40000 + 100 * i))
    for _ in range(count):
        for server, answer in steps:
            crowds[server].asks(0.1, answer)


def loop(store, play, *args):
    return findings.only(findings.of(store(play.pcap()), *args), "redirect-loop")


def test_fires_on_ask_without_asking(store):
    play = quiet_scene()
    round_trips(play, 4, (("p1", ask(7, P2)), ("p2", moved(7, P1))), ["CLIENT SETNAME web"])
    found = loop(store, play, "--keys", "full")
    assert (found.severity, found.verdict) == ("warning", "ask-ignored")
    assert found.metrics["chain"] == 4 * [P1, P2] and found.metrics["hops"] == 8
    assert found.metrics["slot"] == 7 and found.subjects["slots"] == "7"
    assert found.metrics["client"] == "10.9.0.1:40000" and found.metrics["client_name"] == "web"
    assert any("ASKING" in advice for advice in found.advice)


def test_fires_on_a_target_that_does_not_import(store):
    """The client does all that it should: it is the target that has forgotten the slot."""
    play = quiet_scene()
    source, target = Crowd(play, "p1", 1), Crowd(play, "p2", 1, port=40100)
    for _ in range(4):
        source.asks(0.1, ask(7, P2))
        target.talks[0].trade("ASKING", resp.OK)
        target.asks(0.1, moved(7, P1))
    found = loop(store, play)
    assert found.verdict == "not-importing" and found.metrics["hops"] == 8
    assert not any("a client that sends ASKING" in advice for advice in found.advice)


def test_fires_on_a_server_that_sends_to_itself(store):
    play = quiet_scene()
    round_trips(play, 8, (("p1", moved(7, P1)),))
    assert loop(store, play).verdict == "self-redirect"


def test_near_miss_one_hop_less(store):
    play = quiet_scene()
    round_trips(play, 2, (("p1", moved(7, P2)), ("p2", moved(7, P1))))
    Crowd(play, "p1", 1, port=45000).asks(0.1, moved(7, P2))         # the fifth
    path = store(play.pcap())
    findings.none(findings.of(path), "redirect-loop")
    assert loop(store, play, "--set", "redirect-loop-hops=5").metrics["hops"] == 5


def test_near_miss_requests_that_are_served_after_one_redirect(store):
    play = quiet_scene()
    round_trips(play, 20, (("p1", ask(7, P2)), ("p2", resp.bulk("v"))))
    findings.none(findings.of(store(play.pcap())), "redirect-loop")


def test_near_miss_two_that_disagree_in_the_course_of_a_minute(store):
    """A client that is sent back seconds later, when the servers have changed their minds."""
    play = quiet_scene()
    for _ in range(5):
        round_trips(play, 1, (("p1", moved(7, P2)),))
        play.run(2)
        round_trips(play, 1, (("p2", moved(7, P1)),))
        play.run(2)
    findings.none(findings.of(store(play.pcap())), "redirect-loop")

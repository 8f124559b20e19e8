"""connection-storm: connections that come and go, or are refused; not those that stay."""

import pytest

from lib import captures, crowd, findings, resp, wire
from lib.crowd import Crowd, quiet_scene


def storm(store, play, *args):
    return findings.only(findings.of(store(play.pcap()), *args), "connection-storm")


def comes_and_goes(play, each, seconds, stays=False):
    """`each` connections every tenth of a second, which ask once and go."""
    clients = Crowd(play, "p1", 0)
    clients.talks = [clients.connect()]
    clients.talks[0].trade("PING", resp.PONG)                       # so the server is known
    for _ in range(10 * seconds):
        play.run(0.1)
        for talk in [clients.connect() for _ in range(each)]:
            talk.trade("GET k", resp.bulk("v"))
            if not stays:
                talk.close()


def refused(play, each, seconds):
    port = iter(range(20000, 65000))
    for _ in range(10 * seconds):
        play.run(0.1)
        for _ in range(each):
            link = play.capture.conversation((crowd.HOST, next(port)), (play.nodes["p1"].ip, 6379))
            link.segment("client", flags=wire.SYN)
            link.segment("server", flags=wire.RST | wire.ACK, seq=0)


def test_fires_on_a_connection_for_each_request(store):
    play = quiet_scene()
    comes_and_goes(play, 11, 7)
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("warning", "short-lived")
    assert found.metrics["server"] == "10.0.0.1:6379" and 105 <= found.metrics["per_s"] <= 111
    assert (found.metrics["opened"], found.metrics["brief"]) == (771, 770)
    assert found.metrics["refused"] == 0 and "771 connections of 10.9.0.1" in found.explanation
    assert found.nodes == [play.nodes["p1"].id]


def test_fires_from_where_the_storm_began(store):
    """Somebody connects now and then: that is no storm yet."""
    play = quiet_scene()
    for _ in range(10):
        comes_and_goes(play, 1, 1)
        play.run(3)
    began = play.capture.now / 1e9
    comes_and_goes(play, 11, 7)
    assert abs(storm(store, play).span[0] - began) < 1.1


def test_fires_on_a_dead_server_that_is_tried_without_a_pause(store):
    play = quiet_scene()
    refused(play, 12, 6)
    found = storm(store, play)
    assert found.verdict == "refused" and found.metrics["refused"] == 720
    assert any("wait between" in line for line in found.advice)


def test_near_miss_a_fleet_that_starts_and_stays(store):
    play = quiet_scene()
    comes_and_goes(play, 11, 7, stays=True)
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "connection-storm")


def test_near_miss_just_below_the_threshold(store):
    play = quiet_scene()
    comes_and_goes(play, 9, 8)
    path = store(play.pcap())
    findings.none(findings.of(path), "connection-storm")
    findings.only(findings.of(path, "--set", "connection-storm-per-s=80"), "connection-storm")


def test_near_miss_where_nobody_is_known_to_serve(store):
    """Somebody scans a host that is no node and answers nobody."""
    play = quiet_scene()
    play.nodes["p1"].ip, known = "10.66.0.1", play.nodes["p1"].ip
    refused(play, 12, 6)
    play.nodes["p1"].ip = known
    findings.none(findings.of(store(play.pcap())), "connection-storm")


@pytest.mark.parametrize("take", captures.CALM, ids=lambda take: take.name)
def test_near_miss_healthy_runs_and_reshards(take):
    findings.none(findings.of(take.path), "connection-storm")

"""refresh-storm: clients that ask for the topology all the time; not those that ask once."""

import pytest

from lib import captures, findings, resp
from lib.crowd import Crowd, moved, quiet_scene

SLOTS = resp.array(resp.array(0, 16383, resp.array("10.0.0.1", 6379, "a" * 40)))
DOWN = resp.error("CLUSTERDOWN The cluster is down")


def storm(store, play, *args):
    return findings.only(findings.of(store(play.pcap()), *args), "refresh-storm")


@pytest.mark.parametrize("what", ("CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES"))
def test_fires_on_clients_that_ask_all_the_time(store, what):
    play = quiet_scene()
    Crowd(play, "p1", 6, ["CLIENT SETNAME web"]).asks(8, SLOTS, what)
    found = storm(store, play)
    assert (found.severity, found.verdict) == ("warning", "too-often")
    assert found.metrics["server"] == "10.0.0.1:6379" and found.metrics["clients"] == 6
    assert found.metrics["count"] == 480 and 55 <= found.metrics["per_s"] <= 60
    assert found.metrics["bytes"] == 480 * len(SLOTS)
    assert "6 connections of 10.9.0.1" in found.explanation


def test_fires_on_one_request_for_each_new_connection(store):
    play = quiet_scene()
    Crowd(play, "p1", 6).asks(13, SLOTS, "CLUSTER SLOTS", renew=True)
    found = storm(store, play)
    assert found.verdict == "each-connection" and found.metrics["clients"] == 6 * 130


def test_fires_on_clients_that_ask_on_each_redirect(store):
    play = quiet_scene()
    crowd = Crowd(play, "p1", 8)
    for i in range(80):
        crowd.asks(0.1, moved(i, "10.0.0.2:6379"))
        crowd.asks(0.1, SLOTS, "CLUSTER SLOTS")
    found = storm(store, play, "--set", "refresh-storm-per-s=30")
    assert found.verdict == "each-redirect"


def test_fires_after_an_outage(store):
    play = quiet_scene()
    crowd = Crowd(play, "p1", 6)
    crowd.asks(1, DOWN)
    crowd.asks(8, SLOTS, "CLUSTER SLOTS")
    assert storm(store, play).verdict == "after-outage"


def test_near_miss_a_thousand_clients_that_ask_once(store):
    """As after a failover: many at once, and then no more."""
    play = quiet_scene()
    for i in range(10):
        for talk in Crowd(play, "p1", 100, port=20000 + 1000 * i).talks:
            talk.trade("CLUSTER SLOTS", SLOTS)
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "refresh-storm")


def test_near_miss_just_below_the_threshold(store):
    play = quiet_scene()
    Crowd(play, "p1", 4).asks(12, SLOTS, "CLUSTER SLOTS")            # forty a second
    path = store(play.pcap())
    findings.none(findings.of(path), "refresh-storm")
    findings.only(findings.of(path, "--set", "refresh-storm-per-s=35"), "refresh-storm")


def test_near_miss_what_is_not_about_slots(store):
    play = quiet_scene()
    Crowd(play, "p1", 10).asks(8, resp.bulk("cluster_state:ok"), "CLUSTER INFO")
    findings.none(findings.of(store(play.pcap())), "refresh-storm")


@pytest.mark.parametrize("take", captures.CALM, ids=lambda take: take.name)
def test_near_miss_healthy_runs_and_reshards(take):
    findings.none(findings.of(take.path), "refresh-storm")

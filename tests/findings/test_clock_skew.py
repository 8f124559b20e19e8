"""clock-skew: a node's gossip tells times that the other nodes' clocks do not know."""

import pytest

from lib import findings, scene


@pytest.mark.parametrize("ahead", (-40, 12))
def test_fires_on_a_clock_that_is_off(store, ahead):
    play = scene.Scene()
    play.clocks["p2"] = ahead
    play.run(6)
    found = findings.only(findings.of(store(play.pcap())), "clock-skew")
    assert found.nodes == [play.nodes["p2"].id] == [found.metrics["node"]]
    assert abs(found.metrics["skew_s"] - ahead) < 2


def test_near_miss_a_few_seconds(store):
    play = scene.Scene()
    play.clocks["p2"] = 3
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "clock-skew")


def test_near_miss_the_captures_own_clock(store):
    """All nodes agree with each other: it is the capturing host that is off."""
    play = scene.Scene()
    play.clocks.update(dict.fromkeys(play.nodes, 3600))
    play.run(6)
    findings.none(findings.of(store(play.pcap())), "clock-skew")

"""epoch-collision: two primaries keep one configuration epoch; not: a cluster that is created."""

import pytest

from lib import captures, findings, scene


def test_fires_on_two_primaries_that_do_not_hear_each_other(store):
    play = scene.Scene()
    play.run(3)
    play.split("p1 r1", "p2 p3 r2 r3")
    play.set("p1", config_epoch=3, current_epoch=3)
    play.run(8)
    found = findings.only(findings.of(store(play.pcap())), "epoch-collision")
    assert found.metrics == {"nodes": [play.nodes["p1"].id, play.nodes["p3"].id], "epoch": 3}
    assert found.severity == "warning" and found.end is None


def test_fires_critically_if_they_claim_the_same_slots(store):
    play = scene.Scene()
    play.run(3)
    play.set("p1", config_epoch=2)
    play.set("p2", slots=play.nodes["p1"].fields["slots"])
    play.run(7)
    found = findings.only(findings.of(store(play.pcap())), "epoch-collision")
    assert found.severity == "critical"


def test_fires_when_it_was_so_from_the_beginning(store):
    play = scene.Scene()
    play.set("p1", config_epoch=2)
    play.run(7)
    findings.only(findings.of(store(play.pcap())), "epoch-collision")


def test_near_miss_one_that_is_resolved(store):
    play = scene.Scene()
    play.run(3)
    play.set("p1", config_epoch=3)
    play.run(1)
    play.set("p1", config_epoch=4, current_epoch=4)
    play.run(7)
    findings.none(findings.of(store(play.pcap())), "epoch-collision")


def test_near_miss_a_cluster_that_is_created(store):
    """All have epoch 0 until redis-cli gives them one each."""
    play = scene.Scene()
    for name in play.nodes:
        play.set(name, config_epoch=0, current_epoch=0)
    play.run(7)
    for number, name in enumerate(play.nodes, 1):
        play.set(name, config_epoch=min(number, 4), current_epoch=4)
    play.run(2)
    findings.none(findings.of(store(play.pcap())), "epoch-collision")


def test_near_miss_a_replica_that_repeats_its_primary_s_epoch(store):
    play = scene.Scene(replicas=2)
    play.run(10)
    findings.none(findings.of(store(play.pcap())), "epoch-collision")


@pytest.mark.parametrize("take", captures.CALM, ids=lambda take: take.name)
def test_near_miss_real_runs(take):
    findings.none(findings.of(take.path), "epoch-collision")

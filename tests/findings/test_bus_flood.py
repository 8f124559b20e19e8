"""bus-flood: a node that sends more bus messages a second than operators let pass."""

from lib import captures, findings, scene, wire

RESHARDED = captures.take("stale_clients-redis-7.0.15")


def publishing(rate, seconds):
    """p1 publishes `rate` messages a second on one link, beside the heartbeats of three nodes."""
    return sending(rate, seconds, lambda node: wire.publish(node, b"news", b"x" * 20))


def sending(rate, seconds, what):
    play = scene.Scene(replicas=0)
    play.run(1)
    message = what(play.nodes["p1"])
    for _ in range(seconds * 10):
        play.run(0.1)
        play.links["p1", "p2"].send("client", message * (rate // 10))
    return play


def test_fires_on_a_flood_of_publish(store):
    play = publishing(1200, 12)
    found = findings.only(findings.of(store(play.pcap())), "bus-flood")
    assert found.nodes == [play.nodes["p1"].id] == [found.metrics["node"]]
    assert found.severity == "warning" and found.verdict == "publish"
    assert 1190 <= found.metrics["messages_per_s"] <= 1220
    assert 1190 <= found.metrics["by_type"]["publish"] <= 1210
    assert found.metrics["bytes_per_s"] >= 1190 * 2256


def test_fires_softly_for_a_node_that_announces_slot_after_slot():
    """A reshard of 2000 slots: a PONG to all for each of them."""
    found = findings.only(findings.of(RESHARDED.path), "bus-flood")
    assert found.severity == "notice" and found.verdict == "announcements"


def test_a_node_that_tells_of_slots_is_no_alarm(store):
    """Each slot that is given to a node is told to all others, in a PONG that none asked for."""
    play = sending(1200, 12, wire.pong)
    found = findings.only(findings.of(store(play.pcap())), "bus-flood")
    assert found.severity == "notice" and found.verdict == "announcements"
    assert found.metrics["by_type"]["pong"] >= 1190


def test_fires_on_a_flood_of_heartbeats(store):
    play = sending(1200, 12, lambda node: wire.ping(node) + wire.pong(node))
    found = findings.only(findings.of(store(play.pcap())), "bus-flood")
    assert found.severity == "warning" and found.verdict == "heartbeats"


def test_near_miss_just_below_the_threshold(store):
    path = store(publishing(980, 12).pcap())
    findings.none(findings.of(path), "bus-flood")
    findings.only(findings.of(path, "--set", "bus-flood-messages=900"), "bus-flood")


def test_near_miss_a_burst_is_no_flood(store):
    """Ten thousand messages in one second, then silence: averaged over ten seconds it passes."""
    play = publishing(8000, 1)
    play.run(12)
    findings.none(findings.of(store(play.pcap())), "bus-flood")

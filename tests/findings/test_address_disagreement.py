"""address-disagreement: one node is told to be at several addresses at a time."""

from lib import findings, scene, wire


def test_fires_on_a_wrong_announced_address(store):
    play = scene.Scene()
    play.set("p1", ip="192.0.2.99")
    play.run(8)
    found = findings.only(findings.of(store(play.pcap())), "address-disagreement")
    p1 = play.nodes["p1"]
    assert found.metrics["node"] == p1.id
    assert set(found.metrics["addrs"]) == {f"{p1.ip}:6379", "192.0.2.99:6379"}
    assert found.metrics["first_said_by"] == p1.id
    assert found.verdict == "announced-address"
    assert "It announces 192.0.2.99:6379." in found.explanation
    assert f"Its packets come from {p1.ip}:6379." in found.explanation
    assert "The node itself was the first to tell of the second one." in found.explanation


def test_fires_on_gossip_of_another_address(store):
    """One node goes on telling an address of p1 that p1 never had."""
    play = scene.Scene(replicas=0)
    play.run(2)
    p1 = play.nodes["p1"]
    lie = wire.entry(p1, ip="192.0.2.99")
    for _ in range(8):
        play.run(1)
        play.links["p2", "p3"].send("client", wire.ping(play.nodes["p2"], [lie]))
    found = findings.only(findings.of(store(play.pcap())), "address-disagreement")
    assert found.metrics["first_said_by"] == play.nodes["p2"].id
    assert found.verdict == "gossip"


def test_near_miss_a_node_that_moves(store):
    """A new address after a restart: the old one is told for a moment more."""
    play = scene.Scene()
    play.run(6)
    play.kill("r1")
    play.run(1)
    play.nodes["r1"].ip = "10.0.0.77"
    play.back("r1")
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "address-disagreement")

"""node-identity-changed: another node answers at an address that was a node's."""

import pytest

from lib import bustap, captures, findings, scene


def test_fires_on_a_primary_that_lost_its_nodes_conf(store):
    play = scene.Scene()
    play.run(3)
    old = play.nodes["p1"]
    play.kill("p1")
    play.run(1)
    play.reborn("p1", 77)
    play.run(4)
    found = findings.only(findings.of(store(play.pcap())), "node-identity-changed")
    assert found.severity == "critical"
    assert found.metrics == {"addr": f"{old.ip}:6379", "old_id": old.id,
                             "new_id": play.nodes["p1"].id}
    assert any("FAILOVER TAKEOVER" in line for line in found.advice)


def test_advises_no_takeover_once_a_replica_has_taken_over(store):
    play = scene.Scene()
    play.run(3)
    play.kill("p1")
    play.run(1)
    play.reborn("p1", 77)
    play.run(1)
    play.nodes["r1"].fields["replica_of"] = b""
    play.set("r1", flags=scene.wire.MYSELF | scene.wire.PRIMARY, config_epoch=9, current_epoch=9)
    play.run(4)
    found = findings.only(findings.of(store(play.pcap())), "node-identity-changed")
    assert any("CLUSTER FORGET" in line for line in found.advice)
    assert not any("TAKEOVER" in line for line in found.advice)


def test_tells_the_ids_where_the_address_is_that_of_both(store):
    """In text a node is its address elsewhere."""
    play = scene.Scene()
    play.run(3)
    old = play.nodes["r1"].id
    play.kill("r1")
    play.run(1)
    play.reborn("r1", 77)
    play.run(4)
    text = bustap.run("analyze", store(play.pcap())).text
    assert f"old_id {old[:8]}, new_id {play.nodes['r1'].id[:8]}" in text


def test_fires_less_loudly_for_a_replica(store):
    play = scene.Scene()
    play.run(3)
    play.kill("r1")
    play.run(1)
    play.reborn("r1", 77)
    play.run(4)
    found = findings.only(findings.of(store(play.pcap())), "node-identity-changed")
    assert found.severity == "warning"


def replaced_and_reborn(play):
    """p1 dies, r1 takes over, and p1 comes back under another name."""
    play.kill("p1")
    play.run(6)
    play.elect("r1")
    play.run(2)
    play.reborn("p1", 77)
    play.run(4)


def test_fires_less_loudly_where_a_replica_has_taken_over(store):
    """Then nothing is left to be saved at that address."""
    play = scene.Scene()
    play.run(3)
    replaced_and_reborn(play)
    found = findings.only(findings.of(store(play.pcap())), "node-identity-changed")
    assert found.severity == "warning"
    assert "without its slots" not in found.title
    assert not any("TAKEOVER" in line for line in found.advice)


def test_fires_less_loudly_where_one_may_have_taken_over_unseen(store):
    """From p1's own host: r1 was last heard as a replica before p1 died, and next as the primary,
    when p1 was back under another name."""
    play = scene.Scene()
    play.run(4)
    old = play.nodes["p1"].id
    replaced_and_reborn(play)
    found = findings.only(findings.of(store(play.pcap("p1"))), "node-identity-changed")
    assert found.metrics["old_id"] == old
    assert found.severity == "warning" and "without its slots" not in found.title


def reset(play, name):
    """CLUSTER RESET HARD on Redis 6.0: what others have opened to it stays open."""
    for (a, _), link in play.links.items():
        if a == name:
            link.close()
    play.reborn(name, 77)


def test_fires_on_a_process_that_goes_on_as_another_node(store):
    play = scene.Scene()
    play.run(3)
    reset(play, "r1")
    play.run(4)
    path = store(play.pcap())
    found = findings.only(findings.of(path), "node-identity-changed")
    assert "so it was told to become another node" in found.explanation
    assert not any("nodes.conf" in line for line in found.advice)
    assert bustap.analyze(path)["bus"]["anomalies"] == {}


def test_near_miss_a_process_that_has_ended_was_told_nothing(store):
    play = scene.Scene()
    play.run(3)
    play.kill("r1")
    play.run(1)
    play.reborn("r1", 77)
    play.run(4)
    found = findings.only(findings.of(store(play.pcap())), "node-identity-changed")
    assert "told" not in found.explanation
    assert any("nodes.conf" in line for line in found.advice)


def test_the_table_of_nodes_calls_neither_of_the_two_well_or_gone():
    """The old one is replaced; the new one lives, and answers clients, but nobody knows it."""
    text = bustap.run("analyze", captures.take("node_reborn-valkey-9.1.2").path).text
    old, new = (line for line in text.splitlines() if line.startswith(("  ec9a1189", "  55ff2b8c")))
    assert " replaced " in old and " no member " in new


def test_near_miss_a_restart_with_nodes_conf(store):
    play = scene.Scene()
    play.run(3)
    play.kill("p1")
    play.run(1)
    play.back("p1")
    play.run(4)
    findings.none(findings.of(store(play.pcap())), "node-identity-changed")


def test_near_miss_two_nodes_that_swap_addresses(store):
    """Pods that are scheduled anew may: both nodes live on, each at the other's address."""
    play = scene.Scene()
    play.run(3)
    one, two = play.nodes["r1"], play.nodes["r2"]
    play.kill("r1", "r2")
    play.run(1)
    one.ip, two.ip = two.ip, one.ip
    play.back("r1", "r2")
    play.run(5)
    findings.none(findings.of(store(play.pcap())), "node-identity-changed")


def made_anew(play):
    """All are reset, and the same cluster is made of them once more, with the same epochs."""
    old = dict(play.nodes)
    for name, link in [(b, link) for (_, b), link in play.links.items()]:
        link.close()
    for number, name in enumerate(old, 71):
        play.reborn(name, number)
    ids = {node.id: play.nodes[name].id for name, node in old.items()}
    for name, node in old.items():
        kept = ("slots", "config_epoch", "current_epoch", "flags")
        play.set(name, replica_of=ids.get(node.fields["replica_of"], b""),
                 **{field: node.fields[field] for field in kept})
    play.run(7)


@pytest.mark.parametrize("host", (None, "p1", "r2"))
def test_fires_less_loudly_where_the_cluster_is_made_anew(store, host):
    """Nobody is left who knew the old nodes: they own no slots, and collide with nobody."""
    play = scene.Scene()
    play.run(3)
    made_anew(play)
    path = store(play.pcap(host))
    found = findings.of(path)
    assert len([f for f in found if f.type == "node-identity-changed"]) == len(play.nodes)
    assert {f.severity for f in found} == {"warning"}
    owners = {row["owner"] for row in bustap.analyze(path)["cluster"]["slots"]}
    assert owners == {play.nodes[name].id for name in ("p1", "p2", "p3")}


def test_fires_on_a_primary_that_is_reset(store):
    """It is refused to one that has keys, so there is nothing to save; its slots lack an owner."""
    play = scene.Scene()
    play.run(3)
    reset(play, "p1")
    play.run(2)
    found = findings.only(findings.of(store(play.pcap())), "node-identity-changed")
    assert found.severity == "critical" and "without its slots" in found.title
    assert "It had no keys" in found.explanation and "empty data set" not in found.explanation

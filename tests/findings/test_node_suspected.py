"""node-suspected: PFAIL that nobody agreed to, or that was taken back in time."""

from lib import captures, findings, scene


def test_fires_on_a_pair_that_does_not_hear_each_other(store):
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2")
    play.run(8)
    play.heal()
    play.run(4)
    found = findings.all_of(findings.of(store(play.pcap())), "node-suspected")
    assert {f.metrics["node"] for f in found} == {play.nodes[n].id for n in ("p1", "p2")}
    for one in found:
        other = "p2" if one.metrics["node"] == play.nodes["p1"].id else "p1"
        assert one.metrics["reporters"] == [play.nodes[other].id]
        assert one.severity == "warning" and one.end
        assert 1000 < one.metrics["duration_ms"] < 9000


def test_says_what_to_do_of_a_process_that_has_died():
    """Two of three primaries: no majority is left that could mark them failed."""
    found = findings.all_of(findings.of(captures.take("no_quorum-redis-7.0.15").path), "node-suspected")
    assert len(found) == 2
    for one in found:
        assert one.title.endswith("was suspected, but not marked failed: process-died")
        assert any("look at its log" in line for line in one.advice)
        assert not any("no action is due" in line for line in one.advice)


def test_says_what_to_do_while_it_lasts(store):
    play = scene.Scene()
    play.run(3)
    play.split("p1", "p2")
    play.run(8)
    found = findings.all_of(findings.of(store(play.pcap())), "node-suspected")
    assert len(found) == 2
    assert all(one.end is None and any("suspected still" in line for line in one.advice)
               for one in found)


def test_fires_quietly_for_those_who_are_cut_off():
    """n1 suspects all others while it is alone: that is no news about them."""
    take = captures.take("partition_minority-redis-7.0.15")
    found = findings.all_of(findings.of(take.path), "node-suspected")
    assert found and all(f.severity == "notice" for f in found)


def test_fires_quietly_for_those_who_are_cut_off_seen_from_one_host(store):
    """p1 hears p3 and r3 again, who tell of some that they still miss; they had been missed by
    several themselves."""
    play = scene.Scene(primaries=4)
    play.run(4)
    play.split("p3 r3 p4 r4", "p1 p2 r1 r2")
    play.run(7)
    play.heal()
    play.run(4)
    found = findings.all_of(findings.of(store(play.pcap("p1"))), "node-suspected")
    assert found and all(f.severity == "notice" for f in found), findings.listing(found)


def test_fires_with_care_on_a_stall_seen_from_one_host(store):
    """p1 alone misses p2, whose kernel acknowledges: to others p2 may have spoken all the time."""
    play = scene.Scene(primaries=5)
    play.run(4)
    play.stall("p2")
    play.run(6)
    play.wake("p2")
    play.run(3)
    path = store(play.pcap("p1"))
    found = findings.all_of(findings.of(path), "node-suspected") + \
        findings.all_of(findings.of(path), "node-failed")
    assert [f.verdict for f in found] == ["process-stalled"], findings.listing(found)
    assert found[0].confidence == "likely" and found[0].caveats


def apart(play):
    """p1 and p2 do not hear each other, and do again."""
    play.run(4)
    play.split("p1", "p2")
    play.run(8)
    play.heal()
    play.run(6)


def test_fires_on_a_pair_that_was_apart_seen_from_one_of_them(store):
    """p2's word against p1 comes when they hear each other again: p1 had missed it likewise."""
    play = scene.Scene()
    apart(play)
    found = findings.all_of(findings.of(store(play.pcap("p1"))), "node-suspected")
    assert {f.metrics["node"] for f in found} == {play.nodes[n].id for n in ("p1", "p2")}
    assert [(f.verdict, f.confidence) for f in found] == [("host-unreachable", "likely")] * 2


def test_near_miss_a_pair_that_was_apart_seen_from_elsewhere(store):
    """p3 hears of it, and nothing that would say why."""
    play = scene.Scene()
    apart(play)
    found = findings.all_of(findings.of(store(play.pcap("p3"))), "node-suspected")
    assert found and {f.verdict for f in found} == {"unknown"}


def test_near_miss_a_node_that_fails_is_not_only_suspected(store):
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(7)
    findings.none(findings.of(store(play.pcap())), "node-suspected")


def test_near_miss_a_short_stall(store):
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(2)
    play.wake("p1")
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "node-suspected")


def test_ends_when_nobody_is_suspected_in_all_that_is_gossiped(store):
    """Whom a node suspects it always names; others only by chance, and these two by none."""
    play = scene.Scene()
    play.run(3)
    play.unpicked = {"p1", "p2"}
    play.split("p1", "p2")
    play.run(8)
    play.heal()
    play.run(5)
    found = findings.all_of(findings.of(store(play.pcap("p3"))), "node-suspected")
    assert {f.metrics["node"] for f in found} == {play.nodes[n].id for n in ("p1", "p2")}
    healed = scene.wire.START / 1e9 + 11
    assert all(healed <= f.span[1] <= healed + 3.1 for f in found if f.end), found
    assert all(f.end for f in found)

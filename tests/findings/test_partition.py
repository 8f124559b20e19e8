"""partition: sides that live and do not hear each other."""

import pytest

from lib import captures, findings, scene

LEFT, RIGHT = "p1 r1", "p2 p3 r2 r3"


def ids(play, names):
    return {play.nodes[n].id for n in names.split()}


def sides(found):
    return [set(side) for side in found.metrics["sides"]]


def split(seconds, left=LEFT, right=RIGHT):
    play = scene.Scene()
    play.run(4)
    play.split(left, right)
    play.run(seconds)
    return play


def test_fires_on_two_sides(store):
    play = split(8)
    play.heal()
    play.run(4)
    found = findings.only(findings.of(store(play.pcap())), "partition")
    both = sides(found)
    assert sorted(both, key=len) == [ids(play, LEFT), ids(play, RIGHT)]
    assert both[found.metrics["majority_side"]] == ids(play, RIGHT)
    assert found.severity == "critical"
    begin, end = found.span
    first = scene.wire.START / 1e9 + 4
    assert first <= begin <= first + 1.1
    assert first + 8 <= end <= first + 10


def test_fires_on_three_sides_without_majority(store):
    play = scene.Scene()
    play.run(4)
    for a, b in (("p1 r1", "p2 r2"), ("p1 r1", "p3 r3"), ("p2 r2", "p3 r3")):
        play.split(a, b)
    play.run(8)
    found = findings.only(findings.of(store(play.pcap())), "partition")
    assert len(sides(found)) == 3 and "majority_side" not in found.metrics
    assert found.end is None


def test_fires_on_a_real_one():
    take = captures.take("partition_minority-redis-7.0.15")
    found = findings.only(findings.of(take.path), "partition")
    names = {n["id"]: n["name"] for n in take.truth["topology"]["nodes"]}
    both = sorted(({names[i] for i in side} for side in sides(found)), key=len)
    assert both == [{"n1"}, {"n2", "n3", "n4", "n5", "n6"}]
    cut = next(f["t"] for f in take.truth["faults"] if f["kind"] == "partition")
    healed = next(f["t"] for f in take.truth["faults"] if f["kind"] == "heal")
    assert cut <= found.span[0] <= cut + 1.1 and healed <= found.span[1] <= healed + 3


def test_fires_from_one_host_when_the_others_are_heard_again(store):
    """p1 does not hear p3 and r3, which might be dead. Once they are back, they say that they have
    missed p1 and its side: so they lived."""
    play = split(8, "p3 r3", "p1 p2 r1 r2")
    play.heal()
    play.run(4)
    found = findings.only(findings.of(store(play.pcap("p1"))), "partition")
    both = sides(found)
    assert sorted(both, key=len) == [ids(play, "p3 r3"), ids(play, "p1 p2 r1 r2")]
    assert both[found.metrics["majority_side"]] == ids(play, "p1 p2 r1 r2")
    assert found.confidence == "likely"
    assert any("heard again" in caveat for caveat in found.caveats)
    first = scene.wire.START / 1e9 + 4
    assert first <= found.span[0] <= first + 3 and first + 8 <= found.span[1] <= first + 10


THREE = ("p1 r1", "p2 r2", "p3 r3")


def in_three(seconds):
    play = scene.Scene()
    play.run(4)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        play.split(THREE[a], THREE[b])
    play.run(seconds)
    return play


def test_fires_from_one_host_with_all_sides_once_the_others_tell(store):
    """While it lasts all others look like one side; when they are heard again, they say whom they
    missed."""
    play = in_three(8)
    lasting = findings.only(findings.of(store(play.pcap("p1"))), "partition")
    assert len(sides(lasting)) == 2
    assert any("one side" in c and "cannot be seen" in c for c in lasting.caveats)
    play.heal()
    play.run(4)
    found = findings.only(findings.of(store(play.pcap("p1"))), "partition")
    assert {frozenset(side) for side in sides(found)} == {frozenset(ids(play, s)) for s in THREE}
    assert found.confidence == "likely" and any("what they said" in c for c in found.caveats)


@pytest.mark.parametrize("host", (None, "p1", "p3"))
def test_fires_where_nothing_across_was_seen(store, host):
    """Packets are dropped on the hosts: nothing but the nodes' own words tells of it."""
    play = split(8, "p1 p2 r1", "p3 r2 r3")
    play.heal()
    play.run(4)
    found = findings.only(findings.of(store(play.pcap(host, lost=False))), "partition")
    assert {frozenset(s) for s in sides(found)} == \
        {frozenset(ids(play, s)) for s in ("p1 p2 r1", "p3 r2 r3")}
    assert found.confidence == "likely" and "not even attempts" in found.explanation
    first = scene.wire.START / 1e9 + 4
    assert first - 1.1 <= found.span[0] <= first + 0.1 and first + 8 <= found.span[1] <= first + 10


def test_near_miss_a_host_that_is_gone_and_nothing_of_it_was_seen(store):
    """It said nothing, then or later."""
    play = split(8, "p1", "p2 p3 r1 r2 r3")
    findings.none(findings.of(store(play.pcap("p2", lost=False))), "partition")


def test_says_what_one_host_cannot_tell(store):
    """Nothing arrives at p1, but all that it sends does: p1 sees the same of both. The others' hosts
    see p1's packets, and their capture says so."""
    play = scene.Scene()
    play.run(4)
    play.cut("p2 p3 r1 r2 r3", "p1")
    play.run(8)
    play.heal()
    play.run(4)
    found = findings.only(findings.of(store(play.pcap("p1"))), "partition")
    assert found.confidence == "likely"
    assert any("one direction" in c and "other side" in c for c in found.caveats)
    findings.none(findings.of(store(play.pcap())), "partition")


def two_started_anew():
    """p3 and r3 were down, and have missed nobody."""
    play = scene.Scene()
    play.run(4)
    play.dead("p3", "r3")
    play.run(8)
    for (a, _), link in play.links.items():
        link.pinged = None if a in ("p3", "r3") else link.pinged
    play.back("p3", "r3")
    return play


def test_near_miss_two_hosts_that_start_anew_seen_from_one(store):
    play = two_started_anew()
    play.run(4)
    findings.none(findings.of(store(play.pcap("p1"))), "partition")


def test_near_miss_a_host_that_is_down(store):
    play = scene.Scene()
    play.run(4)
    play.dead("p1", "r1")
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "partition")


def test_near_miss_a_process_that_stands_still(store):
    play = scene.Scene()
    play.run(4)
    play.stall("p1")
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "partition")


def test_near_miss_two_nodes_that_others_still_join(store):
    play = split(8, "p1", "p2")
    findings.none(findings.of(store(play.pcap())), "partition")


@pytest.mark.parametrize("tenths", range(10))
def test_near_miss_a_host_that_hears_nobody_and_waits(store, tenths):
    """What it sends arrives. But while it waits for PONGs it sends nothing that could."""
    play = scene.Scene(nt=6.0)
    play.run(4 + tenths / 10)
    play.cut("p2 p3 r1 r2 r3", "p1")
    play.run(8)
    findings.none(findings.of(store(play.pcap())), "partition")


def test_near_miss_one_pair_seen_from_one_host(store):
    """p1 does not hear p2, and nobody else's traffic is there: that is a pair, no side."""
    play = split(8, "p1", "p2")
    findings.none(findings.of(store(play.pcap("p1"))), "partition")


def test_near_miss_two_pairs_seen_from_one_host(store):
    """Each for itself, at different times, as on a path that loses packets."""
    play = split(4, "p1", "p2")
    play.split("p1", "r3")
    play.run(4)
    findings.none(findings.of(store(play.pcap("p1"))), "partition")


def test_fires_from_one_host_though_it_did_not_last(store):
    """Nothing of anybody comes in, nothing of what goes out is acknowledged: that is not any pair."""
    play = scene.Scene(primaries=4, nt=2.0)
    play.run(4)
    play.split("p1", "p2 p3 p4 r1 r2 r3 r4")
    play.run(4)
    play.heal()
    play.run(4)
    found = findings.only(findings.of(store(play.pcap("p1"))), "partition")
    assert sorted(sides(found), key=len)[0] == ids(play, "p1")
    first = scene.wire.START / 1e9 + 4
    assert first <= found.span[0] <= first + 1.1 and first + 4 <= found.span[1] <= first + 5


def test_near_miss_words_of_a_later_silence(store):
    """Then p2 dies, and they say so."""
    play = two_started_anew()
    play.run(1)
    play.dead("p2")
    play.run(7)
    findings.none(findings.of(store(play.pcap("p1"))), "partition")



@pytest.mark.parametrize("early", ("r4", "p2 r2"))
@pytest.mark.parametrize("tenths", (2, 6))
def test_fires_with_those_that_asked_last_on_their_own_side(store, early, tenths):
    """Their last PINGs arrived at p1, whose answers were lost already; of the rest nothing was seen.
    These connections are given up, while the other ones of the pairs were idle."""
    play = scene.Scene(primaries=4, nt=5.0)
    others = " ".join(n for n in play.nodes if n not in ("p1", "r1"))
    play.run(4)
    play.cut("p1", early)
    play.run(tenths / 10)
    play.split("p1 r1", others)
    play.run(8)
    play.heal()
    play.run(4)
    found = findings.only(findings.of(store(play.pcap("p1", lost=False))), "partition")
    assert {frozenset(s) for s in sides(found)} == {frozenset(ids(play, "p1 r1")),
                                                    frozenset(ids(play, others))}
    first = scene.wire.START / 1e9 + 4
    assert first <= found.span[0] <= first + 1.1 and first + 8 <= found.span[1] <= first + 10

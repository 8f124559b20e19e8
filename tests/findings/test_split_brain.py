"""split-brain: two primaries go on with the same slots."""

from lib import bustap, captures, findings, resp, scene, wire, writes


def taken_over(play, seconds, replica="r1"):
    """The replica takes over by itself (CLUSTER FAILOVER TAKEOVER), and its primary goes on."""
    play.run(3)
    play.epoch += 1
    play.promote(replica, play.epoch)
    play.run(seconds)


def test_fires_while_the_old_primary_goes_on(store):
    play = scene.Scene()
    taken_over(play, 4)
    found = findings.only(findings.of(store(play.pcap())), "split-brain")
    p1, r1 = play.nodes["p1"].id, play.nodes["r1"].id
    assert (found.severity, found.end) == ("critical", None)
    assert set(found.nodes) == {p1, r1}
    assert found.metrics["slots"] == "0-5460"
    assert found.metrics["claimants"] == [{"node": r1, "epoch": 4}, {"node": p1, "epoch": 1}]
    assert found.metrics["writes_acknowledged"] == 0


def test_fires_and_counts_the_writes_to_these_slots(store):
    play = scene.Scene()
    client = writes.Client(play, "p1")
    client.set("before", "1")
    taken_over(play, 1)
    for number in range(3):
        client.set("b", number)                                     # slot 3300
        client.set("a", number)                                     # slot 15495: not p1's
        play.run(1)
    assert resp.slot("b") < 5461 < resp.slot("a")
    found = findings.only(findings.of(store(play.pcap())), "split-brain")
    assert found.metrics["writes_acknowledged"] == 3
    assert (found.severity, found.confidence) == ("critical", "certain")


def test_counts_the_writes_to_a_server_that_was_written_to_during_another_contest(store):
    """Whose node a server is, and whether that is contested, is looked for again with each change."""
    play = scene.Scene()
    client = writes.Client(play, "p1")
    taken_over(play, 1, "r2")
    client.set("b", 0)
    taken_over(play, 1, "r1")
    client.set("b", 1)
    client.set("b", 2)
    play.run(2)
    found = findings.of(store(play.pcap()))
    written = {f.metrics["slots"]: f.metrics["writes_acknowledged"]
               for f in found if f.type == "split-brain"}
    assert written == {"0-5460": 2, "5461-10921": 0}


def test_fires_on_two_takeovers_with_one_epoch(store):
    """One on either side of a partition: nothing decides between them until it heals."""
    play = scene.Scene(replicas=2)
    play.run(3)
    play.dead("p1")
    play.promote("r1", 4)
    play.run(1)
    play.promote("r4", 4)
    play.run(4)
    found = findings.only(findings.of(store(play.pcap())), "split-brain")
    assert {c["node"] for c in found.metrics["claimants"]} == \
        {play.nodes["r1"].id, play.nodes["r4"].id}
    assert {c["epoch"] for c in found.metrics["claimants"]} == {4}


def test_fires_quietly_if_the_old_primary_served_nobody():
    """Cut off from the majority it says CLUSTERDOWN, and is a primary in its own eyes only."""
    take = captures.take("partition_minority-redis-7.0.15")
    found = findings.only(findings.of(take.path), "split-brain")
    assert found.severity == "notice"
    assert found.metrics["writes_acknowledged"] == 0 < found.metrics["refusals"]
    assert {bustap.node_row(bustap.analyze(take.path), n)["addr"] for n in found.nodes} == \
        {"10.77.0.11:6379", "10.77.0.15:6379"}


def test_near_miss_an_ordinary_failover(store):
    """The old primary comes back seconds later, claims its slots once more, and gives in."""
    play = scene.Scene()
    play.run(3)
    play.kill("p1")
    play.run(5)
    play.elect("r1")
    play.run(4)
    play.back("p1")
    play.run(0.5)
    play.demote("p1", "r1")
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "split-brain")


def test_near_miss_a_frozen_primary_that_answers_once_more(store):
    play = scene.Scene()
    client = writes.Client(play, "p1")
    play.run(3)
    play.stall("p1")
    play.run(5)
    play.elect("r1")
    play.run(4)
    client.set("b", "ghost")
    play.demote("p1", "r1")
    play.wake("p1")
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "split-brain")


def test_near_miss_slots_that_move(store):
    """After SETSLOT NODE the target claims a slot, and for a moment its source still does."""
    play = scene.Scene()
    play.run(3)
    for slot in range(5):
        play.epoch += 1
        play.set("p2", config_epoch=play.epoch, current_epoch=play.epoch,
                 slots=wire.bitmap((0, slot), (5461, 10921)))
        play.tell("p2", wire.pong(play.nodes["p2"]))
        play.run(0.5)
        play.set("p1", slots=wire.bitmap((slot + 1, 5460)))
        play.tell("p1", wire.pong(play.nodes["p1"]))
        play.run(0.5)
    findings.none(findings.of(store(play.pcap())), "split-brain")


def test_near_miss_real_failovers_and_reshards():
    for take in captures.TAKES:
        if "partition" not in take.run:
            findings.none(findings.of(take.path), "split-brain")

"""gossip-loss: a directed pair waits for answers, and the path between the two is why."""

from lib import findings, scene


def test_fires_on_one_way_loss_between_two(store):
    """What p2 sends to p1 does not arrive; p1's own words do."""
    play = scene.Scene()
    play.run(4)
    play.cut("p2", "p1")
    play.run(4)
    play.heal()
    play.run(3)
    found = findings.all_of(findings.of(store(play.pcap())), "gossip-loss")
    pair = (play.nodes["p2"].id, play.nodes["p1"].id)
    assert pair in {(f.metrics["from"], f.metrics["to"]) for f in found}
    one = next(f for f in found if (f.metrics["from"], f.metrics["to"]) == pair)
    assert one.metrics["longest_silence_ms"] >= 2500
    assert one.verdict in ("one-way-loss", "lossy-path")


def lossy(play, a, b, times):
    """What `a` sends to `b` arrives late, again and again: TCP has to send it twice."""
    for _ in range(times):
        play.cut(a, b)
        play.run(1.1)
        play.heal()
        play.run(0.9)


def test_fires_as_a_warning_where_nothing_else_tells_it(store):
    play = scene.Scene(nt=12.0)
    play.run(4)
    lossy(play, "p2", "p1", 4)
    play.cut("p2", "p1")
    play.run(3)
    play.heal()
    play.run(3)
    found = findings.of(store(play.pcap()))
    pair = [play.nodes["p2"].id, play.nodes["p1"].id]
    one = next(f for f in findings.all_of(found, "gossip-loss")
               if [f.metrics["from"], f.metrics["to"]] == pair)
    assert one.severity == "warning" and one.verdict == "lossy-path"
    findings.quiet(found, but={"gossip-loss"})


def test_fires_quietly_where_the_node_was_suspected(store):
    play = scene.Scene()
    play.run(4)
    play.cut("p2", "p1")
    play.run(6)
    play.heal()
    play.run(3)
    found = findings.of(store(play.pcap()))
    assert findings.all_of(found, "node-suspected")
    assert all(f.severity == "notice" for f in findings.all_of(found, "gossip-loss")
               if f.metrics["to"] == play.nodes["p1"].id)


def test_near_miss_what_a_stall_explains(store):
    play = scene.Scene()
    play.run(4)
    play.stall("p1")
    play.run(4)
    play.wake("p1")
    play.run(2)
    findings.none(findings.of(store(play.pcap())), "gossip-loss")


def test_near_miss_an_answer_in_time(store):
    play = scene.Scene()
    play.run(4)
    play.cut("p2", "p1")
    play.run(0.8)
    play.heal()
    play.run(3)
    findings.none(findings.of(store(play.pcap())), "gossip-loss")

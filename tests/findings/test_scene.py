"""The made-up cluster itself: what the program decodes of a scene is what the scene did."""

from lib import bustap, findings, scene


def test_a_healthy_scene_is_whole(store):
    play = scene.Scene()
    play.run(4)
    report = bustap.analyze(store(play.pcap()))
    assert report["bus"]["undecoded_bytes"] == 0
    assert not report["bus"]["anomalies"]
    messages = report["bus"]["messages"]
    assert messages["ping"] == messages["pong"] >= 4 * 30 - 30
    assert [n["role"] for n in report["cluster"]["nodes"]].count("primary") == 3
    assert [s["range"] for s in report["cluster"]["slots"]] == ["0-5460", "5461-10921",
                                                               "10922-16383"]


def test_a_stalled_node_is_suspected_then_failed(store):
    play = scene.Scene()
    play.run(3)
    play.stall("p1")
    play.run(5)
    events = bustap.dump(store(play.pcap()))
    p1 = play.nodes["p1"].id
    suspected = {e["node"] for e in bustap.named(events, "node-suspected") if e["about"] == p1}
    assert suspected >= {play.nodes[n].id for n in ("p2", "p3")}
    announced = bustap.named(events, "fail-announced")
    assert announced and all(e["about"] == p1 for e in announced)


def test_an_election_is_seen(store):
    play = scene.Scene()
    play.run(3)
    play.dead("p1")
    play.run(5)
    play.elect("r1")
    play.run(2)
    events = bustap.dump(store(play.pcap()))
    votes = {e["node"] for e in bustap.named(events, "vote-granted")}
    assert votes == {play.nodes[n].id for n in ("p2", "p3")}
    roles = [(e["node"], e["role"]) for e in bustap.named(events, "node-role")]
    assert (play.nodes["r1"].id, "primary") in roles


def test_a_healthy_scene_has_no_findings(store):
    play = scene.Scene()
    play.run(6)
    findings.quiet(findings.of(store(play.pcap())))

"""capture-loss: bytes that were acknowledged but are not in the capture."""

from lib import findings, scene, wire


def test_fires_on_a_hole(store):
    capture = wire.Capture()
    a, b = wire.Node(1, slots=[1]), wire.Node(2, slots=[2])
    link = capture.link(a, b).open()
    for _ in range(3):
        link.send("client", wire.ping(a))
        link.send("server", wire.pong(b))
    link.skip("client", 2256)
    for _ in range(3):
        capture.wait(1)
        link.send("client", wire.ping(a))
        link.send("server", wire.pong(b))
    found = findings.only(findings.of(store(capture.pcap())), "capture-loss")
    assert found.metrics["gaps"] == 1
    assert found.metrics["gap_bytes"] == 2256


def test_near_miss_retransmits_are_no_loss(store):
    play = scene.Scene()
    play.run(2)
    play.cut("p1", "p2")                          # sent and sent again, never lost to the capture
    play.run(2)
    findings.none(findings.of(store(play.pcap())), "capture-loss")

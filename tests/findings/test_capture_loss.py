"""capture-loss: bytes that were acknowledged but are not in the capture."""

import struct

from lib import findings, scene, wire

STATISTICS, DROPPED = 5, 5                                          # a block of pcapng, and its option


def with_drops(play, drops):
    """As pcapng, which says at its end how many packets more there were. And how many there are."""
    body = struct.pack("<IIIHHQHH", 0, 0, 0, DROPPED, 8, drops, 0, 0)
    size = struct.pack("<I", 12 + len(body))
    block = struct.pack("<I", STATISTICS) + size + body + size
    return play.capture.pcapng() + block, len(list(play.capture.frames()))


def split():
    play = scene.Scene()
    play.run(4)
    play.split("p1 r1", "p2 r2 p3 r3")
    play.run(8)
    return play


def test_a_dropped_packet_among_many_leaves_findings_as_loud_as_they_are(store):
    """A busy host drops some; what many packets show does not hang on one of them."""
    capture, packets = with_drops(split(), 1)
    found = findings.of(store(capture))
    assert packets > 1000 and findings.only(found, "capture-loss").metrics["kernel_drops"] == 1
    partition = findings.only(found, "partition")
    assert (partition.severity, partition.confidence) == ("critical", "likely")
    assert any("misses packets" in caveat for caveat in partition.caveats)


def test_near_miss_many_dropped_packets_may_have_been_what_was_missed(store):
    capture, packets = with_drops(split(), 50)
    partition = findings.only(findings.of(store(capture)), "partition")
    assert packets < 50_000 and (partition.severity, partition.confidence) == ("notice", "possible")


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

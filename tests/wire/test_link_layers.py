"""The same conversation under every link layer and tunnel gives the same events.

The packets are made once; only what is wrapped around each of them differs.
"""

import struct

import pytest

from lib import bustap, wire
from lib.wire import ETHERNET, LOOP, NULL, RAW_IP, SLL, SLL2, Capture, Node


def talk(a, b):
    """A short life of a bus link: open, two pings with answers, a FAIL, close."""
    capture = Capture()
    connection = capture.link(a, b).open()
    for _ in range(2):
        connection.send("client", wire.ping(a, [wire.entry(Node(3))], [wire.hostname("host-a")]))
        connection.send("server", wire.pong(b))
    connection.send("client", wire.fail(a, Node(3)))
    connection.close()
    return capture


V4 = talk(Node(1, slots=[(0, 99)]), Node(2))
V6 = talk(Node(1, ip="fd00::1", slots=[(0, 99)]), Node(2, ip="fd00::2"))
TYPES = ["ping", "pong", "ping", "pong", "fail"]

LAYERS = {                                            # name: (what wraps a packet, link type)
    "ethernet": (wire.ethernet, ETHERNET),
    "ethernet with trailer": (lambda p: wire.ethernet(p) + b"\xff" * 6, ETHERNET),
    "vlan": (lambda p: wire.ethernet(p, vlans=[(0x8100, 42)]), ETHERNET),
    "vlan with priority": (lambda p: wire.ethernet(p, vlans=[(0x8100, 0xE02A)]), ETHERNET),
    "qinq": (lambda p: wire.ethernet(p, vlans=[(0x88A8, 7), (0x8100, 42)]), ETHERNET),
    "qinq old style": (lambda p: wire.ethernet(p, vlans=[(0x8100, 7), (0x8100, 42)]), ETHERNET),
    "qinq 9100": (lambda p: wire.ethernet(p, vlans=[(0x9100, 7), (0x8100, 42)]), ETHERNET),
    "sll": (wire.sll, SLL),
    "sll2": (wire.sll2, SLL2),
    "null little endian": (wire.null, NULL),
    "null big endian": (lambda p: wire.null(p, ">"), NULL),
    "null FreeBSD's ipv6": (lambda p: wire.null(p, inet6=28), NULL),
    "null NetBSD's ipv6": (lambda p: wire.null(p, inet6=24), NULL),
    "loop": (wire.loop, LOOP),
    "raw": (wire.raw, RAW_IP),
    "raw, BSD's number": (wire.raw, 12),
    "vxlan": (wire.vxlan, ETHERNET),
    "vxlan in a vlan": (lambda p: wire.MAC_A + wire.MAC_B + bytes.fromhex("8100002a")
                        + wire.vxlan(p)[12:], ETHERNET),
    "geneve": (lambda p: wire.geneve(p, b""), ETHERNET),
    "geneve with options": (wire.geneve, ETHERNET),
    "gre": (wire.gre, ETHERNET),
    "gre with key and sequence": (lambda p: wire.gre(p, key=5, sequence=6), ETHERNET),
    "gre with ethernet": (wire.gre_ethernet, ETHERNET),
    "erspan type ii": (wire.erspan2, ETHERNET),
    "erspan type iii": (wire.erspan3, ETHERNET),
    "erspan type iii, platform header": (lambda p: wire.erspan3(p, bytes(8)), ETHERNET),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What plain Ethernet gives, per address family."""
    found = {}
    for name, capture in (("v4", V4), ("v6", V6)):
        path = tmp_path_factory.mktemp("plain") / f"{name}.pcap"
        path.write_bytes(capture.pcap())
        found[name] = bustap.dump(path)
        assert bustap.types(found[name]) == TYPES
        assert not bustap.anomalies(found[name])
    return found


@pytest.mark.parametrize("family, capture", [("v4", V4), ("v6", V6)], ids=["v4", "v6"])
@pytest.mark.parametrize("wrap, link", LAYERS.values(), ids=LAYERS)
def test_same_events(store, plain, family, capture, wrap, link):
    """All events are equal, not only the messages, and so are their times and frame numbers."""
    events = bustap.dump(store(capture.pcap(wrap, link)))
    said = bustap.first_difference(plain[family], events, ("ethernet", "here"))
    assert not said, said


def test_ipv6_addresses_in_brackets(plain):
    m = bustap.messages(plain["v6"])[0]
    assert (m["src"], m["dst"]) == ("[fd00::1]:40001", "[fd00::2]:16379")


# ------------------------------------------------------------------------------- IP itself

def rebuilt(capture, change):
    """The capture with each packet replaced by those that `change` makes of it."""
    other = Capture()
    other.packets = [(time, p) for time, packet in capture.packets for p in change(packet)]
    return other


def with_options(packet):
    """IPv4 with a record-route option of twelve bytes."""
    return [wire.ipv4("10.0.0.1" if packet[15] == 1 else "10.0.0.2",
                      "10.0.0.2" if packet[15] == 1 else "10.0.0.1", packet[20:],
                      options=b"\x07\x0b\x04" + bytes(9))]


def with_headers(packet):
    """IPv6 with hop-by-hop, destination and routing headers before TCP."""
    a, b = ("fd00::1", "fd00::2") if packet[23] == 1 else ("fd00::2", "fd00::1")
    filler = bytes.fromhex("00") + bytes.fromhex("010400000000")
    return [wire.ipv6(a, b, packet[40:], extensions=[(0, filler), (60, filler), (43, filler)])]


def no_total_length(packet):
    """Offloaded super-packets: total length zero, the frame says where it ends."""
    return [packet[:2] + b"\0\0" + packet[4:]]


def wrong_checksums(packet):
    """Checksum offload: the card would have filled them in after the capture."""
    ihl = (packet[0] & 15) * 4
    return [packet[:10] + b"\x12\x34" + packet[12:ihl + 16] + b"\x56\x78" + packet[ihl + 18:]]


CHANGES = {                                            # name: (capture, change, family)
    "ipv4 options": (V4, with_options, "v4"),
    "ipv6 extension headers": (V6, with_headers, "v6"),
    "total length zero": (V4, no_total_length, "v4"),
    "ipv6 payload length zero": (V6, lambda p: [p[:4] + b"\0\0" + p[6:]], "v6"),
    "wrong checksums": (V4, wrong_checksums, "v4"),
    "ipv4 fragments": (V4, lambda p: wire.ipv4_fragments(p, 512), "v4"),
    "ipv4 fragments, last first": (V4, lambda p: wire.ipv4_fragments(p, 512)[::-1], "v4"),
    "ipv4 fragments, each twice": (V4, lambda p: [f for f in wire.ipv4_fragments(p, 512)
                                                  for _ in (1, 2)], "v4"),
    "ipv4 fragments of eight bytes": (V4, lambda p: wire.ipv4_fragments(p, 8), "v4"),
    "ipv6 fragments": (V6, lambda p: wire.ipv6_fragments(p, 512), "v6"),
    "ipv6 fragments, last first": (V6, lambda p: wire.ipv6_fragments(p, 512)[::-1], "v6"),
    "ipv6 atomic fragments": (V6, lambda p: wire.ipv6_fragments(p, 65528), "v6"),
}


@pytest.mark.parametrize("capture, change, family", CHANGES.values(), ids=CHANGES)
def test_same_messages(see, plain, capture, change, family):
    """However IP carries the segments, the same messages come out."""
    events = see(rebuilt(capture, change))
    bustap.same_messages(plain[family], events)


def test_fragments_of_two_datagrams_interleaved(see, plain):
    """Fragments find their own datagram by its identification."""
    packets = [p for _, p in V4.packets]
    mixed = Capture()
    for i in range(0, len(packets) - 1, 2):
        pair = [wire.ipv4_fragments(p, 512, ident=100 + k) for k, p in enumerate(packets[i:i + 2])]
        for k in range(max(map(len, pair))):
            for fragments in pair:
                if k < len(fragments):
                    mixed.add(fragments[k])
    for p in packets[len(packets) // 2 * 2:]:
        mixed.add(p)
    bustap.same_messages(plain["v4"], see(mixed))


def test_a_fragment_that_never_comes(store):
    """A lost fragment is a hole in the stream, and the messages behind the hole are found again."""
    capture = Capture()
    connection = capture.link(Node(1), Node(2)).open()
    for _ in range(6):
        connection.send("client", wire.ping(Node(1)))
    holed = Capture()
    data_packets = [i for i, (_, p) in enumerate(capture.packets) if len(p) > 1000]
    for i, (_, packet) in enumerate(capture.packets):
        pieces = wire.ipv4_fragments(packet, 512, ident=i)
        for piece in pieces[1:] if i == data_packets[0] else pieces:
            holed.add(piece)
    report = bustap.analyze(store(holed.pcap()))
    assert 4 <= report["bus"]["messages"]["ping"] <= 5


def test_trailing_padding_of_short_frames(see, plain):
    """Frames of less than sixty bytes get padding that is not TCP data."""
    events = see(V4, wrap=lambda p: wire.ethernet(p).ljust(60, b"\xee"))
    bustap.same_messages(plain["v4"], events)
    assert not bustap.anomalies(events)


# ------------------------------------------------------------------------------- mixtures

def test_interfaces_of_different_kinds(store, plain):
    """A pcapng with a link type per interface, the packets spread over them."""
    kinds = [(wire.ethernet, ETHERNET), (wire.sll2, SLL2), (wire.raw, RAW_IP)]
    packets = [(time, kinds[i % 3][0](p), i % 3) for i, (time, p) in enumerate(V4.packets)]
    events = bustap.dump(store(wire.pcapng(packets, [k[1] for k in kinds])))
    bustap.same_messages(plain["v4"], events)


def test_frames_of_other_protocols_are_stepped_over(see, plain):
    """ARP, LLDP, UDP, ICMP and truncated headers between the packets change nothing."""
    noise = [wire.MAC_B + wire.MAC_A + struct.pack(">H", 0x0806) + bytes(28),
             wire.MAC_B + wire.MAC_A + struct.pack(">H", 0x88CC) + bytes(20),
             wire.ethernet(wire.ipv4("10.0.0.1", "10.0.0.2", wire.udp(53, 53, b"x" * 30),
                                     wire.UDP)),
             wire.ethernet(wire.ipv4("10.0.0.1", "10.0.0.2", bytes(8), 1)),
             wire.MAC_B + wire.MAC_A + b"\x08\x00\x45", b"\x00" * 5, b""]
    frames = []
    for i, (time, p) in enumerate(V4.packets):
        frames += [(time, noise[i % len(noise)]), (time, wire.ethernet(p))]

    class Noisy(Capture):
        def pcap(self, **more):
            return wire.pcap(frames)
    bustap.same_messages(plain["v4"], see(Noisy()))


@pytest.mark.parametrize("depth", [3, 9, 40])
def test_tunnels_in_tunnels(store, depth):
    """Deep nesting ends at the program's cap, quietly, whether it decodes that deep or not."""
    packet = V4.packets[3][1]
    for _ in range(depth):
        packet = wire.gre(packet)[14:]
    bustap.analyze(store(wire.pcap([(wire.START, wire.ethernet(packet))])))

"""Input that breaks the rules, by accident or on purpose.

Whatever stands in a capture: no crash, an exit code of the contract, every anomaly named, the good
messages around it decoded, and nothing on the terminal that was not meant for it. (`lib.bustap.run`
looks for raw control characters in every output of every test.)
"""

import random
import struct

import pytest

from lib import bustap, resp, wire
from lib.wire import Capture, Node

A, B = Node(1, slots=[(0, 5460)]), Node(2)


def ping(number):
    return wire.ping(A, offset=number)


def numbers(events):
    """The numbers of the pings; a light one has none."""
    return [m.get("repl_offset") for m in bustap.messages(events, "ping")]


def around(link, bad):
    """Two good messages, the bad bytes, three good ones."""
    capture, connection = link()
    for data in (ping(1), ping(2), bad, ping(3), ping(4), ping(5)):
        connection.send("client", data)
    return capture


def changed(data, offset, form, value):
    data = bytearray(data)
    struct.pack_into(">" + form, data, offset, value)
    return bytes(data)


# ------------------------------------------------------------------------------- broken framing

LOST = {                                               # name: bytes after which the frame is lost
    "total length 0": changed(ping(99), 4, "I", 0),
    "total length 1": changed(ping(99), 4, "I", 1),
    "total length 15": changed(ping(99), 4, "I", 15),
    "total length 2255": changed(ping(99), 4, "I", 2255),
    "total length 2^31": changed(ping(99), 4, "I", 2 ** 31),
    "total length 2^32-1": changed(ping(99), 4, "I", 2 ** 32 - 1),
    "total length over 64 MiB": changed(ping(99), 4, "I", (64 << 20) + 1),
    "bad signature": changed(ping(99), 0, "4s", b"RCmB"),
    "text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(5000),
    "signature at the end": b"z" * 333 + b"RCmb",
    "half a signature": b"z" * 333 + b"RCm",
    "signatures only": b"RCmb" * 500,
    "noise": random.Random(1).randbytes(10000),
}


@pytest.mark.parametrize("bad", LOST.values(), ids=LOST)
def test_the_frame_is_found_again(see, store, link, bad):
    """After bytes that are no message the next messages are found, and the loss is told."""
    capture = around(link, bad)
    events = see(capture)
    assert numbers(events) == [1, 2, 3, 4, 5]
    assert bustap.anomalies(events)
    report = bustap.analyze(store(capture.pcap()))
    assert sum(report["bus"]["anomalies"].values()) > 0
    assert report["bus"]["undecoded_bytes"] >= len(bad)


BODIES = {                                             # name: framed well, wrong inside
    "count 65535": wire.ping(A, count=65535),
    "count one too many": wire.ping(A, [wire.entry(B)], count=2),
    "count one too few": wire.ping(A, [wire.entry(B), wire.entry(B)], count=1),
    "half an entry": wire.message("ping", A, wire.entry(B)[:50], count=1),
    "extension of length 0": wire.ping(A, [], [wire.extension(0, b"host\0", length=0)]),
    "extension of length 4": wire.ping(A, [], [wire.extension(0, b"host\0", length=4)]),
    "extension of length 8": wire.ping(A, [], [wire.extension(0, b"", length=8), b""]),
    "extension of length 9": wire.ping(A, [], [wire.extension(0, b"host\0", length=9)]),
    "extension longer than the message": wire.ping(A, [], [wire.extension(0, b"h\0", length=800)]),
    "extension of 2^32-8": wire.ping(A, [], [wire.extension(0, b"host\0", length=2 ** 32 - 8)]),
    "extension of 65536": wire.ping(A, [], [wire.extension(0, b"host\0", length=65536)]),
    "65535 extensions": wire.ping(A, [], [wire.hostname("h")], extension_count=65535),
    "extension count 1, none there": wire.ping(A, extension_count=1, mflags=b"\4\0\0"),
    "hostname without its end": wire.ping(A, [], [wire.extension(0, b"x" * 8)]),
    "short FAIL": wire.message("fail", A, b"a" * 39),
    "long FAIL": wire.message("fail", A, b"a" * 41),
    "short UPDATE": wire.message("update", A, bytes(2000)),
    "AUTH_REQUEST with a body": wire.message("auth-req", A, b"body"),
    "PUBLISH without its lengths": wire.message("publish", A, b"\0\0\0\4"),
    "PUBLISH longer than it says": wire.message("publish", A, struct.pack(">II", 1, 1) + b"ccc"),
    "PUBLISH shorter than it says": wire.message("publish", A, struct.pack(">II", 9, 9) + b"ccc"),
    "PUBLISH of 2^32-1 and 9": wire.message("publish", A, struct.pack(">II", 2 ** 32 - 1, 9)
                                            + b"c" * 8),
    "PUBLISH of 2^31 twice": wire.message("publish", A, struct.pack(">II", 2 ** 31, 2 ** 31)),
    "MODULE shorter than it says": wire.message("module", A, struct.pack(">QIB", 1, 99, 1)),
    "MODULE of 2^32-1": wire.message("module", A, struct.pack(">QIB", 1, 2 ** 32 - 1, 1)),
    "AUTH_NACK of 7 bytes": wire.message("auth-nack", A, bytes(7)),
    "light PUBLISH shorter than it says": wire.light("publish", struct.pack(">II", 9, 9)),
    "light PUBLISH without a body": wire.light("publish", b""),
    "light PING": wire.light("ping", b""),
}


@pytest.mark.parametrize("bad", BODIES.values(), ids=BODIES)
def test_wrong_inside(see, link, bad):
    """The server ignores the message and keeps the link; so do we, and say so."""
    events = see(around(link, bad))
    found = [n for n in numbers(events) if n]
    assert found == [1, 2, 3, 4, 5]


MUST_BE_NAMED = ["count 65535", "count one too many", "half an entry", "extension of length 0",
                 "extension of length 9", "extension longer than the message", "short FAIL",
                 "short UPDATE", "PUBLISH longer than it says", "PUBLISH shorter than it says",
                 "PUBLISH of 2^32-1 and 9", "MODULE shorter than it says"]


@pytest.mark.parametrize("name", MUST_BE_NAMED)
def test_wrong_inside_is_an_anomaly(see, link, name):
    """What the servers log as a wrong length is the footprint of a mixed-version cluster."""
    assert bustap.anomalies(see(around(link, BODIES[name])))


@pytest.mark.parametrize("version", [2, 255, 256, 65535])
def test_unknown_version(see, link, version):
    """Servers ignore it and keep the link. It is reported, by its number or as an anomaly."""
    bad = wire.message("ping", A, offset=99, ver=1)
    events = see(around(link, changed(bad, 8, "H", version)))
    assert [n for n in numbers(events) if n in range(1, 6)] == [1, 2, 3, 4, 5]
    assert bustap.anomalies(events) or version in [m["version"] for m in bustap.messages(events)]


def test_versions_mixed(see, link):
    """A node of version 0 and one of version 1 on one link, in turn."""
    capture, connection = link()
    for i in range(1, 7):
        connection.send("client", wire.ping(A, offset=i, ver=i % 2))
    assert numbers(see(capture)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("length", [2256, 2296, 4352, 70000])
def test_message_cut_by_the_end(see, link, length):
    """The capture ends inside a message: the ones before are there, the rest is no crash."""
    capture, connection = link()
    body = wire.message(16, A, bytes(length - 2256))
    for data in (ping(1), ping(2), body[:-1]):
        connection.send("client", data)
    assert bustap.types(see(capture)) == ["ping", "ping"]


@pytest.mark.parametrize("keep", range(0, 2257, 141))
def test_message_cut_by_a_reset(see, link, keep):
    """A message may end anywhere and never continue."""
    capture, connection = link()
    connection.send("client", ping(1) + ping(2)[:keep])
    connection.reset()
    assert numbers(see(capture)) == ([1, 2] if keep == 2256 else [1])


def test_a_huge_length_does_not_hold_memory(store, link):
    """A length of 60 MiB is legal; a hundred links that promise so much may never keep it."""
    capture = Capture()
    for port in range(100):
        connection = capture.link(A, B, port=41000 + port).open()
        connection.send("client", changed(wire.message(4, A), 4, "I", 60 << 20))
    last = capture.link(A, B, port=50000).open()
    last.send("client", ping(1))
    assert bustap.analyze(store(capture.pcap()))["bus"]["messages"].get("ping") == 1


# ------------------------------------------------------------------------------- hostile text

HOSTILE = {
    "escape sequence": b"\x1b[2J\x1b]0;owned\x07",
    "operating system command": b"\x1b]52;c;ZXZpbA==\x1b\\",
    "c1, as utf-8": "\u009b31mred\u009c".encode(),
    "c1, as bytes": b"\x9b31mred\x9c",
    "nul inside": b"be\0fore",
    "new line": b"one\ntwo\r\nthree",
    "tab and bell": b"a\tb\ac",
    "delete": b"\x7f\x7f",
    "bidirectional": "abc\u202edef\u2066ghi\u2069".encode(),
    "zero width": "a\u200bb\ufeffc".encode(),
    "quotes and backslashes": b"a\"b'c\\d\\u0041\\x1b",
    "html": b"</script><img src=x onerror=alert(1)>",
    "not utf-8": b"\xff\xfe\xc0\x80\xed\xa0\x80\xf8",
    "cut utf-8": "ä".encode()[:1],
    "line separator": "a\u2028b\u2029c".encode(),
    "format string": b"%s%n%x%99999d",
    "long": b"A" * 3000,
}

PLACES = {
    "hostname": lambda t: wire.ping(A, [], [wire.text_extension(0, t)]),
    "human name": lambda t: wire.ping(A, [], [wire.text_extension(1, t)]),
    "shard id": lambda t: wire.ping(A, [], [wire.extension(3, t[:40].ljust(40, t[:1]))]),
    "forgotten node": lambda t: wire.ping(A, [], [wire.extension(2, t[:40].ljust(48, t[:1]))]),
    "client address": lambda t: wire.ping(A, [], [wire.text_extension(4, t)]),
    "client ipv6 address": lambda t: wire.ping(A, [], [wire.text_extension(5, t)]),
    "unknown extension": lambda t: wire.ping(A, [], [wire.text_extension(77, t)]),
    "channel": lambda t: wire.publish(A, t, b"payload"),
    "shard channel": lambda t: wire.publish(A, t, b"payload", shard=True),
    "light channel": lambda t: wire.light("publish", wire.publish_body(t, b"payload")),
    "gossip address": lambda t: wire.ping(A, [wire.entry(B, ip=t[:46])]),
    "gossip node": lambda t: wire.ping(A, [wire.entry(B, node=t[:40].ljust(40, t[:1]))]),
    "announced address": lambda t: wire.ping(A, ip=t[:46]),
    "primary": lambda t: wire.ping(A, replica_of=t[:40].ljust(40, t[:1])),
    "failed node": lambda t: wire.message("fail", A, t[:40].ljust(40, t[:1])),
    "updated node": lambda t: wire.message("update", A, bytes(8) + t[:40].ljust(40, t[:1])
                                           + bytes(2048)),
    "module payload": lambda t: wire.module(A, 1, 1, t),
    "sender": lambda t: wire.ping(A, sender=t[:40].ljust(40, t[:1])),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_hostile_text(store, link, place):
    """Every hostile string in every place where a node can put text; text and JSON stay clean.

    One capture per place holds all the strings, one message each.
    """
    capture, connection = link()
    connection.send("client", ping(1))
    for text in HOSTILE.values():
        connection.send("client", place(text))
    connection.send("client", ping(2))
    path = store(capture.pcap())
    events = bustap.dump(path)
    bustap.analyze(path)
    said = bustap.everything(path)
    assert "\x1b" not in said
    assert events[-1] and 2 in numbers(events)


def test_one_line_per_event(store, link):
    """New lines in a channel do not make new lines in the output: grep finds what is there."""
    capture, connection = link()
    harmless, other = link()
    for text in HOSTILE.values():
        connection.send("client", wire.publish(A, text, b"p"))
        other.send("client", wire.publish(A, b"c" * len(text), b"p"))
    lines = [len(bustap.run("dump", store(c.pcap())).out.splitlines()) for c in (capture, harmless)]
    assert lines[0] == lines[1]


def test_json_keeps_quotes(see, link):
    """Quotes and backslashes survive the trip through JSON."""
    capture, connection = link()
    connection.send("client", wire.publish(A, b'say "hi" \'there\'', b"p"))
    (m,) = bustap.messages(see(capture))
    assert m["channel"] == 'say "hi" \'there\''


def test_utf8_channel(see, link):
    """Text of other languages is text."""
    capture, connection = link()
    connection.send("client", wire.publish(A, "größe-日本".encode(), b"p"))
    (m,) = bustap.messages(see(capture))
    assert m["channel"] == "größe-日本"


# ------------------------------------------------------------------------------- packets

def test_tcp_header_lengths(store, link):
    """Data offsets of 0, 4 and 15 words in short packets."""
    frames = []
    for words in (0, 4, 15):
        packet = bytearray(wire.ipv4(A.ip, B.ip, wire.tcp((A.ip, 40001), (B.ip, 16379), 1, 1,
                                                          wire.ACK, b"RCmb")))
        packet[32] = words << 4
        frames.append((wire.START, wire.ethernet(bytes(packet))))
    capture, connection = link()
    connection.send("client", ping(1))
    report = bustap.analyze(store(wire.pcap(frames + capture.frames())))
    assert report["bus"]["messages"] == {"ping": 1}


def test_packets_cut_everywhere(store, link):
    """Each packet of a conversation, cut after each of its first bytes."""
    capture, connection = link()
    connection.send("client", ping(1))
    frames = []
    for time, frame in capture.frames():
        frames += [(time, frame[:size], len(frame)) for size in range(0, min(len(frame), 120))]
    bustap.analyze(store(wire.pcap(frames)))
    bustap.dump(store(wire.pcap(frames)))


@pytest.mark.parametrize("seed", range(10))
def test_damaged_packets(store, link, seed):
    """Bits flipped in one byte of a hundred: any outcome but a crash, and clean output."""
    dice = random.Random(seed)
    capture, connection = link()
    for i in range(20):
        connection.send("client", wire.ping(A, [wire.entry(B)], [wire.hostname("host"),
                                                                wire.shard_id(A.id)]))
        connection.send("server", wire.pong(B))
        connection.send("client", wire.publish(A, b"chan", b"payload"))
    frames = []
    for time, frame in capture.frames():
        frame = bytearray(frame)
        for _ in range(len(frame) // 100 + 1):
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
        frames.append((time, bytes(frame)))
    path = store(wire.pcap(frames))
    bustap.run("analyze", "--json", path, code=(0, 2))
    bustap.run("dump", path, code=(0, 2))


def test_times_that_jump(store, link):
    """Clocks are set back and forth: one file is read in its own order, and no wait is negative."""
    capture, connection = link()
    for i in range(1, 6):
        connection.send("client", ping(i))
        connection.send("server", wire.pong(B))
        capture.now += (-1) ** i * 3600 * 10 ** 9
    text = bustap.run("analyze", store(capture.pcap())).text
    assert bustap.analyze(store(capture.pcap()))["bus"]["messages"] == {"ping": 5, "pong": 5}
    assert " -36" not in text


def test_many_nodes(store):
    """Five thousand ids in gossip: made up or not, they cost little."""
    capture = Capture(step=1000)
    connection = capture.link(A, B, mss=60000).open()
    for first in range(0, 5000, 500):
        connection.send("client", wire.ping(A, [wire.entry(Node(1000 + first + i, ip="10.9.9.9"))
                                                for i in range(500)]))
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {"ping": 10}


@pytest.mark.parametrize("ahead", (1 << 30, (1 << 31) - 1500, (1 << 31) - 1120, (1 << 31) - 1119, (1 << 31) - 1))
def test_a_segment_half_the_sequence_space_ahead(store, ahead):
    """Its beginning is ahead, its end seems to be behind: what was held to its end would be held for ever."""
    for begin in (ping(1), resp.command("GET", "a")):
        capture = Capture()
        connection = capture.link(A, B).open()
        connection.send("client", begin)
        connection.segment("client", bytes(1120), seq=(connection.next["client"] + ahead) % (1 << 32))
        assert bustap.analyze(store(capture.pcap()))["findings"] is not None

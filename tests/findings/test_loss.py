"""A capture that misses packets says less, never something else.

Packets are removed at random, a second of them is cut out, each is cut after 128 bytes, or only a
part of the time is there: what is then called critical, or a warning, must have been found in the
whole capture too, of the same nodes, or of these and more.
"""

import random
import struct

import pytest

from lib import bustap, captures, findings

SHARES = (1, 5, 20)                                                 # per cent
WHOLE = [t for t in captures.TAKES if not t.vantage]
WHOLE_IDS = [t.name for t in WHOLE]


def records(data):
    """The file's header, and its packets as (time in s, record)."""
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    second = 1e9 if b"\x3c\xb2" in data[:4] or b"\xb2\x3c" in data[:4] else 1e6
    at, packets = 24, []
    while at < len(data):
        seconds, part, length, _ = struct.unpack_from(order + "IIII", data, at)
        packets.append((seconds + part / second, data[at:at + 16 + length]))
        at += 16 + length
    return data[:24], packets, order


def join(head, packets):
    return head + b"".join(record for _, record in packets)


def at_random(data, share, seed=1):
    dice = random.Random(seed)
    head, packets, _ = records(data)
    return join(head, [p for p in packets if dice.random() * 100 >= share])


def with_holes(data, every=4.0, length=1.0):
    """A second is missing in every four."""
    head, packets, _ = records(data)
    start = packets[0][0]
    return join(head, [p for p in packets if (p[0] - start) % every < every - length])


def cut(data, snaplen=128):
    head, packets, order = records(data)
    out = []
    for time, record in packets:
        kept = record[16:16 + snaplen]
        out.append((time, record[:8] + struct.pack(order + "I", len(kept)) + record[12:16] + kept))
    return join(head, out)


def part(data, begin, end):
    """What lies between two shares of the capture's time."""
    head, packets, _ = records(data)
    first, span = packets[0][0], packets[-1][0] - packets[0][0]
    return join(head, [p for p in packets if begin <= (p[0] - first) / span <= end])


DAMAGE = {**{f"lost-{share}": lambda data, share=share: at_random(data, share)
             for share in SHARES},
          **{f"from-{begin}-to-{end}": lambda data, begin=begin, end=end:
             part(data, begin / 100, end / 100)
             for begin, end in ((0, 50), (0, 80), (20, 100), (45, 100), (70, 100))},
          "holes": with_holes, "snaplen-128": cut}


def loud(found):
    return [f for f in found if f.severity in findings.LOUD and f.type != "capture-loss"]


# What a part of the time shows of something that becomes more: it was suspected so far.
PART_OF = {"node-suspected": {"node-failed"}}


def is_among(one, whole):
    types = {one.type} | PART_OF.get(one.type, set())
    return any(other.type in types and set(one.nodes) <= set(other.nodes) for other in whole)


@pytest.fixture(scope="module")
def whole():
    """What is found in a whole capture, looked up once."""
    seen = {}

    def look(take):
        if take.name not in seen:
            seen[take.name] = loud(findings.of(take.path))
        return seen[take.name]
    return look


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("take", WHOLE, ids=WHOLE_IDS)
def test_less_but_nothing_else(store, whole, take, damage):
    path = store(DAMAGE[damage](take.raw()))
    found = loud(findings.of(path))
    others = [f for f in found if not is_among(f, whole(take))]
    assert not others, f"not in the whole capture:\n{findings.listing(others)}"


@pytest.mark.parametrize("take", WHOLE, ids=WHOLE_IDS)
def test_the_loss_is_told(store, take):
    report = bustap.analyze(store(at_random(take.raw(), 5)))
    assert [f for f in report["findings"] if f["type"] == "capture-loss"]

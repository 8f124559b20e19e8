"""However the same bytes are cut, repeated and reordered on their way, the events are the same.

Each capture of a real cluster is rewritten (its bus connections, or the first of its clients') and
must give, for every direction of every connection, the same list of bus messages, or of requests,
replies and what the decoder makes of them, as before, apart from the places where they were found.
tests/prop/test_segments.c asks the same of the decoder alone, in more shapes. The shuffling depends on a seed; a failure prints it, and PROP_SEED=… repeats it.
"""

import functools
import gzip
import os
import random

import pytest

from lib import bustap, captures, resegment, wire

SEED = int(os.environ.get("PROP_SEED") or random.SystemRandom().randrange(10 ** 9))
EVERY_BYTE = 60_000               # bytes of data that are cut at every byte, from the beginning
CLIENTS = 300_000                 # bytes of clients' connections looked at, from the beginning

TAKES = pytest.mark.parametrize("take", captures.TAKES, ids=lambda take: take.name)


def all_of_it(segments, dice):
    segments = resegment.cut(segments, resegment.any_size(dice))
    segments = resegment.duplicate(resegment.reorder(segments, dice), dice)
    return resegment.honest_acks(resegment.retransmit(segments, dice, share=0.2))


# What is done to the segments. "in the network": reordered before the packets came by, so that no
# ACK speaks of bytes that are still to come. "in the card": an ACK may stand before its data, but
# not long; the packets are a microsecond apart. (Data that come seconds, or very many packets,
# after their own ACK count as lost, and rightly so.)
SHAPES = {
    "random cuts": lambda s, dice: resegment.cut(s, resegment.any_size(dice)),
    "duplicated": resegment.duplicate,
    "reordered in the network": lambda s, dice: resegment.honest_acks(resegment.reorder(s, dice)),
    "reordered in the card": lambda s, dice: resegment.closely(resegment.reorder_nearby(s, dice)),
    "retransmitted": resegment.retransmit,
    "all of it": all_of_it,
}


@functools.lru_cache(maxsize=2)
def original(take):
    """The segments of a capture's bus and the events that the program finds in the untouched
    file."""
    ports = {n["bus"] for n in take.truth["topology"]["nodes"]}
    return resegment.segments_of(take.raw(), ports), bustap.dump(take.path)


def same(expected, segments, store, name, of=bustap.messages):
    path = store(resegment.capture(segments), "rewritten.pcap")
    found = bustap.dump(path)
    try:
        # who is at the other end may be learnt a message earlier or later than in the original, and
        # what is measured between packets is another thing with other packets
        bustap.same_messages(expected, found, "receiver", "latency_us", "request_frame", of=of)
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}\nwritten to {path}; the same again: PROP_SEED={SEED}"
                             ) from None


@TAKES
def test_rewriting_alone_changes_nothing(take, store):
    """The rewritten but unshuffled capture has the messages of the original: the test is sound."""
    segments, expected = original(take)
    assert bustap.messages(expected)
    same(expected, segments, store, take.name)


@pytest.mark.parametrize("shape", SHAPES)
@TAKES
def test_same_messages(take, shape, store):
    segments, expected = original(take)
    dice = random.Random(f"{SEED} {take.name} {shape}")
    same(expected, SHAPES[shape](segments, dice), store, f"{take.name}, {shape}")


@TAKES
def test_cut_at_every_byte(take, store):
    """One packet per byte."""
    part = resegment.first_bytes(original(take)[0], EVERY_BYTE)
    expected = bustap.dump(store(resegment.capture(part), "part.pcap"))
    assert bustap.messages(expected)
    same(expected, resegment.cut(part, lambda: 1), store, take.name)


CLIENT_SHAPES = {
    "random cuts": lambda s, dice: resegment.cut(s, resegment.any_size(dice)),
    "at every byte": lambda s, dice: resegment.cut(resegment.first_bytes(s, EVERY_BYTE), lambda: 1),
    "cut, doubled, sent again": lambda s, dice: resegment.retransmit(
        resegment.duplicate(resegment.cut(s, resegment.any_size(dice)), dice), dice),
}


@TAKES
@pytest.mark.parametrize("shape", CLIENT_SHAPES)
def test_same_of_clients(take, shape, store):
    """A reply stays behind its request: the pieces keep their order."""
    ports = {n["port"] for n in take.truth["topology"]["nodes"]}
    every_byte = shape == "at every byte"
    part = resegment.first_bytes(resegment.segments_of(take.raw(), ports),
                                 EVERY_BYTE if every_byte else CLIENTS)
    expected = bustap.dump(store(resegment.capture(part), "part.pcap"))
    assert bustap.named(expected, "reply")
    dice = random.Random(f"{SEED} {take.name} {shape}")
    same(expected, CLIENT_SHAPES[shape](part, dice), store, f"{take.name}, {shape}",
         bustap.of_clients)


@TAKES
def test_prefix(take, store):
    """The first half of a capture gives the first events of the whole: all that its packets tell,
    but for the last one, with which the end is told, too."""
    raw, (_, expected) = take.raw(), original(take)
    found = bustap.dump(store(raw[:len(raw) // 2]), code=(0, 2))
    last = max(e["frame"] for e in found)
    found = [e for e in found if e["frame"] < last]
    assert bustap.messages(found) and bustap.of_clients(found)
    difference = bustap.first_difference(expected[:len(found)], found)
    assert not difference, difference


@TAKES
def test_every_form_of_the_file(take, store):
    """pcap, gzip and pcapng of a capture: byte for byte the output of the zstd file."""
    raw = take.raw()
    expected = bustap.run("dump", "--json", take.path).out
    frames = [(time, frame, 0) for time, frame, _ in resegment.frames(raw)]
    forms = {"pcap": raw, "gzip": gzip.compress(raw, 1),
             "pcapng": wire.pcapng(frames, [resegment.link_type(raw)])}
    for name, data in forms.items():
        assert bustap.run("dump", "--json", store(data)).out == expected, name


def is_within(part, whole):
    """All of `part` occurs in `whole`, in that order."""
    rest = iter(whole)
    return all(any(m == other for other in rest) for m in part)


@TAKES
@pytest.mark.parametrize("share", [0.01, 0.1])
def test_loss_invents_nothing(take, share, store):
    """Packets missing from the capture: fewer messages, and not one that was never sent."""
    segments, expected = original(take)
    dice = random.Random(f"{SEED} {take.name} {share}")
    path = store(resegment.capture(resegment.lose(segments, dice, share)))
    # a light message has no sender of its own; who it is may be unknown after a loss
    unsure = ("sender", "receiver")
    whole, found = (bustap.by_direction(e, *unsure) for e in (expected, bustap.dump(path)))
    for direction, part in found.items():
        assert is_within(part, whole[direction]), f"{direction} in {path}; PROP_SEED={SEED}"
    kept = sum(map(len, found.values())) / sum(map(len, whole.values()))
    assert kept >= 1 - 6 * share, f"only {kept:.0%} found in {path}; PROP_SEED={SEED}"


@TAKES
def test_joined_later(take, store):
    """The capture starts in the middle: what is found ends as the whole does, and is nearly all."""
    segments, expected = original(take)
    start = len(segments) // 2
    path = store(resegment.capture(segments[start:]))
    unsure = ("sender", "receiver")
    later = [m for m in expected if m["time"] > bustap.when(segments[start].time)]
    whole, after = bustap.by_direction(expected, *unsure), bustap.by_direction(later, *unsure)
    found = bustap.by_direction(bustap.dump(path), *unsure)
    for direction, messages in after.items():
        part, all_of_them = found.get(direction, []), whole[direction]
        assert part == all_of_them[len(all_of_them) - len(part):], f"{direction} in {path}"
        assert len(part) >= len(messages) - 1, f"{direction} in {path}"

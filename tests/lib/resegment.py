"""Connections of a capture, cut, repeated and reordered in other ways.

    segments = segments_of(take.raw(), ports)
    write(path, capture(cut(segments, everywhere)))

No byte of any stream is changed, only how it is spread over packets. Everything is a list of
`Segment`; `capture` packs such a list into a pcap of raw IP packets, fast enough for a packet per
byte.
"""

import collections
import struct

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

# time in ns; src and dst as packed addresses; everything else as in the TCP header
Segment = collections.namedtuple("Segment", "time src sport dst dport seq ack flags window data")

# link type: (offset of the ethertype, length of the header)
LINK = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
PCAP = {b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000),
        b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1)}


def segments_of(raw, ports):
    """The TCP segments of a pcap that go from or to one of the ports."""
    type_at, header = LINK[link_type(raw)]
    found = []
    for time, frame, _ in frames(raw):
        kind = frame[type_at:type_at + 2]
        if kind == b"\x08\x00" and frame[header + 9] == 6:
            start = header + (frame[header] & 15) * 4
            end = header + int.from_bytes(frame[header + 2:header + 4], "big")
            src, dst = frame[header + 12:header + 16], frame[header + 16:header + 20]
        elif kind == b"\x86\xdd" and frame[header + 6] == 6:
            start = header + 40
            end = start + int.from_bytes(frame[header + 4:header + 6], "big")
            src, dst = frame[header + 8:header + 24], frame[header + 24:header + 40]
        else:
            continue
        sport, dport, seq, ack, words, flags, window = struct.unpack_from(">HHIIBBH", frame, start)
        if sport in ports or dport in ports:
            found.append(Segment(time, src, sport, dst, dport, seq, ack,
                                 flags, window, frame[start + (words >> 4) * 4:end]))
    return found


RECORD4 = struct.Struct(">IIIIBBHHHBBH4s4sHHIIBBHHH")            # pcap record, IPv4, TCP
RECORD6 = struct.Struct(">IIIIIHBB16s16sHHIIBBHHH")              # pcap record, IPv6, TCP


def capture(segments):
    """A big-endian nanosecond pcap of raw IP packets. Times never run backwards in it."""
    out = [struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101)]
    sums, now = {}, 0
    for s in segments:
        now = max(now, s.time)
        seconds, part = divmod(now, 10 ** 9)
        tcp = (s.sport, s.dport, s.seq & 0xFFFFFFFF, s.ack, 0x50, s.flags, s.window, 0, 0)
        size = 40 + len(s.data)
        if len(s.src) == 4:
            base = sums.get((s.src, s.dst))
            if base is None:
                base = sums[s.src, s.dst] = 0x4500 + 0x4006 + sum(
                    struct.unpack(">4H", s.src + s.dst))
            total = base + size
            total = (total & 0xFFFF) + (total >> 16)
            total = (total & 0xFFFF) + (total >> 16)
            out.append(RECORD4.pack(seconds, part, size, size, 0x45, 0, size, 0, 0, 64, 6,
                                    total ^ 0xFFFF, s.src, s.dst, *tcp))
        else:
            size += 20
            out.append(RECORD6.pack(seconds, part, size, size, 6 << 28, size - 40, 6, 64, s.src,
                                    s.dst, *tcp))
        out.append(s.data)
    return b"".join(out)


def snap(raw, snaplen):
    """The pcap, as capture() makes it, as if its packets had been cut at `snaplen`."""
    out, offset = [raw[:24]], 24
    while offset < len(raw):
        seconds, part, length, original = struct.unpack_from(">IIII", raw, offset)
        kept = min(length, snaplen)
        out += struct.pack(">IIII", seconds, part, kept, original), raw[offset + 16:offset + 16 + kept]
        offset += 16 + length
    return b"".join(out)


def frames(raw):
    """(time in ns, frame, original length) of each record of a pcap."""
    order, unit = PCAP[raw[:4]]
    record, offset = struct.Struct(order + "IIII"), 24
    while offset + 16 <= len(raw):
        seconds, part, length, original = record.unpack_from(raw, offset)
        yield seconds * 10 ** 9 + part * unit, raw[offset + 16:offset + 16 + length], original
        offset += 16 + length


def link_type(raw):
    return struct.unpack_from(PCAP[raw[:4]][0] + "I", raw, 20)[0]


def direction(segment):
    return segment[1:5]


def first_bytes(segments, limit):
    """The beginning of the capture, up to `limit` bytes of data."""
    total = 0
    for i, s in enumerate(segments):
        total += len(s.data)
        if total > limit:
            return segments[:i]
    return segments


def cut(segments, sizes):
    """Each segment in pieces; `sizes()` yields the length of the next piece.

    FIN and PSH go with the last piece of a segment.
    """
    out = []
    for s in segments:
        if len(s.data) < 2 or s.flags & SYN:
            out.append(s)
            continue
        offset = 0
        while offset < len(s.data):
            piece = s.data[offset:offset + sizes()]
            last = offset + len(piece) == len(s.data)
            out.append(s._replace(seq=s.seq + offset, data=piece,
                                  flags=s.flags if last else s.flags & ~(FIN | PSH)))
            offset += len(piece)
    return out


def any_size(dice):
    """Piece sizes of all kinds: mostly middling, now and then a byte or two, or a large one."""
    return lambda: dice.randint(1, dice.choices((3, 200, 1448), (1, 6, 3))[0])


def duplicate(segments, dice, distance=8):
    """Every segment twice, the copy at once or up to `distance` packets later."""
    places = []
    for i, s in enumerate(segments):
        places.append((i, i, s))
        places.append((i + dice.random() * dice.choice((0, 1, distance)), i + 0.5, s))
    return [s for *_, s in sorted(places, key=lambda place: place[:2])]


def reorder(segments, dice, window=16):
    """The data of each direction, shuffled within runs of `window` segments.

    The shuffled segments take each other's places in the capture. SYN, FIN and RST stay where they
    are, and nothing moves across a SYN, nor across a RST from either end: what was sent before it
    has been delivered or not, and what comes after it is of a connection that is no more.
    """
    runs, open_runs = [], {}
    for i, s in enumerate(segments):
        if s.flags & (SYN | RST):
            open_runs.pop(direction(s), None)
        if s.flags & RST:
            open_runs.pop((s.dst, s.dport, s.src, s.sport), None)
        if s.data and not s.flags & (SYN | FIN | RST):
            run = open_runs.get(direction(s))
            if run is None or len(run) == window:
                run = open_runs[direction(s)] = []
                runs.append(run)
            run.append(i)
    out = list(segments)
    for run in runs:
        mixed = run[:]
        dice.shuffle(mixed)
        for place, origin in zip(run, mixed):
            out[place] = segments[origin]._replace(time=segments[place].time)
    return out


def reorder_nearby(segments, dice, distance=16):
    """Packets swapped as several queues of a card do it: each lands a few places off, all
    directions alike. SYN, FIN and RST hold their places; nothing passes them."""
    out, block = [], []
    for s in segments:
        if s.flags & (SYN | FIN | RST):
            dice.shuffle(block)
            out += block + [s]
            block = []
            continue
        block.append(s)
        if len(block) == distance:
            dice.shuffle(block)
            out += block
            block = []
    dice.shuffle(block)
    return out + block


def honest_acks(segments):
    """Acknowledgements of nothing that has not yet passed: the packets were reordered before they
    came by, and the receivers speak of what they had. An ACK is lowered to what is complete."""
    out, seen = [], {}                  # direction: [first number, bytes complete, later pieces]
    for s in segments:
        ours, theirs = direction(s), (s.dst, s.dport, s.src, s.sport)
        size = len(s.data) + bool(s.flags & SYN) + bool(s.flags & FIN)
        if s.flags & SYN and (ours not in seen or seen[ours][0] != s.seq):
            seen[ours] = [s.seq, 0, []]
        if ours in seen and size:
            state = seen[ours]
            offset = (s.seq - state[0]) & 0xFFFFFFFF
            state[2].append((offset, offset + size))
            state[2].sort()
            while state[2] and state[2][0][0] <= state[1]:
                state[1] = max(state[1], state[2].pop(0)[1])
        if s.flags & ACK and theirs in seen:
            first, complete, _ = seen[theirs]
            s = s._replace(ack=(first + min((s.ack - first) & 0xFFFFFFFF, complete)) & 0xFFFFFFFF)
        out.append(s)
    return out


def closely(segments, step=1000):
    """The same packets a microsecond apart: out of order, as it happens in a card or a network."""
    start = segments[0].time if segments else 0
    return [s._replace(time=start + i * step) for i, s in enumerate(segments)]


def retransmit(segments, dice, share=0.5, reach=6000):
    """After about half of the segments a stretch of what that direction sent lately, again, from
    anywhere to anywhere."""
    out, tails = [], {}                               # direction: (sequence number, bytes)
    for s in segments:
        out.append(s)
        if s.flags & (SYN | RST):
            tails.pop(direction(s), None)
            continue
        if not s.data:
            continue
        start, tail = tails.get(direction(s), (s.seq, b""))
        if s.seq != (start + len(tail)) & 0xFFFFFFFF:
            start, tail = s.seq, b""
        tail += s.data
        if len(tail) > reach:
            start, tail = (start + len(tail) - reach) & 0xFFFFFFFF, tail[-reach:]
        tails[direction(s)] = start, tail
        if dice.random() < share and not s.flags & FIN:
            first = dice.randrange(len(tail))
            last = dice.randint(first + 1, len(tail))
            out.append(s._replace(seq=start + first, data=tail[first:last]))
    return out


def lose(segments, dice, share):
    """Some of the segments with data were not captured. Nothing else is changed."""
    return [s for s in segments if not s.data or dice.random() >= share]

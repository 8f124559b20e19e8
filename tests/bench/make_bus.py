"""Makes a long capture of a cluster bus from a short one: its steady state again and again.

The short one is the bridge's (every frame once), of a cluster that is set up and then healthy. It
is played as it is until nothing of the set-up is left (STEADY_FROM). What follows is repeated, each
time later, with sequence numbers, ACKs, IP ids and TCP timestamps carried on, so that each
connection is one long one. Both cuts are where no message is under way. Checksums are not redone.

With copies > 1 the cluster's nodes are copied, under other ids and addresses, and all copies talk
to each other as their originals do: every link between two originals becomes copies² links. 7
copies of 6 nodes are 42 nodes with 1470 links. (Copies of the same node do not talk.) What a node
says of itself stays what the original says, so roles and slots are those of 7 clusters in one.
"""

import collections
import struct
import subprocess

BUS_PORT = 16379
NODES = 6  # of the short capture
STEADY_FROM, STEADY_UNTIL = 8.0, 17.0  # seconds; both are moved to a pause
FIN, SYN, RST = 1, 2, 4

# Offsets in a frame of Ethernet, IPv4 without options, TCP with timestamps.
IP_ID, SRC, DST, PORTS, SEQ, OFFSET, FLAGS, TIMESTAMPS = 18, 26, 30, 34, 38, 46, 47, 58
# In a bus message (version 1): two node ids, and in PING, PONG and MEET the gossip.
SENDER, PRIMARY, GOSSIP, GOSSIP_ENTRY = 40, 2128, 2256, 104
HEX = b"0123456789abcdef"

Packet = collections.namedtuple("Packet", "time frame flow at seq len")  # at: payload's place


def read(path):
    """The file header, and the bus packets but those that end a connection."""
    raw = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    packets, at = [], 24
    while at < len(raw):
        seconds, us, size, _ = struct.unpack_from("<IIII", raw, at)
        frame = raw[at + 16:at + 16 + size]
        at += 16 + size
        is_tcp = size > FLAGS and frame[12:15] == b"\x08\x00\x45" and frame[23] == 6
        if not is_tcp or frame[FLAGS] & (FIN | RST):
            continue
        if BUS_PORT in struct.unpack_from(">HH", frame, PORTS):
            payload = PORTS + (frame[OFFSET] >> 4) * 4
            length = 14 + struct.unpack_from(">H", frame, 16)[0] - payload
            flow = frame[SRC:PORTS + 4]
            seq, = struct.unpack_from(">I", frame, SEQ)
            packets.append(Packet(seconds * 10**6 + us, frame, flow, payload, seq, length))
    return raw[:24], packets


def find_pause(packets, seconds):
    """The packet (its number) that the longest pause within a second of that time precedes."""
    start = packets[0].time + seconds * 1e6
    near = [i for i in range(1, len(packets)) if 0 <= packets[i].time - start < 1e6]
    return max(near, key=lambda i: packets[i].time - packets[i - 1].time)


def reverse(flow):
    return flow[4:8] + flow[:4] + flow[10:12] + flow[8:10]


# ---- copies of nodes ----

def streams_of(packets):
    """Per direction of a connection its bytes, and the sequence number of the first."""
    streams = {}
    for p in packets:
        first, data = streams.setdefault(p.flow, (p.seq + bool(p.frame[FLAGS] & SYN), bytearray()))
        if p.len:
            at = p.seq - first & 0xffffffff
            assert at <= len(data), "the capture has a gap"
            data[at:at + p.len] = p.frame[p.at:p.at + p.len]
    return streams


def id_of(node, copy):
    return node.translate(bytes.maketrans(HEX, HEX[copy:] + HEX[:copy]))


def ip_of(text, copy):
    """A field of 46 bytes; all zero where no address is announced."""
    if not text[0]:
        return text
    network, _, host = text.rstrip(b"\0").rpartition(b".")
    return (network + b".%d" % (int(host) + NODES * copy)).ljust(len(text), b"\0")


def copied_stream(data, copy, copies):
    """What the copy of a node says: of its own copy's primary, and in gossip of all copies."""
    out, at = [], 0
    while at < len(data):
        total, = struct.unpack_from(">I", data, at + 4)
        assert data[at:at + 4] == b"RCmb" and at + total <= len(data), "the cut is in a message"
        message = data[at:at + total]
        out += (message[:SENDER], id_of(message[SENDER:SENDER + 40], copy),
                message[SENDER + 40:PRIMARY], id_of(message[PRIMARY:PRIMARY + 40], copy),
                ip_of(message[PRIMARY + 40:PRIMARY + 86], copy), message[PRIMARY + 86:GOSSIP])
        for entry in range(GOSSIP, total, GOSSIP_ENTRY):
            whose = (at + entry) // GOSSIP_ENTRY % copies
            out += (id_of(message[entry:entry + 40], whose),
                    message[entry + 40:entry + 48], ip_of(message[entry + 48:entry + 94], whose),
                    message[entry + 94:entry + GOSSIP_ENTRY])
        at += total
    return b"".join(out)


def ends_of(frame, sender, receiver):
    """Addresses and ports: a connector has another port for each copy that it connects to."""
    src, dst = frame[SRC:DST], frame[DST:PORTS]
    sport, dport = struct.unpack_from(">HH", frame, PORTS)
    if sport == BUS_PORT:
        dport += 37 * sender
    else:
        sport += 37 * receiver
    return b"".join((src[:3], bytes([src[3] + NODES * sender]), dst[:3],
                     bytes([dst[3] + NODES * receiver]), struct.pack(">HH", sport, dport)))


def with_copies(packets, copies):
    streams = streams_of(packets)
    said = {(flow, copy): copied_stream(data, copy, copies)
            for flow, (_, data) in streams.items() for copy in range(copies)}
    made = []
    for p in packets:
        at = p.seq - streams[p.flow][0] & 0xffffffff
        for a in range(copies):
            payload = said[p.flow, a][at:at + p.len] if p.len else b""
            for b in range(copies):
                ends = ends_of(p.frame, a, b)
                frame = p.frame[:SRC] + ends + p.frame[SEQ:p.at] + payload
                later = (min(a, b) * copies + max(a, b)) * 311  # not all links at the same time
                made.append(p._replace(time=p.time + later, frame=frame, flow=ends))
    return sorted(made, key=lambda p: p.time)


# ---- repetition ----

def last_seqs(packets):
    """Per direction of a connection the sequence number that comes next."""
    last = {}
    for p in packets:
        last[p.flow] = p.seq + p.len + bool(p.frame[FLAGS] & SYN)
    return last


def record(time, frame):
    return struct.pack("<IIII", *divmod(time, 10**6), len(frame), len(frame)) + frame


def make(source, target, size, copies=1):
    """Writes at least `size` bytes."""
    header, packets = read(source)
    packets = packets[:find_pause(packets, STEADY_UNTIL)]
    cut = packets[find_pause(packets, STEADY_FROM)].time
    period = packets[-1].time + 250_000 - cut
    if copies > 1:
        packets = with_copies(packets, copies)
    head = [p for p in packets if p.time < cut]
    steady = [p for p in packets if p.time >= cut]
    before, after, counts = last_seqs(head), last_seqs(packets), collections.Counter()
    for p in steady:
        counts[p.flow] += 1
    grows = {flow: after[flow] - before[flow] & 0xffffffff for flow in after}

    # One period in memory; for each of its packets, where it stands and what changes.
    buffer, plan = bytearray(), []
    for p in steady:
        at = len(buffer) + 16
        buffer += record(p.time, p.frame)
        ip_id, = struct.unpack_from(">H", p.frame, IP_ID)
        seq, ack = struct.unpack_from(">II", p.frame, SEQ)
        stamps = struct.unpack_from(">II", p.frame, TIMESTAMPS)
        plan.append((at, p.time, ip_id, counts[p.flow], seq, grows[p.flow], ack,
                     grows[reverse(p.flow)], *stamps))
    with open(target, "wb") as out:
        out.write(header)
        out.writelines(record(p.time, p.frame) for p in head)
        for turn in range(max(1, -(-size // len(buffer)))):
            later, ms = turn * period, turn * period // 1000
            for at, time, ip_id, count, seq, mine, ack, theirs, stamp, echo in plan:
                struct.pack_into("<II", buffer, at - 16, *divmod(time + later, 10**6))
                struct.pack_into(">H", buffer, at + IP_ID, ip_id + turn * count & 0xffff)
                struct.pack_into(">II", buffer, at + SEQ, seq + turn * mine & 0xffffffff,
                                 ack + turn * theirs & 0xffffffff)
                struct.pack_into(">II", buffer, at + TIMESTAMPS, stamp + ms & 0xffffffff,
                                 echo + ms & 0xffffffff)
            out.write(buffer)

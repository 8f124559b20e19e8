"""Bytes as they travel: bus messages, TCP/IP packets, tunnels, capture files.

A test-only encoder. Every offset comes from the servers' src/cluster_legacy.h and from the RFCs, and
is written down here as a table; nothing is shared with the program under test.

    capture = Capture()
    link = capture.link(A, B)                     # a TCP connection that node A opened to node B
    link.open()
    link.send("client", ping(A, gossip=[entry(C)]))
    link.send("server", pong(B))
    write(path, capture.pcap())
"""

import ipaddress
import struct
import zlib

# ---------------------------------------------------------------------------------- bus messages

TYPES = {"ping": 0, "pong": 1, "meet": 2, "fail": 3, "publish": 4, "auth-req": 5, "auth-ack": 6,
         "update": 7, "mfstart": 8, "module": 9, "publishshard": 10, "auth-nack": 11}

SIGNATURE = b"RCmb"
HEADER_SIZE = {1: 2256, 0: 2208}

# field: (offset, struct format); all integers are big endian
COMMON_HEADER = {
    "sig": (0, "4s"), "totlen": (4, "I"), "ver": (8, "H"), "port": (10, "H"), "type": (12, "H"),
    "count": (14, "H"), "current_epoch": (16, "Q"), "config_epoch": (24, "Q"), "offset": (32, "Q"),
    "sender": (40, "40s"), "slots": (80, "2048s"), "replica_of": (2128, "40s"),
}
HEADER = {
    1: {**COMMON_HEADER, "ip": (2168, "46s"), "extension_count": (2214, "H"), "pport": (2246, "H"),
        "cport": (2248, "H"), "flags": (2250, "H"), "state": (2252, "B"), "mflags": (2253, "3s")},
    0: {**COMMON_HEADER, "port": (2200, "H"), "flags": (2202, "H"), "state": (2204, "B"),
        "mflags": (2205, "3s")},
}
GOSSIP_SIZE = 104
GOSSIP = {
    1: {"node": (0, "40s"), "ping_sent": (40, "I"), "pong_received": (44, "I"), "ip": (48, "46s"),
        "port": (94, "H"), "cport": (96, "H"), "flags": (98, "H"), "pport": (100, "H")},
    0: {"node": (0, "40s"), "ping_sent": (40, "I"), "pong_received": (44, "I"), "ip": (48, "46s"),
        "port": (94, "H"), "flags": (96, "H")},
}
LIGHT_HEADER = {"sig": (0, "4s"), "totlen": (4, "I"), "ver": (8, "H"), "type": (12, "H")}
LIGHT_HEADER_SIZE = 16
LIGHT = 0x8000                                  # bit 15 of the type

# node flags
PRIMARY, REPLICA, PFAIL, FAIL, MYSELF = 0x1, 0x2, 0x4, 0x8, 0x10
HANDSHAKE, NOADDR, MEET, MIGRATE_TO, NOFAILOVER = 0x20, 0x40, 0x80, 0x100, 0x200
LIGHT_PUBLISH, LIGHT_MODULE = 0x800, 0x1000
# mflags[0]
PAUSED, FORCEACK, EXT_DATA = 0x1, 0x2, 0x4


def fill(table, size, values):
    """A block of `size` zero bytes with each value at the place its table gives."""
    block = bytearray(size)
    for name, value in values.items():
        offset, form = table[name]
        if isinstance(value, str):
            value = value.encode()
        struct.pack_into(">" + form, block, offset, value)
    return bytes(block)


def node_id(n):
    """A made-up node id, 40 hex digits, different from its first digits on."""
    return f"{n * 0x9E3779B1 % 2 ** 32:08x}{n:032x}"


def bitmap(*ranges):
    """A slot bitmap: numbers, (first, last) pairs, or both. Slot s is bit s&7 of byte s>>3."""
    bits = bytearray(2048)
    for item in ranges:
        first, last = item if isinstance(item, tuple) else (item, item)
        for slot in range(first, last + 1):
            bits[slot >> 3] |= 1 << (slot & 7)
    return bytes(bits)


class Node:
    """A made-up node: what it says about itself in each header."""

    def __init__(self, n, ip=None, port=6379, slots=(), replica_of=None, epoch=None, **more):
        self.id = node_id(n)
        self.ip = ip or f"10.0.0.{n}"
        self.port, self.cport = port, port + 10000
        self.fields = {
            "port": port, "cport": self.cport, "sender": self.id, "current_epoch": 9,
            "config_epoch": n if epoch is None else epoch, "slots": bitmap(*slots),
            "replica_of": replica_of.id if replica_of else b"",
            "flags": MYSELF | (REPLICA if replica_of else PRIMARY), **more}


def header(type_, sender, /, length, ver=1, **fields):
    """A full header; `fields` overrules anything, also totlen, count or the signature."""
    values = {"sig": SIGNATURE, "totlen": length, "ver": ver, "type": TYPES.get(type_, type_),
              **sender.fields, **fields}
    table = HEADER.get(ver, HEADER[1])
    return fill(table, HEADER_SIZE.get(ver, 2256), {k: v for k, v in values.items() if k in table})


def message(type_, sender, /, body=b"", ver=1, **fields):
    """A whole message: header and body, with the right total length unless told otherwise."""
    return header(type_, sender, HEADER_SIZE.get(ver, 2256) + len(body), ver, **fields) + body


def entry(node, /, ver=1, flags=PRIMARY, **fields):
    """A gossip entry about `node` (104 bytes in both versions)."""
    values = {"node": node.id, "ip": node.ip, "port": node.port, "cport": node.cport,
              "flags": flags, **fields}
    return fill(GOSSIP[ver], GOSSIP_SIZE, {k: v for k, v in values.items() if k in GOSSIP[ver]})


def heartbeat(type_, sender, /, gossip=(), extensions=(), ver=1, **fields):
    """PING, PONG or MEET with gossip entries and, in version 1, ping extensions."""
    if extensions:
        fields = {"extension_count": len(extensions), "mflags": bytes([EXT_DATA, 0, 0]), **fields}
    return message(type_, sender, b"".join(gossip) + b"".join(extensions), ver,
                   **{"count": len(gossip), **fields})


def ping(sender, /, gossip=(), extensions=(), **fields):
    return heartbeat("ping", sender, gossip, extensions, **fields)


def pong(sender, /, gossip=(), extensions=(), **fields):
    return heartbeat("pong", sender, gossip, extensions, **fields)


def meet(sender, /, gossip=(), extensions=(), **fields):
    return heartbeat("meet", sender, gossip, extensions, **fields)


def fail(sender, about, **fields):
    return message("fail", sender, about.id.encode(), **fields)


def publish_body(channel, payload):
    return struct.pack(">II", len(channel), len(payload)) + channel + payload


def publish(sender, channel, payload, shard=False, **fields):
    return message("publishshard" if shard else "publish", sender, publish_body(channel, payload),
                   **fields)


def update(sender, about, epoch, slots, **fields):
    return message("update", sender, struct.pack(">Q", epoch) + about.id.encode() + bitmap(*slots),
                   **fields)


def module_body(module, type_, payload):
    return struct.pack(">QIB", module, len(payload), type_) + payload


def module(sender, id_, type_, payload, **fields):
    return message("module", sender, module_body(id_, type_, payload), **fields)


def auth_nack(sender, epoch=None, reason=1, **fields):
    """The newer 16-byte body (epoch, reason, reserve), or without an epoch the older one byte."""
    body = bytes([reason]) if epoch is None else struct.pack(">QB7x", epoch, reason)
    return message("auth-nack", sender, body, **fields)


def light(type_, body, ver=1, **fields):
    """A Valkey light message: 16 bytes of header, no sender in it."""
    values = {"sig": SIGNATURE, "totlen": LIGHT_HEADER_SIZE + len(body), "ver": ver,
              "type": LIGHT | TYPES.get(type_, type_), **fields}
    return fill(LIGHT_HEADER, LIGHT_HEADER_SIZE, values) + body


def extension(id_, data, length=None):
    """A ping extension: length (with its 8-byte header), id, reserve, data padded to eight."""
    padded = data + bytes(-len(data) % 8)
    return struct.pack(">IHH", 8 + len(padded) if length is None else length, id_, 0) + padded


def text_extension(id_, text):
    return extension(id_, (text if isinstance(text, bytes) else text.encode()) + b"\0")


def hostname(text):
    return text_extension(0, text)


def human_name(text):
    return text_extension(1, text)


def forgotten(node, seconds):
    return extension(2, node.id.encode() + struct.pack(">Q", seconds))


def shard_id(text):
    return extension(3, text.encode())


def internal_secret(secret):
    """Redis 8: id 4, forty bytes that nobody may ever see."""
    assert len(secret) == 40
    return extension(4, secret)


def client_ipv4(text):
    """Valkey: the same id 4, a text address."""
    return text_extension(4, text)


def client_ipv6(text):
    return text_extension(5, text)


# ------------------------------------------------------------------------------------- TCP and IP

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
TCP, UDP, GRE, IPV6_FRAGMENT = 6, 17, 47, 44
ETHERTYPE = {4: 0x0800, 6: 0x86DD}


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def tcp(src, dst, seq, ack, flags, data=b"", window=500, options=b"", sum_ok=True):
    """A TCP segment; src and dst are (address, port)."""
    options += bytes(-len(options) % 4)
    head = struct.pack(">HHIIBBHHH", src[1], dst[1], seq % 2 ** 32, ack % 2 ** 32,
                       (20 + len(options)) // 4 << 4, flags, window, 0, 0) + options
    a, b = (ipaddress.ip_address(end[0]).packed for end in (src, dst))
    pseudo = a + b + struct.pack(">IHH" if len(a) == 16 else ">HHH",
                                 *((len(head + data), 0, TCP) if len(a) == 16
                                   else (TCP, len(head + data), 0)))
    value = checksum(pseudo + head + data) if sum_ok else 0xDEAD
    return head[:16] + struct.pack(">H", value) + head[18:] + data


def udp(sport, dport, data):
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def ipv4(src, dst, payload, proto=TCP, ident=0, options=b"", offset=0, more=False, total=None):
    options += bytes(-len(options) % 4)
    size = 20 + len(options)
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | size // 4, 0,
                       size + len(payload) if total is None else total, ident,
                       offset // 8 | (0x2000 if more else 0), 64, proto, 0,
                       ipaddress.IPv4Address(src).packed, ipaddress.IPv4Address(dst).packed)
    head += options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, payload, proto=TCP, extensions=(), length=None):
    """`extensions` are (header number, bytes after the next-header byte) in their order."""
    body, chain = payload, proto
    for number, rest in reversed(extensions):
        body, chain = bytes([chain]) + rest + body, number
    return struct.pack(">IHBB16s16s", 6 << 28, len(body) if length is None else length, chain, 64,
                       ipaddress.IPv6Address(src).packed, ipaddress.IPv6Address(dst).packed) + body


def ip(src, dst, payload, **more):
    return (ipv6 if ":" in src else ipv4)(src, dst, payload, **more)


def family(packet):
    return packet[0] >> 4


def ipv4_fragments(packet, size, ident=None):
    """An IPv4 packet without options cut into fragments of `size` bytes (a multiple of eight)."""
    ident = zlib.crc32(packet) & 0xFFFF if ident is None else ident
    src, dst = (str(ipaddress.IPv4Address(packet[o:o + 4])) for o in (12, 16))
    data = packet[20:]
    return [ipv4(src, dst, data[o:o + size], packet[9], ident, offset=o, more=o + size < len(data))
            for o in range(0, len(data), size)]


def ipv6_fragments(packet, size, ident=None):
    ident = zlib.crc32(packet) if ident is None else ident
    src, dst = (str(ipaddress.IPv6Address(packet[o:o + 16])) for o in (8, 24))
    data = packet[40:]
    return [ipv6(src, dst, data[o:o + size], packet[6], [(IPV6_FRAGMENT, struct.pack(
                ">xHI", o | (1 if o + size < len(data) else 0), ident))])
            for o in range(0, len(data), size)]


# ---------------------------------------------------------------------------- link layers, tunnels

MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def ethernet(packet, ethertype=None, vlans=()):
    """`vlans` are (tag protocol, vlan id), outermost first: (0x88a8, 7), (0x8100, 42)."""
    kind = ethertype or ETHERTYPE[family(packet)]
    tags = b""
    for protocol, vlan in vlans:
        tags += struct.pack(">HH", protocol, vlan)
    return MAC_B + MAC_A + tags + struct.pack(">H", kind) + packet


def sll(packet):
    return struct.pack(">HHH8sH", 0, 1, 6, MAC_A, ETHERTYPE[family(packet)]) + packet


def sll2(packet, interface=2, direction=0):
    return struct.pack(">HHIHBB8s", ETHERTYPE[family(packet)], 0, interface, 1, direction, 6,
                       MAC_A) + packet


def null(packet, order="<", inet6=30):
    """BSD loopback: the address family in the byte order of the host that captured."""
    return struct.pack(order + "I", 2 if family(packet) == 4 else inet6) + packet


def loop(packet):
    return null(packet, ">")


def raw(packet):
    return packet


def outer(payload, proto):
    return ethernet(ipv4("192.0.2.1", "192.0.2.2", payload, proto))


def vxlan(packet):
    head = struct.pack(">II", 0x08000000, 1234 << 8)
    return outer(udp(50001, 4789, head + ethernet(packet)), UDP)


def geneve(packet, options=bytes.fromhex("0102800100000000")):
    head = struct.pack(">BBHI", len(options) // 4, 0, 0x6558, 1234 << 8) + options
    return outer(udp(50001, 6081, head + ethernet(packet)), UDP)


def gre(packet, key=None, sequence=None):
    """GRE with the IP packet itself inside."""
    flags = (0x2000 if key is not None else 0) | (0x1000 if sequence is not None else 0)
    head = struct.pack(">HH", flags, ETHERTYPE[family(packet)])
    head += b"".join(struct.pack(">I", v) for v in (key, sequence) if v is not None)
    return outer(head + packet, GRE)


def gre_ethernet(packet):
    """GRE with a whole frame inside (transparent Ethernet bridging, NVGRE)."""
    return outer(struct.pack(">HHI", 0x2000, 0x6558, 0x1234) + ethernet(packet), GRE)


def erspan2(packet):
    head = struct.pack(">HHI", 0x1000, 0x88BE, 1)                       # GRE with a sequence number
    return outer(head + struct.pack(">HHI", 0x1064, 0x0001, 0) + ethernet(packet), GRE)


def erspan3(packet, platform=b""):
    """Type III: twelve bytes, and eight more when the last bit announces a platform header."""
    head = struct.pack(">HHI", 0x1000, 0x22EB, 1)
    body = struct.pack(">HHIHH", 0x2064, 0x0001, 123456, 0, 1 if platform else 0) + platform
    return outer(head + body + ethernet(packet), GRE)


ETHERNET, NULL, RAW_IP, LOOP, SLL, SLL2 = 1, 0, 101, 108, 113, 276

# ------------------------------------------------------------------------- conversations, captures

START = 1_700_000_000_000_000_000                                  # 2023-11-14T22:13:20Z
MILLISECOND = 1_000_000


class Capture:
    """IP packets in time order; the link layer is chosen only when the file is made."""

    def __init__(self, start=START, step=MILLISECOND):
        self.now, self.step, self.packets = start, step, []

    def add(self, packet):
        self.packets.append((self.now, packet))
        self.now += self.step

    def wait(self, seconds):
        self.now += int(seconds * 1_000_000_000)

    def conversation(self, client, server, **more):
        return Conversation(self, client, server, **more)

    def link(self, a, b, port=40001, **more):
        """The bus link that node `a` opens to node `b`."""
        return Conversation(self, (a.ip, port), (b.ip, b.cport), **more)

    def frames(self, wrap=ethernet):
        return [(time, wrap(packet)) for time, packet in self.packets]

    def pcap(self, wrap=ethernet, link=ETHERNET, **more):
        return pcap(self.frames(wrap), link, **more)

    def pcapng(self, wrap=ethernet, link=ETHERNET, **more):
        return pcapng([(time, data, 0) for time, data in self.frames(wrap)], [link], **more)


class Conversation:
    """One TCP connection. Sides are "client" (it connects) and "server"; numbers are kept right.

    `send` advances the sender and, unless told otherwise, adds the other side's bare ACK.
    `segment` sends anything anywhere and changes nothing: for retransmits, overlaps, holes.
    """

    def __init__(self, capture, client, server, isn=(1_000_000, 5_000_000), mss=1448):
        self.capture, self.mss = capture, mss
        self.ends = {"client": client, "server": server}
        self.next = dict(zip(("client", "server"), isn))            # next sequence number to send
        self.acked = {"client": 0, "server": 0}     # what each side has acknowledged of the other

    @staticmethod
    def other(side):
        return "server" if side == "client" else "client"

    def segment(self, side, data=b"", seq=None, flags=ACK, ack=None, **more):
        src, dst = self.ends[side], self.ends[self.other(side)]
        seq = self.next[side] if seq is None else seq
        ack = (self.acked[side] if ack is None else ack) if flags & ACK else 0
        self.capture.add(ip(src[0], dst[0], tcp(src, dst, seq, ack, flags, data, **more)))

    def open(self):
        self.segment("client", flags=SYN)
        self.next["client"] += 1
        self.acked["server"] = self.next["client"]
        self.segment("server", flags=SYN | ACK)
        self.next["server"] += 1
        self.acked["client"] = self.next["server"]
        self.segment("client")
        return self

    def tried(self):
        """Nobody answers."""
        self.segment("client", flags=SYN)
        return self

    def refused(self):
        self.tried()
        self.segment("server", seq=0, flags=RST | ACK, ack=self.next["client"] + 1)
        return self

    def already_open(self):
        """As if the connection had been there before the capture began."""
        self.acked = {"client": self.next["server"], "server": self.next["client"]}
        return self

    def ack(self, side):
        """`side` acknowledges all that the other side has sent."""
        self.acked[side] = self.next[self.other(side)]
        self.segment(side)

    def send(self, side, data, ack=True, sizes=None):
        """All of `data`, cut by the segment size or into pieces of the given sizes."""
        position, sizes = 0, iter(sizes or ())
        while position < len(data):
            piece = data[position:position + next(sizes, self.mss)]
            position += len(piece)
            self.segment(side, piece, flags=ACK | (PSH if position == len(data) else 0))
            self.next[side] += len(piece)
        if ack:
            self.ack(self.other(side))
        return self

    def skip(self, side, size):
        """`size` bytes travelled that the capture has not seen."""
        self.next[side] += size

    def close(self, first="client"):
        for side in (first, self.other(first)):
            self.segment(side, flags=FIN | ACK)
            self.next[side] += 1
            self.acked[self.other(side)] = self.next[side]
        self.segment(first)

    def reset(self, side="client"):
        self.segment(side, flags=RST | ACK)


# ----------------------------------------------------------------------------------- capture files

def pcap(frames, link=ETHERNET, nano=False, big=False, snaplen=262144):
    """A classic capture file; frames are (time in ns, bytes) or (time, bytes, original length)."""
    order = ">" if big else "<"
    out = [struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snaplen,
                       link)]
    for time, data, *length in frames:
        part = time % 10 ** 9
        out.append(struct.pack(order + "IIII", time // 10 ** 9, part if nano else part // 1000,
                               len(data), length[0] if length else len(data)))
        out.append(data)
    return b"".join(out)


def block(order, type_, body):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", type_) + size + body + size


def option(order, code, value):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def pcapng(packets, links=(ETHERNET,), big=False, resolution=9, offset=0, strangers=True):
    """A pcapng section. packets: (time in ns, bytes, interface number); links: one per interface.

    `resolution` is the power of ten of the time stamps, `offset` the seconds to add to them;
    `strangers` puts blocks between the packets that a reader has to step over.
    """
    order = ">" if big else "<"
    out = [block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for link in links:
        options = option(order, 9, bytes([resolution])) + option(order, 14, struct.pack(
            order + "q", offset)) + option(order, 0, b"")
        out.append(block(order, 1, struct.pack(order + "HHI", link, 0, 0) + options))
    for number, (time, data, interface) in enumerate(packets):
        if strangers and number % 5 == 2:
            out.append(block(order, 0x0BAD, b"nobody knows this block"))
        ticks = (time - offset * 10 ** 9) // 10 ** (9 - resolution)
        out.append(block(order, 6, struct.pack(
            order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
            + data))
    return b"".join(out)

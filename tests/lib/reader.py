"""Reads captures of Redis traffic the slow and obvious way, to hold the program against.

Three small steps that share nothing with the program under test, nor with the encoders:

    segments(raw)          the TCP segments of a pcap or pcapng file
    connections(raw)       each connection: its two ends, and who said which bytes when
    Books().read(talk)     requests and replies of a connection, paired and counted

It keeps everything in memory, walks byte by byte and knows no damage but the end of the data; that
is what makes it easy to believe.
"""

import collections
import ipaddress
import re
import struct

FIN, SYN, RST = 0x01, 0x02, 0x04
Segment = collections.namedtuple("Segment", "time src dst seq flags data")

# ------------------------------------------------------------------------------------- the file


def packets(raw):
    """(time in s, link type, frame) of each packet."""
    return pcapng(raw) if raw[:4] == b"\x0a\x0d\x0d\x0a" else pcap(raw)


def pcap(raw):
    order = "<" if raw[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    (link,) = struct.unpack_from(order + "I", raw, 20)
    at = 24
    while at + 16 <= len(raw):
        seconds, part, size, _ = struct.unpack_from(order + "IIII", raw, at)
        yield seconds + part / 1e6, link & 0xFFFF, raw[at + 16:at + 16 + size]
        at += 16 + size


def pcapng(raw):
    """Little-endian, microseconds: what the files at hand are. Others make it fail, not lie."""
    links, at = [], 0
    while at + 12 <= len(raw):
        kind, size = struct.unpack_from("<II", raw, at)
        body = raw[at + 8:at + size - 4]
        if kind == 0x0A0D0D0A:
            assert body[:4] == b"\x4d\x3c\x2b\x1a", "a big-endian pcapng"
        elif kind == 1:
            links.append(struct.unpack_from("<H", body)[0])
        elif kind == 6:
            interface, high, low, captured = struct.unpack_from("<IIII", body)
            yield (high << 32 | low) / 1e6, links[interface], body[20:20 + captured]
        at += size


# link type: length of the header in front of the IP packet
HEADER = {0: 4, 1: 14, 101: 0, 113: 16, 276: 20}


def segments(raw):
    for time, link, frame in packets(raw):
        packet = frame[HEADER[link]:]
        if packet[0] >> 4 == 4 and packet[9] == 6:
            addresses, start, end = (packet[12:16], packet[16:20]), (packet[0] & 15) * 4, \
                struct.unpack_from(">H", packet, 2)[0]
        elif packet[0] >> 4 == 6 and packet[6] == 6:
            addresses, start, end = (packet[8:24], packet[24:40]), 40, \
                40 + struct.unpack_from(">H", packet, 4)[0]
        else:
            continue
        sport, dport, seq, _, words, flags = struct.unpack_from(">HHIIBB", packet, start)
        src, dst = ((str(ipaddress.ip_address(a)), p) for a, p in zip(addresses, (sport, dport)))
        yield Segment(time, src, dst, seq, flags, packet[start + (words >> 4) * 4:end])


# -------------------------------------------------------------------------------- the connections


class Talk:
    """One connection. `said` is a list of (side, bytes) in the order of the capture, without what
    was sent twice; None as bytes where some are missing."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.said, self.next, self.early = [], {}, {"client": {}, "server": {}}
        self.complete = False                       # the SYN was seen

    def side(self, segment):
        return "client" if segment.src == self.client else "server"

    def take(self, segment):
        side = self.side(segment)
        if segment.flags & SYN:
            self.complete = True
            self.next[side] = segment.seq + 1 & 0xFFFFFFFF
        elif segment.data:
            self.next.setdefault(side, segment.seq)
            self.early[side].setdefault(segment.seq, segment.data)
            self.join(side)

    def join(self, side):
        """Moves the pieces that are next in order from `early` to `said`."""
        found = True
        while found:
            found = False
            for seq in list(self.early[side]):
                data = self.early[side][seq]
                behind = self.next[side] - seq & 0xFFFFFFFF
                if behind >= 1 << 31:
                    continue                        # still to come
                del self.early[side][seq]
                if behind < len(data):
                    self.said.append((side, data[behind:]))
                    self.next[side] = seq + len(data) & 0xFFFFFFFF
                    found = True

    def text(self, side):
        return b"".join(data for who, data in self.said if who == side)


def connections(raw, ports=(6379,)):
    """The connections in order of appearance. Without a SYN the server is the end at `ports`."""
    found, open_ = [], {}
    for s in segments(raw):
        key = frozenset((s.src, s.dst))
        fresh = s.flags & SYN and not s.flags & 0x10
        if key not in open_ or fresh and open_[key].said:
            backwards = s.flags & SYN and not fresh or not s.flags & SYN and s.src[1] in ports
            open_[key] = Talk(*((s.dst, s.src) if backwards else (s.src, s.dst)))
            found.append(open_[key])
        open_[key].take(s)
    return found


# ---------------------------------------------------------------------------------------- RESP


class Broken(Exception):
    """Not RESP from here on."""


class Short(Exception):
    """The data end within a value."""


Value = collections.namedtuple("Value", "type value")               # type: the byte, as a string
SIMPLE = b"+-:_,#("
TEXT = b"$!="
AGGREGATE = {b"*": 1, b"~": 1, b">": 1, b"%": 2, b"|": 2}


def line(data, at):
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Short
    return data[at:end], end + 2


def value(data, at=0):
    """The value at `at`, without attributes, and where the next one begins."""
    head, at = line(data, at)
    kind, rest = head[:1], head[1:]
    if kind and kind in SIMPLE:
        return Value(kind.decode(), rest), at
    if kind and kind in TEXT:
        return text(kind, rest, data, at)
    if kind in AGGREGATE:
        return aggregate(kind, rest, data, at)
    raise Broken(head)


def number(rest):
    try:
        return int(rest)
    except ValueError:
        raise Broken(rest) from None


def text(kind, rest, data, at):
    if rest == b"?":
        parts = []
        while True:
            head, at = line(data, at)
            size = number(head[1:]) if head[:1] == b";" else -1
            if size < 0:
                raise Broken(head)
            if size == 0:
                return Value("$", b"".join(parts)), at
            parts.append(data[at:at + size])
            at += size + 2
    size = number(rest)
    if size < 0:
        return Value("_", None), at
    if at + size + 2 > len(data):
        raise Short
    if data[at + size:at + size + 2] != b"\r\n":
        raise Broken(data[at + size:at + size + 2])
    return Value(kind.decode(), data[at:at + size]), at + size + 2


def aggregate(kind, rest, data, at):
    items, endless = [], rest == b"?"
    count = None if endless else number(rest) * AGGREGATE[kind]
    if count is not None and count < 0:
        return Value("_", None), at
    while endless or len(items) < count:
        if endless and line(data, at)[0] == b".":
            at += 3
            break
        item, at = value(data, at)
        items.append(item)
    if kind == b"|":
        return value(data, at)
    return Value(kind.decode(), items), at


def request(data, at=0):
    """The words of a request, in either form, and where the next one begins. None: no words,
    nothing to be answered."""
    if data[at:at + 1] != b"*":
        end = data.find(b"\n", at)
        if end < 0:
            raise Short
        return split(data[at:end].rstrip(b"\r")) or None, end + 1
    head, at = line(data, at)
    words = []
    if number(head[1:]) >= 1 << 31:
        raise Broken(head)
    for _ in range(number(head[1:])):
        head, at = line(data, at)
        if head[:1] != b"$" or number(head[1:]) < 0:
            raise Broken(head)
        size = number(head[1:])
        if at + size + 2 > len(data):
            raise Short
        words.append(data[at:at + size])
        at += size + 2
    return words or None, at


ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split(text):
    """An inline request in words, as the servers do it."""
    words, at = [], 0
    while True:
        while text[at:at + 1].isspace():
            at += 1
        if at >= len(text):
            return words
        word, quote = b"", b""
        while True:
            c = text[at:at + 1]
            if not c and quote:
                raise Broken("unbalanced quotes")
            if not c or not quote and c.isspace():
                break
            at += 1
            if c == quote:
                if text[at:at + 1].strip():
                    raise Broken("a quote within a word")
                break
            if c == b"\\" and quote == b'"' and text[at:at + 1]:
                if text[at:at + 1] == b"x":
                    word += bytes([int(text[at + 1:at + 3], 16)])
                    at += 3
                else:
                    word += ESCAPES.get(text[at:at + 1], text[at:at + 1])
                    at += 1
            elif c == b"\\" and quote == b"'" and text[at:at + 1] == b"'":
                word, at = word + b"'", at + 1
            elif not quote and c in (b'"', b"'"):
                quote = c
            else:
                word += c
        words.append(word)


# --------------------------------------------------------------------------------------- the books

CONTAINERS = {b"acl", b"client", b"cluster", b"command", b"config", b"function", b"latency",
              b"memory", b"module", b"object", b"pubsub", b"script", b"slowlog", b"xgroup",
              b"xinfo"}
SUBSCRIBE = {"subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"}
MONITORED = re.compile(rb"\d+\.\d{6} \[")
PUBLISHED = (b"message", b"pmessage", b"smessage", b"invalidate")
UNKNOWN = (b"ERR unknown command", b"ERR unknown subcommand", b"ERR Unknown subcommand")


def name(words):
    """As INFO commandstats names it."""
    first = words[0].lower()
    if first in CONTAINERS and len(words) > 1:
        first += b"|" + words[1].lower()
    return first.decode("latin-1")


class Books:
    """What was said on some connections, counted. `read` each, then look."""

    def __init__(self):
        self.requests = self.replies = self.published = self.unanswered = self.unmatched = 0
        self.undecoded = 0
        self.commands, self.errors = collections.Counter(), collections.Counter()
        self.talks = 0

    def read(self, talk):
        Reading(self, talk).all()
        return self


class Reading:
    """One connection on its way into the books."""

    def __init__(self, books, talk):
        self.books, self.talk = books, talk
        self.pending, self.queue = collections.deque(), []          # queue: within MULTI
        self.multi = self.off = self.monitor = False
        self.skip = 0
        self.subscribed = collections.defaultdict(set)              # "", "p", "s": channels
        self.rest = {"client": b"", "server": b""}
        self.broken = set()

    def all(self):
        for side, data in self.talk.said:
            self.rest[side] += data
            if side not in self.broken:
                self.some(side)
        self.books.unanswered += len(self.pending)
        self.books.undecoded += sum(map(len, self.rest.values()))
        self.books.talks += any(self.talk.said)

    def some(self, side):
        """As much of what one side has said as is complete."""
        data, at = self.rest[side], 0
        read, handle = (request, self.asked) if side == "client" else (value, self.answered)
        try:
            while at < len(data):
                got, at = read(data, at)
                if got is not None:
                    handle(got)
        except Short:
            pass
        except Broken:
            self.broken.add(side)
        self.rest[side] = data[at:]

    def asked(self, words):
        what = name(words)
        self.books.requests += 1
        silent = self.off or self.skip == 1
        self.skip = max(0, self.skip - 1)
        if what == "client|reply":
            mode = words[2].lower()
            self.off = mode == b"off" or self.off and mode != b"on"
            self.skip = 1 if mode == b"skip" and not self.off else 0
            silent = mode != b"on"
        if silent:
            self.books.commands[what] += 1
        elif what in SUBSCRIBE:
            self.pending.append([what, max(1, self.subscribe(what, words[1:]))])
        else:
            self.pending.append([what, 1])

    def subscribe(self, what, channels):
        """How many messages will answer this."""
        kind, _, _ = what.partition("unsubscribe" if "un" in what else "subscribe")
        known = self.subscribed[kind]
        if "un" in what:
            channels = channels or list(known)
            known.difference_update(channels)
        else:
            known.update(channels)
        return len(channels)

    def answered(self, got):
        b = self.books
        first = got.value[0].value if got.type in "*>" and got.value else None
        expected = self.pending[0][0] if self.pending else None
        own = expected in SUBSCRIBE and first == expected.encode()
        stray = first in (b"unsubscribe", b"sunsubscribe") and not own
        if stray or first in PUBLISHED and any((got.type == ">", *self.subscribed.values())) \
                or self.monitor and got.type == "+" and MONITORED.match(got.value):
            b.published += 1
            return
        if not self.pending:
            b.replies += 1
            b.unmatched += 1
            self.error(got)
            return
        self.pending[0][1] -= 1
        if self.pending[0][1] > 0 and got.type != "-":
            return
        self.pending.popleft()
        b.replies += 1
        self.error(got)
        if not (got.type in "-!" and got.value.startswith(UNKNOWN)):
            self.count(expected, got)

    def error(self, got):
        if got.type in "-!":
            self.books.errors[got.value.split(b" ")[0].decode()] += 1

    def count(self, what, got):
        """A queued command counts when EXEC runs it, everything else at once."""
        counts = self.books.commands
        if self.multi and got == Value("+", b"QUEUED"):
            self.queue.append(what)
            return
        if self.multi and what in ("exec", "discard", "reset"):
            if what == "exec" and got.type == "*":
                counts.update(self.queue)
                for item in got.value:
                    self.error(item)
            self.multi, self.queue = False, []
        if what == "reset":
            self.monitor = False
            self.subscribed.clear()
        self.monitor = self.monitor or what == "monitor"
        counts[what] += 1
        self.multi = self.multi or what == "multi" and got.type == "+"


def books(raw, ports=(6379,)):
    """All of a capture in one book."""
    found = Books()
    for talk in connections(raw, ports):
        found.read(talk)
    return found

"""RESP as it travels: values, requests, and conversations of a client with a server.

A test-only encoder, from the grammar of the RESP specification; nothing is shared with the program
under test, nor with the reader that checks it.

    talk = Dialogue()                             # a client that has just connected to a server
    talk.ask("SET k v")                           # *3 $3 SET $1 k $1 v
    talk.answer(OK)
    talk.trade("GET k", bulk("v"))                # both in one line
    talk.ask("GET a", "GET b")                    # a pipeline: one segment
    write(path, talk.capture.pcap())

In a value, text stands for a bulk string, a number for an integer, None for a null, and bytes for
what is encoded already.
"""

from lib import wire

CRLF = b"\r\n"


def raw(text):
    return text if isinstance(text, bytes) else str(text).encode()


def value(item):
    return item if isinstance(item, bytes) else integer(item) if isinstance(item, int) \
        else null() if item is None else bulk(item)


# ---------------------------------------------------------------------------------- RESP2


def simple(text):
    return b"+" + raw(text) + CRLF


def error(text):
    return b"-" + raw(text) + CRLF


def integer(number):
    return b":%d\r\n" % number


def text(kind, data):
    return kind + b"%d\r\n" % len(raw(data)) + raw(data) + CRLF


def bulk(data):
    return text(b"$", data)


def aggregate(kind, items, size=1):
    return kind + b"%d\r\n" % (len(items) // size) + b"".join(map(value, items))


def array(*items):
    return aggregate(b"*", items)


NIL, NIL_ARRAY = b"$-1\r\n", b"*-1\r\n"
OK, PONG, QUEUED = simple("OK"), simple("PONG"), simple("QUEUED")

# ---------------------------------------------------------------------------------- RESP3


def null():
    return b"_\r\n"


def double(digits):
    return b"," + raw(digits) + CRLF


def boolean(is_true):
    return b"#t\r\n" if is_true else b"#f\r\n"


def big_number(digits):
    return b"(" + raw(digits) + CRLF


def bulk_error(data):
    return text(b"!", data)


def verbatim(data, form="txt"):
    return text(b"=", raw(form) + b":" + raw(data))


def map_(*items):
    """Keys and values in turn."""
    return aggregate(b"%", items, 2)


def set_(*items):
    return aggregate(b"~", items)


def push(*items):
    return aggregate(b">", items)


def attribute(*items):
    """Keys and values in turn; the value that it belongs to has to follow."""
    return aggregate(b"|", items, 2)


def streamed_string(*chunks):
    return b"$?\r\n" + b"".join(text(b";", c) for c in chunks) + b";0\r\n"


def streamed(kind, *items):
    """An aggregate that does not tell its size: kind is b"*", b"%" or b"~"."""
    return kind + b"?\r\n" + b"".join(map(value, items)) + b".\r\n"


HELLO3 = map_("server", "redis", "version", "7.2.5", "proto", 3, "id", 4, "mode", "cluster",
              "role", "master", "modules", array())
HELLO2 = array("server", "redis", "version", "7.2.5", "proto", 2, "id", 4, "mode", "cluster",
               "role", "master", "modules", array())

# ---------------------------------------------------------------------------------- requests


def command(*words):
    return array(*(bulk(w) for w in words))


def inline(line):
    return raw(line) + CRLF


def request(what):
    """Text is split at spaces, a list is words that may hold spaces, bytes travel as they are."""
    return what if isinstance(what, bytes) \
        else command(*(what.split(" ") if isinstance(what, str) else what))


# ---------------------------------------------------------------------------------- conversations

CLIENT, SERVER = ("10.0.9.1", 50001), ("10.0.0.1", 6379)


class Dialogue:
    """A client and a server that talk, on a TCP connection of tests/lib/wire.py.

    Each packet takes a millisecond, and every segment is acknowledged by a packet of its own: what
    `trade` sends is answered after two milliseconds, and `wait` adds to that.
    """

    def __init__(self, capture=None, client=CLIENT, server=SERVER, joined=False, **more):
        self.capture = capture or wire.Capture()
        self.link = self.capture.conversation(client, server, **{"mss": 16000, **more})
        self.link.already_open() if joined else self.link.open()

    def ask(self, *requests):
        """The client sends these, all in one segment if they fit."""
        self.link.send("client", b"".join(map(request, requests)))
        return self

    def answer(self, *replies):
        """The server sends these, all in one segment if they fit."""
        self.link.send("server", b"".join(map(value, replies)))
        return self

    def trade(self, what, *replies):
        return self.ask(what).answer(*replies)

    def trades(self, *pairs):
        """Request, reply, request, reply, …"""
        for what, reply in zip(pairs[::2], pairs[1::2], strict=True):
            self.trade(what, reply)
        return self

    def lose(self, side, data):
        """`side` sends `data`, which the capture misses; its ACK is seen."""
        self.link.skip(side, len(data))
        self.link.ack(self.link.other(side))
        return self

    def wait(self, seconds):
        self.capture.wait(seconds)
        return self

    def close(self, first="client"):
        self.link.close(first)
        return self

    def another(self, port=50002, **more):
        """A second client of the same server, in the same capture."""
        return Dialogue(self.capture, (CLIENT[0], port), self.link.ends["server"], **more)


# ---------------------------------------------------------------------------------- hash slots


def slot(key):
    """CRC16/XMODEM of the key, or of what stands in its first pair of braces."""
    key = raw(key)
    head, brace, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    crc = 0
    for byte in tag if brace and closed and tag else key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc & 16383

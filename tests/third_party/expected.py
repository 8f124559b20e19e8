"""What is in the captures that Zeek and tcpdump test their own Redis decoders with.

Found by reading the bytes, with tshark, and with tests/lib/reader.py; not by asking the program.
One entry a capture. `commands` is named and counted as INFO commandstats would have done, so a
command that the server does not know is a request but no command. `Between` stands where two
readings of the same bytes are both right, and its reason says which two.
"""

import dataclasses

from lib.clients import Between


@dataclasses.dataclass
class Capture:
    file: str
    says: str                                   # what is in it, and why it is expected like this
    server: str | None                          # the end that answers; None: there is no Redis here
    commands: dict = dataclasses.field(default_factory=dict)
    errors: dict = dataclasses.field(default_factory=dict)
    requests: int | Between | None = None       # None: as many as commands
    replies: int | Between | None = None        # None: as many as requests
    published: int = 0                          # messages that answer nothing
    unanswered: int | Between = 0
    unmatched: int | Between = 0
    undecoded: int | Between = 0
    hidden: tuple = ()                          # keys, values, secrets: in no output

    def __post_init__(self):
        if self.requests is None:
            self.requests = sum(self.commands.values())
        if self.replies is None:
            self.replies = self.requests


REFUSED = ("the request that the server refuses as malformed (-ERR Protocol error) can be seen as "
           "a request with an answer, or as bytes that are none and an error that answers nothing")
NOBODY_KNOWS = ("one packet, one direction, no handshake: whether its bytes are counted as a "
                "client's that made no sense, or not at all, is taste")
BEFORE = "a reply to what was asked before the capture began may be counted or passed over"

CAPTURES = [
    # ------------------------------------------------------------------------------- tcpdump
    Capture(
        "tcpdump-resp_1_benchmark.pcap",
        "One request of each test of redis-benchmark, fifteen connections from SYN to FIN, cooked "
        "v1 frames. The first PING is inline; LRANGE replies are arrays of 100 to 600 items in "
        "segments far larger than an MTU.",
        "127.0.0.1:6379",
        {"ping": 2, "set": 1, "get": 1, "incr": 1, "lpush": 2, "lpop": 1, "sadd": 1, "spop": 1,
         "lrange": 4, "mset": 1},
        hidden=("key:0000", "counter:0000", "mylist", "myset", "element:0000")),
    Capture(
        "tcpdump-resp_2_inline.pcap",
        "Twelve inline requests in three segments, all answered by one segment of 1288 bytes, "
        "among them an array of 174 items and a null. Every request is inline and pipelined.",
        "127.0.0.1:6379",
        {"set": 2, "incr": 1, "get": 2, "lpush": 5, "lrange": 1, "del": 1},
        hidden=("test2", "test3", "test4")),
    Capture(
        "tcpdump-resp_3_malicious.pcap",
        "Made against decoders. A client sends what looks like replies ($0, +, -, :, $-20, $-1): "
        "to a server these are inline requests with odd names, and it answers `unknown command`, "
        "so they are eight requests and no commands. *-20 and *-1 ask for nothing and get nothing. "
        "+hello, -hello, :hello never get their line end. *1000…0 (35 digits) is a protocol "
        "error. Then three pipelined INCR, and PINGs with bare LF and with empty lines around "
        "them. The first connection is only its FINs.",
        "127.0.0.1:6379",
        {"incr": 3, "ping": 9},
        {"ERR": 9},
        requests=Between(20, 21, REFUSED), replies=Between(20, 21, REFUSED),
        unmatched=Between(0, 1, REFUSED),
        undecoded=Between(0, 56, "three unfinished lines of 6 bytes and the refused one of 38 are "
                                 "nothing that could be decoded; whether they count is taste")),
    Capture(
        "tcpdump-resp_4_infiniteloop.pcapng",
        "One segment of fuzzed bytes towards port 6379, without handshake and without answer: "
        "*-532450017895590926, then hundreds of $, single quotes, lengths beyond 32 bits, an EVAL. "
        "It once made tcpdump loop. Nothing here is known to be Redis; no request may be told.",
        None,
        undecoded=Between(0, 854, NOBODY_KNOWS)),
    # ---------------------------------------------------------------------------------- Zeek
    Capture(
        "zeek-almost-resp.pcap",
        "A netcat that plays server: +OK +OK for an inline AUTH and a PING, then three lines that "
        "are no RESP (32 bytes) and a reset. The two replies are replies, the rest is undecoded. "
        "Before it, a refused connection attempt over IPv6.",
        "127.0.0.1:6379",
        {"auth": 1, "ping": 1},
        undecoded=32, hidden=("noone", "not RESP", "Nope")),
    Capture(
        "zeek-array-element-object-exhaustion.pcap",
        "An inline PING answered by an array of 1000 RESP3 nulls in three segments, without HELLO. "
        "Odd but well-formed: one reply of 3007 bytes, nothing left over.",
        "192.0.2.2:6379",
        {"ping": 1}),
    Capture(
        "zeek-attr.pcap",
        "Two fake commands, answered by netcat with the examples of the RESP3 specification: an "
        "attribute inside an array, in front of its third item, and one with a map in front of an "
        "array. An attribute is no reply, so there is one reply each. A stray LF ends each answer.",
        "127.0.0.1:6379",
        {"fake": 1, "fake2": 1},
        undecoded=Between(0, 2, "a lone LF is what a keep-alive looks like, or one byte too many"),
        hidden=("key-popularity", "0.1923", "COMMAND2")),
    Capture(
        "zeek-auth.pcap",
        "Three AUTH with user and password on one connection, no handshake captured: refused, "
        "accepted, refused. It starts with a whole request, so all three count. No word of them "
        "may be shown.",
        "127.0.0.1:6379",
        {"auth": 3}, {"WRONGPASS": 2},
        hidden=("notauser", "notapassword", "defaultpassword", "noone")),
    Capture(
        "zeek-bulk-loading.pcap",
        "redis-cli --pipe: a thousand SET in five segments, answered in five, then an empty line "
        "(no request) and an ECHO of twenty random bytes that marks the end.",
        "127.0.0.1:6379",
        {"set": 1000, "echo": 1}, hidden=("Key999", "Value999")),
    Capture(
        "zeek-client-skip-while-off.pcap",
        "PING, CLIENT REPLY OFF, PING, CLIENT REPLY SKIP, CLIENT REPLY ON, PING, PING in one "
        "segment. SKIP does nothing while replies are off, so ON is answered: four replies, and "
        "three requests that are silent rather than unanswered.",
        "[::1]:6379",
        {"ping": 4, "client|reply": 3}, replies=4),
    Capture(
        "zeek-django-cloud.pcapng",
        "A Django cache in the cloud: one connection, joined in the middle, to port 10625. That is "
        "no port of Redis by default, and it looks like the bus port of 625; only the content says "
        "what it is. Requests and replies alternate.",
        "18.234.186.95:10625",
        {"get": 6, "set": 152},
        hidden=("factorial", "2432902008176640000")),
    Capture(
        "zeek-excessive-pipelining.pcap",
        "Twelve inline PINGs in one segment, twelve PONGs in another. Zeek's test sets its cap on "
        "pending commands lower than that; there is nothing wrong with the traffic.",
        "[::1]:6379",
        {"ping": 12}),
    Capture(
        "zeek-large-requests-responses.pcap",
        "redis-cli without HELLO: the reply to COMMAND DOCS is one RESP2 array of 237 KB in 17 "
        "segments; then values of 500 and 1000 bytes are set and read.",
        "127.0.0.1:6379",
        {"command|docs": 1, "set": 2, "get": 2},
        hidden=("FIVE_HUNDRED_X", "THOUSAND_X", "XXXXXXXX")),
    Capture(
        "zeek-oss-fuzz-473580107.pcap",
        "A fuzzer's idea of HTTP on port 80, 250 KB one way and 1 KB the other, full of lines that "
        "begin with - and of words between line ends. No Redis: no request, no reply, no error, no "
        "undecoded byte of a client.",
        None),
    Capture(
        "zeek-pipeline-quotes.pcap",
        "Eight inline SETs with all kinds of quotes in one segment. Six are stored; the seventh "
        "has an unclosed quote, for which the server sends a protocol error and closes, so "
        "the eighth is never read.",
        "[::1]:6379",
        {"set": 6}, {"ERR": 1},
        requests=Between(6, 7, REFUSED), replies=Between(6, 7, REFUSED),
        unmatched=Between(0, 1, REFUSED),
        undecoded=Between(0, 68, "the refused line and the one behind it: nothing that the server "
                                 "has read as a request"),
        hidden=("key6", "bad1", "bad2", "unclosed double", "my value")),
    Capture(
        "zeek-pipeline-with-commands.pcap",
        "PING, PING, SET, GET inline in one segment, four replies of three types in another.",
        "[::1]:6379",
        {"ping": 2, "set": 1, "get": 1}),
    Capture(
        "zeek-pipelining-example.pcap",
        "The pipelining example of the Redis documentation: three inline PINGs, three PONGs.",
        "[::1]:6379",
        {"ping": 3}),
    Capture(
        "zeek-pubsub-resp3.pcap",
        "Two redis-cli -3, each with HELLO 3 and COMMAND DOCS (a map of 204 KB). One subscribes to "
        "a channel and a pattern: in RESP3 the push is the only answer, and counts as one. It "
        "also runs SET and PING, which RESP3 allows. The other publishes twice: three pushes that "
        "answer nothing.",
        "127.0.0.1:6379",
        {"hello": 2, "command|docs": 2, "subscribe": 1, "psubscribe": 1, "set": 1, "ping": 1,
         "publish": 2},
        published=3, hidden=("random_key", "random_val")),
    Capture(
        "zeek-pubsub.pcap",
        "The same in RESP2: the subscriber's connection is joined in the middle, at a whole "
        "SUBSCRIBE. Three messages arrive that are no replies; then RESET ends the subscriptions "
        "and a GET works again. Three more connections publish and set. Keep-alives in between.",
        "127.0.0.1:6379",
        {"subscribe": 1, "psubscribe": 1, "publish": 2, "set": 1, "reset": 1, "get": 1},
        published=3, hidden=("sanity_check", "you_are_sane", "FeeFooFiiFum", "Hi there", "Hello!")),
    Capture(
        "zeek-reply-off-on-2conn.pcap",
        "Twice PING, CLIENT REPLY OFF, PING on a connection of its own: OFF belongs to one "
        "connection. One reply each; nothing is unanswered, though the second connection never "
        "closes.",
        "[::1]:6379",
        {"ping": 4, "client|reply": 2}, replies=2),
    Capture(
        "zeek-reply-off-on.pcap",
        "PING, CLIENT REPLY OFF, PING, CLIENT REPLY ON, PING, CLIENT REPLY SKIP, PING, PING: four "
        "replies (PONG, the OK of ON, PONG, PONG) for eight requests.",
        "[::1]:6379",
        {"ping": 5, "client|reply": 3}, replies=4),
    Capture(
        "zeek-set.pcap",
        "Three SETs on a connection whose beginning was not captured; the first packet is a whole "
        "request.",
        "127.0.0.1:6379",
        {"set": 3}, hidden=("one:1", "two:2")),
    Capture(
        "zeek-start-with-server.pcapng",
        "Joined in the middle with the server's +OK as first packet, then a SET and its +OK. The "
        "first +OK answers nothing that was seen; it must not be taken for the answer to the SET, "
        "nor the server for the client.",
        "127.0.0.1:6379",
        {"set": 1}, replies=Between(1, 2, BEFORE), unmatched=Between(0, 1, BEFORE)),
    Capture(
        "zeek-stream.pcap",
        "Three XADD and an XRANGE with nested arrays, joined in the middle at a whole request.",
        "127.0.0.1:6379",
        {"xadd": 3, "xrange": 1}, hidden=("race:france", "Castilla", "Norem", "Prickett")),
]

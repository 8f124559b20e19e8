"""Every kind of bus message, byte by byte from the reference, through `bustap dump --json`.

A is a primary with slots, B its replica, C another primary. A opens a link to B; A's messages go
from client to server, B's PONGs come back.
"""

import pytest

from lib import bustap, wire
from lib.wire import EXT_DATA, FAIL, FORCEACK, PAUSED, PFAIL, Capture, Node

A = Node(1, slots=[(0, 5460), 5462], epoch=7, current_epoch=9, offset=123456789012)
C = Node(3, slots=[(10923, 16383)], epoch=3)
B = Node(2, replica_of=A, epoch=7, offset=123456789000)
SECRET = b"CANARY-internal-secret-do-not-print-0123"
SEEN = wire.START // 10 ** 9 - 1


def names(value):
    """The readable part of a case as its name."""
    return value if isinstance(value, str) else ""


def between(*sent, back=()):
    """A capture of A's link to B: the messages of A, then the answers of B."""
    capture = Capture()
    connection = capture.link(A, B).open()
    for data in sent:
        connection.send("client", data)
    for data in back:
        connection.send("server", data)
    return capture


def only(see, *sent):
    """The one message of a capture, or the last of several."""
    events = see(between(*sent))
    found = bustap.messages(events)
    assert len(found) == len(sent), f"{len(sent)} sent, seen: {bustap.types(events)}"
    assert not bustap.anomalies(events)
    return found[-1]


# ------------------------------------------------------------------------------- the header

TYPES = [                                                    # name, the message, its length
    ("ping", wire.ping(A), 2256),
    ("ping", wire.ping(A, [wire.entry(C)]), 2360),
    ("pong", wire.pong(A), 2256),
    ("meet", wire.meet(A), 2256),
    ("fail", wire.fail(A, C), 2296),
    ("publish", wire.publish(A, b"chan", b"hello"), 2273),
    ("publishshard", wire.publish(A, b"chan", b"hello", shard=True), 2273),
    ("auth-req", wire.message("auth-req", A), 2256),
    ("auth-ack", wire.message("auth-ack", A), 2256),
    ("update", wire.update(A, C, 3, [(10923, 16383)]), 4352),
    ("mfstart", wire.message("mfstart", A), 2256),
    ("module", wire.module(A, 0x1122334455667788, 7, b"module data"), 2280),
    ("auth-nack", wire.auth_nack(A, epoch=12, reason=2), 2272),
    ("auth-nack", wire.auth_nack(A, reason=1), 2257),
]


@pytest.mark.parametrize("name, data, length", TYPES, ids=names)
def test_type(see, name, data, length):
    """Each type under its name, with the length of the reference's table A.6 and the sender."""
    m = only(see, data)
    assert (m["type"], m["length"], m["sender"]) == (name, length, A.id)
    assert (m["version"], m["light"]) == (1, False)


@pytest.mark.parametrize("name, data, length", TYPES, ids=names)
def test_type_in_the_report(store, name, data, length):
    """The report counts it under the same name, sent by A and received by B; every byte decoded."""
    capture = between(wire.ping(A), data, back=[wire.pong(B)])
    report = bustap.analyze(store(capture.pcap()))
    expected = {"ping": 1, "pong": 1}
    expected[name] = expected.get(name, 0) + 1
    assert report["bus"]["messages"] == expected
    expected["pong"] -= 1
    assert bustap.node_row(report, A.id)["sent"] == {k: v for k, v in expected.items() if v}
    assert bustap.node_row(report, B.id)["received"] == {k: v for k, v in expected.items() if v}
    assert report["bus"]["undecoded_bytes"] == 0
    assert report["bus"]["bytes"] == 2 * 2256 + length


def test_header_of_a_primary(see):
    """All that a primary says about itself."""
    m = only(see, wire.ping(A))
    assert (m["current_epoch"], m["config_epoch"], m["repl_offset"]) == (9, 7, 123456789012)
    assert m["slots"] == "0-5460,5462"
    assert m["replica_of"] is None
    assert m["state"] == "ok"
    assert "myself" in m["flags"]


def test_header_of_a_replica(see):
    """A replica names its primary and shows that one's epoch."""
    m = only(see, wire.ping(B))
    assert m["replica_of"] == A.id
    assert (m["config_epoch"], m["repl_offset"]) == (7, 123456789000)


@pytest.mark.parametrize("slots, text", [
    ([], ""), ([0], "0"), ([16383], "16383"), ([(0, 16383)], "0-16383"), ([(0, 1)], "0-1"),
    ([7, 8, 9, 15], "7-9,15"), ([63, 64], "63-64"), (range(0, 10, 2), "0,2,4,6,8"),
], ids=names)
def test_slot_ranges(see, slots, text):
    """The bitmap, least bit first, as ranges."""
    assert only(see, wire.ping(A, slots=wire.bitmap(*slots)))["slots"] == text


def test_largest_numbers(see):
    """Epochs and offsets are unsigned and 64 bits wide, and stay exact in JSON."""
    big = 2 ** 64 - 1
    m = only(see, wire.ping(A, current_epoch=big, config_epoch=big - 1, offset=2 ** 53 + 1))
    assert (m["current_epoch"], m["config_epoch"]) == (big, big - 1)
    assert m["repl_offset"] == 2 ** 53 + 1


def test_state_fail(see):
    """The sender says that the cluster is down."""
    assert only(see, wire.ping(A, state=1))["state"] == "fail"


def test_message_flags(see):
    """PAUSED and FORCEACK of a manual failover change what is printed, not what is counted."""
    plain = only(see, wire.ping(A))
    paused = only(see, wire.ping(A, mflags=bytes([PAUSED, 0, 0])))
    forced = only(see, wire.message("auth-req", A, mflags=bytes([FORCEACK, 0, 0])))
    assert bustap.short(plain) != bustap.short(paused)
    assert forced["type"] == "auth-req"


def test_both_ends_are_named(see):
    """Once B has answered, messages in both directions carry sender and receiver."""
    capture = between(wire.ping(A), back=[wire.pong(B)])
    capture.link(A, B, port=40002).open()
    connection = capture.link(B, A, port=40003).open()
    connection.send("client", wire.ping(B))
    connection.send("server", wire.pong(A))
    last = bustap.messages(see(capture))[-1]
    assert (last["sender"], last["receiver"]) == (A.id, B.id)
    assert (last["src"], last["dst"]) == ("10.0.0.1:16379", "10.0.0.2:40003")


# ------------------------------------------------------------------------------- version 0

VERSION_0 = [
    ("ping", wire.ping(A, ver=0), 2208),
    ("ping", wire.ping(A, [wire.entry(C, ver=0), wire.entry(B, ver=0)], ver=0), 2416),
    ("meet", wire.meet(A, ver=0), 2208),
    ("fail", wire.fail(A, C, ver=0), 2248),
    ("publish", wire.publish(A, b"chan", b"hello", ver=0), 2225),
    ("update", wire.update(A, C, 3, [(10923, 16383)], ver=0), 4304),
    ("auth-req", wire.message("auth-req", A, ver=0), 2208),
    ("auth-ack", wire.message("auth-ack", A, ver=0), 2208),
    ("mfstart", wire.message("mfstart", A, ver=0), 2208),
]


@pytest.mark.parametrize("name, data, length", VERSION_0, ids=names)
def test_version_0(see, name, data, length):
    """Redis 3.0 and 3.2: a header of 2208 bytes with port, flags and state elsewhere."""
    m = only(see, wire.ping(A, ver=0), data)
    assert (m["type"], m["length"], m["version"], m["sender"]) == (name, length, 0, A.id)
    assert (m["slots"], m["state"]) == ("0-5460,5462", "ok")
    assert "myself" in m["flags"]


def test_version_0_gossip(see):
    """The entry has its flags where version 1 has the bus port; that port is port + 10000."""
    m = only(see, wire.ping(A, [wire.entry(C, ver=0, flags=wire.PRIMARY | PFAIL)], ver=0))
    (entry,) = m["gossip"]
    assert (entry["node"], entry["addr"], entry["bus_port"]) == (C.id, "10.0.0.3:6379", 16379)
    assert "pfail" in entry["flags"]


def test_version_0_model(store):
    """A cluster of such servers is drawn like any other."""
    capture = between(wire.ping(A, [wire.entry(B, ver=0)], ver=0), back=[wire.pong(B, ver=0)])
    nodes = {n["id"]: n for n in bustap.analyze(store(capture.pcap()))["cluster"]["nodes"]}
    assert nodes[A.id]["addr"] == "10.0.0.1:6379" and nodes[A.id]["bus_port"] == 16379
    assert nodes[B.id]["role"] == "replica" and nodes[B.id]["primary"] == A.id


# ------------------------------------------------------------------------------- gossip

def test_gossip_entry(see):
    """What A says of C: address, bus port, the seconds of the last ping and pong."""
    data = wire.ping(A, [wire.entry(C, ping_sent=SEEN, pong_received=SEEN - 2)])
    (entry,) = only(see, data)["gossip"]
    assert (entry["node"], entry["addr"], entry["bus_port"]) == (C.id, "10.0.0.3:6379", 16379)
    assert (entry["ping_sent"], entry["pong_received"]) == (SEEN, SEEN - 2)


@pytest.mark.parametrize("bit, word", [
    (wire.REPLICA, "replica"), (PFAIL, "pfail"), (FAIL, "fail"), (wire.HANDSHAKE, "handshake"),
    (wire.NOADDR, "noaddr"), (wire.MEET, "meet"), (wire.NOFAILOVER, "nofailover"),
], ids=names)
def test_gossip_flags(see, bit, word):
    """Each flag is a word of its own."""
    with_it, without = only(see, wire.ping(
        A, [wire.entry(C, flags=wire.PRIMARY | bit), wire.entry(B, flags=wire.PRIMARY)]))["gossip"]
    assert word in with_it["flags"] and word not in without["flags"]


def test_unknown_flag_bits(see):
    """Bits that nobody knows yet hide no others and break nothing."""
    (entry,) = only(see, wire.ping(A, [wire.entry(C, flags=0x8000 | PFAIL)]))["gossip"]
    assert "pfail" in entry["flags"]


def test_many_entries_in_their_order(see):
    """A hundred entries in one message."""
    others = [Node(10 + i) for i in range(100)]
    m = only(see, wire.ping(A, [wire.entry(n) for n in others]))
    assert [e["node"] for e in m["gossip"]] == [n.id for n in others]


@pytest.mark.parametrize("ip, addr", [
    ("fd00::3", "[fd00::3]:6379"), ("2001:db8:1:2:3:4:5:6", "[2001:db8:1:2:3:4:5:6]:6379")])
def test_gossip_ipv6(see, ip, addr):
    """IPv6 addresses get brackets."""
    (entry,) = only(see, wire.ping(A, [wire.entry(Node(3, ip=ip))]))["gossip"]
    assert entry["addr"] == addr


# ------------------------------------------------------------------------------- bodies

def test_fail_names_the_failed(see):
    assert only(see, wire.fail(A, C))["about"] == C.id


def test_update_names_the_owner(see):
    assert only(see, wire.update(A, C, 3, [(10923, 16383)]))["about"] == C.id


def test_publish(see):
    """The channel is shown, of the payload only its size."""
    canary = b"payload-canary"
    m = only(see, wire.publish(A, b"news", canary))
    assert (m["channel"], m["payload_bytes"]) == ("news", len(canary))


def test_publish_payload_is_never_shown(store):
    capture = between(wire.publish(A, b"news", b"payload-canary"))
    assert "canary" not in bustap.everything(store(capture.pcap()))


@pytest.mark.parametrize("channel, payload", [
    (b"", b""), (b"c", b""), (b"", b"p"), (b"c" * 5000, b"p" * 70000),
], ids=["empty", "no payload", "no channel", "large"])
def test_publish_sizes(see, channel, payload):
    """Empty and large ones; the next message is found behind them."""
    events = see(between(wire.publish(A, channel, payload), wire.ping(A)))
    assert bustap.types(events) == ["publish", "ping"]
    assert bustap.messages(events)[0]["payload_bytes"] == len(payload)


def test_a_large_message(store):
    """A PUBLISH of eight megabytes is one message, whatever the buffers are."""
    capture = Capture(step=1000)
    connection = capture.link(A, B, mss=60000).open()
    connection.send("client", wire.ping(A))
    connection.send("client", wire.publish(A, b"big", bytes(8 << 20)))
    connection.send("client", wire.ping(A))
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {"ping": 2, "publish": 1}
    assert report["bus"]["undecoded_bytes"] == 0


# ------------------------------------------------------------------------------- extensions

EXTENSIONS = [                                    # id, the extension, what its value must show
    (0, wire.hostname("node-b.example.internal"), "node-b.example.internal"),
    (1, wire.human_name("shard 3, left"), "shard 3, left"),
    (2, wire.forgotten(C, 60), C.id),
    (3, wire.shard_id(C.id), C.id),
    (4, wire.client_ipv4("203.0.113.9"), "203.0.113.9"),
    (5, wire.client_ipv6("2001:db8::9"), "2001:db8::9"),
]


@pytest.mark.parametrize("id_, data, value", EXTENSIONS, ids=[str(e[0]) for e in EXTENSIONS])
def test_extension(see, id_, data, value):
    """Each known extension by number and value."""
    (found,) = only(see, wire.ping(A, [wire.entry(C)], [data]))["extensions"]
    assert found["id"] == id_ and found["name"]
    assert value in str(found["value"])


def test_all_extensions_at_once(see):
    """In the order in which they came, behind the gossip."""
    m = only(see, wire.ping(A, [wire.entry(C), wire.entry(B)], [data for _, data, _ in EXTENSIONS]))
    assert [e["id"] for e in m["extensions"]] == [0, 1, 2, 3, 4, 5]
    assert len(m["gossip"]) == 2


def test_internal_secret_never_shows(see, store):
    """Redis 8 sends its internal secret under id 4 in every ping. No output may hold it."""
    data = wire.ping(A, [wire.entry(C)], [wire.internal_secret(SECRET), wire.shard_id(A.id)])
    secret, shard = only(see, data)["extensions"]
    assert (secret["id"], secret["value"], shard["id"]) == (4, "(secret)", 3)
    said = bustap.everything(store(between(data).pcap()))
    assert "CANARY" not in said
    assert SECRET.hex() not in said.lower() and SECRET.hex()[:16] not in said.lower()


@pytest.mark.parametrize("data", [
    wire.ping(A, [], [wire.extension(4, SECRET[:39] + b"\0")]),
    wire.ping(A, [], [wire.extension(4, SECRET + b"\0" * 8)]),
    wire.ping(A, [], [wire.extension(4, b"10.0.0.1" + SECRET[:32])]),
    wire.ping(A, [], [wire.extension(4, SECRET[:16])]),
    wire.ping(A, [], [wire.internal_secret(SECRET)], count=1),
    wire.ping(A, [], [wire.extension(4, SECRET, length=56)]),
    wire.ping(A, [], [wire.extension(4, SECRET, length=44)]),
    wire.ping(A, [], [wire.internal_secret(SECRET)], extension_count=9),
    wire.ping(A, [], [wire.internal_secret(SECRET)], type=77),
    wire.ping(A, [], [wire.internal_secret(SECRET)])[:-8],
], ids=["nul inside", "longer", "starts like an address", "short", "count wrong", "length too long",
        "length not of eight", "more announced", "unknown type", "message cut"])
def test_what_may_be_a_secret_is_not_shown(store, data):
    """Under id 4 only a clean address is shown; anything else might be somebody's secret."""
    assert "CANARY" not in bustap.everything(store(between(data, wire.ping(A)).pcap()))


def test_unknown_extension_is_kept_as_unknown(see):
    """Ids of later servers are listed, hide nothing and lose nothing behind them."""
    stranger = wire.extension(4242, b"from the future")
    m = only(see, wire.ping(A, [], [stranger, wire.hostname("host-a")]))
    assert [e["id"] for e in m["extensions"]] == [4242, 0]
    assert "unknown" in m["extensions"][0]["name"]


def test_extensions_without_their_bit(see):
    """Without EXT_DATA the bytes behind the gossip are no extensions (the reference: ignored)."""
    m = bustap.messages(see(between(wire.ping(A, [], [wire.hostname("host-a")], mflags=b"\0\0\0"),
                                    wire.ping(A))))[0]
    assert not m.get("extensions")


def test_bit_without_extensions(see):
    """Redis 8 and Valkey set the bit also when there are none: nothing is odd about it."""
    assert only(see, wire.ping(A, mflags=bytes([EXT_DATA, 0, 0])))["type"] == "ping"


def test_hostname_and_shard_reach_the_report(store):
    """What a node announces is in its row of the cluster."""
    capture = between(wire.ping(A, [], [wire.hostname("host-a"), wire.shard_id(C.id)]))
    nodes = bustap.analyze(store(capture.pcap()))["cluster"]["nodes"]
    (row,) = [n for n in nodes if n["id"] == A.id]
    assert (row["hostname"], row["shard_id"]) == ("host-a", C.id)


# ------------------------------------------------------------------------------- light messages

LIGHT = [
    ("publish", wire.light("publish", wire.publish_body(b"chan", b"hello")), 33),
    ("publishshard", wire.light("publishshard", wire.publish_body(b"chan", b"hello")), 33),
    ("module", wire.light("module", wire.module_body(99, 1, b"data")), 33),
]


@pytest.mark.parametrize("name, data, length", LIGHT, ids=names)
def test_light_message(see, name, data, length):
    """Valkey's sixteen-byte header names no sender: the link does, since its first full message."""
    m = only(see, wire.ping(A), data)
    assert (m["type"], m["light"], m["length"], m["sender"]) == (name, True, length, A.id)


@pytest.mark.parametrize("name, data, length", LIGHT, ids=names)
def test_light_message_counts_under_its_plain_name(store, name, data, length):
    capture = between(wire.ping(A), data, data, back=[wire.pong(B)])
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {"ping": 1, "pong": 1, name: 2}
    assert bustap.node_row(report, A.id)["sent"] == {"ping": 1, name: 2}
    assert bustap.node_row(report, B.id)["received"] == {"ping": 1, name: 2}


def test_light_message_first(see):
    """Before any full message nobody knows who sends: no sender, still decoded, nothing lost."""
    light = LIGHT[0][1]
    events = see(between(light, wire.ping(A), light))
    assert bustap.types(events) == ["publish", "ping", "publish"]
    first, _, last = bustap.messages(events)
    assert first["sender"] in (None, A.id) and first["channel"] == "chan"
    assert last["sender"] == A.id


def test_light_messages_of_two_senders(see):
    """Each link has its own sender, also when their messages interleave."""
    capture = Capture()
    one, two = capture.link(A, B, port=40001).open(), capture.link(C, B, port=40002).open()
    one.send("client", wire.ping(A))
    two.send("client", wire.ping(C))
    for _ in range(3):
        one.send("client", LIGHT[0][1])
        two.send("client", LIGHT[0][1])
    assert [m["sender"] for m in bustap.messages(see(capture), "publish")] == [A.id, C.id] * 3


def test_flood_of_light_messages_in_one_segment(see):
    """Forty of them in one packet are forty messages."""
    assert len(bustap.messages(see(between(wire.ping(A), LIGHT[0][1] * 40)), "publish")) == 40


# ------------------------------------------------------------------------------- unknown, changed

def test_unknown_type(store, see):
    """A type from the future is counted as unknown and stepped over."""
    stranger = wire.message(16, A, b"whatever it means")
    events = see(between(wire.ping(A), stranger, wire.ping(A)))
    assert bustap.types(events) == ["ping", "unknown", "ping"]
    report = bustap.analyze(store(between(wire.ping(A), stranger, wire.ping(A)).pcap()))
    assert report["bus"]["messages"] == {"ping": 2, "unknown": 1}


def test_sender_changes_on_a_link(see):
    """RESET HARD or a lost nodes.conf: the same address answers under another id. Both show."""
    capture = between(wire.ping(A), back=[wire.pong(B)])
    connection = capture.link(A, B, port=40002).open()
    connection.send("client", wire.ping(A))
    connection.send("server", wire.pong(B))
    connection.send("client", wire.ping(A))
    connection.send("server", wire.pong(Node(9, ip="10.0.0.2")))
    assert [m["sender"] for m in bustap.messages(see(capture), "pong")] == [B.id, B.id, Node(9).id]


def test_other_ports(see):
    """The bus is known by its content: cluster-port is free, and bases differ."""
    a, b = Node(1, port=7001), Node(2, port=7002)
    a.cport, b.cport = 31001, 443
    capture = Capture()
    connection = capture.link(a, b).open()
    connection.send("client", wire.ping(a, cport=31001))
    connection.send("server", wire.pong(b, cport=443))
    events = see(capture)
    assert bustap.types(events) == ["ping", "pong"]
    assert bustap.messages(events)[0]["dst"] == "10.0.0.2:443"

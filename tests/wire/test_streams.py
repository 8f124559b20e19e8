"""From packets to streams: whatever TCP does on the way, the messages come out once and in order.

Every message carries its number as replication offset, so that `numbers` tells which ones came out.
"""

import ipaddress
import random
import struct

import pytest

from lib import bustap, wire
from lib.wire import ACK, FIN, RST, SYN, Capture, Node

A, B = Node(1, slots=[(0, 5460)]), Node(2)


def ping(number, sender=A):
    return wire.ping(sender, offset=number)


def pong(number, sender=B):
    return wire.pong(sender, offset=number)


def pings(count):
    """`count` numbered messages in one piece."""
    return b"".join(ping(i) for i in range(1, count + 1))


def numbers(events, side="client"):
    """The numbers of the messages from the connector ("client") or from the acceptor."""
    return [m["repl_offset"] for m in bustap.messages(events)
            if m["src"].endswith(":16379") == (side == "server")]


def quiet(events):
    """Nothing was odd and nothing was missing."""
    assert not bustap.anomalies(events)
    assert not bustap.named(events, "tcp-gap")
    return events


# ------------------------------------------------------------------------------- cuts

@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 13, 14, 15, 16, 17, 103, 1000, 2255, 2256, 2257,
                                  60000])
def test_cut_into_pieces(see, link, size):
    """Three messages cut into equal pieces, wherever the cuts fall."""
    capture, connection = link(mss=size)
    connection.send("client", pings(3))
    assert numbers(quiet(see(capture))) == [1, 2, 3]


@pytest.mark.parametrize("first", [1, 7, 8, 15, 16, 2255, 2256, 2257, 2263, 2264, 2272, 4511])
def test_one_cut(see, link, first):
    """Two messages with one cut: inside the signature, the length, the header, at the seam."""
    capture, connection = link(mss=60000)
    connection.send("client", pings(2), sizes=[first])
    assert numbers(quiet(see(capture))) == [1, 2]


def test_many_in_one_segment(see, link):
    """Offloaded super-packets: twenty-eight messages in 64 KB."""
    capture, connection = link(mss=65000)
    connection.send("client", pings(28))
    assert numbers(quiet(see(capture))) == list(range(1, 29))


# ------------------------------------------------------------------------------- repeats, overlaps

def test_retransmit(see, store, link):
    """The same segment again, before and after its ACK, is no second message."""
    capture, connection = link(mss=4000)
    for number in (1, 2, 3):
        start = connection.next["client"]
        connection.send("client", ping(number), ack=False)
        connection.segment("client", ping(number), seq=start)
        connection.ack("server")
        connection.segment("client", ping(number), seq=start)
    assert numbers(quiet(see(capture))) == [1, 2, 3]
    assert bustap.analyze(store(capture.pcap()))["bus"]["messages"] == {"ping": 3}


@pytest.mark.parametrize("first, last", [
    (0, 2256), (0, 100), (1448, 2256), (1000, 3000), (0, 6768), (2255, 2257), (6767, 6768)])
def test_retransmit_with_other_boundaries(see, link, first, last):
    """Bytes `first` to `last` of the stream come again as one segment of their own."""
    capture, connection = link()
    start, data = connection.next["client"], pings(3)
    connection.send("client", data, ack=False)
    connection.segment("client", data[first:last], seq=start + first)
    connection.ack("server")
    connection.send("client", ping(4))
    assert numbers(quiet(see(capture))) == [1, 2, 3, 4]


@pytest.mark.parametrize("back", [1, 100, 1448, 2256])
def test_segment_with_old_and_new_bytes(see, link, back):
    """A segment begins `back` bytes before the end of what is known and goes on with new ones."""
    capture, connection = link(mss=9000)
    start, data = connection.next["client"], pings(4)
    connection.send("client", data[:4512])
    connection.segment("client", data[4512 - back:], seq=start + 4512 - back)
    connection.skip("client", 4512)
    connection.ack("server")
    assert numbers(quiet(see(capture))) == [1, 2, 3, 4]


def test_overlap_with_different_bytes(see, link):
    """The same place sent twice with different bytes: one version is used, the clash reported."""
    capture, connection = link(mss=9000)
    data = pings(2)
    held = connection.next["client"] + 1000
    connection.segment("client", data[1000:3000], seq=held)
    connection.segment("client", bytes(b ^ 0xFF for b in data[1000:3000]), seq=held)
    connection.send("client", data)
    connection.send("client", ping(3))
    events = see(capture)
    assert "tcp-overlap" in bustap.anomalies(events)
    assert numbers(events)[-1] == 3


def test_retransmit_with_different_bytes(see, link):
    """Already decoded bytes cannot be changed by whoever sends them again."""
    capture, connection = link(mss=9000)
    start = connection.next["client"]
    connection.send("client", ping(1))
    connection.segment("client", ping(99), seq=start)
    connection.send("client", ping(2))
    assert numbers(see(capture)) == [1, 2]


@pytest.mark.parametrize("delay", [0, 3])
def test_same_packet_on_two_interfaces(store, link, delay):
    """`-i any` shows a forwarded packet twice, at once or a few packets later: counted once."""
    capture, connection = link()
    for number in (1, 2, 3):
        connection.send("client", ping(number))
        connection.send("server", pong(number))
    once = [(time, wire.sll2(p)) for time, p in capture.packets]
    copies = [(time + delay * capture.step, wire.sll2(p, interface=3, direction=4))
              for time, p in capture.packets]
    twice = sorted(once + copies, key=lambda frame: frame[0])
    events = quiet(bustap.dump(store(wire.pcap(twice, wire.SLL2))))
    assert numbers(events) == [1, 2, 3] and numbers(events, "server") == [1, 2, 3]


def test_keep_alive(see, link):
    """A byte before the next one, empty or with garbage in it, is a question and not data."""
    capture, connection = link()
    connection.send("client", ping(1))
    for probe in (b"", b"\0"):
        connection.segment("client", probe, seq=connection.next["client"] - 1)
        connection.segment("server")
    connection.send("client", ping(2))
    connection.segment("server", b"\0", seq=connection.next["server"] - 1)
    connection.send("server", pong(3))
    events = quiet(see(capture))
    assert numbers(events) == [1, 2] and numbers(events, "server") == [3]


# ------------------------------------------------------------------------------- order, numbers

@pytest.mark.parametrize("isn", [0xFFFFFFF0, 0xFFFFFFFF, 0xFFFFF000, 0, 0x7FFFFFF0, 0x80000000])
def test_sequence_numbers_wrap(see, link, isn):
    """Thirty-two bits overflow in the middle of a connection, in both directions."""
    capture, connection = link(isn=(isn, isn))
    for number in (1, 2, 3):
        connection.send("client", ping(number))
        connection.send("server", pong(number))
    events = quiet(see(capture))
    assert numbers(events) == [1, 2, 3] and numbers(events, "server") == [1, 2, 3]


def test_wrap_out_of_order(see, link):
    """The piece after the overflow comes before the one in front of it."""
    capture, connection = link(isn=(0xFFFFFFF0, 1))
    start, data = connection.next["client"], pings(2)
    for first, last in ((0, 10), (2000, 4512), (10, 2000)):
        connection.segment("client", data[first:last], seq=start + first)
    connection.skip("client", 4512)
    connection.ack("server")
    connection.send("client", ping(3))
    assert numbers(quiet(see(capture))) == [1, 2, 3]


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2), (2, 3, 0, 1)])
def test_out_of_order(see, link, order):
    """Four segments in other orders."""
    capture, connection = link()
    start, data = connection.next["client"], pings(2)
    quarter = len(data) // 4
    for k in order:
        connection.segment("client", data[k * quarter:(k + 1) * quarter], seq=start + k * quarter)
    connection.skip("client", len(data))
    connection.ack("server")
    connection.send("client", ping(3))
    assert numbers(quiet(see(capture))) == [1, 2, 3]


@pytest.mark.parametrize("pieces", [
    [(4440, 9024), (4181, 4183), (4437, 4440), (4183, 4437), (0, 4181)],
    [(10, 20), (30, 40), (20, 30), (40, 9024), (0, 10)],
    [(30, 40), (10, 20), (0, 10), (40, 9024), (20, 30)],
    [(2256, 9024), (1, 2256), (0, 1)],
    [(9023, 9024), (9022, 9023), (5, 9022), (0, 5)],
])
def test_pieces_that_join(see, link, pieces):
    """Pieces wait for others, touch on their left, on their right, on both sides."""
    capture, connection = link(mss=9000)
    start, data = connection.next["client"], pings(4)
    for first, last in pieces:
        connection.segment("client", data[first:last], seq=start + first)
    connection.skip("client", len(data))
    connection.ack("server")
    assert numbers(quiet(see(capture))) == [1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_in_any_order(see, link, seed):
    """Four messages in some fifteen pieces, large and tiny, shuffled; some overlap."""
    dice = random.Random(seed)
    capture, connection = link(mss=9000)
    start, data = connection.next["client"], pings(4)
    cuts = sorted({0, len(data), *(min(len(data), cut + more)
                                   for cut in dice.sample(range(1, len(data)), 9)
                                   for more in (0, dice.randint(0, 3)))})
    pieces = [(first, min(len(data), last + dice.choice((0, 0, 0, 500))))
              for first, last in zip(cuts, cuts[1:])]
    dice.shuffle(pieces)
    for first, last in pieces:
        connection.segment("client", data[first:last], seq=start + first)
    connection.skip("client", len(data))
    connection.ack("server")
    assert numbers(quiet(see(capture))) == [1, 2, 3, 4], pieces


def test_answer_captured_before_its_question(see, link):
    """Two queues of a card: the ACK and the PONG stand before the PING in the file."""
    capture, connection = link(mss=9000)
    connection.send("client", ping(1))
    connection.send("server", pong(1))
    connection.send("client", ping(2))
    connection.send("server", pong(2))
    packets = capture.packets
    question = next(i for i, (_, p) in enumerate(packets) if len(p) > 2000 and i > 6)
    capture.packets = (packets[:question] + packets[question + 1:question + 3]
                       + packets[question:question + 1] + packets[question + 3:])
    events = quiet(see(capture))
    assert numbers(events) == [1, 2] and numbers(events, "server") == [1, 2]


# ------------------------------------------------------------------------------- connections

def test_opening_and_closing(see, link):
    """A connection that is opened and closed is told as such."""
    capture, connection = link()
    connection.send("client", ping(1))
    connection.close()
    events = see(capture)
    (opened,) = bustap.named(events, "tcp-open")
    (closed,) = bustap.named(events, "tcp-close")
    assert (opened["src"], opened["dst"]) == ("10.0.0.1:40001", "10.0.0.2:16379")
    assert "fin" in closed["how"].lower()


def test_last_message_with_the_fin(see, link):
    """Data and FIN in one segment: the data counts."""
    capture, connection = link(mss=9000)
    connection.send("client", ping(1))
    connection.segment("client", ping(2), flags=ACK | FIN)
    assert numbers(quiet(see(capture))) == [1, 2]


def test_half_closed(see, link):
    """After one side's FIN the other may go on talking."""
    capture, connection = link()
    connection.send("client", ping(1))
    connection.segment("client", flags=FIN | ACK)
    connection.next["client"] += 1
    connection.acked["server"] += 1
    connection.send("server", pong(1))
    connection.send("server", pong(2))
    assert numbers(see(capture), "server") == [1, 2]


def test_reset_in_the_middle_of_a_message(see, link):
    """The half message is gone, what follows on a new connection is complete."""
    capture, connection = link()
    connection.send("client", ping(1) + ping(2)[:1000])
    connection.reset("server")
    again = capture.link(A, B, port=40002).open()
    again.send("client", ping(3))
    events = see(capture)
    assert numbers(events) == [1, 3]
    (closed,) = bustap.named(events, "tcp-close")
    assert any(word in closed["how"].lower() for word in ("rst", "reset"))


@pytest.mark.parametrize("ending", ["fin", "rst", "nothing", "half message"])
def test_port_reuse(see, link, ending):
    """The same ports again, with numbers that have nothing to do with the old ones."""
    capture, connection = link(isn=(3_000_000_000, 1))
    connection.send("client", ping(1))
    connection.send("server", pong(1))
    if ending == "fin":
        connection.close()
    elif ending == "rst":
        connection.reset()
    elif ending == "half message":
        connection.send("client", ping(99)[:700])
    capture.wait(70)
    again = capture.link(A, B, isn=(5_000, 4_000_000_000)).open()
    again.send("client", ping(2))
    again.send("server", pong(2))
    events = see(capture)
    assert numbers(events) == [1, 2] and numbers(events, "server") == [1, 2]
    assert len(bustap.named(events, "tcp-open")) == 2


@pytest.mark.parametrize("missing", [0, 1, 700, 1448, 2255])
def test_joined_in_the_middle(see, missing):
    """The capture starts on an old connection, `missing` bytes into a message.

    Whole messages behind it are found; A is the connector (it sends PINGs), as if after a SYN.
    """
    capture = Capture()
    connection = capture.link(A, B).already_open()
    connection.send("client", ping(1)[missing:])
    for number in (2, 3, 4):
        connection.send("client", ping(number))
        connection.send("server", pong(number))
    events = see(capture)
    assert numbers(events) == ([1] if missing == 0 else []) + [2, 3, 4]
    assert numbers(events, "server") == [2, 3, 4]
    last = bustap.messages(events)[-2]
    assert (last["type"], last["sender"], last["receiver"]) == ("ping", A.id, B.id)


def test_joined_on_the_acceptors_side_first(see):
    """The first packet that was seen comes from the bus port."""
    capture = Capture()
    connection = capture.link(A, B).already_open()
    for number in (1, 2):
        connection.send("server", pong(number))
        connection.send("client", ping(number))
    events = see(capture)
    assert numbers(events) == [1, 2] and numbers(events, "server") == [1, 2]


def test_joined_between_syn_and_answer(see):
    """Only the second packet of the handshake was caught."""
    capture, full = Capture(), Capture()
    connection = full.link(A, B).open()
    connection.send("client", ping(1))
    connection.send("server", pong(1))
    capture.packets = full.packets[1:]
    events = see(capture)
    assert numbers(events) == [1] and numbers(events, "server") == [1]


def test_only_one_direction_was_captured(see, link):
    """A one-way mirror: what travelled that way is decoded."""
    capture, connection = link()
    for number in range(1, 6):
        connection.send("client", ping(number))
        connection.send("server", pong(number))
    server = ipaddress.IPv4Address(B.ip).packed
    capture.packets = [(t, p) for t, p in capture.packets if p[12:16] != server]
    assert numbers(see(capture)) == [1, 2, 3, 4, 5]


def test_many_links_at_once(store):
    """Four hundred connections whose segments interleave."""
    capture = Capture(step=1000)
    links = [capture.conversation((f"10.1.{i // 250}.{i % 250}", 41000), (B.ip, 16379)).open()
             for i in range(400)]
    nodes = [Node(1000 + i) for i in range(400)]
    data = [ping(i, node) for i, node in enumerate(nodes)]
    for first, last in ((0, 1000), (1000, 2256)):
        for connection, message in zip(links, data):
            connection.send("client", message[first:last])
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {"ping": 400}
    assert sum(row["sent"].get("ping", 0) for row in report["bus"]["by_node"]) == 400


def test_flood_of_half_open_connections(store):
    """A hundred thousand SYNs from everywhere while a bus link talks: not a message is lost."""
    capture = Capture(step=1000)
    connection = capture.link(A, B).open()
    syn = bytearray(wire.ipv4("198.18.0.0", B.ip, wire.tcp(("198.18.0.0", 1), (B.ip, 16379), 1, 0,
                                                           SYN)))
    frames = []
    for number in range(1, 101):
        for i in range(1000):
            struct.pack_into(">HH", syn, 14, number, i)                     # source address
            struct.pack_into(">H", syn, 20, 1024 + i * number % 60000)      # source port
            frames.append((capture.now, wire.ethernet(bytes(syn))))
            capture.now += 1000
        connection.send("client", ping(number))
        connection.send("server", pong(number))
    frames = sorted(frames + capture.frames(), key=lambda frame: frame[0])
    report = bustap.analyze(store(wire.pcap(frames)))
    assert report["capture"]["packets"] == len(frames)
    assert report["bus"]["messages"] == {"ping": 100, "pong": 100}


# ------------------------------------------------------------------------------- sent and received

def sent_and_received(store, capture):
    """How many pings A sent and B received."""
    report = bustap.analyze(store(capture.pcap()))
    return (bustap.node_row(report, A.id)["sent"].get("ping", 0),
            bustap.node_row(report, B.id)["received"].get("ping", 0))


def greeted(link, **more):
    """A link on which both ends are known: one ping, one pong."""
    capture, connection = link(**more)
    connection.send("client", ping(1))
    connection.send("server", pong(1))
    return capture, connection


def test_received_is_what_was_acknowledged(store, link):
    """The last message was never acknowledged: sent, not received."""
    capture, connection = greeted(link)
    connection.send("client", ping(2))
    connection.send("client", ping(3), ack=False)
    assert sent_and_received(store, capture) == (3, 2)


@pytest.mark.parametrize("missing, received", [(0, 2), (1, 1), (2256, 1), (2257, 1)])
def test_received_needs_the_last_byte(store, link, missing, received):
    """An ACK that is one byte short does not acknowledge the message."""
    capture, connection = greeted(link)
    connection.send("client", ping(2), ack=False)
    connection.segment("server", ack=connection.next["client"] - missing)
    assert sent_and_received(store, capture) == (2, received)


def test_ack_that_travels_with_data(store, link):
    """The PONG's own segment acknowledges the PING."""
    capture, connection = greeted(link)
    connection.send("client", ping(2), ack=False)
    connection.acked["server"] = connection.next["client"]
    connection.send("server", pong(2))
    assert sent_and_received(store, capture) == (2, 2)


def test_one_ack_for_many(store, link):
    """A cumulative ACK covers five messages."""
    capture, connection = greeted(link)
    for number in range(2, 7):
        connection.send("client", ping(number), ack=False)
    assert sent_and_received(store, capture) == (6, 1)
    connection.ack("server")
    assert sent_and_received(store, capture) == (6, 6)


def test_retransmitted_until_acknowledged(store, link):
    """Lost behind the capture point, sent again: one message, sent once, received once."""
    capture, connection = greeted(link)
    start = connection.next["client"]
    connection.send("client", ping(2), ack=False)
    assert sent_and_received(store, capture) == (2, 1)
    for _ in range(3):
        connection.segment("client", ping(2)[:1448], seq=start)
    connection.segment("client", ping(2)[1448:], seq=start + 1448)
    connection.ack("server")
    assert sent_and_received(store, capture) == (2, 2)


def test_ack_captured_before_the_data(store, link):
    """The file has the ACK first: received all the same."""
    capture, connection = greeted(link, mss=9000)
    connection.send("client", ping(2))
    capture.packets[-2:] = capture.packets[:-3:-1]
    assert sent_and_received(store, capture) == (2, 2)


def test_reset_after_the_data(store, link):
    """A RST acknowledges nothing."""
    capture, connection = greeted(link)
    connection.send("client", ping(2), ack=False)
    connection.segment("server", flags=RST | ACK)
    assert sent_and_received(store, capture) == (2, 1)


def test_wrap_and_acknowledgement(store, link):
    """Acknowledgements are compared across the overflow too."""
    capture, connection = greeted(link, isn=(0xFFFFF000, 0xFFFFFFF0))
    connection.send("client", ping(2))
    connection.send("client", ping(3))
    connection.send("client", ping(4), ack=False)
    assert sent_and_received(store, capture) == (4, 3)


# ------------------------------------------------------------------------------- holes

@pytest.mark.parametrize("first, last, lost", [
    (2256, 4512, [2]), (2256, 6768, [2, 3]), (1000, 1001, [1]), (3000, 5000, [2, 3]),
    (2250, 2260, [1, 2]), (4511, 4513, [2, 3]), (2256, 2257, [2]),
], ids=["one message", "two messages", "a byte", "in two", "around a seam", "a seam", "first byte"])
def test_hole(store, see, link, first, last, lost):
    """Bytes `first` to `last` of the stream were not captured; the other side acknowledged them.

    The messages in the hole are lost, all others are found, and the hole is reported in bytes.
    """
    capture, connection = link(mss=9000)
    data = pings(6)
    connection.send("client", data[:first])
    connection.skip("client", last - first)
    connection.ack("server")
    connection.send("client", data[last:])
    for number in (7, 8):
        connection.send("client", ping(number))
    events = see(capture)
    assert numbers(events) == [n for n in range(1, 9) if n not in lost]
    assert sum(gap["bytes"] for gap in bustap.named(events, "tcp-gap")) == last - first
    loss = bustap.analyze(store(capture.pcap()))["capture"]["loss"]
    assert (loss["gaps"], loss["gap_bytes"]) == (1, last - first)


def test_two_holes(store, link):
    """Each hole is counted."""
    capture, connection = link()
    for number in range(1, 8):
        if number in (2, 5):
            connection.skip("client", 2256)
            connection.ack("server")
        else:
            connection.send("client", ping(number))
    report = bustap.analyze(store(capture.pcap()))
    assert report["capture"]["loss"]["gaps"] == 2
    assert report["capture"]["loss"]["gap_bytes"] == 2 * 2256
    assert report["bus"]["messages"] == {"ping": 5}


def test_hole_before_the_end(see, link):
    """Nothing acknowledged the missing bytes and the capture ends: what came behind is shown."""
    capture, connection = link(mss=9000)
    connection.send("client", ping(1))
    connection.skip("client", 2256)
    connection.send("client", ping(3) + ping(4), ack=False)
    assert numbers(see(capture)) == [1, 3, 4]


def test_hole_in_one_direction_leaves_the_other_alone(see, link):
    """The PONGs are complete although a PING is missing."""
    capture, connection = link()
    for number in range(1, 6):
        if number == 3:
            connection.skip("client", 2256)
            connection.ack("server")
        else:
            connection.send("client", ping(number))
        connection.send("server", pong(number))
    events = see(capture)
    assert numbers(events) == [1, 2, 4, 5]
    assert numbers(events, "server") == [1, 2, 3, 4, 5]


def test_late_segment_is_no_hole(see, link):
    """It arrives after three others, but it arrives."""
    capture, connection = link(mss=9000)
    start, data = connection.next["client"], pings(4)
    for k in (1, 2, 3, 0):
        connection.segment("client", data[k * 2256:(k + 1) * 2256], seq=start + k * 2256)
    connection.skip("client", len(data))
    connection.ack("server")
    assert numbers(quiet(see(capture))) == [1, 2, 3, 4]


@pytest.mark.parametrize("inside", [
    wire.fail(A, B), wire.fail(A, B)[:100], b"RCmb", b"RCmb" * 300,
    b"RCmb" + struct.pack(">IHHHH", 2256, 1, 6379, 3, 0),
], ids=["a whole FAIL", "its head", "the signature", "many signatures", "the first fields"])
def test_false_message_in_a_payload(see, link, inside):
    """A PUBLISH carries what looks like a message, and its own head was not captured.

    Looking for the next message must not fall for it: one message alone proves nothing, the next
    one has to begin where it ends.
    """
    payload = b"x" * 700 + inside + b"y" * 900
    whole = wire.publish(A, b"chan", payload)
    capture, connection = link(mss=9000)
    connection.send("client", ping(1))
    connection.skip("client", 2400)
    connection.ack("server")
    connection.send("client", whole[2400:])
    for number in (2, 3, 4):
        connection.send("client", ping(number))
    events = see(capture)
    assert bustap.types(events) == ["ping"] * 4
    assert numbers(events) == [1, 2, 3, 4]


def test_false_message_in_a_payload_without_a_hole(see, link):
    """As long as nothing is missing, a payload is a payload."""
    capture, connection = link()
    connection.send("client", ping(1))
    connection.send("client", wire.publish(A, b"chan", wire.fail(A, B) * 3))
    connection.send("client", ping(2))
    assert bustap.types(quiet(see(capture))) == ["ping", "publish", "ping"]


def test_snaplen(store, link):
    """Packets cut by a snaplen are counted, and the messages of whole packets still decoded."""
    capture, connection = link()
    for number in range(1, 7):
        connection.send("client", ping(number))
    frames, cut, missing = [], 0, 0
    for i, (time, frame) in enumerate(capture.frames()):
        short = 9 <= i < 15 and len(frame) > 200
        cut += short
        missing += len(frame) - 200 if short else 0
        frames.append((time, frame[:200] if short else frame, len(frame)))
    assert cut
    path = store(wire.pcap(frames))
    report = bustap.analyze(path)
    assert sum(s["truncated_packets"] for s in report["capture"]["sources"]) == cut
    assert report["bus"]["messages"]["ping"] >= 6 - cut
    events = bustap.dump(path)
    assert sum(gap["bytes"] for gap in bustap.named(events, "tcp-gap")) == missing
    assert [n for n in numbers(events) if n not in (3, 4)] == [1, 2, 5, 6]


# ------------------------------------------------------------------------------- not the bus

def test_tls_on_the_bus_port(store, link):
    """`tls-cluster yes`: no message can be seen; it is opaque, not broken."""
    capture, connection = link()
    record = lambda kind, size: bytes([kind, 3, 3]) + struct.pack(">H", size) + bytes(
        (i * 73 + 11) & 0xFF for i in range(size))
    hello = b"\x01\x00\x00\xfc\x03\x03" + bytes(range(32)) + bytes(214)
    connection.send("client", b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello)
    connection.send("server", record(0x16, 122) + record(0x14, 1) + record(0x17, 900))
    for _ in range(5):
        connection.send("client", record(0x17, 2300))
        connection.send("server", record(0x17, 2300))
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {} and report["bus"]["anomalies"] == {}
    assert report["bus"]["undecoded_bytes"] == 0
    events = bustap.dump(store(capture.pcap()))
    assert any("opaque" in str(e).lower() or "tls" in str(e).lower()
               for e in events + report["findings"])


def test_client_traffic_is_not_the_bus(store):
    """RESP on port 6379, also with RCmb inside a value, gives no bus message and no anomaly."""
    capture = Capture()
    connection = capture.conversation(("10.0.9.9", 50000), (A.ip, 6379)).open()
    for value in (b"hello", b"RCmb", wire.ping(A), wire.fail(A, B)):
        connection.send("client", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n"
                        % (len(value), value))
        connection.send("server", b"+OK\r\n")
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {} and report["bus"]["anomalies"] == {}

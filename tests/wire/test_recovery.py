"""After the worst: whatever was lost, forged or odd on a connection, what comes behind is decoded,
and what was not seen is not told.

Every message carries its number as replication offset, so that `numbers` tells which ones came out.
"""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from lib import bustap, wire
from lib.wire import ACK, FIN, RST, SYN, Capture, Node

A, B, C = Node(1, slots=[(0, 8191)]), Node(2, slots=[(8192, 16383)]), Node(3)
BUS_PORT = 16379


def ping(number, sender=A):
    return wire.ping(sender, offset=number)


def pong(number, sender=B):
    return wire.pong(sender, offset=number)


def talk(connection, numbers, acceptor=B):
    """A PING and its PONG for each number."""
    for number in numbers:
        connection.send("client", ping(number))
        connection.send("server", pong(number, acceptor))


def numbers(events, side="client"):
    """The numbers of the messages from the connector ("client") or from the acceptor."""
    return [m["repl_offset"] for m in bustap.messages(events)
            if m["src"].endswith(f":{BUS_PORT}") == (side == "server")]


def gaps(events):
    return [gap["bytes"] for gap in bustap.named(events, "tcp-gap")]


def quiet(events):
    """Nothing was odd and nothing was missing."""
    assert not bustap.anomalies(events)
    assert not gaps(events)
    return events


def one_way(capture):
    """What a mirror of the connector's direction alone would have caught."""
    def from_bus_port(packet):
        return struct.unpack_from(">H", packet, 20)[0] == BUS_PORT
    capture.packets = [(t, p) for t, p in capture.packets if not from_bus_port(p)]
    return capture


def received(report, node):
    """How many PINGs the node received."""
    return bustap.node_row(report, node.id)["received"].get("ping", 0)


def link_row(report, connector, acceptor):
    return next(row for row in report["bus"]["links"]
                if (row["from"], row["to"]) == (connector.id, acceptor.id))


# ------------------------------------------------------------------------------- odd numbers

@pytest.mark.parametrize("isn", [(500_000, 2_000_000), (900_000_000, 2_100_000_000)],
                         ids=["behind", "ahead"])
def test_ports_used_again_without_a_syn(see, link, isn):
    """A closed connection's ports are used again and the new handshake was not captured: the new
    connection's sequence numbers are neither repeats of the old one's nor a hole in it."""
    capture, connection = link()
    talk(connection, [1])
    connection.close()
    capture.wait(100)
    talk(capture.link(A, B, isn=isn).already_open(), range(2, 22))
    events = quiet(see(capture))
    assert numbers(events) == numbers(events, "server") == list(range(1, 22))


def test_sent_again_after_the_last_word(see, link):
    """Half a megabyte is on its way when a node has said all. What was dropped behind the capture
    comes again, and is not another connection's."""
    capture, connection = link()
    talk(connection, [1])
    first, on_its_way = connection.next["client"], [ping(number) for number in range(2, 252)]
    for data in on_its_way:
        connection.send("client", data, ack=False)
    connection.segment("client", flags=FIN | ACK)
    for data in on_its_way[:3]:
        connection.segment("client", data, seq=first)
        first += len(data)
    connection.next["client"] += 1
    connection.segment("server", ack=connection.next["client"])
    events = quiet(see(capture))
    assert numbers(events) == list(range(1, 252))
    assert len(bustap.named(events, "tcp-open")) == 1


@pytest.mark.parametrize("ahead", [32 << 20, 1 << 30], ids=["32 MiB", "1 GiB"])
def test_one_stray_ack_far_ahead(see, link, ahead):
    """A single packet acknowledges what nobody has sent: the stream goes on as before."""
    capture, connection = link()
    talk(connection, [1])
    connection.segment("server", ack=connection.next["client"] + ahead)
    talk(connection, range(2, 60))
    events = quiet(see(capture))
    assert numbers(events) == numbers(events, "server") == list(range(1, 60))


def test_acks_before_their_data_with_much_data_between(store, link):
    """Twice an ACK is captured before its data, with 2200 MiB between (packets cut short by the
    capture): the second time no old place in the stream is remembered."""
    capture, connection = link()
    lengths = {}                        # of the packets that were cut: packet number -> on the wire

    def ack_before_data(number):
        connection.segment("server", ack=connection.next["client"] + len(ping(number)))
        connection.send("client", ping(number))

    def one_mebibyte():
        head = wire.tcp(*(connection.ends[side] for side in ("client", "server")),
                        connection.next["client"], connection.acked["client"], ACK, sum_ok=False)
        lengths[len(capture.packets)] = 14 + 20 + len(head) + (1 << 20)
        capture.add(wire.ipv4(A.ip, B.ip, head + b"x" * 20, total=0))
        connection.skip("client", 1 << 20)
        connection.ack("server")

    talk(connection, [1])
    ack_before_data(2)
    for _ in range(2200):
        one_mebibyte()
    ack_before_data(3)
    talk(connection, range(4, 8))
    path = store(wire.pcap([(t, frame, lengths.get(i, len(frame)))
                            for i, (t, frame) in enumerate(capture.frames())]))
    assert numbers(bustap.dump(path)) == [1, 2, 3, 4, 5, 6, 7]
    assert bustap.analyze(path)["capture"]["loss"]["gaps"] == 0


def test_reset_far_outside_the_window(see, store, link):
    """A forged RST with a sequence number far from the stream ends nothing: the receiver ignores
    it, too."""
    capture, connection = link()
    talk(connection, [1])
    connection.segment("server", seq=connection.next["server"] + (1 << 30), flags=RST)
    talk(connection, [2, 3])
    events = quiet(see(capture))
    assert numbers(events) == numbers(events, "server") == [1, 2, 3]
    assert not bustap.named(events, "tcp-close")
    assert link_row(bustap.analyze(store(capture.pcap())), A, B)["resets"] == 0


# ------------------------------------------------------------------------------- holes

def test_node_id_changed_while_a_message_was_lost(see, link):
    """The message in which the acceptor first named its new id is missing: all later ones are
    decoded, and are the new node's."""
    capture, connection = link()
    talk(connection, [1])
    connection.send("client", ping(2))
    connection.skip("server", len(pong(2)))
    connection.ack("client")
    capture.wait(2)
    talk(connection, range(3, 13), acceptor=Node(9, ip=B.ip))
    events = see(capture)
    assert numbers(events) == list(range(1, 13))
    assert numbers(events, "server") == [1, *range(3, 13)]
    assert [e["node"] for e in bustap.named(events, "node-heard")][-1] == Node(9).id
    assert bustap.anomalies(events) == []


def test_hole_inside_a_message_that_claims_four_gigabytes(see, link):
    """A PUBLISH claims to be 0xFFFFFFF0 bytes long and a piece of it is missing: what follows is
    searched for messages instead of being taken for its payload."""
    capture, connection = link()
    talk(connection, [1])
    connection.send("client", wire.publish(A, b"ch", b"x" * 10, totlen=0xFFFFFFF0)[:100])
    connection.skip("client", 1448)
    connection.ack("server")
    capture.wait(2)
    talk(connection, range(2, 12))
    events = see(capture)
    assert numbers(events) == numbers(events, "server") == list(range(1, 12))
    assert gaps(events) == [1448]


def test_hole_before_the_first_message_of_one_direction(see):
    """Joined in the middle with one direction captured: 70,000 missing bytes are no bytes that were
    looked at in vain."""
    capture = Capture()
    connection = capture.link(A, B).already_open()
    connection.send("client", b"q" * 500)
    connection.skip("client", 70_000)
    connection.send("client", b"q" * 500)
    capture.wait(3)
    talk(connection, range(1, 40))
    events = see(one_way(capture))
    assert numbers(events) == list(range(1, 40))
    assert gaps(events) == [70_000]


def test_last_message_lost_before_the_fin(see, store, link):
    """The last PING was acknowledged but not captured, then the connection ends: a gap of exactly
    its length."""
    capture, connection = link()
    talk(connection, [1])
    connection.skip("client", len(ping(2)))
    connection.ack("server")
    connection.close()
    assert gaps(see(capture)) == [len(ping(2))]
    loss = bustap.analyze(store(capture.pcap()))["capture"]["loss"]
    assert (loss["gaps"], loss["gap_bytes"]) == (1, len(ping(2)))


def test_forged_fail_in_a_payload_when_joining(see):
    """The rest of a payload, with a whole FAIL in it, is the first that was captured of a direction
    whose peer has shown this to be a bus link: no node has failed."""
    capture = Capture()
    connection = capture.link(A, B).already_open()
    connection.send("server", pong(1))
    connection.send("client", b"z" * 300 + wire.fail(A, C, offset=666) + b"y" * 200 + ping(2))
    connection.send("server", pong(2))
    connection.send("client", ping(3))
    events = see(capture)
    assert numbers(events) == [2, 3] and numbers(events, "server") == [1, 2]
    assert not bustap.messages(events, "fail") and not bustap.named(events, "fail-announced")


def test_two_bytes_of_junk_after_every_message(store, link):
    """One record of 4 MB, in which step is lost at every one of 150,000 tiny messages."""
    capture, connection = link()
    talk(connection, [1])
    junk = b"zz" + (wire.light("publish", wire.publish_body(b"", b"")) + b"zz") * 150_000
    head = wire.tcp(*(connection.ends[side] for side in ("client", "server")),
                    connection.next["client"], connection.acked["client"], ACK, sum_ok=False)
    capture.add(wire.ipv4(A.ip, B.ip, head + junk, total=0))
    connection.skip("client", len(junk))
    connection.ack("server")
    talk(connection, [2, 3])
    path = store(capture.pcap())
    assert bustap.analyze(path)["bus"]["messages"] == {"ping": 3, "pong": 3}


# ------------------------------------------------------------------------------- what is counted

def test_received_after_a_direction_was_given_up(store):
    """A direction in which nothing was recognised for long is a bus link after all, as the other
    one shows: its messages are received when their own last byte is acknowledged."""
    capture = Capture()
    connection = capture.link(A, B).already_open()
    connection.send("client", b"q" * 120_000)
    connection.send("server", pong(1), ack=False)
    connection.send("server", pong(2), ack=False)
    connection.send("client", ping(1))
    acknowledged = connection.next["client"]
    for number in range(2, 8):
        connection.send("client", ping(number), ack=False)
    connection.segment("server", ack=acknowledged + 10)
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {"ping": 7, "pong": 2}
    assert received(report, B) == 1


def test_received_after_a_hole_in_a_half_seen_message(store):
    """While the next message is searched for, the beginning of one is held, and then bytes are
    missing: an ACK 60 bytes short of a later message still does not acknowledge it."""
    capture = Capture()
    connection = capture.link(A, B).already_open()
    connection.send("server", pong(1), ack=False)
    connection.send("client", b"z" * 100 + ping(1)[:79], ack=False)
    connection.skip("client", len(ping(1)) - 79)
    connection.ack("server")
    capture.wait(2)
    connection.send("client", ping(2) + ping(3), ack=False)
    connection.segment("server", ack=connection.next["client"] - 60)
    report = bustap.analyze(store(capture.pcap()))
    assert report["bus"]["messages"] == {"ping": 2, "pong": 1}
    assert received(report, B) == 1


def test_round_trip_and_silence_over_a_reconnect(store, link):
    """A PING is not answered, twenty seconds later a new connection gets its answer at once: the
    silence was twenty seconds, no round trip was."""
    capture, connection = link()
    talk(connection, [1])
    connection.send("client", ping(2))
    capture.wait(20)
    connection.reset()
    talk(capture.link(A, B, port=40002).open(), [3])
    row = link_row(bustap.analyze(store(capture.pcap())), A, B)
    assert row["rtt_max_us"] < 1_000_000
    assert 20_000_000 <= row["longest_silence_us"] < 21_000_000


def test_one_way_connection_is_not_unanswered(store):
    """The SYN's answer is missing as all of its direction is, but data flowed; a SYN after which
    nothing came is unanswered."""
    capture = Capture()
    capture.link(B, A, port=40002).open().send("client", ping(1, sender=B))
    talk(capture.link(A, B).open(), [1, 2, 3])
    one_way(capture)
    assert link_row(bustap.analyze(store(capture.pcap())), A, B)["unanswered"] == 0
    capture.link(A, B, port=40003).segment("client", flags=SYN)
    assert link_row(bustap.analyze(store(capture.pcap())), A, B)["unanswered"] == 1


def test_host_name_is_cleared(store, link):
    """A node that had a host name sends PINGs without extensions: it has none any more."""
    def host_name():
        nodes = bustap.analyze(store(capture.pcap()))["cluster"]["nodes"]
        return next(node["hostname"] for node in nodes if node["id"] == A.id)
    capture, connection = link()
    connection.send("client", wire.ping(A, extensions=[wire.hostname("old-name")]))
    assert host_name() == "old-name"
    connection.send("client", ping(2))
    assert host_name() == ""


# ------------------------------------------------------------------------------- the run itself

@pytest.mark.parametrize("name_again", [None, os.link, os.symlink],
                         ids=["its name", "hard link", "symbolic link"])
def test_report_is_not_written_over_the_capture(store, link, tmp_path, name_again):
    """`--json=FILE` with the capture as FILE, under whatever name: refused, the capture intact."""
    capture, connection = link()
    talk(connection, [1])
    data = capture.pcap()
    path = other = store(data)
    if name_again:
        other = tmp_path / "other"
        name_again(path, other)
    run = bustap.run("analyze", f"--json={other}", path, code=2)
    assert b"is a capture" in run.err
    assert path.read_bytes() == data


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "the program did not read its input"
        time.sleep(0.01)


def test_output_that_does_not_block(link, store):
    """Whoever shares the terminal or the pipe may have made it so. Who reads slowly gets all."""
    capture, connection = link()
    talk(connection, range(1, 400))
    path = store(capture.pcap())
    whole = bustap.run("dump", path).out
    assert len(whole) > 1 << 17, "it fits into a pipe"
    with subprocess.Popen([bustap.PROGRAM, "dump", path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE,
                          preexec_fn=lambda: os.set_blocking(1, False)) as program:
        wait_until(lambda: unread(program.stdout) > 1 << 15)
        time.sleep(0.1)
        out, err = program.communicate(timeout=10)
    assert (program.returncode, err) == (0, b"") and out == whole


def sleeps(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


@pytest.mark.parametrize("blocks", [True, False])           # ssh may leave it so that it does not
def test_interrupted_while_waiting_for_input(link, blocks):
    """SIGINT while the pipe that is read stays open: a report of what came so far, a word that it
    is not all, exit code 0."""
    capture, connection = link()
    talk(connection, [1, 2, 3])
    with subprocess.Popen([bustap.PROGRAM, "analyze", "--json", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=lambda: os.set_blocking(0, blocks)) as program:
        try:
            program.stdin.write(capture.pcap())
            program.stdin.flush()
            wait_until(lambda: not unread(program.stdin) and sleeps(program.pid))
            program.send_signal(signal.SIGINT)
            assert select.select([program.stdout], [], [], 10)[0], "it goes on waiting"
            report = json.loads(program.stdout.read() or b"null")
            assert b"was not read" in program.stderr.read()
            assert program.wait(10) == 0
        finally:
            program.kill()
    assert report["bus"]["messages"] == {"ping": 3, "pong": 3}

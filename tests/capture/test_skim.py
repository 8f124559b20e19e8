"""What the eBPF programs leave out, and that nobody misses it: the same events as from a file,
however the bytes are cut into packets; each packet handed up whole, or dropped and counted."""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import signal
import sys
import time
import types

import pytest

from lib import bustap, resp, wire
from lib.resp import OK, array, bulk, bulk_error, error, map_, push, simple, verbatim
from . import cable as cables, host as hosts, rings
from .running import (SETTLE, await_capture, counted, end, events_in, frame_of, lived, popen, reading,
                      same_as_stored, start)

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))

HERE = pathlib.Path(__file__).parent
SHOWN, HEAD = 1024, 64                  # a longer string is left out, but for so much of it
LENGTHS = (0, 1, 9, 10, 99, 100, 999, 1000, SHOWN, SHOWN + 1, SHOWN + 2, 2047, 2048, 2049, 70_000)
PAYLOAD = 14 + 20 + 20               # begins behind so many bytes of headers
MSS = (1, 7, 61, 256, 536, 1448, 9000, 64_000)
REQUEST = b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$9000\r\n"
INFO = ("# Server\r\n" + "filler:1\r\n" * 600 + "# Memory\r\nused_memory:960000000\r\n"
        "used_memory_rss:2000000000\r\nmaxmemory:1000000000\r\nmaxmemory_policy:noeviction\r\n")


@pytest.fixture
def cable():
    with cables.Cable() as c:
        c.backend = "ebpf"
        yield c


@pytest.fixture(params=("pcap", "ebpf"))
def either(request, cable):
    cable.backend = request.param
    return cable


# ---- talks -----------------------------------------------------------------------------------------


def a_talk(mss=1448, filler=REQUEST, **more):
    """What may stand in requests and replies, about strings that are left out."""
    talk = resp.Dialogue(mss=mss, **more)
    for length in LENGTHS if mss > 500 else LENGTHS[:-1]:
        value = (filler * (length // len(filler) + 1))[:length]
        talk.trade(["SET", "k", value], OK).trade("GET k", bulk(value))
        talk.ask(["SET", "k", value], "GET k", ["MSET", "a", value, "b", "2", "c", value], "GET b")
        talk.answer(OK, bulk(value), error("MOVED 7 10.0.0.2:6379"), error("ASK 7 10.0.0.3:6379"))
        talk.ask("MGET a b c", ["SETRANGE", "k", "1", value], "NONE", "GET d")
        talk.answer(array(bulk(value), 7, None, array(bulk(value), bulk(b"x"))), 9, error("ERR no"),
                    None)
        talk.trade("HELLO 3", map_(bulk("server"), bulk("redis"), bulk("x"), bulk(value)))
        talk.trade("GET k", verbatim(value)).trade("GET k", bulk_error(b"ERR " + value[:200]))
        talk.answer(push(bulk("invalidate"), array(bulk(value))))
    return talk.trade("INFO", bulk(INFO)).trade("GET k", simple("last")).close()


def stored(folder, frames, snaplen=262144):
    """A capture file of these frames, which come as fast as over a cable."""
    path = folder / "talk.pcap"
    path.write_bytes(wire.pcap([(10_000 * number, frame[:snaplen], len(frame))
                                for number, frame in enumerate(frames)]))
    return types.SimpleNamespace(path=path)


def frames_of(talk):
    return [frame for _, frame in talk.capture.frames()]


def same_as_from_a_file(cable, folder, frames, *args):
    events, counts = lived(cable, frames, *args)
    same_as_stored(events, stored(folder, frames))
    assert counts == (len(frames), 0)
    return events


@pytest.mark.parametrize("mss", MSS)
def test_packets_of_any_size(either, tmp_path, mss):
    events = same_as_from_a_file(either, tmp_path, frames_of(a_talk(mss)))
    assert len(bustap.named(events, "redirect")) == 2 * len(LENGTHS[:-1] if mss < 500 else LENGTHS)


def neighbours_swapped(frames):
    return [frame for pair in itertools.zip_longest(frames[1::2], frames[::2]) for frame in pair if frame]


WAYS = {
    "twice": lambda frames: [frame for frame in frames for _ in range(2)],
    "all again": lambda frames: frames[:200] + frames[:200] + frames[200:],
    "in another order": neighbours_swapped,
    "joined midway": lambda frames: frames[50:],        # with a short request
    "without every 50th": lambda frames: [frame for at, frame in enumerate(frames) if at % 50],
}


@pytest.mark.parametrize("way", WAYS)
def test_packets_as_networks_bring_them(either, tmp_path, way):
    """Where the stream was lost track of, what looks like a request is taken for one; so here no value
    does."""
    same_as_from_a_file(either, tmp_path, WAYS[way](frames_of(a_talk(filler=b"value"))))


@pytest.mark.parametrize("mss", (1448, 64_000))
def test_joined_at_a_large_value(either, tmp_path, mss):
    """The first exchange is on trial until it is certain whose the reply is; its end is not handed up."""
    talk = resp.Dialogue(mss=mss).trade("PING", simple("PONG"))
    before = len(frames_of(talk))
    talk.trade("GET k", bulk("W" * 50_000)).trade(["SET", "k", "V" * 50_000], OK).trade("GET a", bulk("1"))
    events = same_as_from_a_file(either, tmp_path, frames_of(talk)[before:])
    assert [e["command"] for e in events if e["event"] == "reply"] == ["get", "set", "get"]


def test_over_ipv6(either, tmp_path):
    talk = a_talk(client=("fd00::1", 50001), server=("fd00::2", 6379))
    same_as_from_a_file(either, tmp_path, frames_of(talk))


def test_the_end_of_a_connection_in_a_packet_that_is_cut(either, tmp_path):
    """It is that of the last record, not of those before."""
    talk = resp.Dialogue(mss=16_000).ask("GET k", "GET a")
    talk.link.segment("server", bulk("v" * 5000) + error("ERR no"), flags=wire.FIN | wire.PSH | wire.ACK)
    talk.link.segment("client", flags=wire.ACK, ack=talk.link.next["server"] + 5021)
    events = same_as_from_a_file(either, tmp_path, frames_of(talk))
    assert [e["error"] for e in events if e["event"] == "reply"] == [None, "ERR"]


# ---- what is left out ------------------------------------------------------------------------------


def handed_up(cable, frames, *args, mib=32):
    """The records of these frames, while nobody reads them."""
    run = start(cable, "watch", "-i", cable.far, "-B", str(mib), *args)
    run.send_signal(signal.SIGSTOP)
    cable.send(frames)
    records = list(rings.waiting(run.pid, mib))
    run.send_signal(signal.SIGCONT)
    return records, counted(end(run)[1])


@pytest.mark.parametrize("length", (SHOWN, SHOWN + 1, 50_000))
def test_the_inside_of_large_strings_is_left_out(cable, length):
    talk = resp.Dialogue().trade(["SET", "k", "V" * length], OK).trade("GET k", bulk("W" * length))
    frames = frames_of(talk)
    records, counts = handed_up(cable, frames)
    assert counts == (len(frames), 0)
    for letter in (b"V", b"W"):
        held = sum(record.frame[PAYLOAD:].count(letter) for record in records)
        assert held == (length if length <= SHOWN else HEAD)
    left = sum(record.wire_len - len(record.frame) for record in records)
    assert left == (2 * (length - HEAD + len("\r\n")) if length > SHOWN else 0)
    assert sum(not record.more for record in records) == len(frames)


def test_a_large_value_is_one_record(cable):
    """Nothing is handed up for its end."""
    frames = frames_of(resp.Dialogue(mss=16_000).trade("GET k", bulk("W" * 10_000)))
    records, _ = handed_up(cable, frames)
    assert len(records) == len(frames)


def test_a_large_value_takes_little_room_in_libpcaps_ring(cable):
    """A packet that is one, while nobody reads: fifty times as much as the ring holds."""
    cable.backend = "pcap"
    talk = resp.Dialogue(mss=64_000)
    for _ in range(1000):
        talk.trade("GET k", bulk("W" * 50_000))
    frames = frames_of(talk)
    run = start(cable, "watch", "-i", cable.far, "-B", "1")
    run.send_signal(signal.SIGSTOP)
    cable.send(frames)
    run.send_signal(signal.SIGCONT)
    assert counted(end(run)[1]) == (len(frames), 0)


def test_a_string_that_does_not_end_where_it_should(cable, tmp_path):
    """What stands there instead is handed up."""
    talk = resp.Dialogue(mss=16_000).trade("GET k", bulk("W" * 10_000)).ask("GET k")
    talk.link.send("server", b"$5000\r\n" + b"V" * 5000 + b"x\n")
    frames = frames_of(talk)
    records, _ = handed_up(cable, frames)
    assert sum(b"x\n" in record.frame[PAYLOAD:] for record in records) == 1
    same_as_from_a_file(cable, tmp_path, frames)


def test_a_packet_that_comes_again_puts_nothing_out_of_step(cable):
    mss, packets = 1448, 30
    talk = resp.Dialogue(mss=mss).trade(["SET", "k", "V" * mss * packets], OK)
    frames = frames_of(talk)
    long_ones = [at for at, frame in enumerate(frames) if len(frame) > mss]
    again = long_ones[2]
    records, _ = handed_up(cable, frames[:again + 2] + [frames[again]] + frames[again + 2:])
    assert sum(record.frame[PAYLOAD:].count(b"V") for record in records) < HEAD + mss + SHOWN


def test_what_is_not_followed_is_not_left_out(cable):
    """A connection that does not begin with requests, as that of the bus or of TLS."""
    talk = resp.Dialogue()
    talk.link.send("client", b"\x16\x03\x01" + b"$5000\r\n" + b"V" * 5000)
    talk.link.send("client", b"V" * 5000)
    records, _ = handed_up(cable, frames_of(talk))
    assert sum(record.frame[PAYLOAD:].count(b"V") for record in records) == 10_000


def test_a_length_that_nobody_can_have_is_not_followed(cable):
    """2^32, which is nothing in 32 bits: what comes then would be taken for another string."""
    talk = resp.Dialogue().trade("PING", simple("PONG")).ask("GET big")
    talk.link.send("server", b"$4294967296\r\n" + b"$5000\r\n" + b"V" * 5000 + b"\r\n")
    records, _ = handed_up(cable, frames_of(talk))
    assert sum(record.frame[PAYLOAD:].count(b"V") for record in records) == 5000


def test_a_value_that_looks_like_a_request_joins_nothing(cable):
    """The answers' stream is lost track of inside a value. What the client sends then, inside another
    value, begins as a request does: this says nothing of where the answers stand."""
    mss, lie = 1448, b"$16000\r\n"
    asked = resp.command("SET", "k", REQUEST.ljust(5000, b"v"))
    begins = asked.index(REQUEST)
    reply = bulk((lie.ljust(mss, b"v") * 3)[:4000])
    head = len(b"$4000\r\n")
    talk = resp.Dialogue(mss=mss).trade("PING", simple("PONG")).ask("GET big")
    talk.link.send("client", asked[:begins])
    talk.link.send("server", reply[:2])
    talk.lose("server", reply[2:head])              # where it stands is not known any more
    talk.link.send("server", reply[head:head + mss])
    talk.link.send("client", asked[begins:])
    talk.link.send("server", reply[head + mss:])
    records, _ = handed_up(cable, frames_of(talk))
    shown = [record.wire_len == len(record.frame) for record in records if sent_by_server(record.frame)]
    assert all(shown) and len(shown) > 8


def sent_by_server(frame):
    return int.from_bytes(frame[34:36], "big") == resp.SERVER[1]


def test_info_is_shown(cable):
    """Its answer says how a server's memory is, and is longer than what else is shown."""
    talk = resp.Dialogue().trade("INFO", bulk(INFO))
    records, _ = handed_up(cable, frames_of(talk))
    whole = b"".join(record.frame[PAYLOAD:] for record in records)
    assert INFO.encode() in whole
    run = start(cable, "watch", "--json", "-i", cable.far)
    cable.send(frames_of(talk))
    assert [json.loads(line)["finding"]["type"] for line in end(run)[0].splitlines()] == ["memory-pressure"]


# ---- a real server -----------------------------------------------------------------------------------


@pytest.mark.skipif(hosts.missing() is not None, reason=str(hosts.missing()))
@pytest.mark.parametrize("backend", ("pcap", "ebpf"))
def test_errors_in_pipelines_equal_errorstats(tmp_path, backend):
    """Between large replies, in packets that the loopback device makes as long as it can."""
    rounds = 300
    with hosts.Host(tmp_path) as host:
        host.server(7000)
        host.run("redis-cli", "-p", "7000", "cluster", "addslotsrange", "0", "16383")
        time.sleep(3)                   # a node alone believes it only then
        run = host.popen([bustap.PROGRAM, "dump", "--json", "-i", "lo", "--backend", backend,
                          "-B", "64"], stdin=None)
        host.captures(run)
        taken = reading(run)
        host.run(sys.executable, HERE / "pipeline.py", "7000", rounds)
        stats = host.run("redis-cli", "-p", "7000", "info", "errorstats")
        time.sleep(SETTLE)
        host.run("pkill", "-INT", "bustap")
        events = [json.loads(line) for line in taken().splitlines()]
        _, dropped = counted(run.stderr.read())
    told = collections.Counter(e["error"] for e in events if e["event"] == "reply" and e["error"])
    books = {line[len("errorstat_"):].split(":")[0]: int(line.split("count=")[1])
             for line in stats.splitlines() if line.startswith("errorstat_")}
    assert dropped == 0
    assert dict(told) == books and len(books) >= 4
    assert books["WRONGTYPE"] == 2 * rounds


# ---- every packet, whole or counted ------------------------------------------------------------------


@pytest.mark.parametrize("address", ("127.0.0.1", "::1"))
def test_packets_longer_than_an_ip_length_can_say(cable, address):
    """Their IP length is 0, and for IPv6 an option stands before TCP."""
    count, size = 80, 290_000
    cable.ip("link", "set", "lo", "up")
    cable.run("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
    before = received(cable, "lo")
    run = start(cable, "dump", "--json", "-i", "lo", "-B", "64")
    longest = cable.run(sys.executable, HERE / "long_packets.py", address, 6379, count, size)
    came = received(cable, "lo") - before
    out, err = end(run)
    assert int(longest) > 0x10000 + 100, "no packet was long: this tested nothing"
    assert counted(err) == (came, 0)
    events = events_in(out)
    requests = [e for e in events if e["event"] == "request"]
    assert [e["bytes"] for e in requests] == [size + 25 + len(str(size))] * count
    assert len([e for e in events if e["event"] == "reply"]) == count
    assert not bustap.named(events, "tcp-gap") and not bustap.named(events, "anomaly")


def received(cable, end_):
    (shown,) = json.loads(cable.ip("-json", "-stats", "link", "show", end_))
    return shown["stats64"]["rx"]["packets"]


def many_records(number):
    """A packet of nearly 64 KiB, with strings of middle size; a connection of its own."""
    talk = resp.Dialogue(client=("10.0.9.1", 20_000 + number), joined=True, mss=65_000)
    talk.ask(*(["SET", "k", "v" * (SHOWN + 1)] for _ in range(60)))
    return frames_of(talk)[0]


def test_a_packet_is_handed_up_whole_or_not_at_all(cable):
    frames = [many_records(number) for number in range(400)]
    records, (captured, dropped) = handed_up(cable, frames, mib=1)
    assert captured > 0 and dropped > 0, "the ring held all or nothing: this tested nothing"
    assert captured + dropped == len(frames)
    by_ring = collections.defaultdict(list)
    for record in records:
        by_ring[record.cpu].append(record)
    assert not any(of[-1].more for of in by_ring.values())
    assert sum(not record.more for record in records) == captured
    assert len(records) >= 60 * captured


def test_after_a_packet_that_was_dropped_nothing_is_left_out(cable):
    """Where its stream stands is not known then: what follows may look like anything."""
    mss, lie = 1448, b"$16000\r\n"
    talk = resp.Dialogue(mss=mss).trade("PING", simple("PONG"))
    talk.ask(resp.command("SET", "k", lie.ljust(3 * mss, b"v"))[:2 * mss - 27])
    begins = frames_of(talk)
    first, second = begins[-3:-1]
    lies = second[:PAYLOAD] + lie.ljust(len(second) - PAYLOAD, b"v")
    run = start(cable, "watch", "-i", cable.far, "-B", "1")
    with on_one_cpu():
        cable.send(begins[:-3])
        time.sleep(SETTLE)
        run.send_signal(signal.SIGSTOP)
        cable.send([frame_of(number) for number in range(20_000)] + [first])
        run.send_signal(signal.SIGCONT)
        time.sleep(SETTLE)
        run.send_signal(signal.SIGSTOP)
        cable.send([lies])
    (record,) = rings.waiting(run.pid, 1)
    run.send_signal(signal.SIGCONT)
    _, dropped = counted(end(run)[1])
    assert dropped > 0 and record.frame == lies


@contextlib.contextmanager
def on_one_cpu():
    """So that all packets go into one ring."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


def test_a_ring_is_never_smaller_than_a_long_packet(cable):
    """Of a MiB each CPU has its share, and 256 KiB at least."""
    frames = [many_records(number) for number in range(2)]
    records, counts = handed_up(cable, frames, mib=1)
    assert counts == (2, 0) and len(records) >= 120


# ---- options -----------------------------------------------------------------------------------------


def test_count_is_of_packets(either):
    """Also where one makes several records: the last of them is read to its end."""
    talk = resp.Dialogue(joined=True)
    talk.ask(["SET", "k", "v" * 5000], "GET a").answer(OK, None)
    talk.ask(["SET", "k", "v" * 5000], ["SET", "k", "v" * 5000], "GET b").answer(OK, OK, None)
    frames = [frame for frame in frames_of(talk) if len(frame) > 60]
    count = len(frames) - 1             # up to the second packet of requests, and without its answers
    run = start(either, "watch", "-i", either.far, "-c", str(count))
    either.send(frames + [frame_of(number) for number in range(100)])
    _, err = run.communicate(timeout=20)
    assert run.returncode == 0 and counted(err) == (count, 0)


def test_snaplen(either, tmp_path):
    frames = frames_of(a_talk())
    events, counts = lived(either, frames, "-s", "100")
    same_as_stored(events, stored(tmp_path, frames, snaplen=100))
    assert counts == (len(frames), 0)


def test_a_filter(either, tmp_path):
    """A packet passes whole, or none of its records does."""
    talk = a_talk()
    other = a_talk(client=("10.0.9.2", 50002))
    mine, others = frames_of(talk), frames_of(other)
    frames = [frame for pair in zip(mine, others) for frame in pair]
    events, (captured, _) = lived(either, frames, "-f", "host 10.0.9.2")
    same_as_stored(events, stored(tmp_path, others))
    assert captured == len(others)


def test_a_filter_for_interfaces_of_two_kinds(either):
    """Packets of one begin with Ethernet's header, of the other with IP's."""
    if why := cables.no_tunnel():
        pytest.skip(why)
    either.dig("tunnel")
    run = start(either, "watch", "-i", either.far, "-i", "tunnel", "-f", "host 10.0.0.1")
    frames = [frame_of(number) for number in range(20)]
    either.send(frames)
    either.send([frame[14:] for frame in frames], "tunnel")
    assert counted(end(run)[1]) == (40, 0)


def test_any_interface(either):
    either.lay("near2", "far2")
    run = start(either, "watch", "-i", "any")
    for near in ("near", "near2"):
        either.send([frame_of(number) for number in range(50)], near)
    assert counted(end(run)[1]) == (200, 0), "each goes out at one end, and comes in at the other"


def test_any_of_more_interfaces_than_the_cap(cable):
    """CAP_TAPS is 16: nothing is left out in silence, libpcap takes them all."""
    for number in range(8):
        cable.lay(f"near{number}", f"far{number}")
    run = popen(cable, "watch", "-i", "any")
    await_capture(run)
    cable.send([frame_of(1)], "near7")
    err = end(run)[1]
    assert "eBPF: more than 16 interfaces" in err and "trying libpcap" in err
    assert counted(err) == (2, 0)

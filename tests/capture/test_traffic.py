"""What the kernel counts by itself for each flow, told by port: eBPF's alone."""

import re
import signal
import time

import pytest

from lib import captures, wire
from . import cable as cables
from .running import SETTLE, counted, end, frame_of, start, tcp_frames

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))

HEALTHY = captures.take("healthy-redis-7.0.15")


@pytest.fixture
def cable():
    with cables.Cable() as c:
        c.backend = "ebpf"
        yield c


def told(err):
    """{port: (packets, bytes, late ones)}, and the packets of no flow."""
    rows = re.findall(r"^bustap: port (\d+): (\d+) packets passed both ways, (\d+) bytes"
                      r"(?:, (\d+) came late: again, or out of order)?$", err, re.M)
    unplaced = re.findall(r"^bustap: of no flow that is kept: (\d+) packets$", err, re.M)
    return {int(port): tuple(int(value or 0) for value in rest) for port, *rest in rows}, int((unplaced or [0])[-1])


def talk(again=()):
    """A client asks 20 times; some of the frames are sent twice."""
    capture = wire.Capture()
    connection = capture.conversation(("10.0.0.9", 40000), ("10.0.0.2", 6379)).open()
    for number in range(20):
        connection.send("client", b"*2\r\n$3\r\nGET\r\n$4\r\nk%03d\r\n" % number)
        connection.send("server", b"$5\r\nhello\r\n")
    frames = [frame for _, frame in capture.frames()]
    return [frame for at, frame in enumerate(frames) for _ in range(1 + (at in again))]


def with_data(frames):
    return [at for at, frame in enumerate(frames) if len(frame) > 54]


def test_every_packet_is_in_one_of_the_sums(cable):
    run = start(cable, "watch", "-i", cable.far)
    cable.send([*tcp_frames(HEALTHY), *map(frame_of, range(10))])
    err = end(run)[1]
    ports, unplaced = told(err)
    assert sum(packets for packets, _, _ in ports.values()) + unplaced == sum(counted(err))
    assert 0 < unplaced < sum(counted(err)) / 20
    assert set(ports) == {6379, 16379}


def test_retransmits(cable):
    """What is sent again is counted; what is sent once is not."""
    twice = with_data(talk())[3:8]
    run = start(cable, "watch", "-i", cable.far, "-p", "6379")
    cable.send(talk(again=twice))
    ports, _ = told(end(run)[1])
    assert ports[6379][2] == len(twice)


def test_no_retransmits(cable):
    frames = talk()
    run = start(cable, "watch", "-i", cable.far, "-p", "6379")
    cable.send(frames)
    ports, unplaced = told(end(run)[1])
    assert list(ports) == [6379] and ports[6379][2] == 0
    assert ports[6379][0] + unplaced == len(frames)
    assert ports[6379][1] >= sum(len(frames[at]) for at in with_data(frames))


def test_ports_used_again(cable):
    """A connection with the same ports, and with numbers that lie behind those of the one before."""
    frames = talk()
    run = start(cable, "watch", "-i", cable.far, "-p", "6379")
    cable.send([*frames, *frames])
    ports, _ = told(end(run)[1])
    assert ports[6379][2] == 0


def test_seen_by_two_devices(cable):
    """Each packet is captured twice, and counted once."""
    frames = talk()
    run = start(cable, "watch", "-i", cable.far, "-i", cable.near, "-p", "6379")
    cable.send(frames)
    err = end(run)[1]
    ports, _ = told(err)
    assert counted(err) == (2 * len(frames), 0)
    assert ports[6379][2] == 0 and ports[6379][0] <= len(frames)


def test_dropped_packets_are_counted_too(cable):
    frames = talk()[:4] + 30_000 * talk()[4:5]          # the first packet with data, again and again
    run = start(cable, "watch", "-i", cable.far, "-B", "1", "-p", "6379")
    run.send_signal(signal.SIGSTOP)
    cable.send(frames)
    run.send_signal(signal.SIGCONT)
    err = end(run)[1]
    ports, unplaced = told(err)
    captured, dropped = counted(err)
    assert dropped > 0 and captured + dropped == len(frames) == ports[6379][0] + unplaced


def test_on_request_and_quiet(cable):
    run = start(cable, "watch", "-i", cable.far, "-p", "6379")
    cable.send(talk())
    time.sleep(SETTLE)
    run.send_signal(signal.SIGUSR1)
    time.sleep(SETTLE)
    assert end(run)[1].count("packets passed both ways") == 2
    run = start(cable, "watch", "-i", cable.far, "-p", "6379", "-q")
    cable.send(talk())
    assert "both ways" not in end(run)[1]

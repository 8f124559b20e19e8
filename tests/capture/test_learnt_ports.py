"""Ports that nodes announce while it is captured are captured from then on, and nothing is missed
while the filter grows."""

import json
import os
import re
import signal
import time

import pytest

from lib import bustap, wire
from . import cable as cables, host as hosts
from .running import SETTLE, counted, end, frame_of, start, status_of

pytestmark = pytest.mark.skipif(hosts.missing() is not None, reason=str(hosts.missing()))

A, B = wire.Node(1), wire.Node(2)
LEARN = 0.8                             # seconds: a moment of eBPF's, a look at the nodes, and more
GOSSIP_MAX = 20                         # of one message here


@pytest.fixture(params=("pcap", "ebpf"))
def backend(request):
    return request.param


@pytest.fixture
def cable(backend):
    with cables.Cable() as c:
        c.backend = backend
        yield c


@pytest.fixture
def host(tmp_path):
    with hosts.Host(tmp_path) as h:
        yield h


def frame_to(port, number=1, ip="10.0.0.2"):
    """A segment that belongs to no connection."""
    packet = wire.tcp(("10.0.0.9", 12345), (ip, port), number, 0, wire.ACK)
    return wire.ethernet(wire.ip("10.0.0.9", ip, packet))


def announcing(*ports, client=6379):
    """What A says to B: of each port that it is the bus port of another node."""
    capture = wire.Capture()
    connection = capture.link(A, B).open()
    nodes = [wire.entry(wire.Node(10 + at % 200, port=client), cport=port)
             for at, port in enumerate(ports)]
    for at in range(0, len(nodes), GOSSIP_MAX):
        connection.send("client", wire.ping(A, gossip=nodes[at:at + GOSSIP_MAX]))
    return [frame for _, frame in capture.frames()]


def learning(cable, *args):
    """Captures A's bus port; then it is announced that another node has 7777 for its own."""
    run = start(cable, "watch", *args)
    frames = announcing(7777, client=6500)
    cable.send(frames)
    time.sleep(LEARN)
    return run, len(frames)


def told(err):
    return [line for line in err.splitlines() if "from now on" in line]


def test_a_bus_port_is_learnt(cable):
    """Before, it is not captured; the client port is not, for it is not among those named."""
    run = start(cable, "watch", "-i", cable.far, "-p", "6379")
    cable.send([frame_to(7777)])
    frames = announcing(7777, client=6500)
    cable.send(frames)
    time.sleep(LEARN)
    cable.send([frame_to(7777, 2), frame_to(7777, 3), frame_to(6500), frame_to(7778)])
    err = end(run)[1]
    assert counted(err) == (len(frames) + 2, 0)
    assert told(err) == ["bustap: port 7777 is captured from now on, too: node 10.0.0.10:6500 "
                         "announces it"]


def test_what_is_known_is_no_news(cable):
    run = start(cable, "watch", "-i", cable.far, "-p", "6379,7777")
    frames = announcing(7777)
    cable.send(frames)
    time.sleep(LEARN)
    err = end(run)[1]
    assert not told(err) and counted(err) == (len(frames), 0)


def test_an_interface_alone_has_nothing_to_learn(cable):
    run = start(cable, "watch", "-i", cable.far)
    cable.send([*announcing(7777), frame_to(5)])
    time.sleep(LEARN)
    err = end(run)[1]
    assert not told(err) and counted(err) == (len(announcing(7777)) + 1, 0)


def test_the_filter_of_the_user_holds(cable):
    run, before = learning(cable, "-i", cable.far, "-p", "6379", "-f", "not host 10.0.0.3")
    cable.send([frame_to(7777), frame_to(7777, ip="10.0.0.3"), frame_to(7777, 2)])
    assert counted(end(run)[1]) == (before + 2, 0)


def test_on_any_interface(cable):
    """Packets have no link layer there; each goes out of one interface, and comes in by another."""
    run, before = learning(cable, "-i", "any", "-p", "6379", "-f", "not host 10.0.0.3")
    cable.send([frame_to(7777), frame_to(7777, ip="10.0.0.3"), frame_to(7778)])
    assert counted(end(run)[1]) == (2 * (before + 1), 0)


def test_what_only_libpcap_can_look_at(cable):
    """A part of its own header: all ports come then, and the user's filter still holds."""
    if cable.backend == "ebpf":
        pytest.skip("libpcap looks at no packet there")
    run = start(cable, "watch", "-i", "any", "-p", "6379", "-f", "ether[2:2] = 1 and not host 10.0.0.3")
    cable.send([frame_to(6379), frame_to(6379, ip="10.0.0.3")])
    assert counted(end(run)[1]) == (2, 0)


def test_nothing_is_missed_while_it_grows(cable):
    """Sixty times, in the midst of packets of a port that is captured all along."""
    run = start(cable, "watch", "-i", cable.far, "-p", "6379", "-B", "256")
    news = announcing(*range(20000, 20060))     # connection, then three messages of 20
    flood = [frame_to(6379, number) for number in range(150_000)]
    each = len(flood) // len(news)
    frames = [frame for at, one in enumerate(news)
              for frame in (one, *flood[at * each:(at + 1) * each])]
    cable.send(frames)
    err = end(run)[1]
    assert counted(err) == (len(frames), 0)
    assert len(told(err)) == 60


def test_more_ports_than_the_cap(cable):
    """CAP_LEARNT_PORTS is 64."""
    run = start(cable, "watch", "-i", cable.far, "-p", "6379")
    cable.send(announcing(*range(20000, 20140, 2)))
    time.sleep(2 * LEARN)
    err = end(run)[1]
    assert len(told(err)) == 64
    assert "no further ports that nodes announce are captured: there are too many" in err


def test_privileges_stay_gone(cable):
    run, _ = learning(cable, "-i", cable.far, "-p", "6379")
    status = status_of(run)
    assert int(status["CapEff"], 16) == 0 and status["Seccomp"] == "2"
    assert told(end(run)[1])


def test_quiet(cable):
    run, before = learning(cable, "-i", cable.far, "-p", "6379", "-q")
    cable.send([frame_to(7777)])
    err = end(run)[1]
    assert counted(err) == (before + 1, 0) and not told(err)


def test_a_server_that_joins(host, backend):
    """The servers of the host were found; one more is started, at other ports, and joins."""
    host.server(7000)
    run = host.popen([bustap.PROGRAM, "dump", "--json", "--keys", "full", "--backend", backend])
    pid = host.captures(run)
    host.server(7105)
    host.run("redis-cli", "-p", 7105, "get", "before")
    host.run("redis-cli", "-p", 7105, "cluster", "meet", "127.0.0.1", 7000, 17000)
    time.sleep(2.5)                     # a handshake, and a second ping
    host.run("redis-cli", "-p", 7105, "get", "after")
    time.sleep(SETTLE)
    os.kill(pid, signal.SIGINT)
    out, err = run.communicate(timeout=20)
    events = [json.loads(line) for line in out.splitlines()]
    assert run.returncode == 0, err
    assert re.findall(r"port (\d+) is captured from now on", err) == ["7105", "17105"]
    assert [key for event in events for key in event.get("keys") or []] == ["after"]
    assert any(event.get("type") == "ping" and event["dst"].endswith(":17105") for event in events)

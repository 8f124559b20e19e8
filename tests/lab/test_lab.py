"""The lab itself, without servers: faults do what they say, where they say; nothing remains.

As root; elsewhere it is skipped with its reason. Alone: python3 -m pytest tests/lab
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import types

import pytest

from lab import ROOT, Unavailable, capture, cluster, faults, net

try:
    net.need_tools()
except Unavailable as error:
    pytest.skip(f"the lab {error}", allow_module_level=True)

A, B, C = "n1", "n2", "n3"
BUS, PATIENCE = 16379, 0.4              # seconds after which a packet will not come any more
SO_RCVBUFFORCE = 33                     # socket(7); the socket module does not name it


@pytest.fixture
def lan():
    """Three hosts, and faults to them; `journal` is what was injected."""
    with net.Net() as made:
        made.add((A, "10.77.0.11"), (B, "10.77.0.12"), (C, "10.77.0.13"))
        made.faults = faults.Faults(made, [])
        node = types.SimpleNamespace(name=B, ip=made.hosts[B].ip, port=6379, bus=BUS)
        made.faults.cluster = {B: node}
        yield made


class Pair:
    """A connection from one host to another."""

    def __init__(self, lan, a, b, port=BUS):
        self.lan, self.a, self.b, self.port = lan, a, b, port
        self.listener = lan.socket(b)
        self.listener.bind((lan.hosts[b].ip, port))
        self.listener.listen()

    def dial(self):
        return self.lan.connect(self.a, self.lan.hosts[self.b].ip, self.port, PATIENCE)

    def open(self):
        self.out = self.dial()
        self.back, _ = self.listener.accept()
        self.back.settimeout(PATIENCE)
        return self


def arrives(sender, receiver):
    """Whether a byte gets from one end of a connection to the other."""
    sender.sendall(b"x")
    try:
        return receiver.recv(1) == b"x"
    except TimeoutError:
        return False


def datagrams(lan, a, b, count):
    """How many of so many datagrams arrive."""
    kind = socket.SOCK_DGRAM
    with lan.socket(a, kind=kind) as out, lan.socket(b, kind=kind) as into:
        into.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        into.bind((lan.hosts[b].ip, 9))
        into.settimeout(PATIENCE)
        for _ in range(count):
            out.sendto(b"x", (lan.hosts[b].ip, 9))
        got = 0
        with contextlib.suppress(TimeoutError):
            while into.recv(1):
                got += 1
        return got


def namespaces(pid):
    return [path.name for path in net.NAMESPACES.glob(f"{net.PREFIX}{pid}-*")]


@pytest.mark.parametrize("where", ["bridge", "hosts"])
def test_partition_cuts_what_is_apart_and_nothing_else(lan, where):
    across, within = Pair(lan, A, B).open(), Pair(lan, A, C).open()
    with lan.faults.partition({A, C}, {B}, where=where):
        assert not arrives(across.out, across.back)
        assert not arrives(across.back, across.out)
        assert arrives(within.out, within.back)
    across.back.settimeout(5)           # TCP sends it again
    assert across.back.recv(1) == b"x", "healed, and nothing passes"
    assert lan.faults.journal[1]["dropped"] >= 2


def test_one_way_loss_leaves_the_way_back_open(lan):
    assert datagrams(lan, A, B, 5) == 5
    with lan.faults.one_way({A}, {B}):
        assert datagrams(lan, A, B, 5) == 0
        assert datagrams(lan, B, A, 5) == 5
    assert datagrams(lan, A, B, 5) == 5


@pytest.mark.parametrize("percent", [5, 30])
def test_random_loss_loses_about_that_many(lan, percent):
    """Six standard deviations: wrong by chance once in a billion runs."""
    count, share = 3000, percent / 100
    with lan.faults.random_loss(percent, {A, B}):
        lost = count - datagrams(lan, A, B, count)
    assert abs(lost - count * share) < 6 * (count * share * (1 - share)) ** 0.5, f"{lost} lost"


def test_a_blocked_port_is_silent_or_refuses(lan):
    bus, other = Pair(lan, A, B), Pair(lan, A, B, port=6379)
    with lan.faults.block_port(B, how="drop"):
        with pytest.raises(TimeoutError):
            bus.dial()
        other.dial()
    with lan.faults.block_port(B, how="refuse"):
        with pytest.raises(ConnectionRefusedError):
            bus.dial()
        other.dial()
    bus.dial()


def test_a_limited_link_is_slow_both_ways(lan):
    """200 kB at 2 Mbit/s take 0.8 s, less what the bucket holds; unlimited, a few milliseconds."""
    for sender, receiver in (("out", "back"), ("back", "out")):
        pair = Pair(lan, A, B, port=BUS + (sender == "out")).open()
        with lan.faults.limit_link(B, "2mbit"):
            began, left = time.monotonic(), 200_000
            getattr(pair, receiver).settimeout(5)
            getattr(pair, sender).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, left)
            getattr(pair, sender).sendall(bytes(left))
            while left:
                left -= len(getattr(pair, receiver).recv(left))
            assert 0.5 < time.monotonic() - began < 3


@pytest.mark.parametrize("where,seen", [("bridge", 7), ("hosts", 0)])
def test_where_frames_are_dropped_decides_who_sees_them(lan, tmp_path, where, seen):
    """Dropped at the bridge they are in its capture, though never delivered."""
    take = capture.Capture(lan, tmp_path)
    take.start()
    with lan.faults.one_way({A}, {B}, where=where):
        assert datagrams(lan, A, B, 7) == 0
    time.sleep(capture.LATE)
    assert take.finish()["captured"] == seen
    assert (tmp_path / "capture.pcap.zst").exists()


def test_nothing_is_on_the_wire_but_what_hosts_say(lan, tmp_path):
    """No ARP, no neighbour discovery: each datagram is one frame, seen once."""
    take = capture.Capture(lan, tmp_path)
    take.start()
    assert datagrams(lan, A, B, 5) == 5
    time.sleep(capture.LATE)
    assert take.finish()["captured"] == 5


def test_nothing_remains_after_an_exception():
    with pytest.raises(ZeroDivisionError), net.Net() as lan:
        lan.add((A, "10.77.0.11"))
        process = lan.popen(A, ["sleep", "1000"])
        assert namespaces(os.getpid())
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL
    assert not lan.scratch.exists()
    assert not namespaces(os.getpid())
    assert not list(net.LOCKS.glob(f"{net.PREFIX}{os.getpid()}-*"))


def child(how):
    """A run in another process, which is ended in the middle; its pid."""
    code = ("import time; from tests.lab import __main__, net\n"
            "with net.Net() as lan:\n"
            "    lan.add(('n1', '10.77.0.11'))\n"
            "    __main__.end_in_order()\n"
            "    print(lan.popen('n1', ['sleep', '1000']).pid, flush=True)\n"
            "    time.sleep(1000)\n")
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        sleeper = int(process.stdout.readline())
        process.send_signal(how)
        try:
            process.wait(10)
        finally:
            process.kill()
    return process.pid, sleeper


def lives(pid):
    with contextlib.suppress(OSError):
        return b"sleep" in open(f"/proc/{pid}/cmdline", "rb").read()
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_nothing_remains_after_a_signal(how):
    pid, sleeper = child(how)
    assert not namespaces(pid)
    assert not lives(sleeper)


def test_what_a_killed_run_leaves_is_swept():
    pid, sleeper = child(signal.SIGKILL)
    assert namespaces(pid), "nothing was left behind: this tests nothing"
    assert f"{net.PREFIX}{pid}-" in net.Net.sweep()
    assert not namespaces(pid)
    assert not lives(sleeper)


def test_a_run_that_lives_is_not_swept(lan):
    assert lan.prefix not in net.Net.sweep()
    assert namespaces(os.getpid())


@pytest.mark.parametrize("log, error, says", [
    ("=== VALKEY BUG REPORT START: Cut & paste\n1:M - Valkey 8.1.1 crashed by signal: 11, si_code: 1",
     cluster.Crashed, "n3, valkey-8.1.1, has crashed: crashed by signal: 11"),
    ("1:M 27 Nov 2026 10:00:00.000 # User requested shutdown...", cluster.Died, "ended by itself")])
def test_a_server_that_crashes_is_no_failure_of_ours(tmp_path, log, error, says):
    of = types.SimpleNamespace(folder=tmp_path, server=types.SimpleNamespace(name="valkey-8.1.1"))
    node = cluster.Node(of, "n3", "10.77.0.13", cluster.DEFAULTS)
    node.folder.mkdir()
    node.log.write_text(log)
    node.process = types.SimpleNamespace(poll=lambda: -11, returncode=-11)
    node.is_down = False
    with pytest.raises(error, match=says):
        node.check()

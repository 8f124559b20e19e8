"""eBPF on a kernel without tcx: the programs are filters of tc, which outlive whoever made them. The
kernel here has tcx, and is kept from saying so (older_kernel.py)."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from lib import bustap, captures
from . import cable as cables, host as hosts
from .running import (SETTLE, counted, end, events_in, frame_of, loaded, programs, reading,
                      same_as_stored, status_of, tcp_frames)

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))

OLDER = pathlib.Path(__file__).parent / "older_kernel.py"
HEALTHY = captures.take("healthy-redis-7.0.15")
CAP_NET_ADMIN = 12


@pytest.fixture
def cable():
    with cables.Cable() as c:
        yield c


def start(cable, *args):
    """Once it captures: it has its keeper and no privilege any more."""
    run = cable.popen([sys.executable, OLDER, bustap.PROGRAM, *args, "--backend", "ebpf"])
    wait_until(lambda: run.poll() is None and status_of(run)["Seccomp_filters"] == "2"
               and confined(keeper_of(run)))
    assert programs(run)
    return run


def wait_until(holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def keeper_of(run):
    return hosts.child_of(run.pid)


def confined(pid):
    return "\nSeccomp_filters:\t2\n" in pathlib.Path(f"/proc/{pid}/status").read_text()


def is_gone(pid):
    try:
        return "\nState:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def attached(cable, *interfaces):
    """What tc shows of them."""
    return "".join(cable.run("tc", *what) for name in interfaces for what in
                   (("qdisc", "show", "dev", name, "clsact"), ("filter", "show", "dev", name, "ingress"),
                    ("filter", "show", "dev", name, "egress")))


def filters(cable, name):
    return attached(cable, name).count("direct-action")


def kill(run):
    run.kill()
    run.communicate(timeout=20)


def test_the_same_events_as_from_the_file(cable):
    run = start(cable, "dump", "--json", "-i", cable.far)
    taken = reading(run)
    frames = tcp_frames(HEALTHY)
    cable.send(frames)
    time.sleep(SETTLE)
    run.send_signal(signal.SIGINT)
    same_as_stored(events_in(taken()), HEALTHY)
    assert run.wait(timeout=20) == 0 and counted(run.stderr.read()) == (len(frames), 0)


def test_both_ways_and_once_on_the_loopback(cable):
    cable.ip("link", "set", "lo", "up")
    run = start(cable, "watch", "-i", cable.near, "-i", cable.far, "-i", "lo")
    assert filters(cable, "lo") == 1 and filters(cable, "far") == filters(cable, "near") == 2
    cable.send([frame_of(1)])
    cable.send([frame_of(2)], "lo")
    assert counted(end(run)[1]) == (3, 0)
    assert not attached(cable, "lo", "near", "far")


@pytest.mark.parametrize("how", (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV))
def test_nothing_remains(cable, how):
    run = start(cable, "watch", "-i", cable.far)
    mine, keeper = programs(run), keeper_of(run)
    assert filters(cable, "far") == 2
    run.send_signal(how)
    run.communicate(timeout=20)
    wait_until(lambda: is_gone(keeper))
    assert not attached(cable, "far")
    time.sleep(SETTLE)                  # the kernel frees them behind its own back
    assert not mine & loaded()


def test_nothing_remains_where_it_could_not_begin(cable):
    run = cable.popen([sys.executable, OLDER, bustap.PROGRAM, "watch", "-i", cable.far, "-f", "foo bar",
                       "--backend", "ebpf"])
    assert run.communicate(timeout=20) and run.returncode == 2
    assert not attached(cable, "far")


def test_the_next_takes_off_what_nobody_did(cable):
    """The keeper was killed, too."""
    first = start(cable, "watch", "-i", cable.far)
    stale = programs(first)
    os.kill(keeper_of(first), signal.SIGKILL)
    kill(first)
    assert filters(cable, "far") == 2
    second = start(cable, "watch", "-i", cable.far)
    assert filters(cable, "far") == 2
    time.sleep(SETTLE)
    assert not stale & loaded()
    cable.send([frame_of(1)])
    assert counted(end(second)[1]) == (1, 0)
    assert not attached(cable, "far")


def test_two_at_once(cable):
    """Neither takes the other's for what somebody left."""
    first = start(cable, "watch", "-i", cable.far)
    second = start(cable, "watch", "-i", cable.far)
    assert filters(cable, "far") == 4
    cable.send([frame_of(1)])
    assert counted(end(first)[1]) == (1, 0)
    cable.send([frame_of(2)])
    assert filters(cable, "far") == 2
    assert counted(end(second)[1]) == (2, 0)
    assert not attached(cable, "far")


def test_what_others_have_there_stays(cable):
    other = ("filter", "add", "dev", "far", "ingress", "pref", "9", "bpf", "bytecode", "1,6 0 0 0")
    cable.run("tc", "qdisc", "add", "dev", "near", "clsact")
    run = start(cable, "watch", "-i", cable.far, "-i", cable.near)
    cable.run("tc", *other)             # at what the program has made
    end(run)
    assert filters(cable, "far") == filters(cable, "near") == 0
    assert "pref 9" in attached(cable, "far") and "clsact" in attached(cable, "near")


def test_the_keeper_can_do_nothing_else(cable):
    run = start(cable, "watch", "-i", cable.far)
    keeper = pathlib.Path(f"/proc/{keeper_of(run)}")
    status = dict(line.split(":\t", 1) for line in (keeper / "status").read_text().splitlines())
    held = [fd.readlink().name for fd in (keeper / "fd").iterdir()]
    end(run)
    assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) in (0, 1 << CAP_NET_ADMIN), kind
    assert int(status["CapBnd"], 16) == 0 and int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert sorted(name.split(":")[0] for name in held) == ["pipe", "pipe", "socket", "socket"]


def test_what_ends_the_program_does_not_end_its_keeper(cable):
    run = start(cable, "watch", "-i", cable.far)
    keeper = keeper_of(run)
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(keeper, how)
    time.sleep(SETTLE)
    assert not is_gone(keeper) and filters(cable, "far") == 2
    kill(run)
    wait_until(lambda: is_gone(keeper))
    assert not attached(cable, "far")


def test_the_interface_goes_away(cable):
    run = start(cable, "watch", "-i", cable.far)
    keeper = keeper_of(run)
    cable.send([frame_of(1)])
    time.sleep(SETTLE)
    cable.ip("link", "del", cable.near)
    _, err = run.communicate(timeout=20)
    assert run.returncode == 2 and counted(err) == (1, 0)
    assert "far: the capture has ended" in err
    wait_until(lambda: is_gone(keeper))


def test_in_another_namespace(cable):
    """Which has neither a name nor a process any more when the program is killed."""
    other = f"{cable.name}-other"
    subprocess.run(["ip", "netns", "add", other], check=True)
    cable.ip("link", "add", "door", "type", "veth", "peer", "name", "eth0", "netns", other)
    cable.ip("link", "set", "door", "up")
    subprocess.run(["ip", "-n", other, "link", "set", "eth0", "up"], check=True)
    inside = subprocess.Popen(["ip", "netns", "exec", other, "sleep", "60"])
    here = pathlib.Path("/proc/self/ns/net").readlink()
    try:
        wait_until(lambda: pathlib.Path(f"/proc/{inside.pid}/ns/net").readlink() != here)
        run = start(cable, "watch", "-i", f"eth0@{inside.pid}")
        mine, keeper = programs(run), keeper_of(run)
    finally:
        inside.kill()
        inside.wait()
        subprocess.run(["ip", "netns", "del", other], check=True)
    cable.send([frame_of(1)], "door")
    kill(run)
    wait_until(lambda: is_gone(keeper))
    time.sleep(SETTLE)
    assert "door" not in cable.ip("link") and not mine & loaded()

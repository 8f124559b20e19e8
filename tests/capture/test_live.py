"""Capturing from interfaces: the same truth as from a file, every packet accounted for, no trace."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from lib import bustap, captures, findings
from . import cable as cables, host as hosts
from .running import (SETTLE, counted, end, events_in, frame_of, lived, loaded, popen, programs,
                      reading, same_as_stored, sockets, start, status_of, tcp_frames,
                      without_moment)

pytestmark = pytest.mark.skipif(cables.missing() is not None, reason=str(cables.missing()))

HEALTHY = captures.take("healthy-redis-7.0.15")
# Of connections with large values, and of those where what is between two requests of a packet is one.
SHAPES = ["healthy-redis-7.0.15", "slow_migration-redis-7.0.15", "reshard-redis-7.0.15",
          "every_client-valkey-8.1.1", "resync_loop-redis-7.0.15", "atomic_migration-valkey-9.1.2"]


@pytest.fixture(params=("pcap", "ebpf"))
def cable(request):
    with cables.Cable() as c:
        c.backend = request.param
        yield c


@pytest.mark.parametrize("name", SHAPES)
def test_the_same_events_as_from_the_file(cable, name):
    take = captures.take(name)
    live, _ = lived(cable, tcp_frames(take))
    same_as_stored(live, take)


def test_packets_that_come_twice(cable):
    """Seen at either end, and told once."""
    run = start(cable, "dump", "--json", "-i", cable.far, "-i", cable.near)
    cable.send(tcp_frames(HEALTHY))
    out, err = end(run)
    same_as_stored(events_in(out), HEALTHY)
    assert counted(err) == (2 * len(tcp_frames(HEALTHY)), 0)


def test_packets_of_a_connection_by_two_interfaces(cable):
    """In turn: their order is that of time, though each ring hands over many at once."""
    cable.lay("near2", "far2")
    run = start(cable, "dump", "--json", "-i", cable.far, "-i", "far2")
    cable.send(tcp_frames(HEALTHY), cable.near, "near2")
    same_as_stored(events_in(end(run)[0]), HEALTHY)


def syn_of(number):
    """A connection asked for, by another client each time, and never heard of again."""
    client = (0x0a400000 + number).to_bytes(4, "big")
    return bytes(12) + b"\x08\x00" + b"\x45\x00\x00\x28" + bytes(4) + b"\x40\x06\0\0" + client + \
        b"\x0a\0\0\x02" + b"\x30\x39\x18\xeb" + number.to_bytes(4, "big") + \
        bytes(4) + b"\x50\x02\xff\xff" + bytes(4)


def test_a_flood_of_connections(cable):
    """100 000 SYNs between the packets of a cluster: memory stays, the cluster is decoded as ever."""
    known = tcp_frames(HEALTHY)
    flood = [syn_of(number) for number in range(100_000)]
    each = len(flood) // len(known)
    frames = [frame for at, one in enumerate(known)
              for frame in (one, *flood[at * each:(at + 1) * each])]
    run = start(cable, "dump", "--json", "-i", cable.far, "-B", "64")
    taken = reading(run)
    cable.send(frames)
    time.sleep(SETTLE)
    peak = int(status_of(run)["VmHWM"].split()[0]) // 1024
    run.send_signal(signal.SIGINT)
    live = collections.Counter(named(json.loads(line)) for line in taken().splitlines())
    assert run.wait(timeout=20) == 0
    stored = collections.Counter(named(event) for event in bustap.dump(HEALTHY.path))
    assert counted(run.stderr.read()) == (len(frames), 0)
    assert not stored - live
    assert peak < 64 + 64, "MiB: the program's cap, and the ring"


def named(event):
    return json.dumps(without_moment(event), sort_keys=True)


@pytest.mark.parametrize("round", range(3))
def test_every_packet_is_captured_or_dropped(cable, round):
    """The program stands still while many more come than its ring holds."""
    frames = [frame_of(number) for number in range(60_000)]
    run = start(cable, "watch", "-i", cable.far, "-B", "1")
    cable.send(frames[:1000])
    time.sleep(SETTLE)
    run.send_signal(signal.SIGSTOP)
    cable.send(frames[1000:-1000])
    run.send_signal(signal.SIGCONT)
    time.sleep(SETTLE)
    cable.send(frames[-1000:])
    captured, dropped = counted(end(run)[1])
    assert dropped > 0, "the ring held everything: this tested nothing"
    assert captured + dropped == len(frames)


def test_over_loopback_what_is_dropped_is_counted_once(cable):
    """Each packet passes twice there, out and in."""
    frames = [frame_of(number) for number in range(60_000)]
    cable.ip("link", "set", "lo", "up")
    run = start(cable, "watch", "-i", "lo", "-B", "1")
    run.send_signal(signal.SIGSTOP)
    cable.send(frames, "lo")
    run.send_signal(signal.SIGCONT)
    captured, dropped = counted(end(run)[1])
    assert dropped > 0, "the ring held everything: this tested nothing"
    assert captured + dropped == len(frames)


def test_a_burst_fits_the_rings_of_two_interfaces(cable):
    """As it fits one: 60000 packets are far less than a ring of 32 MiB."""
    run = start(cable, "watch", "-i", cable.far, "-i", cable.near)
    cable.send([frame_of(number) for number in range(60_000)])
    assert counted(end(run)[1]) == (120_000, 0)


def fragments_of(frame):
    """A long packet in two, as a path with a smaller MTU makes them."""
    head, body = frame[14:34], frame[34:]
    if len(body) < 600:
        return [frame]

    def fragment(data, flags_and_offset):
        lengths = (20 + len(data)).to_bytes(2, "big") + head[4:6]
        return frame[:14] + head[:2] + lengths + flags_and_offset.to_bytes(2, "big") + head[8:] + data
    return [fragment(body[:400], 0x2000), fragment(body[400:], 400 // 8)]


def test_fragments(cable):
    whole = tcp_frames(HEALTHY)[:4000]
    parts = [part for frame in whole for part in fragments_of(frame)]
    assert len(parts) > len(whole)
    events, _ = lived(cable, whole)
    assert lived(cable, parts) == (events, (len(parts), 0))


def test_counters_on_request(cable):
    run = start(cable, "watch", "-i", cable.far)
    cable.send([frame_of(number) for number in range(7)])
    time.sleep(SETTLE)
    run.send_signal(signal.SIGUSR1)
    run.send_signal(signal.SIGUSR2)     # flushes, and ends nothing
    time.sleep(SETTLE)
    err = end(run)[1]
    assert err.count("7 packets captured, 0 dropped") == 2, err     # and at the end


def test_the_last_line_is_the_verdict(cable):
    """As that of a report of what was captured."""
    take = captures.take("failover_crash-valkey-8.1.1")
    run = start(cable, "watch", "-i", cable.far)
    whole = reading(run)
    cable.send(tcp_frames(take))
    time.sleep(SETTLE)
    run.send_signal(signal.SIGTERM)
    last = whole().splitlines()[-1]
    assert run.wait(timeout=20) == 0
    assert last.startswith("critical: ") and "was marked failed" in last


def test_only_the_ports_that_were_named(cable):
    run = start(cable, "watch", "-i", cable.far, "-p", "7000-7002")
    cable.send([frame_of(1)])           # port 6379
    seven = frame_of(2).replace(b"\x30\x39\x18\xeb", b"\x30\x39\x1b\x59")   # 7001
    bus = frame_of(3).replace(b"\x30\x39\x18\xeb", b"\x42\x6a\x30\x39")     # 17002
    cable.send([seven, bus])
    assert counted(end(run)[1]) == (2, 0)


def test_down_and_up_again(cable):
    run = start(cable, "watch", "-i", cable.far)
    cable.send([frame_of(1)])
    cable.ip("link", "set", cable.far, "down")
    time.sleep(SETTLE)
    cable.ip("link", "set", cable.far, "up")
    cable.send([frame_of(2), frame_of(3)])
    assert counted(end(run)[1]) == (3, 0)


def test_the_interface_goes_away(cable):
    """What came before is told; then the name of the interface, and status 2."""
    run = start(cable, "dump", "-i", cable.far)
    mine, frames = programs(run), tcp_frames(HEALTHY)[:2000]
    cable.send(frames)
    time.sleep(SETTLE)
    cable.ip("link", "del", cable.near)
    out, err = run.communicate(timeout=20)
    assert run.returncode == 2
    assert "far: the capture has ended" in err
    assert counted(err) == (len(frames), 0)
    assert out.count("\n") > 100
    assert sockets(cable) == [] and not mine & loaded()


def test_the_interface_goes_away_behind_its_back(cable):
    """While the program stands still: what the rings hold is still read."""
    frames = tcp_frames(HEALTHY)[:2000]
    run = start(cable, "watch", "-i", cable.far)
    run.send_signal(signal.SIGSTOP)
    cable.send(frames)
    cable.ip("link", "del", cable.near)
    run.send_signal(signal.SIGCONT)
    _, err = run.communicate(timeout=20)
    assert run.returncode == 2 and "far: the capture has ended" in err
    assert counted(err) == (len(frames), 0)


def test_the_namespace_goes_away(cable):
    """Its last process ends and so does its name, as when a container is removed: the kernel keeps it
    for as long as it is captured from. Then it goes, and takes the other end of its cable along."""
    other = f"{cable.name}-other"
    subprocess.run(["ip", "netns", "add", other], check=True)
    cable.ip("link", "add", "door", "type", "veth", "peer", "name", "eth0", "netns", other)
    cable.ip("link", "set", "door", "up")
    subprocess.run(["ip", "-n", other, "link", "set", "eth0", "up"], check=True)
    inside = subprocess.Popen(["nsenter", f"--net=/run/netns/{other}", "sleep", "60"])
    try:
        run = start_once_there(cable, inside)
        mine = programs(run)
        cable.send([frame_of(1)], "door")
    finally:
        inside.kill()
        inside.wait()
        subprocess.run(["ip", "netns", "del", other], check=True)
    cable.send([frame_of(2), frame_of(3)], "door")
    assert counted(end(run)[1]) == (3, 0)
    time.sleep(SETTLE)
    assert "door" not in cable.ip("link") and not mine & loaded()


def start_once_there(cable, inside):
    here = pathlib.Path("/proc/self/ns/net").readlink()
    while pathlib.Path(f"/proc/{inside.pid}/ns/net").readlink() == here:
        time.sleep(0.01)
    return start(cable, "watch", "-i", f"eth0@{inside.pid}")


def test_in_a_time_namespace(cable):
    """The kernel stamps by its own monotonic clock, which that of the program is not there."""
    run = cable.popen(["unshare", "--time", "--monotonic", "100000", "--fork", bustap.PROGRAM, "dump",
                       "--json", "-i", cable.far, "--backend", cable.backend])
    while not hosts.is_confined(run.pid):
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.02)
    before = time.time()
    cable.send(tcp_frames(HEALTHY)[:100])
    time.sleep(SETTLE)
    os.kill(hosts.program_of(run.pid), signal.SIGINT)
    out, err = run.communicate(timeout=20)
    times = [findings.seconds(json.loads(line)["time"]) for line in out.splitlines()]
    assert times and before - 1 < min(times) and max(times) < time.time() + 1
    assert counted(err) == (100, 0)


def test_nothing_is_sent(cable):
    run = start(cable, "watch", "-i", cable.far)
    before = cable.sent_by(cable.far)
    cable.send(tcp_frames(HEALTHY)[:5000])
    end(run)
    assert cable.sent_by(cable.far) == before


def test_nothing_is_left_after_sigkill(cable):
    run = start(cable, "watch", "-i", cable.far)
    mine = programs(run)
    assert sockets(cable) if cable.backend == "pcap" else len(mine) > 1
    run.kill()
    run.communicate(timeout=20)
    time.sleep(SETTLE)                  # the kernel frees them behind its own back
    assert sockets(cable) == []
    assert not mine & loaded()


def test_privileges_are_gone(cable):
    run = start(cable, "watch", "-i", cable.far)
    time.sleep(SETTLE)
    status = status_of(run)
    end(run)
    assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
    assert status["Groups"].strip() == ""
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_no_such_interface():
    done = bustap.run("watch", "-i", "nowhere0", code=2)
    assert "nowhere0: there is no such interface" in done.err.decode()


def test_more_interfaces_than_the_cap(cable):
    """CAP_TAPS is 16."""
    names = [f"more{number}" for number in range(18)]
    for one, other in zip(names[::2], names[1::2]):
        cable.ip("link", "add", one, "type", "veth", "peer", "name", other)
    for name in names:
        cable.ip("link", "set", name, "up")
    run = popen(cable, "watch", *(word for name in names for word in ("-i", name)))
    _, err = run.communicate(timeout=10)
    assert run.returncode == 2 and "more than 16 interfaces" in err


def test_a_filter_that_is_none(cable):
    run = popen(cable, "watch", "-i", cable.far, "-f", "foo bar")
    _, err = run.communicate(timeout=10)
    assert run.returncode == 2 and "foo bar" in err


def test_without_ebpf_by_libpcap(cable):
    """Where the kernel refuses the programs: why, and that it is captured all the same."""
    if cable.backend == "pcap":
        pytest.skip("it is by libpcap anyway")
    run = cable.popen(["setpriv", "--bounding-set", "-bpf,-sys_admin", bustap.PROGRAM, "watch",
                       "-i", cable.far, "--backend", "ebpf"])
    time.sleep(2 * SETTLE)
    cable.send([frame_of(1)])
    err = end(run)[1]
    assert "eBPF: this kernel does not take the programs: " in err and "trying libpcap" in err
    assert counted(err) == (1, 0)

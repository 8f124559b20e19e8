"""Without -i and -p the servers of the host are found, wherever they live, and said to be captured."""

import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time

import pytest

from lib import bustap
from . import host as hosts

pytestmark = pytest.mark.skipif(hosts.missing() is not None, reason=str(hosts.missing()))

FAKE = [sys.executable, pathlib.Path(__file__).with_name("fake_server.py")]
BLUE = "10.9.0.2"


@pytest.fixture
def host(tmp_path):
    with hosts.Host(tmp_path) as h:
        yield h


def start(host, *args, where=(None,)):
    """The program, once it captures in these namespaces, and its process id."""
    run = host.popen([bustap.PROGRAM, *args])
    return run, host.captures(run, *where)


def end(run, pid):
    time.sleep(0.4)                     # a ring hands its blocks over within 0.1
    os.kill(pid, signal.SIGINT)
    out, err = run.communicate(timeout=20)
    assert run.returncode == 0, err
    return out, said(err)


def said(err):
    """What it said of its choice."""
    return [line.removeprefix("bustap: ") for line in err.splitlines() if "captured" not in line]


def fails(host, *args, prefix=()):
    run = host.popen([*prefix, bustap.PROGRAM, *args])
    _, err = run.communicate(timeout=20)
    assert run.returncode == 2, err
    return err


def ask(host, port, key, inside=None, at="127.0.0.1"):
    host.run("redis-cli", "-h", at, "-p", port, "get", key, inside=inside)


def keys_asked(out):
    return [key for line in out.splitlines() for key in json.loads(line).get("keys") or []]


def test_servers_here_and_in_a_namespace(host):
    host.add("blue", BLUE)
    here, there = host.server(7000), host.server(7001, inside="blue")
    run, pid = start(host, "dump", "--json", "--keys", "full", where=(None, "blue"))
    ask(host, 7000, "here")
    ask(host, 7001, "there", inside="blue")
    out, told = end(run, pid)
    assert told == [f"lo: ports 7000, 17000 (redis-server {here})",
                    f"lo@{there} in namespace blue: ports 7001, 17001 (redis-server {there})",
                    f"eth0@{there} in namespace blue: ports 7001, 17001 (redis-server {there})"]
    assert keys_asked(out) == ["here", "there"]


def test_privileges_are_gone_after_a_namespace_was_entered(host):
    host.add("blue", BLUE)
    host.server(7001, inside="blue")
    run, pid = start(host, "watch", where=("blue",))
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    home = os.stat(f"/proc/{pid}/ns/net").st_ino
    end(run, pid)
    assert home == os.stat(f"/proc/{host.first}/ns/net").st_ino, "it did not come back"
    assert "0" not in status["Uid"].split() and status["Groups"].strip() == ""
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_the_interfaces_that_carry_them(host):
    """lo carries all; another one what listens on its address, or on all addresses."""
    host.add("blue", BLUE)
    host.add("red", "10.8.0.2")
    host.ip("addr", "add", "10.9.0.1/24", "dev", "blue")
    host.ip("addr", "add", "10.8.0.1/24", "dev", "red")
    everywhere = host.server(7000)
    on_blue = host.server(7001, "--bind", "10.9.0.1")
    on_lo = host.server(7002, "--bind", "127.0.0.1")
    run, pid = start(host, "watch")
    all_three = (f"ports 7000, 17000 (redis-server {everywhere}), 7001, 17001 "
                 f"(redis-server {on_blue}), 7002, 17002 (redis-server {on_lo})")
    both = f"ports 7000, 17000 (redis-server {everywhere}), 7001, 17001 (redis-server {on_blue})"
    one = f"ports 7000, 17000 (redis-server {everywhere})"
    assert sorted(end(run, pid)[1]) == [f"blue: {both}", f"lo: {all_three}", f"red: {one}"]


@pytest.fixture
def group():
    """A control group of the unified hierarchy, if there is one to be had."""
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    roots = [words[1] for words in mounts if words[2] == "cgroup2"]
    folder = pathlib.Path(roots[0] if roots else "/", f"bustap-test-{os.getpid()}")
    if not roots:
        pytest.skip("there is no unified hierarchy of control groups")
    folder.mkdir()
    yield folder
    for _ in range(50):                 # a process that was killed is in it for a moment more
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.1)
    folder.rmdir()


def test_the_control_group_of_a_server(group, host):
    here, other = host.server(7000), host.server(7001)
    host.run("sh", "-c", f"echo {here} > {group}/cgroup.procs")
    run, pid = start(host, "watch")
    assert end(run, pid)[1] == [f"lo: ports 7000, 17000 (redis-server {here}, /{group.name}), "
                                f"7001, 17001 (redis-server {other})"]


def test_a_server_of_another_name(host, tmp_path):
    """Neither its task nor its command line bears a server's name, but its file does."""
    file, program = tmp_path / "redis-server", tmp_path / "alias"
    shutil.copy(os.path.realpath(shutil.which("redis-server")), file)
    program.symlink_to(file)
    server = host.server(7000, "--set-proc-title", "no", program=program)
    run, pid = start(host, "watch", "-p", "7000")
    assert end(run, pid)[1] == [f"lo: ports 7000, 17000 (redis-server {server})"]


def test_ports_alone_choose_among_the_servers(host):
    host.server(7000)
    chosen = host.server(7001)
    run, pid = start(host, "dump", "--json", "--keys", "full", "-p", "7001")
    ask(host, 7000, "not-asked-for")
    ask(host, 7001, "asked-for")
    out, told = end(run, pid)
    assert told == [f"lo: ports 7001, 17001 (redis-server {chosen})"]
    assert keys_asked(out) == ["asked-for"]


def test_ports_of_no_known_server(host):
    host.server(7000)
    run, pid = start(host, "watch", "-p", "6390")
    assert end(run, pid)[1] == ["any: no local server is known to listen on these ports"]


def test_an_interface_alone_is_captured_whole(host):
    host.server(7000)
    run, pid = start(host, "dump", "--json", "--keys", "full", "-i", "lo")
    ask(host, 7000, "whatever")
    out, told = end(run, pid)
    assert told == [] and keys_asked(out) == ["whatever"]


def test_an_interface_of_another_namespace(host):
    host.add("blue", BLUE)
    server = host.server(7001, inside="blue")
    run, pid = start(host, "dump", "--json", "--keys", "full", "-i", f"lo@{server}",
                     where=("blue",))
    ask(host, 7001, "there", inside="blue")
    out, _ = end(run, pid)
    assert keys_asked(out) == ["there"] and not host.rings()


def test_by_ebpf_here_and_in_a_namespace(host):
    host.add("blue", BLUE)
    host.server(7000)
    host.server(7001, inside="blue")
    run, pid = start(host, "dump", "--json", "--keys", "full", "--backend", "ebpf", where=())
    ask(host, 7000, "here")
    ask(host, 7001, "there", inside="blue")
    out, _ = end(run, pid)
    assert keys_asked(out) == ["here", "there"]
    assert not host.rings() and not host.rings(inside="blue")


def test_the_bus_ports_of_its_peers(host, tmp_path):
    """A link that a server opened leads to a port of another host, which is not its own."""
    stranger = tmp_path / "stranger"
    shutil.copy(os.path.realpath(shutil.which("redis-server")), stranger)
    host.add("far", "10.9.0.2")
    host.ip("addr", "add", "10.9.0.1/24", "dev", "far")
    server = host.server(7000)
    host.server(7321, inside="far", program=stranger)
    host.run("redis-cli", "-p", 7000, "cluster", "meet", "10.9.0.2", 7321)
    time.sleep(1)                       # a link each way is up
    run, pid = start(host, "dump", "--json")
    time.sleep(2)
    out, told = end(run, pid)
    ports = "ports 7000, 17000"
    assert told == [f"lo: {ports} (redis-server {server})",
                    f"far: {ports} (redis-server {server})"]
    pings = [event for event in map(json.loads, out.splitlines()) if event.get("type") == "ping"]
    assert {event["dst"].rsplit(":", 1)[1] for event in pings} >= {"17000", "17321"}


@pytest.mark.parametrize("command", ["watch", "dump"])
def test_no_server(host, command):
    err = fails(host, command)
    assert "no redis-server or valkey-server listens" in err and "-i eth0 -p 6379" in err
    assert f"`bustap help {command}` shows how" in err      # who forgot a FILE, perhaps


def test_no_such_process(host):
    assert "no process 99999" in fails(host, "watch", "-i", "lo@99999")


def test_not_root(host):
    """The name of another's process is to be seen, its sockets are not."""
    server = host.server(7000)
    err = fails(host, "watch", prefix=["setpriv", "--reuid", "65534", "--clear-groups"])
    assert f"redis-server {server}: its ports are for root alone to see" in err
    assert "run as root" in err


def test_more_servers_than_the_cap(host):
    """CAP_LOCAL_SERVERS is 256."""
    host.popen([*FAKE, "7000", "258"])
    deadline = time.monotonic() + 20
    while host.run("sh", "-c", "cat /proc/[0-9]*/comm").split().count("redis-server") < 258:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run, pid = start(host, "watch")
    told = end(run, pid)[1]
    assert told[-1] == "left out: 2 servers, being more than 256"


def test_more_interfaces_than_can_be_captured_from(host):
    """CAP_TAPS is 16: `any` stands for all of them."""
    for number in range(16):
        host.add(f"n{number}", f"10.9.{number}.2")
        host.ip("addr", "add", f"10.9.{number}.1/24", "dev", f"n{number}")
    server = host.server(7000)
    run, pid = start(host, "watch")
    assert end(run, pid)[1] == [f"any: ports 7000, 17000 (redis-server {server})"]


@pytest.mark.parametrize("said, mib", [((), 128), (("-B", "16"), 16 * 16)])
def test_rings_of_many_interfaces(host, said, mib):
    """They share what four would have, unless it is said: it is memory that servers cannot have."""
    host.server(7000)
    run, pid = start(host, "watch", *["-i", "lo"] * 16, *said)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    mapped = int(re.search(r"RssFile:\s*(\d+) kB", status)[1]) / 1024
    end(run, pid)
    assert mib <= mapped < mib + 32     # with the program and its libraries


def test_more_namespaces_than_can_be_captured_from(host):
    """CAP_TAPS is 16."""
    for number in range(17):
        host.add(f"n{number}", "10.9.0.2")
        host.popen([*FAKE, "7000"], inside=f"n{number}")
    time.sleep(1.5)
    assert re.search("in 17 network namespaces, of which at most 16", fails(host, "watch"))

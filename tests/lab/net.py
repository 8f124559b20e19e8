"""Hosts: a network namespace each, and one bridge in a namespace of its own that joins them.

    with Net() as net:
        net.add("n1", "10.77.0.11")
        net.popen("n1", ["redis-server", …])           # a process in it
        net.socket("c0")                               # a socket in it, held by this process

Nothing touches the host's own network. Names begin with `buslab-PID-`; whoever runs the lab holds a
lock of that name, so `sweep` can tell what a run that crashed has left behind, and removes it.
Everything is removed on exit, with all processes inside, and `scratch`, a folder in memory for what
they write.

Neighbour entries are permanent: the kernel's table is shared by all namespaces, and 40 hosts that
look for each other would fill it. So no ARP and no neighbour discovery is on the wire. Checksums
and segments are made before the wire, as a network card would, so that captures look like those of
real networks.
"""

import ctypes
import fcntl
import ipaddress
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess

from . import Unavailable

PREFIX = "buslab-"
LOCKS = pathlib.Path("/run/buslab")
NAMESPACES = pathlib.Path("/run/netns")
# Where servers write: they wait for the disk when an epoch changes, and a slow one would be seen as
# a slow network.
MEMORY = pathlib.Path("/dev/shm")
BRIDGE = "br0"
TOOLS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables", "tcpdump": "tcpdump",
         "zstd": "zstd", "nsenter": "util-linux", "setpriv": "util-linux"}

CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_SGSO = 0x8946, 0x17, 0x24

# IPv6 would announce itself to multicast groups.
QUIET = """table netdev quiet {
chain c {
type filter hook egress device "eth0" priority 0;
ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop
}
}
"""

libc = ctypes.CDLL(None, use_errno=True)


def need_tools():
    """Unavailable unless this process may and can make namespaces and faults."""
    if os.geteuid() != 0:
        raise Unavailable("needs root: namespaces, captures and faults do")
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        raise Unavailable(f"needs Debian packages: {' '.join(missing)} (./bootstrap check)")


def command(*words, feed=None):
    """Runs a tool; what it said is in the error when it fails."""
    done = subprocess.run(words, input=feed, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}\n{feed or ''}")
    return done.stdout


class Host:
    def __init__(self, net, name, address):
        self.name, self.netns = name, f"{net.prefix}{name}"
        self.ip = address
        low = int(ipaddress.ip_address(address)) & 0xFFFF
        self.ip6 = str(ipaddress.IPv6Address(f"fd77::{low:x}"))
        self.mac = f"02:00:00:77:{low >> 8:02x}:{low & 255:02x}"


class Net:
    def __init__(self):
        need_tools()
        self.sweep()
        self.prefix = f"{PREFIX}{os.getpid()}-"
        self.bridge = f"{self.prefix}bridge"
        self.scratch = MEMORY / self.prefix
        self.hosts = {}
        self.processes = []
        self.lock = _take(self.prefix)

    def __enter__(self):
        try:
            self.scratch.mkdir()
            command("ip", "netns", "add", self.bridge)
            self._batch(self.bridge, "link set lo up",
                        f"link add {BRIDGE} type bridge mcast_snooping 0 stp_state 0",
                        f"link set {BRIDGE} addrgenmode none", f"link set {BRIDGE} up promisc on")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in self.processes:  # one that has only begun is in no namespace yet
            process.kill()
            process.wait()
        _remove(self.prefix)
        (LOCKS / self.prefix).unlink(missing_ok=True)
        os.close(self.lock)

    @staticmethod
    def sweep():
        """Removes what runs that are no more have left behind; their names."""
        left = [path.name for path in LOCKS.glob(f"{PREFIX}*") if _is_dead(path)]
        for prefix in left:
            _remove(prefix)
            (LOCKS / prefix).unlink(missing_ok=True)
        return left

    # ---- hosts

    def add(self, *hosts):
        """Adds hosts, each (name, IPv4 address)."""
        fresh = [Host(self, name, address) for name, address in hosts]
        for host in fresh:
            command("ip", "netns", "add", host.netns)
        self._batch(self.bridge, *(
            f"link add {h.name} type veth peer name eth0 address {h.mac} netns {h.netns}"
            for h in fresh))
        self._batch(self.bridge, *(
            f"link set {h.name} addrgenmode none master {BRIDGE} up" for h in fresh))
        for host in self.hosts.values():
            self._introduce(host, fresh)
        self.hosts.update((host.name, host) for host in fresh)
        for host in fresh:
            self._configure(host)
            self._introduce(host, self.hosts.values())

    def _configure(self, host):
        self.run(host.name, "nft", "-f", "-", feed=QUIET)
        self._batch(host.netns, "link set lo up", "link set eth0 addrgenmode none",
                    f"address add {host.ip}/16 dev eth0",
                    f"address add {host.ip6}/64 dev eth0 nodad",
                    "link set eth0 up")
        with self.socket(host.name) as sock:
            for feature in (ETHTOOL_STXCSUM, ETHTOOL_SGSO):
                _switch_off(sock, b"eth0", feature)

    def _introduce(self, host, others):
        self._batch(host.netns, *(
            f"neighbour replace {ip} lladdr {other.mac} dev eth0 nud permanent"
            for other in others if other is not host for ip in (other.ip, other.ip6)))

    def _batch(self, netns, *lines):
        if lines:
            command("ip", "-n", netns, "-batch", "-", feed="\n".join(lines) + "\n")

    # ---- what runs in them

    def inside(self, name):
        """The words that put a command into a host (or, None, the bridge's namespace); it ends
        when we do."""
        netns = self.hosts[name].netns if name else self.bridge
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={NAMESPACES / netns}"]

    def popen(self, name, argv, **more):
        process = subprocess.Popen([*self.inside(name), *map(str, argv)], start_new_session=True,
                                   stdin=subprocess.DEVNULL, **more)
        self.processes.append(process)
        return process

    def run(self, name, *argv, feed=None):
        return command(*self.inside(name), *map(str, argv), feed=feed)

    def socket(self, name, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket that lives in the host's namespace, not connected yet."""
        ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        theirs = os.open(NAMESPACES / self.hosts[name].netns, os.O_RDONLY)
        try:
            _enter(theirs)
            return socket.socket(family, kind)
        finally:
            _enter(ours)
            os.close(ours)
            os.close(theirs)

    def connect(self, name, ip, port, timeout=5):
        """A connection from that host."""
        sock = self.socket(name, socket.AF_INET6 if ":" in ip else socket.AF_INET)
        try:
            sock.settimeout(timeout)
            sock.connect((ip, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return sock


def _enter(netns):
    if libc.setns(netns, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _switch_off(sock, device, feature):
    """ETHTOOL_S…: what ethtool -K does, without ethtool."""
    value = ctypes.create_string_buffer(struct.pack("II", feature, 0))
    fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", device, ctypes.addressof(value)))


# ---- the lock that tells the living from the dead

def _take(prefix):
    LOCKS.mkdir(exist_ok=True)
    lock = os.open(LOCKS / prefix, os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _is_dead(path):
    lock = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(lock)


def _remove(prefix):
    """The namespaces whose names begin so, the processes inside, and the folder."""
    names = [path.name for path in NAMESPACES.glob(f"{prefix}*")]
    for name in names:
        for pid in command("ip", "netns", "pids", name).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
    for name in names:
        command("ip", "netns", "delete", name)
    shutil.rmtree(MEMORY / prefix, ignore_errors=True)

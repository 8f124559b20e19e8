"""A cable in a network namespace of its own: what is put in at one end comes out at the other.

    with Cable() as cable:
        run = cable.popen([PROGRAM, "dump", "-i", cable.far])
        cable.send(frames)

Nothing else is on it: no address, no neighbour discovery. Namespace and cable go with the test.
"""

import itertools
import json
import os
import shutil
import struct
import subprocess
import sys

TOOLS = ("ip", "nsenter")
TUNNELS = "/dev/net/tun"
MTU = 65535                             # captures hold segments that a card would cut


def missing():
    """Why there can be no cable here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(absent)}" if absent else None


def no_tunnel():
    """Why none can be dug here, or None: containers may be without."""
    try:
        os.close(os.open(TUNNELS, os.O_RDWR))
    except OSError as error:
        return f"needs {TUNNELS}: {error.strerror}"
    return None


class Cable:
    near, far = "near", "far"

    def __init__(self):
        self.name, self.started = f"bustap-cable-{os.getpid()}", []

    def __enter__(self):
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        self.lay(self.near, self.far)
        return self

    def lay(self, near, far):
        """A cable more, or the first one."""
        self.ip("link", "add", near, "mtu", str(MTU), "type", "veth",
                "peer", "name", far, "mtu", str(MTU))
        self.ip("link", "set", near, "up")
        self.ip("link", "set", far, "up")

    def dig(self, name):
        """A tunnel, on which packets begin with IP's header. Whatever is put in goes nowhere."""
        digger = self.popen([sys.executable, __file__, "--dig", name])
        assert digger.stdout.readline(), digger.communicate()[1]
        self.ip("link", "set", name, "up")

    def __exit__(self, *_):
        for program in self.started:            # a test that failed leaves it running
            if program.poll() is None:
                program.kill()
                program.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def inside(self, command):
        return ["nsenter", f"--net=/run/netns/{self.name}", *map(str, command)]

    def run(self, *command):
        return subprocess.run(self.inside(command), check=True, capture_output=True,
                              text=True).stdout

    def ip(self, *words):
        return self.run("ip", *words)

    def popen(self, command, **more):
        self.started.append(subprocess.Popen(self.inside(command), stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE, text=True, **more))
        return self.started[-1]

    def send(self, frames, *ends):
        """All of them, in order, into the near end; with several ends into one after the other."""
        data = b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)
        subprocess.run(self.inside([sys.executable, __file__, *(ends or [self.near])]), input=data,
                       check=True)

    def sent_by(self, end):
        """Packets that went into that end."""
        shown = json.loads(self.ip("-json", "-stats", "link", "show", end))
        return shown[0]["stats64"]["tx"]["packets"]


def _socket_on(interface):
    import socket
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    return out


def _put(interfaces, data):
    sockets = itertools.cycle([_socket_on(interface) for interface in interfaces])
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        next(sockets).send(data[at + 4:at + 4 + size])
        at += 4 + size


def _dig(name):
    """It is there as long as this process."""
    import fcntl
    set_interface, tunnel, without_head = 0x400454ca, 0x0001, 0x1000         # linux/if_tun.h
    with open(TUNNELS, "r+b", buffering=0) as end:
        fcntl.ioctl(end, set_interface, struct.pack("16sH", name.encode(), tunnel | without_head))
        print("dug", flush=True)
        while True:
            end.read(MTU)


if __name__ == "__main__":
    if sys.argv[1] == "--dig":
        _dig(sys.argv[2])
    _put(sys.argv[1:], sys.stdin.buffer.read())

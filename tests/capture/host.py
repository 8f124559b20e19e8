"""A host of its own for a test: it sees no processes, interfaces or namespaces but those made here.

    with Host(tmp_path) as host:
        host.ip("link", "add", …)
        server = host.server(7000)                      # in the host's network
        host.add("blue", "10.9.0.2")                    # a namespace, by a cable to the host
        other = host.server(7001, inside="blue")
        run = host.popen([bustap.PROGRAM, "watch"])

All its processes end with it: the first process of a PID namespace takes the others along.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

TOOLS = ("ip", "ss", "mount", "unshare", "nsenter", "redis-server", "redis-cli")
HOLD = "mount -t tmpfs none /run/netns && ip link set lo up && echo up && exec sleep infinity"


def missing():
    """Why there can be no such host here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(absent)}" if absent else None


def child_of(pid):
    """The one process that it has started."""
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def program_of(pid):
    """The program that it runs in the end, whatever starts it: nsenter, strace."""
    while pathlib.Path(f"/proc/{pid}/comm").read_text() != "bustap\n":
        pid = child_of(pid)
    return pid


def is_confined(pid):
    """Has the program that it runs given up what it does not need?"""
    try:
        return "\nSeccomp:\t2\n" in pathlib.Path(f"/proc/{program_of(pid)}/status").read_text()
    except (IndexError, FileNotFoundError, ProcessLookupError):     # not started, or ended
        return False


class Host:
    def __init__(self, scratch):
        self.scratch = scratch
        self.processes = []

    def __enter__(self):
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        self.holder = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "--net", "sh", "-c", HOLD],
            stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "up\n"
        self.first = child_of(self.holder.pid)
        return self

    def __exit__(self, *_):
        os.kill(self.first, signal.SIGKILL)
        for process in (*self.processes, self.holder):
            process.communicate()

    def inside(self, command, namespace=None):
        enter = ["nsenter", "-t", self.first, "--pid", "--mount", "--net"]
        there = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
        return [*map(str, enter), *there, *map(str, command)]

    def run(self, *command, inside=None):
        return subprocess.run(self.inside(command, inside), check=True, capture_output=True,
                              text=True, timeout=60).stdout

    def ip(self, *words, inside=None):
        return self.run("ip", *words, inside=inside)

    def add(self, name, address):
        """A namespace with that address on eth0, and a cable from there to the host."""
        self.ip("netns", "add", name)
        self.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        self.ip("link", "set", name, "up")
        for words in (("link", "set", "lo", "up"), ("link", "set", "eth0", "up"),
                      ("addr", "add", f"{address}/24", "dev", "eth0")):
            self.ip(*words, inside=name)

    def popen(self, command, inside=None, **more):
        process = subprocess.Popen(self.inside(command, inside), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **more)
        self.processes.append(process)
        return process

    def server(self, port, *options, inside=None, program="redis-server"):
        """A cluster's node that listens; its number as the host counts."""
        folder = self.scratch / f"node-{inside}-{port}"
        folder.mkdir()
        self.popen([program, "--port", port, "--cluster-enabled", "yes", "--save", "", "--dir",
                    folder, "--bind", "0.0.0.0", "--protected-mode", "no", *options], inside)
        deadline = time.monotonic() + 10
        while f":{port + 10000:04X} " not in self.run("cat", "/proc/net/tcp", inside=inside):
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)
        shown = self.run("ss", "-Hltnp", f"sport = :{port}", inside=inside)
        return int(re.search(r"pid=(\d+)", shown)[1])


    def rings(self, inside=None):
        """The packet sockets of a namespace."""
        return self.run("cat", "/proc/net/packet", inside=inside).splitlines()[1:]

    def kill(self, run):
        """What runs in it, unless it has ended."""
        if run.poll() is None:
            os.kill(child_of(run.pid), signal.SIGKILL)
        run.wait(20)

    def captures(self, run, *namespaces):
        """Waits until the program captures: the last thing before that is to forbid itself all else.
        It has a packet socket in each of the namespaces. The program's own process id."""
        deadline = time.monotonic() + 10
        while not is_confined(run.pid):
            assert run.poll() is None, run.communicate()[1]
            assert time.monotonic() < deadline, "it does not capture"
            time.sleep(0.02)
        assert all(self.rings(inside) for inside in namespaces)
        return program_of(run.pid)

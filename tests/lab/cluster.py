"""A cluster of real servers, each on a host of its own.

    cluster = Cluster(net, server, folder, primaries=3, replicas=3,
                      config={"repl-backlog-size": "1mb"}, clocks={"n2": 30},
                      per_node={"n1": {"cluster-announce-ip": "10.77.0.99"}})
    cluster.start()
    cluster.create()
    cluster["n1"].ask("CLUSTER", "INFO")
    cluster.wait_until(lambda: cluster.says("n2", "fail", "n1"), "n2 has marked n1 failed")

Nodes are n1, n2, …: primaries first; replica k belongs to primary k, and again from the first.
`config` are lines of redis.conf and overrule ours; `clocks` are seconds that
a node's wall clock is ahead. Whoever asks a node does so from the client host
c0, over the bridge, so that all that the servers count was on the wire. A server that ends without
being told to is an error that shows its log.
"""

import contextlib
import os
import pathlib
import re
import signal
import time

from . import Unavailable, books
from .clock import Clock
from .net import command
from .resp import Client, checked
from .wait import wait_until

SLOTS = 16384
CONTROL = "c0"                          # the host that the lab itself asks from

DEFAULTS = {
    "port": 6379, "protected-mode": "no", "save": '""', "appendonly": "no", "loglevel": "debug",
    "cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-node-timeout": 3000,
    "repl-diskless-sync-delay": 0,
}

TLS_PORT = 6380
TLS = {
    "tls-port": TLS_PORT, "tls-cluster": "yes", "tls-replication": "yes", "tls-auth-clients": "no",
    "tls-cert-file": "../server.crt", "tls-key-file": "../server.key",
    "tls-ca-cert-file": "../server.crt",
}

# Settings that not every version has. name: since
SINCE = {"cluster-port": (7, 0), "cluster-announce-hostname": (7, 0),
         "cluster-link-sendbuf-limit": (7, 0)}


class Died(Exception):
    """A server ended by itself."""


class Crashed(Unavailable):
    """It says so itself, with a bug report: a fault of the server, which ends the run."""


CRASH = re.compile(r"(?:REDIS|VALKEY) BUG REPORT START")
CRASHED_BY = re.compile(r"crashed by signal.*|ASSERTION FAILED.*|'.*' is not true")


class Node:
    def __init__(self, cluster, name, ip, config):
        self.cluster, self.name, self.ip, self.config = cluster, name, ip, config
        self.folder = cluster.folder / name
        self.log = self.folder / "log"
        base = config.get("tls-port", config["port"]) if "tls-cluster" in config else config["port"]
        self.port = int(config["port"])
        self.meet_port = int(base)
        self.bus = int(config.get("cluster-port", int(base) + 10000))
        self.starts = []
        self.ids = []
        self.clock = None               # of its own (clock.py)
        self.process = self.client = None
        self.is_down = True             # because it was told to end
        self.is_stopped = False

    @property
    def addr(self):
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def id(self):
        return self.ids[-1] if self.ids else None

    @property
    def pid(self):
        return self.process.pid

    # ---- its process

    def start(self):
        """Does not wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = {**self.config, "bind": self.ip, "dir": self.folder}
        (self.folder / "redis.conf").write_text(
            "".join(f"{name} {value}\n" for name, value in lines.items()))
        began = time.time()
        with open(self.log, "ab") as log:
            self.process = self.cluster.net.popen(
                self.name, [*self.cluster.server.argv, self.folder / "redis.conf"],
                stdout=log, stderr=log, cwd=self.folder,
                env={**os.environ, "TZ": "UTC", **(self.clock.environment if self.clock else {})})
        self.is_down = False
        self.starts.append({"t": began, "pid": self.pid})

    def await_answer(self, timeout=20):
        """Until it answers; learns its id."""
        found = self.cluster.wait_until(lambda: self.ask("CLUSTER", "MYID"),
                                        f"{self.name} answers", timeout)
        if found != self.id:
            self.ids.append(found)

    def kill(self, how=signal.SIGKILL):
        """Ends it, and waits until it has ended."""
        self.is_down, self.is_stopped = True, False
        self.process.send_signal(how)
        self.process.wait(20)
        self.disconnect()

    def end(self):
        """Ends it with a command, to which there is no answer."""
        self.is_down = True
        with contextlib.suppress(OSError, EOFError):
            self.pipeline(("SHUTDOWN", "NOSAVE"), timeout=20)
        self.process.wait(20)
        self.disconnect()

    def shut_down(self):
        """As an operator would: SIGTERM."""
        self.kill(signal.SIGTERM)

    def restart(self, keep_conf=True, config=None):
        """Starts it again (after kill), with or without what it knew of the cluster."""
        if not keep_conf:
            (self.folder / "nodes.conf").unlink()
        self.config.update(config or {})
        self.start()
        self.await_answer()

    def stop(self):
        """SIGSTOP, and waits until the kernel has stopped it."""
        self.process.send_signal(signal.SIGSTOP)
        self.is_stopped = True
        wait_until(self._has_stopped, f"{self.name} has stopped", every=0.0005)

    def cont(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_stopped = False

    def _has_stopped(self):
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def check(self):
        """Died, unless it runs or was told to end."""
        if not self.is_down and self.process.poll() is not None:
            text = self.log.read_text(errors="replace")
            if CRASH.search(text):
                how = CRASHED_BY.search(text)
                raise Crashed(f"{self.name}, {self.cluster.server.name}, has crashed"
                              + (f": {how[0]}" if how else ""))
            raise Died(f"{self.name} ended by itself, status {self.process.returncode}:\n"
                       + self.log_tail())

    def log_tail(self, lines=20):
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in text[-lines:])

    def set_clock(self, seconds):
        """Its wall clock is ahead by so much. At first before it starts, then at any time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.clock = self.clock or Clock(self.folder)
        self.clock.set(seconds)

    # ---- asking it

    def connection(self, timeout=5):
        if not self.client:
            self.client = Client(self.cluster.net.connect(CONTROL, self.ip, self.port, timeout))
        return self.client

    def disconnect(self):
        if self.client:
            self.client.__exit__()
        self.client = None

    def pipeline(self, *requests, timeout=5):
        """Replies; errors are values of type Error."""
        client = self.connection(timeout)
        try:
            client.socket.settimeout(timeout)
            return client.pipeline(*requests)
        except (OSError, EOFError):
            self.disconnect()
            raise

    def ask(self, *words, timeout=5):
        """The reply; an error is raised."""
        return checked(self.pipeline(words, timeout=timeout)[0], words)

    def info(self, section):
        return books.info(self.ask("INFO", section))[section]

    def cluster_info(self):
        return books.info(self.ask("CLUSTER", "INFO"))[""]

    def nodes(self):
        """CLUSTER NODES as {id: row}."""
        return {row["id"]: row for row in books.nodes(self.ask("CLUSTER", "NODES"))}

    def is_primary(self):
        return self.info("replication")["role"] == "master"


class Cluster:
    def __init__(self, net, server, folder, primaries=3, replicas=3, config=None, per_node=None,
                 ipv6=False, tls=False, clocks=None):
        self.net, self.server, self.folder = net, server, pathlib.Path(folder)
        self.checks = []                # called while waiting; raise if something is wrong
        self.primary_count = primaries
        self.config, self.per_node = config or {}, per_node or {}
        common = {**DEFAULTS, **(TLS if tls else {}), **self.config}
        self.nodes = []
        for name, host in node_hosts(primaries + replicas):
            own = {**common, **self.per_node.get(name, {})}
            self._check_settings(own)
            self.nodes.append(Node(self, name, net.hosts[name].ip6 if ipv6 else host, own))
        for name, seconds in (clocks or {}).items():
            self[name].set_clock(seconds)
        self.node_timeout = int(common["cluster-node-timeout"]) / 1000
        self.tls = tls

    def _check_settings(self, config):
        for name in config.keys() & SINCE.keys():
            if self.server.family == "redis" and self.server.version[:2] < SINCE[name]:
                raise Unavailable(f"{self.server.name} has no {name}")

    def __getitem__(self, name):
        return next(node for node in self.nodes if name in (node.name, node.id))

    @property
    def primaries(self):
        """Those that were created as such."""
        return self.nodes[:self.primary_count]

    @property
    def replicas(self):
        return self.nodes[self.primary_count:]

    def primary_of(self, replica):
        """As created."""
        return self.primaries[self.replicas.index(replica) % self.primary_count]

    def replicas_of(self, primary):
        """As created."""
        return [node for node in self.replicas if self.primary_of(node) is primary]

    @property
    def running(self):
        return [node for node in self.nodes if not node.is_down and not node.is_stopped]

    def check(self):
        for node in self.nodes:
            node.check()
        for check in self.checks:
            check()

    def wait_until(self, condition, what, timeout=20, every=0.05):
        return wait_until(condition, what, timeout, every, self.check)

    # ---- making it

    def start(self):
        for node in self.nodes:
            node.folder.mkdir(parents=True, exist_ok=True)
        if self.tls:
            self._make_certificate()
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.await_answer()

    def _make_certificate(self):
        """One for all: its own authority."""
        command("openssl", "req", "-x509", "-nodes", "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=lab",
                "-keyout", str(self.folder / "server.key"), "-out", str(self.folder / "server.crt"))

    def create(self, leave_out=()):
        """Introduces the nodes to each other and gives them slots and primaries; but for some."""
        members = [node for node in self.nodes if node.name not in leave_out]
        for epoch, node in enumerate(members, 1):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node in members[1:]:
            self.meet(node, members[0])
        for index, node in enumerate(self.primaries):
            self._add_slots(node, *share(index, len(self.primaries)))
        for node in members:
            if node in self.replicas:
                self.replicate(node, self.primary_of(node))
        self.await_ok(members, timeout=60)

    def meet(self, node, other):
        words = ["CLUSTER", "MEET", other.ip, other.meet_port]
        node.ask(*words, *([other.bus] if other.bus != other.meet_port + 10000 else []))

    def _add_slots(self, node, first, last):
        if self.server.family == "redis" and self.server.version < (7, 0):
            node.ask("CLUSTER", "ADDSLOTS", *range(first, last + 1))
        else:
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)

    def replicate(self, node, primary):
        self.wait_until(lambda: self._knows(node, primary), f"{node.name} knows {primary.name}", 60)
        node.ask("CLUSTER", "REPLICATE", primary.id)

    @staticmethod
    def _knows(node, other):
        row = node.nodes().get(other.id)
        return row and "master" in row["flags"] and "handshake" not in row["flags"]

    # ---- what it looks like

    def says(self, observer, flag, subject):
        """Whether one node's CLUSTER NODES has a flag (fail, fail?, master, slave) for another."""
        row = self[observer].nodes().get(self[subject].id)
        return row is not None and flag in row["flags"]

    def all_say(self, flag, subject, observers=None):
        """Whether all that run, but itself, say so."""
        return all(self.says(node.name, flag, subject)
                   for node in observers or self.running if node.name != subject)

    def trouble(self, nodes=None):
        """What keeps these nodes, or all that run, from being a sound cluster; "" if nothing."""
        nodes = nodes or self.running
        views = {node.name: node.nodes() for node in nodes}
        for node in nodes:
            info = node.cluster_info()
            if info["cluster_state"] != "ok" or info["cluster_slots_ok"] != str(SLOTS):
                return f"{node.name}: cluster_state {info['cluster_state']}"
            for other in nodes:
                row = views[node.name].get(other.id)
                if not row or {"fail", "fail?", "handshake", "noaddr"} & {*row["flags"]} or \
                        row["link"] != "connected":
                    return f"{node.name} of {other.name}: {row}"
            replication = node.info("replication")
            if replication.get("master_link_status", "up") != "up":
                return f"{node.name}: replication link down"
        roles = {tuple(sorted((i, r["master"], str(r["slots"])) for i, r in view.items()))
                 for view in views.values()}
        return "nodes disagree about roles or slots" if len(roles) > 1 else ""

    def await_ok(self, nodes=None, timeout=40):
        """Until all that run see each other, agree, and serve all slots."""
        seen = [""]

        def is_well():
            seen[0] = self.trouble(nodes)
            return not seen[0]
        try:
            self.wait_until(is_well, "the cluster is well", timeout, every=0.2)
        except Exception as error:
            error.args = (f"{error} ({seen[0]})",)
            raise

    def close(self):
        for node in self.nodes:
            node.disconnect()
            if node.process and node.process.poll() is None:
                node.process.kill()
                node.process.wait()


def node_hosts(count):
    """[(name, address)] of the hosts for that many nodes."""
    return [(f"n{n}", f"10.77.0.{10 + n}") for n in range(1, count + 1)]


def share(index, count):
    """First and last slot of a primary."""
    return SLOTS * index // count, SLOTS * (index + 1) // count - 1

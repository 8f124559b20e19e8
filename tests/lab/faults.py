"""What can be done to a cluster, and undone. Each fault is a context manager, or has heal().

    with faults.partition({"n1", "c1"}, {"n2", "n3"}):
        …
    fault = faults.freeze("n1")
    fault.heal()

Each writes what it did, and when, into the run's journal (`injected` in truth.json).

Frames are dropped in one of two places. At the bridge (the default) they lie behind a capture
there: on the wire and never delivered. At the hosts, as they leave (where="hosts"), they are in no
capture: silence. The control host c0 is in no set, so the lab can go on asking all.
"""

import contextlib
import itertools
import re
import time

from .cluster import CONTROL
from .net import BRIDGE


class Fault:
    """Something that was done, and how to undo it."""

    def __init__(self, journal, what, undo, **about):
        self.journal, self.what, self.undo, self.about = journal, what, undo, about
        journal.append({"time": time.time(), "what": what, **about})

    def heal(self):
        if self.undo:
            undo, self.undo = self.undo, None
            extra = undo()
            self.journal.append({"time": time.time(), "what": f"end of {self.what}", **self.about,
                                 **(extra or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.heal()


class Faults:
    def __init__(self, net, journal):
        self.net, self.journal, self.cluster = net, journal, None
        self.active, self.numbers = [], itertools.count(1)

    def heal_all(self):
        for fault in reversed(self.active):
            fault.heal()

    def _done(self, what, undo, **about):
        fault = Fault(self.journal, what, undo, **about)
        self.active.append(fault)
        return fault

    # ---- the network between hosts

    def partition(self, *sides, where="bridge"):
        """Nothing passes between any two of these sets of hosts."""
        pairs = [(a, b) for a, b in itertools.permutations(map(sorted, sides), 2)]
        return self._drop("partition", pairs, "", where, sides=[sorted(side) for side in sides])

    def one_way(self, senders, receivers, where="bridge"):
        """Nothing passes from these to those; the way back is open."""
        return self._drop("one-way loss", [(senders, receivers)], "", where,
                          senders=sorted(senders), receivers=sorted(receivers))

    def random_loss(self, percent, hosts=None, where="bridge"):
        """That many of all frames between these hosts are lost, by chance."""
        hosts = sorted(hosts or {*self.net.hosts} - {CONTROL})
        return self._drop("random loss", [(hosts, hosts)],
                          f"numgen random mod 1000 < {round(percent * 10)} ", where,
                          percent=percent, hosts=hosts)

    def _drop(self, what, pairs, condition, where, **about):
        table = f"fault{next(self.numbers)}"
        place = self._at_bridge if where == "bridge" else self._at_hosts
        return self._done(what, place(table, pairs, condition), where=where, **about)

    def _macs(self, names):
        return "{ " + ", ".join(self.net.hosts[name].mac for name in names) + " }"

    def _at_bridge(self, table, pairs, condition):
        rules = "".join(f"ether saddr {self._macs(a)} ether daddr {self._macs(b)} {condition}"
                        "counter drop\n" for a, b in pairs)
        return self._rules(None, f"bridge {table}", "type filter hook forward priority 0;", rules)

    def _at_hosts(self, table, pairs, condition):
        undo = [self._rules(name, f"netdev {table}p{i}",
                            'type filter hook egress device "eth0" priority 0;',
                            f"ether daddr {self._macs(b)} {condition}counter drop\n")
                for i, (a, b) in enumerate(pairs) for name in a]
        return lambda: {"dropped": sum(one()["dropped"] for one in undo)}

    def _rules(self, name, table, hook, rules):
        """Puts rules into a table of their own; the function that removes it and says what they
        did."""
        self.net.run(name, "nft", "-f", "-",
                     feed=f"table {table} {{\nchain c {{\n{hook}\n{rules}}}\n}}\n")

        def undo():
            said = self.net.run(name, "nft", "list", "table", *table.split())
            self.net.run(name, "nft", "delete", "table", *table.split())
            return {"dropped": sum(map(int, re.findall(r"packets (\d+)", said)))}
        return undo

    def block_port(self, node, port="bus", how="drop"):
        """No packet to this port of a node is let in: dropped, or refused with a reset."""
        node = self.cluster[node]
        number = {"bus": node.bus, "client": node.port}.get(port, port)
        verdict = {"drop": "drop", "refuse": "reject with tcp reset"}[how]
        undo = self._rules(node.name, f"inet fault{next(self.numbers)}",
                           "type filter hook input priority 0;",
                           f"tcp dport {number} counter {verdict}\n")
        return self._done("port blocked", undo, node=node.name, port=number, how=how)

    def limit_link(self, name, rate):
        """A host's link carries no more than that ("2mbit"), in each direction."""
        places = ((name, "eth0"), (None, name))
        for where, device in places:
            self.net.run(where, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", rate,
                         "burst", "32kb", "latency", "400ms")

        def undo():
            for where, device in places:
                self.net.run(where, "tc", "qdisc", "delete", "dev", device, "root")
        return self._done("link limited", undo, host=name, rate=rate)

    # ---- processes

    def freeze(self, *names):
        """SIGSTOP; heal() or thaw is SIGCONT. The kernel goes on acknowledging."""
        nodes = [self.cluster[name] for name in names]
        for node in nodes:
            node.stop()

        def undo():
            for node in nodes:
                node.cont()
        return self._done("frozen", undo, nodes=[node.name for node in nodes])

    def sleep(self, name, seconds):
        """The process stands still, as it is told to: DEBUG SLEEP. Until it answers that."""
        with Fault(self.journal, "frozen", lambda: None, nodes=[name], how="DEBUG SLEEP"):
            self.cluster[name].ask("DEBUG", "SLEEP", seconds, timeout=seconds + 20)

    def end(self, name):
        """It is told to end: SHUTDOWN; heal() starts it again."""
        self.cluster[name].end()
        return Fault(self.journal, "killed", lambda: self._start([name]), nodes=[name],
                     how="SHUTDOWN")

    def kill(self, *names):
        """SIGKILL; heal() starts them again. They stay down at the end of a run."""
        for name in names:
            self.cluster[name].kill()
        return Fault(self.journal, "killed", lambda: self._start(names), nodes=list(names))

    def restart(self, name, keep_conf=True):
        """Ends a node in order, and starts it again."""
        self.journal.append({"time": time.time(), "what": "shut down", "nodes": [name]})
        self.cluster[name].shut_down()
        self.start(name, keep_conf=keep_conf)

    def start(self, *names, keep_conf=True):
        """Starts nodes that are down, with or without their nodes.conf."""
        self.journal.append({"time": time.time(), "what": "started", "nodes": list(names),
                             "keep_conf": keep_conf})
        self._start(names, keep_conf)

    def _start(self, names, keep_conf=True):
        for name in names:
            self.cluster[name].restart(keep_conf)

    def clock(self, name, seconds):
        """The wall clock of a node jumps to so many seconds ahead; the node must have been started
        with a clock of its own (clocks=). Clocks that only count on cannot be shifted in a process
        that runs, and nothing that nodes tell each other depends on them."""
        node = self.cluster[name]
        before = node.clock.offset
        node.set_clock(seconds)
        return self._done("clock shifted", lambda: node.set_clock(before), node=name,
                          seconds=seconds)

    def garbage(self, node, data, sender=CONTROL):
        """A connection to the bus port that says something else than the bus does."""
        node = self.cluster[node]
        self.journal.append({"time": time.time(), "what": "garbage", "node": node.name,
                             "port": node.bus, "bytes": len(data)})
        with contextlib.closing(self.net.connect(sender, node.ip, node.bus)) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(data)
                sock.recv(1)            # until it hangs up, or time is up

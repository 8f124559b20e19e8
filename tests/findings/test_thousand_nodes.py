"""A cluster of a thousand nodes, as it is seen from the host of one: all fit, and what it hears of a
failure among them is told as by any other."""

import json
import random
import resource
import subprocess

import pytest

from lib import bustap, contract, findings, wire

PRIMARIES, NODES = 500, 1000
GOSSIP = NODES // 10                            # so many others each message tells of, as servers do
MEMORY = 64 << 20                               # bytes
VICTIM = 7                                      # of `nodes`


def cluster():
    share = 16384 / PRIMARIES
    nodes = [wire.Node(n + 1, ip=f"10.1.{n >> 8}.{n & 255}", current_epoch=PRIMARIES,
                       slots=[(round(n * share), round((n + 1) * share) - 1)])
             for n in range(PRIMARIES)]
    return nodes + [wire.Node(n + 1, ip=f"10.1.{n >> 8}.{n & 255}", current_epoch=PRIMARIES,
                              epoch=n - PRIMARIES + 1, replica_of=nodes[n - PRIMARIES])
                    for n in range(PRIMARIES, NODES)]


def role(node):
    return wire.REPLICA if node.fields["replica_of"] else wire.PRIMARY


class Host:
    """That of the first node: its links to all others, and theirs to it."""

    def __init__(self):
        self.nodes = cluster()
        self.capture = wire.Capture(step=10_000)
        self.out = [self.link(self.nodes[0], other, 20_000) for other in self.nodes[1:]]
        self.into = [self.link(other, self.nodes[0], 30_000) for other in self.nodes[1:]]
        self.dice = random.Random(1)
        self.entries = [wire.entry(node, flags=role(node)) for node in self.nodes]

    def link(self, a, b, port):
        link = self.capture.link(a, b, port + self.nodes.index(a) + self.nodes.index(b))
        link.open()
        return link

    def gossip(self):
        return self.dice.sample(self.entries, GOSSIP)

    def holds_failed(self, number):
        """All gossip so from now on."""
        self.entries[number] = wire.entry(self.nodes[number], flags=wire.PRIMARY | wire.FAIL)

    def round(self, silent=()):
        """Each PING and PONG that the host has in a second."""
        for number, (out, into) in enumerate(zip(self.out, self.into), 1):
            other, answers = self.nodes[number], number not in silent
            out.send("client", wire.ping(self.nodes[0], self.gossip()), ack=answers)
            if answers:
                out.send("server", wire.pong(other, self.gossip()))
                into.send("client", wire.ping(other, self.gossip()))
                into.send("server", wire.pong(self.nodes[0], self.gossip()))


def analyze(path):
    done = subprocess.run([bustap.PROGRAM, "analyze", "--json", path], capture_output=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA,
                                                                (MEMORY, MEMORY)))
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    host = Host()
    host.round()
    host.capture.wait(1)
    for _ in range(2):
        host.round(silent={VICTIM})
        host.capture.wait(1)
    host.out[0].send("server", wire.fail(host.nodes[1], host.nodes[VICTIM]))
    host.holds_failed(VICTIM)
    host.round(silent={VICTIM})
    path = tmp_path_factory.mktemp("large") / "host.pcap"
    path.write_bytes(host.capture.pcap())
    told = analyze(path)
    path.unlink()                               # 250 MB
    return told, host


def test_all_are_known(report):
    told, host = report
    cluster = told["cluster"]
    assert len(cluster["nodes"]) == NODES
    assert len(cluster["slots"]) == PRIMARIES
    assert {n["id"] for n in cluster["nodes"]} == {n.id for n in host.nodes}


def test_the_failure_is_told(report):
    told, host = report
    found = [findings.Finding(f) for f in told["findings"]]
    contract.check(found)
    findings.quiet(found, but={"node-failed", "slot-uncovered"})
    one = findings.only(found, "node-failed")
    assert one.metrics["node"] == host.nodes[VICTIM].id
    assert one.metrics["announced_by"] == host.nodes[1].id
    assert one.metrics["quorum_needed"] == PRIMARIES // 2 + 1

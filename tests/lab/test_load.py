"""Does the load do what its modes say? Two nodes that only pretend, so that every request is seen.

Real servers are asked by the lab itself; here it is about what a client does with redirects, what a
diary says, and what verify makes of it.
"""

import binascii
import collections
import json
import pathlib
import signal
import socketserver
import subprocess
import threading
import time

import pytest

from lib import bustap

LOAD = pathlib.Path(bustap.PROGRAM).parent / "tests" / "lab" / "load"
pytestmark = pytest.mark.skipif(not LOAD.exists(), reason=f"{LOAD} is not built: make lab-tools")
OK = b"+OK\r\n"


def bulk(text):
    return b"$-1\r\n" if text is None else b"$%d\r\n%s\r\n" % (len(text), text.encode())


class Node(socketserver.ThreadingTCPServer):
    """Says what its table of answers says, and remembers what it was asked.

    answers   {command: function(words, asking) -> reply}; without one, a key is kept in `store`
    owner     whom CLUSTER SLOTS names for all slots
    """
    daemon_threads = True

    def __init__(self, store):
        super().__init__(("127.0.0.1", 0), Talk)
        self.store, self.answers, self.owner, self.asked = store, {}, self, []
        self.port = self.server_address[1]
        self.addr = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, words, asking):
        command = words[0]
        if command in self.answers:
            return self.answers[command](words, asking)
        if command == "CLUSTER":
            return b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n" + bulk("127.0.0.1") + b":%d\r\n" % (
                self.owner.port)
        if command == "GET":
            return bulk(self.store.get(words[1]))
        if command == "SET":
            self.store[words[1]] = words[2]
        return OK

    def count(self, command):
        return sum(words[0] == command for words in self.asked)


class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        asking = False
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].decode())
            self.server.asked.append(words)
            reply = self.server.answer(words, asking)
            asking = words[0] == "ASKING"
            if not reply:
                return
            self.wfile.write(reply)


@pytest.fixture
def nodes():
    """Two of one store."""
    store = {}
    both = [Node(store), Node(store)]
    yield both
    for node in both:
        node.shutdown()
        node.server_close()


def load(mode, node, *options, seconds=1, rate=100):
    """Its last line, and those before."""
    done = subprocess.run([LOAD, mode, "--seed", node.addr, "--seconds", str(seconds), "--rate",
                           str(rate), *map(str, options)], capture_output=True, timeout=30,
                          check=True)
    *more, last = map(json.loads, done.stdout.splitlines())
    return last, more


def moved_to(node):
    return lambda words, asking: f"-MOVED {slot(words[1])} {node.addr}\r\n".encode()


def slot(key):
    """By Python's CRC16, which is the cluster's."""
    start = key.find("{")
    end = key.find("}", start + 1)
    tag = key[start + 1:end] if start >= 0 and end > start + 1 else key
    return binascii.crc_hqx(tag.encode(), 0) % 16384


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_help_names_all_modes():
    said = subprocess.run([LOAD, "--help"], capture_output=True, text=True, check=True).stdout
    for mode in ("aware naive no-asking pipeline diary verify fill big pubsub spubsub "
                 "publish-flood blocking multi resp3").split():
        assert f"\n  {mode} " in said


def test_aware_learns_from_moved(nodes):
    """One redirect, and all else goes where it leads."""
    old, new = nodes
    old.answers = {"GET": moved_to(new), "SET": moved_to(new)}
    new.owner = new
    said, _ = load("aware", old, "--slot", 7)
    assert said["moved"] == 1
    assert new.count("SET") + new.count("GET") > 20


def test_naive_is_redirected_each_time(nodes):
    old, new = nodes
    old.answers = {"GET": moved_to(new), "SET": moved_to(new)}
    said, _ = load("naive", old)
    assert said["moved"] == old.count("GET") + old.count("SET") > 20
    assert old.count("CLUSTER") + new.count("CLUSTER") == said["refreshes"] == 1


def migrating(old, new):
    """The slot's keys are at `new` already, which takes them only after ASKING."""
    def ask(words, asking):
        return f"-ASK {slot(words[1])} {new.addr}\r\n".encode()

    def importing(words, asking):
        return OK if asking else moved_to(old)(words, asking)
    old.answers, new.answers = {"GET": ask, "SET": ask}, {"GET": importing, "SET": importing}
    new.owner = old


def test_ask_is_followed_with_asking(nodes):
    migrating(*nodes)
    said, _ = load("aware", nodes[0])
    assert said["moved"] == 0
    assert said["ask"] == nodes[1].count("ASKING") > 20


def test_ask_is_followed_without_asking(nodes):
    """Sent to and fro, until it gives up."""
    migrating(*nodes)
    said, _ = load("no-asking", nodes[0])
    assert nodes[1].count("ASKING") == 0
    assert said["ask"] == said["moved"] > 20


def test_rate_and_time_are_bounded(nodes):
    start = time.monotonic()
    load("aware", nodes[0], "--connections", 4, rate=60)
    assert time.monotonic() - start < 3
    requests = nodes[0].count("GET") + nodes[0].count("SET")
    assert 15 < requests <= 64, "60 a second for a second, of all connections together"


def test_sigterm_ends_it_in_order(nodes):
    process = subprocess.Popen([LOAD, "aware", "--seed", nodes[0].addr, "--seconds", "60"],
                               stdout=subprocess.PIPE)
    while not nodes[0].count("SET"):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=5)
    assert process.returncode == 0 and json.loads(said)["requests"] > 0


def test_diary_has_a_line_for_each_write(nodes, tmp_path):
    """Acknowledged, refused, and without answer: three things."""
    node, diary = nodes[0], tmp_path / "diary"
    fates = [OK, b"-CLUSTERDOWN The cluster is down\r\n", None]
    node.answers = {"SET": lambda words, asking: fates[int(words[2]) % 3]}
    load("diary", node, "--diary", diary)
    told = lines(diary)
    assert len(told) == node.count("SET") > 20
    assert [line["seq"] for line in told] == list(range(1, len(told) + 1))
    for line, words in zip(told, (w for w in node.asked if w[0] == "SET")):
        fate = {0: (True, None), 1: (False, "CLUSTERDOWN The cluster is down"),
                2: (None, "Server closed the connection")}[line["seq"] % 3]
        assert (line["ok"], line["err"]) == fate
        assert [line["key"], str(line["seq"])] == words[1:]
        assert line["slot"] == slot(line["key"]) and line["node"] == node.addr
        assert line["t0"] <= line["t1"] <= time.time()
    assert len({line["key"] for line in told}) == len(told), "a key is written once"


def test_diary_is_kept_when_killed(nodes, tmp_path):
    """All that was acknowledged, but for the write under way."""
    diary = tmp_path / "diary"
    process = subprocess.Popen([LOAD, "diary", "--seed", nodes[0].addr, "--diary", diary])
    while nodes[0].count("SET") < 20:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert nodes[0].count("SET") - len(lines(diary)) in (0, 1)


def entry(key, seq, ok):
    return json.dumps({"w": "w.0", "seq": seq, "key": key, "ok": ok}) + "\n"


# (writes of one key, as (value, ok); what the cluster has; the verdict)
@pytest.mark.parametrize("writes, found, verdict", [
    ([(1, True)], "1", "kept"),
    ([(1, True)], None, "lost"),
    ([(1, True), (2, True)], "1", "lost"),
    ([(1, True), (2, True)], "2...", "kept"),
    ([(1, True), (2, None)], "2", "kept"),       # done, though never acknowledged
    ([(1, None), (2, True)], "1", "overtaken"),  # done late: not a loss that reading proves
    ([(1, False), (2, None)], None, None),       # nothing was promised
])
def test_verdicts(nodes, tmp_path, writes, found, verdict):
    diary = tmp_path / "diary"
    diary.write_text("".join(entry("k", *write) for write in writes))
    if found:
        nodes[0].store["k"] = found
    _, told = load("verify", nodes[0], "--diary", diary)
    assert [line["verdict"] for line in told[:-1]] == [verdict] * (verdict not in ("kept", None))
    counts = collections.Counter(told[-1]["verify"])
    assert counts["keys"] == (verdict is not None)
    assert counts["kept"] == (verdict == "kept") and counts["lost"] == (verdict == "lost")
    assert counts["undecided"] == (verdict == "overtaken")

"""The numbers people ask for: which commands, errors, clients, slots, keys and replies are most.

Up to 8192 requests the slots are exact; of later ones one in 64 is looked at, and the report says
how wrong that may be. Whatever comes, memory has its limits.
"""

import collections
import random
import resource
import subprocess
import json
import sys

import pytest

from lib import bustap, wire
from lib.resp import OK, Dialogue, array, bulk, error, slot

sys.path.append(str(bustap.ROOT / "tests/bench"))
import make_flood  # noqa: E402

MOVED = error("MOVED 5 10.0.0.2:6379")


def top(path, *args):
    return bustap.analyze(*args, path)["clients"]["top"]


def by(rows, name, value):
    return {row[name]: row[value] for row in rows}


def few():
    """Two clients, keys a (3 times), b (2) and c (1); a MOVED; a reply of 100 kB."""
    talk = Dialogue()
    talk.trades("GET a", bulk("x" * 50), "GET a", bulk("x" * 50), "SET a 1", OK,
                "GET b", bulk("y" * 100_000), "GET b", MOVED)
    other = Dialogue(talk.capture, ("10.0.9.2", 4000))
    other.trades("SET c 1", OK, "PING", b"+PONG\r\n", "SPUBLISH ch x", b":0\r\n")
    return talk.capture.pcap()


def test_commands_errors_and_clients(store):
    found = top(store(few()))
    assert by(found["commands"], "command", "requests") == \
        {"get": 4, "set": 2, "ping": 1, "spublish": 1}
    assert found["commands"][0]["errors"] == 1
    assert found["errors"] == [{"error": "MOVED", "count": 1, "servers": 1,
                                "most_from": "10.0.0.1:6379"}]
    assert by(found["clients"], "addr", "requests") == {"10.0.9.1": 5, "10.0.9.2": 3}


def test_slots_count_what_was_served(store):
    """A request that was sent elsewhere is served there, and a channel is no key."""
    found = top(store(few()))
    assert by(found["slots_by_requests"], "slot", "requests") == \
        {slot("a"): 3, slot("b"): 1, slot("c"): 1}
    assert found["slots_by_bytes"][0]["slot"] == slot("b")
    assert all(row["requests_error"] == 0 for row in found["slots_by_requests"])


def test_the_biggest_reply_and_where_it_is(store):
    big, = top(store(few()))["replies"]
    assert (big["command"], big["server"]) == ("get", "10.0.0.1:6379")
    assert big["bytes"] == len(bulk("y" * 100_000))
    assert big["client"] == "10.0.9.1:50001" and big["frame"] > 0


def test_keys_are_named_only_if_they_may(store):
    path = store(few())
    assert [row["requests"] for row in top(path)["keys"]] == [3, 2, 1]
    assert {row["key"] for row in top(path)["keys"]} == {None}
    assert [row["key"] for row in top(path, "--keys", "full")["keys"]] == ["a", "b", "c"]
    assert all(row["key"].startswith("k:") for row in top(path, "--keys", "pseudonym")["keys"])
    text = bustap.run("analyze", path).text
    assert "Biggest replies: 100.0 kB to get by 10.0.0.1:6379" in text


def many(requests, seed=1):
    """Pipelines of 50: a third of the requests are for one key, the others for 2000. Returns the
    capture and how often each key is in it."""
    dice = random.Random(seed)
    talk, sums = Dialogue(), collections.Counter()
    for _ in range(requests // 50):
        keys = ["hot" if dice.random() < 1 / 3 else f"k{dice.randrange(2000)}" for _ in range(50)]
        sums.update(keys)
        talk.ask(*(f"GET {key}" for key in keys)).answer(*(["v"] * 50))
    return talk.capture.pcap(), sums


@pytest.mark.parametrize("seed", range(3))
def test_of_many_a_sample_says_how_wrong_it_may_be(store, seed):
    capture, sums = many(60_000, seed)
    found = top(store(capture), "--keys", "full")
    first = found["slots_by_requests"][0]
    assert first["slot"] == slot("hot")
    assert 0 < first["requests_error"] < first["requests"] / 5
    assert abs(first["requests"] - sums["hot"]) <= first["requests_error"]
    key = found["keys"][0]
    assert key["key"] == "hot"
    assert abs(key["requests"] - sums["hot"]) <= first["requests_error"] + key["requests_error"]


def test_the_same_capture_gives_the_same_sample(store):
    path = store(many(20_000)[0])
    assert bustap.run("analyze", "--json", path).out == bustap.run("analyze", "--json", path).out


def test_what_is_hot_is_told_in_words(store):
    path = store(many(20_000)[0])
    text = bustap.run("analyze", path).text
    assert f"Hot slots, by requests: {slot('hot')} with 3" in text
    assert f"Hot keys: one in slot {slot('hot')} with 3" in text
    assert "Hot keys: hot with 3" in bustap.run("analyze", "--keys", "full", path).text \
        .replace('"', "")


def test_what_is_spread_evenly_is_not_hot(store):
    talk = Dialogue()
    for number in range(3000):
        talk.trade(f"GET key:{number}", "v")
    assert "Hot" not in bustap.run("analyze", store(talk.capture.pcap())).text


LIMIT = 80 << 20  # bytes of data; the tables of a million would need more


def test_a_million_clients_and_keys_fit_into_little_memory(tmp_path):
    """CAP_CLIENTS have rows of their own; of the others, as of keys, the heaviest are known."""
    path = tmp_path / "flood.pcap"
    make_flood.make(path, 1_000_000)
    done = subprocess.run([bustap.PROGRAM, "analyze", "--json", path], capture_output=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA,
                                                                (LIMIT, LIMIT)))
    assert done.returncode == 0, done.stderr.decode()
    clients = json.loads(done.stdout)["clients"]
    assert clients["servers"][0]["requests"] == 1_000_000
    assert clients["clients_over_cap"] == 1_000_000 - 16384
    assert sum(row["requests"] for row in clients["by_client"]) == 1_000_000
    assert len(clients["top"]["slots_by_requests"]) == 10


def test_a_busy_client_that_comes_late_is_found(tmp_path):
    """Twenty thousand others were there before it, more than have rows of their own."""
    path = tmp_path / "flood.pcap"
    make_flood.make(path, 20_000)
    late = Dialogue(wire.Capture(start=1_700_000_100 * 10 ** 9), ("10.9.9.9", 5000), ("10.0.0.2", 6379))
    for _ in range(500):
        late.trade("GET a", "v")
    other = tmp_path / "late.pcap"
    other.write_bytes(late.capture.pcap())
    first = bustap.analyze(path, other)["clients"]["top"]["clients"][0]
    assert first["addr"] == "10.9.9.9"
    assert first["requests"] - first["requests_error"] <= 500 <= first["requests"]
    text = bustap.run("analyze", path, other).text
    assert "from more than 16384 clients; most, 5" in text and "from 10.9.9.9." in text

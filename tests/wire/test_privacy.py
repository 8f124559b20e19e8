"""Nothing that somebody would not want to see in a postmortem is in any output (reference, F).

A canary stands for the secret, the value or the key. It must be in no output, whether the request
is RESP or inline, upper or lower case, whole or cut off in the middle of the secret. That the
request was seen at all is checked as well, for silence alone would keep every secret.
"""

import re

import pytest

from lib import bustap, captures, clients, wire
from lib.canary import C1, C2, MONITOR_LINE, SECRETS, C, canaries
from lib.resp import (HELLO3, OK, PONG, Dialogue, array, bulk, command, error, inline, push,
                      simple)

def name(value):
    return value if isinstance(value, str) else ""


def hidden(path, *args):
    """None of what the program says of this capture holds the canary."""
    found = canaries(bustap.everything(*args, path))
    assert not found, f"shown {len(found)} times, first: …{found[0]}…"


def in_lower_case(words):
    return [w if C in w else w.lower() for w in words]


def quoted(words):
    return inline(" ".join(f'"{w}"' if " " in w or "'" in w else w for w in words))


FORMS = {
    "RESP": lambda words: command(*words),
    "RESP, lower case": lambda words: command(*in_lower_case(words)),
    "inline": quoted,
    "inline, lower case": lambda words: quoted(in_lower_case(words)),
}
ALL_SECRETS = pytest.mark.parametrize("what, words, reply", SECRETS, ids=name)


def around(request, reply):
    """The exchange between two PINGs."""
    return Dialogue().trades("PING", PONG, request, reply, "PING", PONG)


@pytest.mark.parametrize("form", FORMS)
@ALL_SECRETS
def test_secret(store, what, words, reply, form):
    """Neither from the request nor from the reply."""
    path = store(around(FORMS[form](words), reply).capture.pcap())
    seen = clients.asked(bustap.dump(path))
    assert len(seen) == 3 and seen[0] == seen[2] == "ping", f"requests that were seen: {seen}"
    hidden(path)


# where a canary stands as a key in SECRETS: the positions of these words
KEY_POSITIONS = {"RESTORE": [1], "RESTORE-ASKING": [1], "key and value": [1], "keys": [1, 2],
                 "value in the reply": [1], "MIGRATE AUTH2 KEYS": [10], "MIGRATE refused": [3]}


@ALL_SECRETS
def test_secret_with_keys_shown(store, what, words, reply):
    """`--keys full` shows keys: no user, no password, no value. Words that are keys go."""
    words = ["a-key" if i in KEY_POSITIONS.get(what, ()) else w for i, w in enumerate(words)]
    path = store(around(command(*words), reply).capture.pcap())
    assert len(clients.asked(bustap.dump("--keys", "full", path))) == 3
    hidden(path, "--keys", "full")


def cut_in_the_canary(capture, behind):
    """The capture with a snaplen that leaves `behind` bytes of the canary in every frame that has
    one, as if each of them had been as long."""
    frames = []
    for time, frame in capture.frames():
        at = frame.find(C.encode())
        kept = frame if at < 0 else frame[:at + behind]
        frames.append((time, kept, len(frame)))
    return wire.pcap(frames)


@pytest.mark.parametrize("behind", [7, 20])
@pytest.mark.parametrize("form", ["RESP", "inline"])
@ALL_SECRETS
def test_cut_capture(store, what, words, reply, form, behind):
    """The packet ends in the middle of the secret: what is left of it is not shown either."""
    path = store(cut_in_the_canary(around(FORMS[form](words), reply).capture, behind))
    assert "ping" in clients.asked(bustap.dump(path))
    hidden(path)


@ALL_SECRETS
def test_only_the_answer_was_captured(store, what, words, reply):
    """A mirror of one direction; and a capture that begins behind the request."""
    talk = around(command(*words), reply)
    whole = talk.capture.packets
    talk.capture.packets = [p for p in whole if p[1][12:16] == bytes([10, 0, 0, 1])]
    hidden(store(talk.capture.pcap()))
    talk.capture.packets = whole[8:]
    hidden(store(talk.capture.pcap()))


@pytest.mark.parametrize("mss", [5])
@ALL_SECRETS
def test_in_pieces(store, what, words, reply, mss):
    """The secret spread over segments."""
    talk = Dialogue(mss=mss).trades("PING", PONG, command(*words), reply, "PING", PONG)
    hidden(store(talk.capture.pcap()))


@pytest.mark.parametrize("missing", [1, 15])
@ALL_SECRETS
def test_joined_in_the_middle(store, what, words, reply, missing):
    """The capture starts within the request, whose name can no longer be seen."""
    talk = Dialogue(joined=True).ask(command(*words)[missing:]).answer(reply).wait(1)
    talk.trades(*["PING", PONG] * 5)
    path = store(talk.capture.pcap())
    assert "ping" in clients.asked(bustap.dump(path))
    hidden(path)


# ------------------------------------------------------------------------------- without a request

def test_monitor(store):
    """Another client's data in the lines of MONITOR."""
    talk = Dialogue().trades("PING", PONG, "MONITOR", OK).answer(*[MONITOR_LINE] * 5)
    path = store(talk.capture.pcap())
    assert "monitor" in clients.asked(bustap.dump(path))
    hidden(path)
    hidden(path, "--keys", "full")


@pytest.mark.parametrize("form", [array, push], ids=["RESP2", "RESP3"])
def test_published_messages(store, form):
    """What subscribers are sent."""
    talk = Dialogue()
    if form is push:
        talk.trade("HELLO 3", HELLO3)
    talk.trade("SUBSCRIBE ch", form("subscribe", "ch", 1))
    talk.answer(form("message", "ch", C), form("pmessage", "c*", "ch", C1))
    path = store(talk.capture.pcap())
    assert clients.pushes(bustap.dump(path)) == 2
    hidden(path)


def test_invalidated_keys(store):
    """Client-side caching tells key names."""
    talk = Dialogue().trades("HELLO 3", HELLO3, "CLIENT TRACKING ON", OK)
    path = store(talk.answer(push("invalidate", array(C1, C2))).capture.pcap())
    assert clients.pushes(bustap.dump(path)) == 1
    hidden(path)


def test_replication(store):
    """Snapshot and stream are nothing but values."""
    talk = Dialogue().trades("PING", PONG, ["AUTH", C], OK, "REPLCONF capa eof capa psync2", OK)
    talk.trade("PSYNC ? -1", simple("FULLRESYNC " + "a" * 40 + " 1"))
    talk.answer(f"$EOF:{'m' * 40}\r\nREDIS0011 {C}{'m' * 40}".encode())
    talk.answer(command("SET", C1, C2), command("PUBLISH", "ch", C)).ask("REPLCONF ACK 100")
    path = store(talk.capture.pcap())
    assert "psync" in clients.asked(bustap.dump(path))
    hidden(path)


def test_pipelined_secrets(store):
    """AUTH in front of a pipeline, as clients do."""
    talk = Dialogue().ask(["AUTH", C], "SELECT 0", ["SET", C1, C2], "PING")
    talk.answer(OK, OK, OK, PONG)
    path = store(talk.capture.pcap())
    assert clients.asked(bustap.dump(path)) == ["auth", "select", "set", "ping"]
    hidden(path)


def test_unfinished_secret(store):
    """An AUTH that the connection's end cut off; and an inline one without its line end."""
    for data in (command("AUTH", C)[:-9], b"AUTH " + C.encode(), b"auth \"" + C.encode()):
        talk = Dialogue().trade("PING", PONG).ask(data).close()
        path = store(talk.capture.pcap())
        assert "ping" in clients.asked(bustap.dump(path))
        hidden(path)


# ------------------------------------------------------------------------------- --keys

KEYS = ["user:1", "user:2", "user:1"]


@pytest.fixture
def with_keys(store):
    """with_keys(how) are the `keys` of three GETs, and all that the program says with it."""
    talk = Dialogue()
    for key in KEYS:
        talk.trade(["GET", key], bulk(C))
    path = store(talk.trade("PING", PONG).capture.pcap())

    def run(how):
        events = bustap.named(bustap.dump("--keys", how, path), "request")
        return [e.get("keys") for e in events], bustap.everything("--keys", how, path)
    return run


def test_keys_in_full(with_keys):
    """They are shown, and values still are not."""
    keys, output = with_keys("full")
    assert [k and list(k) for k in keys[:3]] == [["user:1"], ["user:2"], ["user:1"]]
    assert not keys[3] and not canaries(output)


def test_keys_as_pseudonyms(with_keys):
    """The same name for the same key, another one for another; the keys themselves nowhere."""
    keys, output = with_keys("pseudonym")
    one, two, again = (k and list(k) for k in keys[:3])
    assert one and two and one == again and one != two
    assert "user:" not in output and not canaries(output)


def test_no_keys(with_keys):
    """The default."""
    keys, output = with_keys("none")
    assert keys == [None] * 4 and "user:" not in output and not canaries(output)


# ------------------------------------------------------------------------------- findings

# What is found in them has keys: lost writes, slow commands, large ones, those that a MIGRATE left.
TAKES = [take for take in captures.TAKES if not take.vantage and take.truth["scenario"] in (
    "partition_minority", "slow_commands", "slot_left_open", "slow_migration", "out_of_memory",
    "reshard", "atomic_migration")]


@pytest.mark.parametrize("take", TAKES, ids=lambda take: take.name)
def test_keys_of_real_clusters(take):
    """No key that any request names is in any report, unless that is wanted."""
    requests = bustap.named(bustap.dump("--keys", "full", take.path), "request")
    keys = {key for e in requests for key in e["keys"] or () if key and len(key) > 3}
    assert len(keys) > 5
    said = "".join(bustap.run(*how, take.path).text for how in (
        ["analyze", "-v"], ["analyze", "--json"], ["dump"], ["dump", "--json"]))
    assert not keys & set(re.findall(r'[^\s",=\[\]]+', said))


def names(store, *args):
    """What is said of clients that give themselves a name, one way or the other, and go astray."""
    capture = None
    for number, said in enumerate((["CLIENT", "SETNAME", C1], ["HELLO", "3", "SETNAME", C2])):
        talk = Dialogue(capture, client=("10.0.9.1", 40000 + number))
        capture = talk.trade(command(*said), OK if number == 0 else HELLO3).capture
        for _ in range(200):
            talk.trade("GET k", error("MOVED 7629 10.0.0.9:6379")).wait(0.04)
    path = store(capture.pcap())
    assert "redirect-storm" in bustap.everything("--only", "redirect-storm", path)
    return bustap.everything(*args, path)


def test_names_of_clients(store):
    """They are shown as keys are: if they are asked for, else not, or by a pseudonym."""
    assert not canaries(names(store))
    assert not canaries(names(store, "--keys", "pseudonym"))
    assert {C1, C2} <= set(re.findall(C + "-[a-z]+", names(store, "--keys", "full")))

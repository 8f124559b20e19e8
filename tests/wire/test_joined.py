"""A connection that the capture joined at a request: is what the server says next the reply to it?

Only if nothing was outstanding, which nothing tells at that moment (decode/resp_trial.c). Whatever
comes to be known later, no reply is told of a request that is not its own, and what can be known is.
"""

import pytest

from lib import bustap, clients
from lib.resp import OK, Dialogue, array, bulk, command, error, integer

KINDS = {"get": "bulk", "incr": "integer", "set": "simple"}
EXCHANGES = ["GET k", "v", "INCR n", 1, "SET k v", OK]
CAP_TRIAL = 256 << 10                                    # base/limits.h


def replies(talk, store):
    """The replies that were told of a request: each has the type that its command gives."""
    events = bustap.dump(store(talk.capture.pcap()))
    told = bustap.named(events, "reply")
    for event in told:
        assert event["type"].startswith(KINDS[event["command"]]), event
    return told


def test_asks_again(counted):
    """The client asks again when it has its answers: they were all answers to what was seen."""
    talk = Dialogue(joined=True).ask("GET k", "INCR n").answer(bulk("v"), 1).trades(*EXCHANGES)
    events = counted(talk, {"get": 2, "incr": 2, "set": 1}, odd=True)
    first = bustap.named(events, "reply")[0]
    assert first["latency_us"] == 2000, "not as of its time"


@pytest.mark.parametrize("lag", [0.1, 2])
def test_no_more_is_said(store, lag):
    """No request comes behind the first one. If the capture goes on long enough after the reply, the
    server had nothing more to say."""
    talk = Dialogue(joined=True).trade("GET k", "v")
    talk.another().wait(lag).trade("PING", b"+PONG\r\n")
    late = lag > 0.5
    clients.check(store(talk.capture.pcap()), {"get": 1, "ping": 1} if late else {"ping": 1},
                  odd=True, requests=2, replies=1 + late, unanswered=1 - late, unmatched=1 - late)


def test_closes(counted):
    """Nor does one when the connection ends."""
    counted(Dialogue(joined=True).trade("GET k", "v").close(), {"get": 1}, odd=True)


def test_server_speaks_after_a_silence(counted):
    """What the server says unasked, long after, is no answer to what was missed."""
    talk = Dialogue(joined=True).trade("GET k", "v").wait(2).answer(b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n")
    counted(talk.trades(*EXCHANGES), {"get": 2, "incr": 1, "set": 1}, odd=True)


@pytest.mark.parametrize("missed, said", [("GET a", bulk("a")), ("INCR n", integer(1)),
                                          ("SET a b", OK)], ids=["get", "incr", "set"])
@pytest.mark.parametrize("segments", [1, 3])
def test_within_a_pipeline(store, missed, said, segments):
    """One reply too many. The next exchange that is quiet is paired again."""
    asked = [command("GET", "k"), command("INCR", "n"), command("SET", "k", "v")]
    talk = Dialogue(joined=True).lose("client", command(*missed.split()))
    talk.ask(*asked) if segments == 1 else [talk.ask(one) for one in asked]
    talk.answer(said).answer(bulk("v"), 1).answer(OK).trades(*EXCHANGES)
    assert len(replies(talk, store)) == 3
    clients.check(store(talk.capture.pcap()), {"get": 1, "incr": 1, "set": 1}, odd=True,
                  requests=6, replies=3, unanswered=3, unmatched=4)


def test_answered_before_it_was_heard(store):
    """The server had not heard of the request when it spoke: it answers an older one. Its client
    keeps two of them under way, so there are never more replies than requests."""
    talk = Dialogue(joined=True)
    steps = [(command("GET", "k"), bulk("v")), (command("INCR", "n"), integer(1)),
             (command("SET", "k", "v"), OK)] * 3
    before = integer(7)
    for asked, reply in steps:
        talk.link.send("client", asked, ack=False)
        heard = talk.link.acked["server"]
        talk.link.send("server", before, ack=False)
        talk.link.acked["client"] = talk.link.next["server"]
        assert talk.link.acked["server"] == heard
        talk.link.ack("server")
        before = reply
    replies(talk, store)


def test_never_quiet(store):
    """A client that always has requests under way: nothing is ever proven, no request is told to
    have a reply, and no more is kept of it than CAP_TRIAL bytes."""
    talk = Dialogue(joined=True).ask("GET k")
    for _ in range(CAP_TRIAL // 500):
        talk.ask("GET k").answer(bulk("v" * 500))
    talk.answer(bulk("v" * 500))
    count = CAP_TRIAL // 500 + 1
    clients.check(store(talk.capture.pcap()), {}, requests=count, replies=0, unanswered=count,
                  unmatched=count, odd=True)


@pytest.mark.parametrize("mss", [1448, 60_000])
@pytest.mark.parametrize("size", [1_000, 15_000, 500_000])
def test_large_value(counted, size, mss):
    """Of a value that is larger than what is kept its length is enough."""
    talk = Dialogue(joined=True, mss=mss).trade("GET k", bulk("v" * size)).trades(*EXCHANGES)
    counted(talk, {"get": 2, "incr": 1, "set": 1}, odd=True)


def test_large_request_in_between(counted):
    """The second request is large, and follows before the first one is answered."""
    talk = Dialogue(joined=True, mss=1448).ask("GET k").ask(command("SET", "k", "v" * 100_000))
    counted(talk.answer(bulk("v")).answer(OK).trades(*EXCHANGES),
            {"get": 2, "incr": 1, "set": 2}, odd=True)


@pytest.mark.parametrize("mss", [1448, 60_000])
def test_large_request(counted, mss):
    talk = Dialogue(joined=True, mss=mss).trade(command("SET", "k", "v" * 100_000), OK)
    counted(talk.trades(*EXCHANGES), {"get": 1, "incr": 1, "set": 2}, odd=True)


def test_first_reply_is_missing(store):
    """What is seen first of the server answers the second request: the first one was large."""
    talk = Dialogue(joined=True, mss=1448).ask(command("SET", "k", "v" * 100_000))
    talk.lose("server", OK).trade("GET k", "v").trades(*EXCHANGES)
    assert len(replies(talk, store)) == 3


def test_gap_within_a_value(counted):
    """Bytes are missing of the first reply, inside of it: nothing else is."""
    talk = Dialogue(joined=True).ask("GET k")
    data = bulk("v" * 5000)
    talk.link.send("server", data[:2000])
    talk.lose("server", data[2000:4000])
    talk.link.send("server", data[4000:])
    counted(talk.trades(*EXCHANGES), {"get": 2, "incr": 1, "set": 1}, odd=True)


def test_gap_among_replies(store):
    """Whole replies are missing: which ones are there is not known."""
    talk = Dialogue(joined=True).ask("GET k", "INCR n", "SET k v").answer(bulk("v"))
    talk.lose("server", integer(1)).answer(OK).wait(1).trades(*EXCHANGES * 3)
    told = replies(talk, store)
    assert len(told) == 9
    clients.check(store(talk.capture.pcap()), {"get": 3, "incr": 3, "set": 3}, odd=True,
                  requests=12, replies=9, unanswered=3, undecoded=len(OK), unmatched=1)


def test_transaction(counted):
    """The first thing seen is a transaction: what it has queued counts."""
    talk = Dialogue(joined=True).ask("MULTI", "SET k v", "EXEC")
    talk.answer(OK, b"+QUEUED\r\n", array(b"+OK\r\n")).trades(*EXCHANGES)
    counted(talk, {"multi": 1, "set": 2, "exec": 1, "get": 1, "incr": 1}, odd=True)


def test_long_pipeline(counted):
    """All of it has to be seen before any of it counts."""
    talk = Dialogue(joined=True, mss=1448).ask(*["GET k"] * 100).answer(*[bulk("v" * 1000)] * 100)
    counted(talk.trades(*EXCHANGES), {"get": 101, "incr": 1, "set": 1}, odd=True)


def test_replies_that_cannot_be_counted(store):
    """Replies were off when the capture joined: the first one is not that to the first request."""
    talk = Dialogue(joined=True).ask("GET k", "INCR n", "CLIENT REPLY ON").answer(OK).wait(1)
    talk.trades(*EXCHANGES)
    assert len(replies(talk, store)) == 3


def test_redirect(store):
    """The first reply is a redirect, and the client turns to another: it is told, with its slot."""
    talk = Dialogue(joined=True).trade("GET k", error("MOVED 7629 10.0.0.9:6379")).wait(2)
    talk.another().trade("PING", b"+PONG\r\n")
    events = bustap.dump(store(talk.capture.pcap()))
    redirect, = bustap.named(events, "redirect")
    assert (redirect["slot"], redirect["target"]) == (7629, "10.0.0.9:6379")


@pytest.mark.parametrize("asked, said, name", [
    ("SUBSCRIBE c", array("subscribe", "c", integer(1)), "subscribe"),
    ("MONITOR", OK, "monitor"),
], ids=["subscribe", "monitor"])
def test_who_only_listens(store, asked, said, name):
    """What comes behind such a request never ends, and nothing is asked any more."""
    push = array("message", "c", "x") if name == "subscribe" else \
        b'+1700000000.000001 [0 10.0.0.1:1] "get" "k"\r\n'
    talk = Dialogue(joined=True).trade(asked, said).answer(push).answer(push)
    events = bustap.dump(store(talk.capture.pcap()))
    assert [e["command"] for e in bustap.named(events, "reply")] == [name]
    assert len(bustap.named(events, "push")) == 2

"""What clients and servers say to each other, rule by rule from the reference (C.1 to C.4).

Every test makes a conversation, holds the report against what is in it, and where it matters looks
at the single events. `commands` is what INFO commandstats of the server would say (calls and
rejected calls); a PING behind what is being tested shows that nothing was left over.
"""

import pytest

from lib import bustap, clients, wire
from lib.clients import Between
from lib.resp import (HELLO2, HELLO3, NIL, NIL_ARRAY, OK, PONG, QUEUED, Dialogue, array, attribute,
                      big_number, boolean, bulk, bulk_error, command, double, error, inline,
                      integer, map_, null, push, set_, simple, slot, streamed, streamed_string,
                      verbatim)

HELLO = ("HELLO 3", HELLO3)


def first_words(value):
    """The readable part of a case as its name."""
    return value if isinstance(value, str) else ""


# ------------------------------------------------------------------------------- types of replies

REPLIES = [                                       # name, the reply, words that may name its type
    ("simple string", simple("hello world"), ("simple", "status")),
    ("empty simple string", simple(""), ("simple", "status")),
    ("simple error", error("ERR no"), ("error",)),
    ("integer", integer(42), ("int",)),
    ("negative integer", integer(-(2 ** 63)), ("int",)),
    ("integer with plus", b":+7\r\n", ("int",)),
    ("bulk string", bulk("hello"), ("bulk",)),
    ("empty bulk string", bulk(""), ("bulk",)),
    ("bulk string that looks like RESP", bulk("$3\r\n-ERR\r\n*1\r\n+OK\r\n"), ("bulk",)),
    ("bulk string of 100 KB", bulk("x" * 100_000), ("bulk",)),
    ("null bulk string", NIL, ("null", "bulk")),
    ("array", array("a", 1, NIL), ("array",)),
    ("empty array", array(), ("array",)),
    ("null array", NIL_ARRAY, ("null", "array")),
    ("nested arrays", array(array(array(array(), 1), "x"), array(NIL_ARRAY)), ("array",)),
    ("array of 10 000", array(*range(10_000)), ("array",)),
    ("null", null(), ("null",)),
    ("double", double("3.1415e-2"), ("double", "float")),
    ("infinity", double("-inf"), ("double", "float")),
    ("not a number", double("nan"), ("double", "float")),
    ("true", boolean(True), ("bool",)),
    ("false", boolean(False), ("bool",)),
    ("bulk error", bulk_error("SYNTAX a\r\nb"), ("error",)),
    ("verbatim string", verbatim("Some\r\nstring"), ("verbatim",)),
    ("big number", big_number("-3492890328409238509324850943850943825024385"), ("big",)),
    ("map", map_("a", 1, "b", array(1, 2)), ("map",)),
    ("empty map", map_(), ("map",)),
    ("set", set_("a", set_(), None), ("set",)),
    ("everything in a map", map_(set_(1), map_("x", verbatim("v")), boolean(True), double("1")),
     ("map",)),
    ("attribute before it", attribute("ttl", 3600) + bulk("v"), ("bulk",)),
    ("attribute with a map", attribute("keys", map_("a", double("0.5"))) + array(1), ("array",)),
    ("attributes inside", array(1, attribute("ttl", 1) + integer(2)), ("array",)),
    ("two attributes", attribute("a", 1) + attribute("b", 2) + integer(3), ("int",)),
    ("streamed string", streamed_string("Hell", "o wor", "d"), ("bulk", "string")),
    ("empty streamed string", streamed_string(), ("bulk", "string")),
    ("streamed array", streamed(b"*", 1, "two", array(3)), ("array",)),
    ("streamed map", streamed(b"%", "a", 1, "b", 2), ("map",)),
    ("streamed set in an array", array(streamed(b"~", 1, 2), 3), ("array",)),
]
ERRORS = {"simple error": {"ERR": 1}, "bulk error": {"SYNTAX": 1}}


@pytest.mark.parametrize("mss", [16000, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("name, reply, words", REPLIES, ids=first_words)
def test_type_of_a_reply(counted, name, reply, words, mss):
    """Each type is one reply, in one segment and in one per byte."""
    if mss == 1 and len(reply) > 10_000:
        pytest.skip("too many packets")
    talk = Dialogue(mss=mss).trades(*HELLO, "GET k", reply, "PING", PONG)
    events = counted(talk, {"hello": 1, "get": 1, "ping": 1}, errors=ERRORS.get(name))
    found = clients.types(events)[1]
    assert any(word in found for word in words), f"{name}: type is told as {found!r}"


def test_deep_nesting(counted):
    """Sixteen arrays in each other are unusual, but fine."""
    reply = array("end")
    for _ in range(15):
        reply = array(reply, 1)
    counted(Dialogue().trades("EVAL x 0", reply, "PING", PONG), {"eval": 1, "ping": 1})


def test_resp2_after_hello_2(counted):
    """HELLO 3, and back with HELLO 2, whose reply is a flat array again."""
    counted(Dialogue().trades(*HELLO, "GET k", null(), "HELLO 2", HELLO2, "GET k", NIL),
            {"hello": 2, "get": 2})


@pytest.mark.parametrize("request_, reply, errors", [
    ("HELLO", HELLO2, {}),
    ("HELLO 4", error("NOPROTO unsupported protocol version"), {"NOPROTO": 1}),
    ("HELLO 3 AUTH u p SETNAME n", HELLO3, {}),
    ("HELLO 3 AUTH u p", error("WRONGPASS invalid username-password pair or user is disabled."),
     {"WRONGPASS": 1}),
], ids=first_words)
def test_hello(counted, request_, reply, errors):
    """All forms of HELLO, accepted or not, are one request with one reply."""
    counted(Dialogue().trades(request_, reply, "PING", PONG), {"hello": 1, "ping": 1},
            errors=errors)


# ------------------------------------------------------------------------------- requests

INLINE = [                                        # the line, its command, its number of words
    (b"PING\r\n", "ping", 1),
    (b"ping\n", "ping", 1),
    (b"  get \t key   \r\n", "get", 2),
    (b'SET key "my value with spaces"\r\n', "set", 3),
    (b"SET key 'single quotes'\r\n", "set", 3),
    (b"SET key 'it\\'s'\r\n", "set", 3),
    (b'SET key "\\x41\\n \\" \\\\"\r\n', "set", 3),
    (b'SET key "don\'t"\r\n', "set", 3),
    (b'SET key ""\r\n', "set", 3),
    (b'"SET" \'key\' "v"\r\n', "set", 3),
    (b"cLuStEr sLoTs\r\n", "cluster|slots", 2),
    (b"MSET a 1 b 2\r\n", "mset", 5),
    (b"SET key " + b"v" * 5000 + b"\r\n", "set", 3),
]


@pytest.mark.parametrize("line, name, words", INLINE, ids=lambda v: repr(v)[:30])
def test_inline(counted, line, name, words):
    """Inline requests, split as the server splits them. `args` counts as it does for PING."""
    talk = Dialogue().trades("PING", PONG, line, OK, "PING", PONG)
    events = counted(talk, {"ping": 3} if name == "ping" else {"ping": 2, name: 1})
    before, tested, _ = bustap.named(events, "request")
    assert tested["command"] == name
    assert tested["args"] - before["args"] == words - 1


@pytest.mark.parametrize("nothing", [b"*0\r\n", b"*-1\r\n", b"*-20\r\n", b"\r\n", b"\n", b"  \r\n",
                                     b"\r\n\r\n*0\r\n\n"], ids=repr)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a pipeline"])
def test_nothing_is_asked(counted, nothing, alone):
    """Empty requests get no reply, and those behind them get theirs."""
    talk = Dialogue().trade("PING", PONG)
    if alone:
        talk.ask(nothing).trade("GET k", "v")
    else:
        talk.ask("GET k", nothing, "GET k").answer("v", "v")
    counted(talk, {"ping": 1, "get": 1 if alone else 2})


@pytest.mark.parametrize("sent, name", [
    ("get k", "get"), ("GET k", "get"), ("GeT k", "get"), ("CLUSTER SLOTS", "cluster|slots"),
    ("config GET maxmemory", "config|get"), ("CLIENT NO-EVICT on", "client|no-evict"),
    ("ACL WHOAMI", "acl|whoami"), ("COMMAND", "command"), ("COMMAND DOCS", "command|docs"),
    ("SCRIPT LOAD x", "script|load"), ("XINFO STREAM k", "xinfo|stream"),
    ("OBJECT ENCODING k", "object|encoding"), ("MEMORY USAGE k", "memory|usage"),
    ("PUBSUB CHANNELS", "pubsub|channels"), ("SLOWLOG GET", "slowlog|get"),
    ("LATENCY RESET", "latency|reset"), ("FUNCTION LIST", "function|list"),
    ("XGROUP CREATE k g 0", "xgroup|create"), ("MODULE LIST", "module|list"),
    ("CLUSTER COUNT-FAILURE-REPORTS x", "cluster|count-failure-reports"),
    ("DEBUG SLEEP 0", "debug"), ("JSON.GET k", "json.get"), ("ft.search i q", "ft.search"),
    ("_FT.SEARCH i q", "_ft.search"), ("TDIGEST.TRIMMED_MEAN k 0 1", "tdigest.trimmed_mean"),
], ids=first_words)
def test_name_of_a_command(counted, sent, name):
    """Commands under the names of INFO commandstats: containers with their sub-command, others
    without."""
    events = counted(Dialogue().trade(sent, array()), {name: 1})
    assert clients.asked(events) == [name]


@pytest.mark.parametrize("sent", ["MINE.GET k", "JSON.SECRET k", "XCONFIG GET k"], ids=first_words)
def test_a_command_that_nobody_knows(counted, sent):
    """A module's that is not in the list, or a renamed one: it counts, but its name is not shown,
    for that may be a secret (renaming is meant to hide, and a dot can be part of it), or no name at
    all."""
    events = counted(Dialogue().trade(sent, array()), {}, requests=1)
    assert clients.asked(events) == ["unknown"]


@pytest.mark.parametrize("sent, key", [
    ("GET k0", "k0"), ("SET {mig}1 v", "{mig}1"), ("SET foo{}{bar} v", "foo{}{bar}"),
    ("GET {{a}}b", "{{a}}b"), ("MGET {t}1 {t}2", "{t}1"), ("EVAL x 1 k2 arg", "k2"),
    ("XREAD COUNT 1 STREAMS s1 0", "s1"), ("OBJECT ENCODING k3", "k3"),
    ("BITOP AND {d}x {d}y", "{d}x"), ("ZUNION 2 {z}1 {z}2", "{z}1"), ("SPUBLISH chan v", "chan"),
    ("BLPOP k4 0", "k4"), ("RESTORE-ASKING k5 0 x", "k5"), ("XGROUP CREATE k6 g 0", "k6"),
    ("MIGRATE h 1 k7 0 5", "k7"), ("PING", None), ("PUBLISH chan v", None), ("INFO", None),
], ids=first_words)
def test_slot_of_a_request(counted, sent, key):
    """The hash slot, wherever the key stands, and none where there is no key."""
    events = counted(Dialogue().trade(sent, OK), None, requests=1)
    ((_, found),) = clients.slots(events)
    assert found == (slot(key) if key else None)


def test_migrate_with_keys(counted):
    """An empty key argument and KEYS further on."""
    sent = ["MIGRATE", "10.0.0.2", "6379", "", "0", "60000", "KEYS", "{m}1", "{m}2"]
    events = counted(Dialogue().trade(sent, OK), {"migrate": 1})
    assert clients.slots(events) == [("migrate", slot("m"))]


# ------------------------------------------------------------------------------- pairing

def test_pipeline(counted):
    """A thousand requests before the first reply; the replies, of four types, keep the order."""
    kinds = [("GET k", "v"), ("INCR n", 1), ("PING", PONG), ("LRANGE l 0 9", array("a", "b"))]
    talk = Dialogue()
    talk.ask(*(kinds[i % 4][0] for i in range(1000)))
    talk.answer(*(kinds[i % 4][1] for i in range(1000)))
    events = counted(talk, {"get": 250, "incr": 250, "ping": 250, "lrange": 250})
    assert [c for c, _ in clients.answered(events)] == ["get", "incr", "ping", "lrange"] * 250


@pytest.mark.parametrize("mss", [1, 7, 1448])
def test_pipeline_in_pieces(counted, mss):
    """However the segments are cut."""
    talk = Dialogue(mss=mss)
    talk.ask(*["SET k " + "v" * i for i in range(60)]).answer(*[OK] * 60)
    counted(talk, {"set": 60})


def test_replies_while_the_pipeline_is_still_sent(counted):
    """The server does not wait for the end of the pipeline."""
    talk, third = Dialogue(), command("SET", "k", "value")
    talk.ask("GET a", "GET b", third[:9]).answer("1").ask(third[9:], "PING").answer("2", OK, PONG)
    events = counted(talk, {"get": 2, "set": 1, "ping": 1})
    assert [c for c, _ in clients.answered(events)] == ["get", "get", "set", "ping"]


def test_a_reply_in_the_middle_of_a_request(counted):
    """What arrives while a large request is still being sent answers the one before it."""
    talk, large = Dialogue(), command("SET", "k", "v" * 40_000)
    talk.ask("GET k", large[:20_000]).answer("x").ask(large[20_000:]).answer(OK)
    events = counted(talk, {"get": 1, "set": 1})
    assert [c for c, _ in clients.answered(events)] == ["get", "set"]


def test_latency(counted):
    """From the request to its reply, each with its own."""
    talk = Dialogue()
    talk.trade("GET k", "v").ask("GET k").wait(0.5).answer("v")
    talk.ask("SET k v", "GET k").wait(0.098).answer(OK).wait(0.1).answer("v")
    events = counted(talk, {"get": 3, "set": 1})
    assert clients.latencies(events) == [("get", 2_000), ("get", 502_000), ("set", 100_000),
                                         ("get", 202_000)]


@pytest.mark.parametrize("requests, replies, commands", [
    (["PING", "CLIENT REPLY OFF", "GET k", "GET k", "CLIENT REPLY ON", "PING"], [PONG, OK, PONG],
     {"ping": 2, "client|reply": 2, "get": 2}),
    (["CLIENT REPLY SKIP", "GET k", "PING"], [PONG], {"client|reply": 1, "get": 1, "ping": 1}),
    (["client reply skip", "client reply skip", "GET k", "PING"], [PONG],
     {"client|reply": 2, "get": 1, "ping": 1}),
    (["CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING"], [OK, PONG],
     {"client|reply": 2, "ping": 1}),
    (["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING"], [OK, PONG],
     {"client|reply": 3, "ping": 1}),
    (["CLIENT REPLY OFF", "CLIENT REPLY OFF", "GET k"], [], {"client|reply": 2, "get": 1}),
    ([inline("CLIENT REPLY OFF"), inline("GET k"), inline('CLIENT "REPLY" on')], [OK],
     {"client|reply": 2, "get": 1}),
], ids=["off and on", "skip", "skip twice", "skip, then on", "skip while off", "off for good",
        "inline"])
@pytest.mark.parametrize("pipelined", [True, False], ids=["pipelined", "one by one"])
def test_client_reply(counted, requests, replies, commands, pipelined):
    """What is asked to be silent is silent, not unanswered."""
    talk = Dialogue()
    if pipelined:
        talk.ask(*requests)
    else:
        for one in requests:
            talk.ask(one)
    counted(talk.answer(*replies).close(), commands, replies=len(replies))


def test_push_while_replies_are_off(counted):
    """CLIENT REPLY OFF does not silence subscriptions."""
    talk = Dialogue().trades(*HELLO, "SUBSCRIBE ch", push("subscribe", "ch", 1))
    talk.ask("CLIENT REPLY OFF", "GET k").answer(push("message", "ch", "hello"))
    talk.trade("CLIENT REPLY ON", OK)
    events = counted(talk, {"hello": 1, "subscribe": 1, "client|reply": 2, "get": 1}, replies=3)
    assert clients.pushes(events) == 1


# ------------------------------------------------------------------------------- publish, subscribe

BOTH = pytest.mark.parametrize("form", [array, push], ids=["RESP2", "RESP3"])
EACH_OR_ALL = "the messages that answer one SUBSCRIBE may be counted each, or as one reply"


def subscriber(form):
    """A client of that protocol; in RESP3 it has said HELLO."""
    return Dialogue().trades(*HELLO) if form is push else Dialogue()


def with_hello(form, commands):
    return {"hello": 1, **commands} if form is push else commands


@BOTH
@pytest.mark.parametrize("kind", ["", "p", "s"], ids=["channels", "patterns", "shard channels"])
def test_subscribe(counted, form, kind):
    """Three channels are three messages and one request; then one by one they are left again."""
    name, leave = kind + "subscribe", kind + "unsubscribe"
    talk = subscriber(form)
    talk.ask(f"{name} c1 c2 c3").answer(*(form(name, f"c{i}", i) for i in (1, 2, 3)))
    talk.trade(f"{leave} c2", form(leave, "c2", 2))
    talk.ask(f"{leave} c1 c3").answer(form(leave, "c1", 1), form(leave, "c3", 0))
    talk.trade("PING", PONG)
    more = form is push
    events = counted(talk, with_hello(form, {name: 1, leave: 2, "ping": 1}),
                     replies=Between(4 + more, 7 + more, EACH_OR_ALL))
    assert clients.pushes(events) == 0


@BOTH
def test_unsubscribe_from_everything(counted, form):
    """Without arguments: one message for each subscription, and one when there is none."""
    talk = subscriber(form)
    talk.ask("SUBSCRIBE a b").answer(form("subscribe", "a", 1), form("subscribe", "b", 2))
    talk.ask("UNSUBSCRIBE").answer(form("unsubscribe", "b", 1), form("unsubscribe", "a", 0))
    nobody = null() if form is push else NIL
    talk.trades("UNSUBSCRIBE", form("unsubscribe", nobody, 0),
                "PUNSUBSCRIBE", form("punsubscribe", nobody, 0), "PING", PONG)
    more = form is push
    counted(talk, with_hello(form, {"subscribe": 1, "unsubscribe": 2, "punsubscribe": 1,
                                    "ping": 1}),
            replies=Between(5 + more, 7 + more, EACH_OR_ALL))


@BOTH
def test_published_messages_are_no_replies(counted, form):
    """Of a channel, of a pattern (four items), of a shard; none answers anything."""
    talk = subscriber(form)
    for name in ("subscribe", "psubscribe", "ssubscribe"):
        talk.trade(f"{name} ch", form(name, "ch", 1))
    messages = [form("message", "ch", "hello"), form("pmessage", "c*", "ch", "hello"),
                form("smessage", "ch", "hello")]
    talk.answer(*messages).answer(messages[0]).wait(20).answer(*messages)
    events = counted(talk, with_hello(form, {"subscribe": 1, "psubscribe": 1, "ssubscribe": 1}))
    assert clients.pushes(events) == 7


@BOTH
def test_message_between_the_answers_to_subscribe(counted, form):
    """A message of the first channel arrives before the second one is confirmed."""
    talk = subscriber(form)
    talk.ask("SUBSCRIBE a b").answer(form("subscribe", "a", 1), form("message", "a", "x"),
                                     form("subscribe", "b", 2))
    talk.trade("UNSUBSCRIBE a", form("unsubscribe", "a", 1))
    more = form is push
    events = counted(talk, with_hello(form, {"subscribe": 1, "unsubscribe": 1}),
                     replies=Between(2 + more, 3 + more, EACH_OR_ALL))
    assert clients.pushes(events) == 1


@pytest.mark.parametrize("payload", ["subscribe", "message", "+PONG\r\n", "*3\r\n$9\r\nsubscribe"])
def test_message_that_looks_like_an_answer(counted, payload):
    """What the publisher wrote is not looked at."""
    talk = Dialogue().trade("SUBSCRIBE ch", array("subscribe", "ch", 1))
    talk.ask("SUBSCRIBE c2").answer(array("message", "ch", payload), array("subscribe", "c2", 2))
    events = counted(talk, {"subscribe": 2})
    assert clients.pushes(events) == 1


def test_ping_while_subscribed(counted):
    """RESP2: an array [pong, ""] answers it."""
    talk = Dialogue().trade("SUBSCRIBE ch", array("subscribe", "ch", 1))
    talk.ask("PING").answer(array("message", "ch", "x"), array("pong", ""))
    events = counted(talk, {"subscribe": 1, "ping": 1})
    assert clients.answered(events)[-1] == ("ping", None) and clients.pushes(events) == 1


def test_refused_while_subscribed(counted):
    """RESP2: other commands are refused, and counted as rejected."""
    talk = Dialogue().trades(
        "SUBSCRIBE ch", array("subscribe", "ch", 1),
        "GET k", error("ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                       "QUIT / RESET are allowed in this context"))
    counted(talk, {"subscribe": 1, "get": 1}, errors={"ERR": 1})


def test_subscribe_refused(counted):
    """One error answers it, however many channels it names."""
    talk = Dialogue().trades(
        "SSUBSCRIBE a b c", error("CROSSSLOT Keys in request don't hash to the same slot"),
        "SSUBSCRIBE a", error("MOVED 15495 10.0.0.2:6379"), "PING", PONG)
    counted(talk, {"ssubscribe": 2, "ping": 1}, errors={"CROSSSLOT": 1, "MOVED": 1})


@BOTH
def test_shard_channel_that_moved_away(counted, form):
    """The server ends a shard subscription by itself: a message that nobody asked for."""
    talk = subscriber(form).trade("SSUBSCRIBE ch", form("ssubscribe", "ch", 1))
    talk.answer(form("sunsubscribe", "ch", 0)).trade("PING", PONG)
    events = counted(talk, with_hello(form, {"ssubscribe": 1, "ping": 1}))
    assert clients.pushes(events) == 1


def test_pushes_between_replies(counted):
    """RESP3, CLIENT TRACKING: invalidations come between the replies of a pipeline."""
    gone = push("invalidate", array("k"))
    talk = Dialogue().trades(*HELLO, "CLIENT TRACKING ON", OK)
    talk.ask("GET k", "GET l", "GET m").answer(gone, "1", gone, push("invalidate", None), "2", "3")
    events = counted(talk, {"hello": 1, "client|tracking": 1, "get": 3})
    assert clients.pushes(events) == 3


def test_everything_works_while_subscribed_in_resp3(counted):
    """RESP3 allows any command; its reply is no push."""
    talk = Dialogue().trades(*HELLO, "SUBSCRIBE ch", push("subscribe", "ch", 1))
    talk.ask("GET k", "SUBSCRIBE c2", "PING").answer(
        push("message", "ch", "x"), "v", push("subscribe", "c2", 2), push("message", "c2", "y"),
        PONG)
    events = counted(talk, {"hello": 1, "subscribe": 2, "get": 1, "ping": 1})
    assert clients.pushes(events) == 2


# ------------------------------------------------------------------------------- MONITOR, RESET

MONITORED = [simple('1700000000.123456 [0 10.0.9.2:40000] "SET" "k" "v"'),
             simple('1700000001.000001 [0 lua] "GET" "k"'),
             simple('1700000002.000002 [0 unix:/tmp/s] "PING"')]


def test_monitor(counted):
    """The lines answer nothing; a PING among them is answered all the same."""
    talk = Dialogue().trade("MONITOR", OK).answer(*MONITORED)
    talk.ask("PING").answer(MONITORED[0], PONG, MONITORED[1]).wait(5).answer(*MONITORED)
    events = counted(talk, {"monitor": 1, "ping": 1})
    assert clients.answered(events) == [("monitor", None), ("ping", None)]


def test_monitor_ends_with_reset(counted):
    talk = Dialogue().trade("MONITOR", OK).answer(MONITORED[0])
    talk.trades("RESET", simple("RESET"), "GET k", "v")
    counted(talk, {"monitor": 1, "reset": 1, "get": 1})


def test_reset_ends_subscriptions(counted):
    """After RESET an array is a reply again, also one that looks like a message."""
    talk = Dialogue().trade("SUBSCRIBE ch", array("subscribe", "ch", 1))
    talk.answer(array("message", "ch", "x"))
    talk.trades("RESET", simple("RESET"), "LRANGE l 0 2", array("message", "ch", "x"))
    events = counted(talk, {"subscribe": 1, "reset": 1, "lrange": 1})
    assert clients.pushes(events) == 1


def test_reset_ends_multi_and_resp3(counted):
    """The queue is dropped unexecuted, and nulls are those of RESP2 again."""
    talk = Dialogue().trades(*HELLO, "MULTI", OK, "SET k v", QUEUED, "RESET", simple("RESET"),
                             "GET k", NIL)
    counted(talk, {"hello": 1, "multi": 1, "reset": 1, "get": 1}, requests=5)


def test_quit(counted):
    """+OK, then the server closes."""
    counted(Dialogue().trades("PING", PONG, "QUIT", OK).close("server"), {"ping": 1, "quit": 1})


def test_shutdown(counted):
    """Succeeds without a reply: that is no missing answer."""
    talk = Dialogue().trade("PING", PONG).ask("SHUTDOWN NOSAVE").close("server")
    counted(talk, None, requests=2, replies=1)


# ------------------------------------------------------------------------------- MULTI

ABORT = error("EXECABORT Transaction discarded because of previous errors.")
ARITY = error("ERR wrong number of arguments for 'set' command")
WATCHED = ("WATCH k", OK)
TRANSACTIONS = [                    # name, requests and replies in turn, commands, errors
    ("executed", ["MULTI", OK, "SET k v", QUEUED, "INCR n", QUEUED, "EXEC", array(OK, 1)],
     {"multi": 1, "set": 1, "incr": 1, "exec": 1}, {}),
    ("empty", ["MULTI", OK, "EXEC", array()], {"multi": 1, "exec": 1}, {}),
    ("discarded", ["MULTI", OK, "SET k v", QUEUED, "DISCARD", OK], {"multi": 1, "discard": 1}, {}),
    ("watched key changed",
     [*WATCHED, "MULTI", OK, "SET k v", QUEUED, "EXEC", NIL_ARRAY],
     {"watch": 1, "multi": 1, "exec": 1}, {}),
    ("watched key changed, RESP3",
     [*HELLO, *WATCHED, "MULTI", OK, "SET k v", QUEUED, "EXEC", null()],
     {"hello": 1, "watch": 1, "multi": 1, "exec": 1}, {}),
    ("refused when queued",
     ["MULTI", OK, "SET k", ARITY, "INCR n", QUEUED, "EXEC", ABORT],
     {"multi": 1, "set": 1, "exec": 1}, {"ERR": 1, "EXECABORT": 1}),
    ("moved when queued",
     ["MULTI", OK, "GET k", error("MOVED 7629 10.0.0.2:6379"), "EXEC", ABORT],
     {"multi": 1, "get": 1, "exec": 1}, {"MOVED": 1, "EXECABORT": 1}),
    ("unknown when queued",
     ["MULTI", OK, "FOO", error("ERR unknown command 'FOO', with args beginning with: "),
      "EXEC", ABORT],
     {"multi": 1, "exec": 1}, {"ERR": 1, "EXECABORT": 1}),
    ("failed when executed",
     ["MULTI", OK, "INCR k", QUEUED, "GET k", QUEUED,
      "EXEC", array(error("WRONGTYPE Operation against a key holding the wrong kind of value"),
                    "v")],
     {"multi": 1, "incr": 1, "get": 1, "exec": 1}, {"WRONGTYPE": 1}),
    ("cluster down at EXEC",
     ["MULTI", OK, "SET k v", QUEUED, "EXEC", error("CLUSTERDOWN The cluster is down")],
     {"multi": 1, "exec": 1}, {"CLUSTERDOWN": 1}),
    ("EXEC alone", ["EXEC", error("ERR EXEC without MULTI")], {"exec": 1}, {"ERR": 1}),
    ("twice", ["MULTI", OK, "GET k", QUEUED, "EXEC", array("v")] * 2,
     {"multi": 2, "get": 2, "exec": 2}, {}),
    ("a value named QUEUED", ["GET k", QUEUED, "MULTI", OK, "EXEC", array()],
     {"get": 1, "multi": 1, "exec": 1}, {}),
    ("never finished", ["MULTI", OK, "SET k v", QUEUED], {"multi": 1}, {}),
]


@pytest.mark.parametrize("pipelined", [True, False], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("name, said, commands, errors", TRANSACTIONS, ids=first_words)
def test_transaction(counted, name, said, commands, errors, pipelined):
    """What EXEC runs is counted, and what was refused when it was queued; what only waited is not.
    Every request is one, and has its reply, all the same."""
    talk = Dialogue()
    if pipelined:
        talk.ask(*said[::2]).answer(*said[1::2])
    else:
        talk.trades(*said)
    talk.close()
    counted(talk, commands, errors=errors, requests=len(said) // 2)


# ------------------------------------------------------------------------------- blocking

BLOCKING = ["BLPOP k 0", "BRPOP k 0", "BLMOVE a b LEFT RIGHT 0", "BRPOPLPUSH a b 0", "BZPOPMIN z 0",
            "BZPOPMAX z 0", "BLMPOP 0 1 k LEFT", "BZMPOP 0 1 z MIN", "WAIT 1 0", "WAITAOF 1 0 0",
            "XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"]


@pytest.mark.parametrize("sent", BLOCKING)
def test_blocking_commands_do_not_make_a_server_slow(store, sent):
    """Half a minute in a blocking command is patience, not latency; the reply is found all the
    same, and so is that of a command which had to wait behind it."""
    talk = Dialogue().trades(*["GET k", "v"] * 5)
    talk.ask(sent).wait(30).answer(array("k", "v")).trades(*["GET k", "v"] * 5)
    path = store(talk.capture.pcap())
    section = clients.check(path, {"get": 10, sent.split()[0].lower(): 1})
    (server,) = section["servers"]
    assert server["latency_us"]["max"] < 1_000_000
    assert clients.latencies(bustap.dump(path))[5] == (sent.split()[0].lower(), 30_002_000)


@pytest.mark.parametrize("reply, errors", [
    (NIL_ARRAY, {}),
    (error("UNBLOCKED client unblocked via CLIENT UNBLOCK"), {"UNBLOCKED": 1}),
    (error("UNBLOCKED force unblock from blocking operation, instance state changed "
           "(master -> replica?)"), {"UNBLOCKED": 1}),
    (error("CLUSTERDOWN Hash slot not served"), {"CLUSTERDOWN": 1}),
    (error("MOVED 12706 10.0.0.2:6379"), {"MOVED": 1}),
])
def test_end_of_a_blocking_command(counted, reply, errors):
    """By timeout, by another client, by a failover, by a slot that moved away."""
    talk = Dialogue().ask("BLPOP k 10", "PING").wait(10).answer(reply, PONG)
    counted(talk, {"blpop": 1, "ping": 1}, errors=errors)


# ------------------------------------------------------------------------------- errors

ERROR_TEXTS = """\
TRYAGAIN Multiple keys request during rehashing of slot
CROSSSLOT Keys in request don't hash to the same slot
CLUSTERDOWN The cluster is down
CLUSTERDOWN The cluster is down and only accepts read commands
CLUSTERDOWN Hash slot not served
READONLY You can't write against a read only replica.
MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.
LOADING Redis is loading the dataset in memory
LOADING Valkey is loading the dataset in memory
BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.
OOM command not allowed when used memory > 'maxmemory'.
MISCONF Errors writing to the AOF file: No space left on device
NOREPLICAS Not enough good replicas to write.
NOAUTH Authentication required.
WRONGPASS invalid username-password pair or user is disabled.
NOPERM User u has no permissions to run the 'get' command
NOSCRIPT No matching script. Please use EVAL.
NOMASTERLINK Can't SYNC while not connected with my master
BUSYKEY Target key name already exists.
IOERR error or timeout reading to target instance
ERR Target instance replied with error: WRONGPASS invalid username-password pair
NOTREADY Slot migration is not ready
WRONGTYPE Operation against a key holding the wrong kind of value
NOGOODSLAVE No suitable replica to promote
INPROG Failover already in progress
REDIRECT 10.0.0.2:6379
MYERROR a script's own
ERR wrong number of arguments for 'get' command
ERR""".splitlines()


@pytest.mark.parametrize("text", ERROR_TEXTS, ids=lambda t: t[:40])
def test_error(counted, text):
    """Errors are counted by their first word; the command was called or rejected, so it counts."""
    code = text.split()[0]
    events = counted(Dialogue().trades("GET k", error(text), "PING", PONG), {"get": 1, "ping": 1},
                     errors={code: 1})
    assert clients.answered(events) == [("get", code), ("ping", None)]


def test_errors_of_several_kinds(counted):
    """Each under its own word, also as a bulk error."""
    talk = Dialogue().trades(*HELLO, "GET a", error("ERR a"), "GET b", error("OOM b"), "GET c",
                             bulk_error("ERR c"), "GET d", error("OOM d"), "GET e", error("BUSY e"))
    counted(talk, {"hello": 1, "get": 5}, errors={"ERR": 2, "OOM": 2, "BUSY": 1})


@pytest.mark.parametrize("reply", [bulk("-ERR no"), array("-ERR no"), simple("-ERR"),
                                   bulk("x\r\n-ERR no\r\n"), array(bulk("MOVED 1 h:1"))])
def test_not_an_error(counted, reply):
    """Text within a value is text."""
    talk = Dialogue().trades("GET k", reply, "PING", PONG)
    events = counted(talk, {"get": 1, "ping": 1})
    assert not clients.redirects(events)


@pytest.mark.parametrize("sent, reply", [
    ("FOO a b", "ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
    ("foo a b", "ERR unknown command `foo`, with args beginning with: `a`, `b`, "),
    ("foo", "ERR unknown command 'foo'"),
    ("CLUSTER FOO", "ERR unknown subcommand 'FOO'. Try CLUSTER HELP."),
    ("client foo bar", "ERR unknown subcommand 'foo'. Try CLIENT HELP."),
])
def test_unknown_command(counted, sent, reply):
    """What the server does not know is a request, and an error, but not in commandstats."""
    counted(Dialogue().trades(sent, error(reply), "PING", PONG), {"ping": 1},
            errors={"ERR": 1}, requests=2)


def test_container_without_subcommand(counted):
    """The container itself rejects that."""
    counted(Dialogue().trade("CONFIG", error("ERR wrong number of arguments for 'config' command")),
            {"config": 1}, errors={"ERR": 1})


REDIRECTS = [                            # the server's words, the target as it must be shown
    ("10.0.0.2:6379", {"10.0.0.2:6379"}),
    ("node-2.example.com:6380", {"node-2.example.com:6380"}),
    ("?:6379", {"?:6379"}),
    (":6379", {":6379", "10.0.0.1:6379"}),                # the host that was asked
    ("2001:db8::2:6379", {"[2001:db8::2]:6379"}),
    ("::1:7001", {"[::1]:7001"}),
    ("fe80::1:2:3:4:6379", {"[fe80::1:2:3:4]:6379"}),
]


@pytest.mark.parametrize("kind", ["moved", "ask"])
@pytest.mark.parametrize("told, shown", REDIRECTS, ids=lambda v: v if isinstance(v, str) else "")
def test_redirect(counted, kind, told, shown):
    """Slot and target, whatever the server calls the target; the port is behind the last colon."""
    talk = Dialogue().trade("GET k0", error(f"{kind.upper()} 8579 {told}"))
    events = counted(talk, {"get": 1}, errors={kind.upper(): 1})
    ((kind_, slot_, target),) = clients.redirects(events)
    assert (kind_, slot_) == (kind, 8579) and target in shown


@pytest.mark.parametrize("text", ["MOVED", "MOVED 1", "MOVED x y", "MOVED 16384 10.0.0.2:6379",
                                  "MOVED 1 10.0.0.2", "ASK -1 h:1", "MOVED 1 h:99999"])
def test_malformed_redirect(counted, text):
    """An error of that name, but no slot and no target can be told."""
    talk = Dialogue().trades("GET k", error(text), "PING", PONG)
    events = counted(talk, {"get": 1, "ping": 1}, errors={text.split()[0]: 1}, odd=True)
    assert not [r for r in clients.redirects(events) if r[1] not in range(16384)]


def test_asking(counted):
    """A client that follows ASK: ASKING and the command, in one segment, at the other node."""
    talk = Dialogue().trade("GET k0", error("ASK 8579 10.0.0.2:6379"))
    other = Dialogue(talk.capture, server=("10.0.0.2", 6379))
    other.ask("ASKING", "GET k0").answer(OK, "v")
    events = counted(talk, {"get": 2, "asking": 1}, errors={"ASK": 1})
    assert clients.redirects(events) == [("ask", 8579, "10.0.0.2:6379")]


@pytest.mark.parametrize("text", [
    "ERR max number of clients reached",
    "DENIED Redis is running in protected mode because protected mode is enabled",
])
def test_error_before_any_request(store, text):
    """The server turns a client away: nobody asked, and nothing is missing. INFO errorstats does
    not have it, so it may be left out of the errors."""
    talk = Dialogue().answer(error(text)).close("server")
    talk.another(50007).trade("PING", PONG)
    unasked = "an error that answers nothing may be counted or not"
    clients.check(store(talk.capture.pcap()), {"ping": 1}, requests=1,
                  errors={text.split()[0]: Between(0, 1, unasked)},
                  replies=Between(1, 2, unasked), unmatched=Between(0, 1, unasked), odd=True)


@pytest.mark.parametrize("bad, text", [
    (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
    (b"*99999999999999999999\r\n", "invalid multibulk length"),
    (b"*1\r\n$-5\r\n", "invalid bulk length"),
    (b'SET k "unbalanced\r\n', "unbalanced quotes in request"),
])
def test_protocol_error(store, bad, text):
    """The server refuses and closes; what stands behind it was never read."""
    talk = Dialogue().trade("PING", PONG)
    talk.ask(bad, "GET k").answer(error(f"ERR Protocol error: {text}")).close("server")
    refused = "what is refused as no request may be counted as one that failed, or not at all"
    clients.check(store(talk.capture.pcap()), {"ping": 1}, errors={"ERR": 1},
                  requests=Between(1, 2, refused), replies=Between(1, 2, refused),
                  unmatched=Between(0, 1, refused),
                  undecoded=Between(0, len(bad + command("GET", "k")), refused), odd=True)


# ------------------------------------------------------------------------------- connections

def test_closed_with_unanswered_requests(counted):
    """The connection ends with two requests in flight."""
    talk = Dialogue().trade("GET k", "v").ask("INCR n", "PING").close("server")
    counted(talk, None, requests=3, replies=1, unanswered=2)


def test_reset_in_the_middle_of_a_reply(counted):
    """Half a reply is none; a new connection with the same ports starts afresh."""
    talk = Dialogue().trade("GET k", "v").ask("GET big").answer(bulk("x" * 100)[:50])
    talk.link.reset("server")
    talk.wait(1)
    again = Dialogue(talk.capture, isn=(77_000_000, 88_000_000))
    again.trade("PING", PONG)
    cut = "the half reply is decoded as far as it goes"
    counted(talk, None, requests=3, replies=2, unanswered=1, undecoded=Between(0, 50, cut))


def test_end_of_the_capture(counted):
    """A request that is still open when the capture ends is not missing its answer yet, or is."""
    talk = Dialogue().trade("GET k", "v").ask("GET k")
    counted(talk, None, requests=2, replies=1,
            unanswered=Between(0, 1, "the answer may have come after the end of the capture"))


def test_two_clients_at_once(counted):
    """Each has its own queue of what is open."""
    one = Dialogue()
    two = one.another()
    one.ask("GET k")
    two.ask("INCR n", "PING")
    one.ask("LRANGE l 0 1")
    two.answer(1)
    one.answer("v", array())
    two.answer(PONG)
    events = counted(one, {"get": 1, "incr": 1, "lrange": 1, "ping": 1})
    assert [c for c, _ in clients.answered(events)] == ["incr", "get", "lrange", "ping"]


@pytest.mark.parametrize("client, server, shown", [
    (("10.0.9.1", 50001), ("10.0.0.1", 7003), "10.0.0.1:7003"),
    (("10.0.9.1", 6379), ("10.0.0.1", 10625), "10.0.0.1:10625"),
    (("2001:db8::9", 50001), ("2001:db8::1", 6379), "[2001:db8::1]:6379"),
])
def test_server(store, client, server, shown):
    """The end that answers is the server, wherever it listens."""
    talk = Dialogue(client=client, server=server).trades(*["GET k", "v", "SET k v", OK] * 5)
    (found,) = clients.check(store(talk.capture.pcap()), {"get": 5, "set": 5})["servers"]
    assert found["addr"] == shown


def test_something_else_on_port_6379(store):
    """Text that is no RESP, both ways: nothing is claimed."""
    talk = Dialogue()
    for _ in range(5):
        talk.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        talk.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    report = bustap.analyze(store(talk.capture.pcap()))["clients"]
    found = clients.counts(report)
    assert not found["commands"] and not found["errors"] and found["replies"] == 0


# ------------------------------------------------------------------------------- not all was seen

JOINED = "what was said before the lock on the connection may be counted or passed over"


def exchanges(talk, count):
    """Sets of three commands whose replies have three types."""
    return talk.trades(*["GET k", "v", "INCR n", 1, "SET k v", OK] * count)


def right_pairs(events):
    """Every reply has the type that its command gives: none was paired with another's."""
    kinds = {"get": ("bulk",), "incr": ("int",), "set": ("simple", "status")}
    for event in bustap.named(events, "reply"):
        command_ = event.get("command")
        assert command_ is None or any(w in event["type"].lower() for w in kinds[command_]), event


def joined(first_client=b"", first_server=b""):
    """A capture that begins on an old connection, with these ends of what came before."""
    talk = Dialogue(joined=True)
    if first_server:
        talk.answer(first_server)
    if first_client:
        talk.ask(first_client)
    return talk


@pytest.mark.parametrize("rest", [b"", b"+OK\r\n", b"llo world\r\n", b"K\r\n", b"\r\n", b"\n",
                                  b"x\r\n$1\r\ny\r\n", b"0\r\nvalue-0123\r\n"], ids=repr)
def test_joined_behind_a_reply(store, rest):
    """The server's side starts in the middle of a reply. Ten exchanges follow, each of another
    command in turn: they are paired rightly or, the first ones, not at all."""
    talk = joined(first_server=rest).wait(1)
    said = [("GET k", bulk("v")), ("INCR n", integer(5)), ("SET k v", OK)]
    for number in range(12):
        talk.trade(*said[number % 3])
    path = store(talk.capture.pcap())
    part = Between(3, 4, JOINED)
    clients.check(path, {"get": part, "incr": part, "set": part}, requests=Between(9, 12, JOINED),
                  replies=Between(9, 13, JOINED), unmatched=Between(0, 2, JOINED),
                  unanswered=Between(0, 1, JOINED), undecoded=Between(0, 30, JOINED), odd=True)
    right_pairs(bustap.dump(path))


@pytest.mark.parametrize("rest", [
    b"lue\r\n", b"3\r\nvalue\r\n", b"\nvalue\r\n", b"T\r\n$1\r\nk\r\n$1\r\nv\r\n",
    b"xx\r\n*1\r\n$8\r\nFLUSHALL\r\nxx\r\n", b"*1\r\n$8\r\nFLUSHALL\r\n" + b"x" * 300 + b"\r\n",
], ids=lambda v: repr(v)[:30])
def test_joined_in_a_request(store, rest):
    """The client's side starts in the middle of a value, which may hold anything: a command in it
    was never given. What follows is counted."""
    talk = joined(first_client=rest).answer(OK).wait(1).trades(*["GET k", "v"] * 10)
    path = store(talk.capture.pcap())
    section = clients.check(path, None, requests=Between(8, 11, JOINED), odd=True,
                            replies=Between(8, 11, JOINED), unanswered=Between(0, 1, JOINED),
                            unmatched=Between(0, 1, JOINED), undecoded=Between(0, 400, JOINED))
    found = clients.counts(section)["commands"]
    assert 8 <= found["get"] <= 10
    assert "flushall" not in found, "a command was made of the inside of a value"


def test_joined_between_requests(counted):
    """The first packet is a whole request: everything counts from there."""
    talk = Dialogue(joined=True).trades(*["GET k", "v", "INCR n", 1] * 5)
    counted(talk, {"get": 5, "incr": 5}, odd=True)


def test_joined_within_a_pipeline(store):
    """The first packet is a request, and the server's first reply is that to the one before it."""
    talk = Dialogue(joined=True)
    talk.lose("client", command("MULTI"))
    talk.ask(command("SET", "k", "v")).ask(command("EXEC"))
    talk.answer(OK + b"+QUEUED\r\n").answer(b"*1\r\n" + OK)
    exchanges(talk, 5)
    path = store(talk.capture.pcap())
    clients.check(path, None, requests=17, replies=15, unanswered=2, unmatched=3, odd=True)
    right_pairs(bustap.dump(path))


def test_joined_while_two_wait(store):
    """The client asks again when the older one of two requests is answered: the next reply is the
    second one's."""
    talk = Dialogue(joined=True).ask("GET k").ask("INCR n").answer(bulk("v"))
    talk.link.send("client", command("SET", "k", "v"), ack=False)
    talk.answer(integer(5)).link.ack("server")
    talk.answer(OK).wait(1)
    events = bustap.dump(store(exchanges(talk, 5).capture.pcap()))
    right_pairs(events)
    assert len(bustap.named(events, "reply")) == 18


def test_joined_at_a_request_with_a_gap(store):
    """Bytes of the first request are missing, and what the server says to it is the first that is
    seen of the server: it is its reply, not that of the next one."""
    talk = Dialogue(joined=True)
    data = command("SET", "k", "x" * 9000)
    talk.link.send("client", data[:3000], ack=False)
    talk.link.skip("client", 3000)
    talk.link.send("client", data[6000:], ack=False)
    talk.link.acked["server"] = talk.link.next["client"]
    exchanges(talk.answer(OK), 5)
    path = store(talk.capture.pcap())
    clients.check(path, {"get": 5, "incr": 5, "set": Between(5, 6, JOINED)},
                  requests=Between(15, 16, JOINED), replies=Between(15, 16, JOINED),
                  undecoded=Between(0, 9000, JOINED), unmatched=Between(0, 1, JOINED), odd=True)
    right_pairs(bustap.dump(path))


def test_joined_at_a_request_whose_reply_is_missing(store):
    """What is seen first of the server is the reply to the second request; the first one, which is
    large, was lost on it."""
    talk = Dialogue(joined=True)
    talk.link.send("client", command("SET", "k", "x" * 200_000), ack=False)
    talk.link.skip("server", len(OK))
    talk.link.acked = {"client": talk.link.next["server"], "server": talk.link.next["client"]}
    exchanges(talk, 5)
    path = store(talk.capture.pcap())
    clients.check(path, None, odd=True, requests=Between(15, 16, JOINED),
                  replies=Between(12, 15, JOINED), unanswered=Between(1, 4, JOINED),
                  undecoded=Between(0, 40, JOINED), unmatched=Between(0, 1, JOINED))
    right_pairs(bustap.dump(path))


@pytest.mark.parametrize("size", [1, 1000, 100_000])
@pytest.mark.parametrize("side", ["client", "server"])
def test_gap_within_a_value(counted, side, size):
    """Bytes are missing inside a bulk string whose length is known: nothing is lost but they."""
    large = bulk("x" * (size + 2000))
    request_ = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n" + large
    talk = Dialogue().trade("PING", PONG)
    data = request_ if side == "client" else large
    if side == "server":
        talk.ask("GET k")
    start = len(data) - size - 1500
    talk.link.send(side, data[:start])
    talk.lose(side, data[start:start + size])
    talk.link.send(side, data[start + size:])
    if side == "client":
        talk.answer(OK)
    talk.trades("INCR n", 1, "PING", PONG)
    name = "set" if side == "client" else "get"
    events = counted(talk, {"ping": 2, name: 1, "incr": 1}, odd=True)
    assert clients.answered(events) == [("ping", None), (name, None), ("incr", None),
                                        ("ping", None)]


GAP = "the requests and replies around the gap may be lost with it"


THREE = command("GET", "k") + command("INCR", "n") + command("SET", "k", "v")     # 20, 21, 27
ANSWERS = bulk("v") + integer(1) + OK                                             # 7, 4, 5


@pytest.mark.parametrize("first, last", [(0, 7), (0, 11), (0, 16), (0, 1), (2, 4), (5, 7), (7, 8),
                                         (9, 12), (14, 16)], ids=str)
def test_gap_among_replies(store, first, last):
    """Replies to a pipeline, or parts of them, are missing. What can no longer be paired for
    certain is not paired; after a second of silence everything is as before."""
    talk = exchanges(Dialogue(), 5)
    talk.ask(THREE).answer(*filter(None, [ANSWERS[:first]])).lose("server", ANSWERS[first:last])
    talk.answer(*filter(None, [ANSWERS[last:]])).wait(1)
    exchanges(talk, 10)
    path = store(talk.capture.pcap())
    some = Between(15, 16, GAP)
    clients.check(path, {"get": some, "incr": some, "set": some}, requests=48,
                  replies=Between(45, 48, GAP), unanswered=Between(0, 3, GAP),
                  unmatched=Between(0, 3, GAP), undecoded=Between(0, len(ANSWERS), GAP), odd=True)
    right_pairs(bustap.dump(path))


@pytest.mark.parametrize("cut", [1, 4, 10, 14, 20, 41, 50], ids=lambda n: f"{n} bytes")
def test_gap_among_requests(store, cut):
    """The first bytes of a request, or whole requests, are missing; their replies are there."""
    talk = exchanges(Dialogue(), 5)
    talk.lose("client", THREE[:cut]).ask(THREE[cut:]).answer(ANSWERS).wait(1)
    exchanges(talk, 10)
    path = store(talk.capture.pcap())
    some = Between(15, 16, GAP)
    clients.check(path, {"get": some, "incr": some, "set": some}, requests=Between(45, 48, GAP),
                  replies=Between(45, 48, GAP), unanswered=Between(0, 3, GAP),
                  unmatched=Between(0, 3, GAP), undecoded=Between(0, len(THREE), GAP), odd=True)
    right_pairs(bustap.dump(path))


def test_gap_on_both_sides(store):
    """A second of the capture is missing: the exchanges in it are gone, and the next one, whose
    reply may be that of a missing request before it; the others are there."""
    talk = exchanges(Dialogue(), 5)
    talk.lose("client", command("GET", "k") * 100).lose("server", bulk("v") * 100).wait(1)
    exchanges(talk, 10)
    path = store(talk.capture.pcap())
    clients.check(path, {"get": 14, "incr": 15, "set": 15}, requests=45, replies=44,
                  unanswered=1, unmatched=Between(0, 1, GAP), undecoded=Between(0, 40, GAP), odd=True)
    right_pairs(bustap.dump(path))


def test_the_same_packets_twice(store):
    """`-i any` sees a forwarded packet twice; each request is counted once."""
    talk = exchanges(Dialogue(), 5)
    once = [(time, wire.sll2(p)) for time, p in talk.capture.packets]
    copies = [(time + 5, wire.sll2(p, interface=3, direction=4))
              for time, p in talk.capture.packets]
    twice = sorted(once + copies, key=lambda frame: frame[0])
    clients.check(store(wire.pcap(twice, wire.SLL2)), {"get": 5, "incr": 5, "set": 5})

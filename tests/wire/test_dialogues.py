"""Dialogues as they must be read, event by event: requests and replies, migrations, replication.

They were written from what the servers document and their sources say, without a look at the
decoder; what test_resp.py asks of reports is not asked again. Where something is left open a comment
says what servers do. A line of what is expected is

    get bulk-string            the reply to GET, and its type; also the error's word, and "blocking"
    silent …, unanswered … why, unmatched type or error
    push kind, moved slot target command, link step, streamed command, anomaly name
"""

import pytest

from lib import bustap
from lib.resp import (HELLO3, NIL, NIL_ARRAY, OK, PONG, QUEUED, Dialogue, array, attribute, command,
                      double, error, integer, null, push, simple, slot)

H = ("HELLO 3", HELLO3)
ID = "a" * 40


def words(*found):
    return " ".join(word for word in found if word)


TOLD = {
    "reply": lambda e: words(e["command"] or "unknown", e["type"], e["error"],
                             "blocking" if e["blocking"] else ""),
    "silent": lambda e: words("silent", e["command"] or "unknown"),
    "unanswered": lambda e: words("unanswered", e["command"] or "unknown", e["why"]),
    "unmatched": lambda e: words("unmatched", e["error"] or e["type"]),
    "push": lambda e: words("push", e["kind"]),
    "redirect": lambda e: words(e["kind"], str(e["slot"]), e["target"], e["command"]),
    "replication": lambda e: words("link", e["what"]),
    "replicated": lambda e: words("streamed", e["command"] or "unknown"),
    "anomaly": lambda e: words("anomaly", e["name"]),
}

DIALOGUES = [
    ("attribute before an error",
     Dialogue().trades(*H, "GET k", attribute("a", 1) + error("OOM no"), "PING", PONG),
     ["hello map", "get error OOM", "ping simple-string"]),
    ("attribute before a push",
     Dialogue().trades(*H, "CLIENT TRACKING ON", OK)
         .answer(attribute("a", 1) + push("invalidate", array("k"))).trades("PING", PONG),
     ["hello map", "client|tracking simple-string", "push invalidate", "ping simple-string"]),
    ("unknown push kind",
     Dialogue().trades(*H).ask("GET k").answer(push("whatever", 1), "v"),
     ["hello map", "push other", "get bulk-string"]),
    ("pushes between the replies of a pipeline",
     Dialogue().trades(*H).ask("PING", "PING").answer(PONG, push("invalidate", null()), PONG),
     ["hello map", "ping simple-string", "push invalidate", "ping simple-string"]),
    ("old nan spellings",
     Dialogue().trades(*H, "ZSCORE z m", double("-nan"), "ZSCORE z m", double("nan(0x7)"), "PING",
                       PONG),
     ["hello map", "zscore double", "zscore double", "ping simple-string"]),
    ("NOPROTO keeps RESP2",
     Dialogue().trades("HELLO 4", error("NOPROTO unsupported protocol version"), "SUBSCRIBE a",
                       array("subscribe", "a", 1)).answer(array("message", "a", "x")),
     ["hello error NOPROTO", "subscribe array", "push message"]),
    ("POST is dropped silently",
     Dialogue().trades("PING", PONG).ask(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").close("server"),
     ["ping simple-string", "silent post", "silent host:"]),
    ("inline and RESP in one pipeline",
     Dialogue().ask(b"PING\r\n" + command("GET", "k") + b"ECHO 'a b'\r\n" + command("INCR", "n"))
         .answer(PONG, "v", "a b", 1),
     ["ping simple-string", "get bulk-string", "echo bulk-string", "incr integer"]),
    ("protocol error behind a pipeline",
     Dialogue().ask(command("PING") + command("GET", "k") + b"*1\r\n:1\r\n" + command("GET", "k"))
         .answer(PONG, "v", error("ERR Protocol error: expected '$', got ':'")).close("server"),
     ["anomaly resp-step", "ping simple-string", "get bulk-string", "unmatched ERR"]),
    ("UNSUBSCRIBE all while patterns remain",
     Dialogue().ask("SUBSCRIBE a b", "PSUBSCRIBE p*")
         .answer(array("subscribe", "a", 1), array("subscribe", "b", 2),
                 array("psubscribe", "p*", 3)).ask("UNSUBSCRIBE", "PING")
         .answer(array("unsubscribe", "a", 2), array("unsubscribe", "b", 1), array("pong", ""))
         .answer(array("pmessage", "p*", "ch", "x")),
     ["subscribe array", "psubscribe array", "unsubscribe array", "ping array", "push pmessage"]),
    ("UNSUBSCRIBE, no channel but patterns",
     Dialogue().trades("PSUBSCRIBE p", array("psubscribe", "p", 1), "UNSUBSCRIBE",
                       array("unsubscribe", NIL, 1), "PING", array("pong", "")),
     ["psubscribe array", "unsubscribe array", "ping array"]),
    ("redirected invalidations in RESP2",
     Dialogue().trades("SUBSCRIBE __redis__:invalidate",
                       array("subscribe", "__redis__:invalidate", 1))
         .answer(array("message", "__redis__:invalidate", array("k1", "k2")))
         .answer(array("message", "__redis__:invalidate", NIL_ARRAY))
         .trades("PING", array("pong", "")),
     ["subscribe array", "push message", "push message", "ping array"]),
    ("subscribe to the same twice in one",
     Dialogue().ask("SUBSCRIBE a a", "PING")
         .answer(array("subscribe", "a", 1), array("subscribe", "a", 1), array("pong", "")),
     ["subscribe array", "ping array"]),
    ("QUIT while subscribed",
     Dialogue().trades("SUBSCRIBE a", array("subscribe", "a", 1), "QUIT", OK).close("server"),
     ["subscribe array", "quit simple-string"]),
    ("MULTI in MULTI",
     Dialogue().trades("MULTI", OK, "MULTI", error("ERR MULTI calls can not be nested"),
                       "SET k v", QUEUED, "EXEC", array(OK)),
     ["multi simple-string", "multi error ERR", "set simple-string", "exec array"]),
    ("WATCH in MULTI",
     Dialogue().trades("MULTI", OK, "WATCH k", error("ERR WATCH inside MULTI is not allowed"),
                       "EXEC", array()),
     ["multi simple-string", "watch error ERR", "exec array"]),
    ("MOVED at EXEC",
     Dialogue().trades("MULTI", OK, "SET k v", QUEUED, "EXEC", error("MOVED 7629 10.0.0.2:6379")),
     ["multi simple-string", "set simple-string", "exec error MOVED",
      "moved 7629 10.0.0.2:6379 exec"]),
    ("ASK when queued, then aborted",
     Dialogue().trades("MULTI", OK, "GET k", error("ASK 7629 10.0.0.2:6379"), "EXEC",
                       error("EXECABORT Transaction discarded because of previous errors."),
                       "PING", PONG),
     ["multi simple-string", "get error ASK", "ask 7629 10.0.0.2:6379 get",
      "exec error EXECABORT", "ping simple-string"]),
    ("DISCARD alone",
     Dialogue().trades("DISCARD", error("ERR DISCARD without MULTI")),
     ["discard error ERR"]),
    ("BLPOP in MULTI",
     Dialogue().trades("MULTI", OK, "BLPOP k 0", QUEUED, "EXEC", array(NIL_ARRAY)),
     ["multi simple-string", "blpop simple-string blocking", "exec array"]),
    ("errors inside EXEC",
     Dialogue().trades("MULTI", OK, "INCR k", QUEUED, "SET a b", QUEUED, "EXEC",
                       array(error("WRONGTYPE x"), OK)),
     ["multi simple-string", "incr simple-string", "set simple-string", "exec array"]),
    ("transaction while replies are off",
     Dialogue().ask("CLIENT REPLY OFF", "MULTI", "SET k v", "EXEC", "CLIENT REPLY ON", "GET k")
         .answer(OK, "v"),
     ["silent client|reply", "silent multi", "silent set", "silent exec",
      "client|reply simple-string", "get bulk-string"]),
    ("SKIP before MULTI",
     Dialogue().ask("CLIENT REPLY SKIP", "MULTI", "SET k v", "EXEC").answer(QUEUED, array(OK)),
     ["silent client|reply", "silent multi", "set simple-string", "exec array"]),
    ("XREAD without BLOCK does not block",
     Dialogue().trades("XREAD COUNT 1 STREAMS s 0", NIL_ARRAY),
     ["xread null"]),
    ("XREAD BLOCK",
     Dialogue().trades("XREAD COUNT 1 BLOCK 5 STREAMS s 0", NIL_ARRAY),
     ["xread null blocking"]),
    ("a pipeline behind BLPOP",
     Dialogue().ask("BLPOP a 1", "GET k", "PING").wait(1).answer(NIL_ARRAY, "v", PONG),
     ["blpop null blocking", "get bulk-string", "ping simple-string"]),
    ("SHUTDOWN refused",
     Dialogue().trades("SHUTDOWN SAVE", error("ERR Errors trying to SHUTDOWN. Check logs."),
                       "PING", PONG),
     ["shutdown error ERR", "ping simple-string"]),
    ("SHUTDOWN ABORT",
     Dialogue().trades("SHUTDOWN ABORT", OK, "PING", PONG),
     ["shutdown simple-string", "ping simple-string"]),
    ("QUIT in a pipeline: what follows is not answered",
     Dialogue().ask("GET k", "QUIT", "GET k").answer("v", OK).close("server"),
     ["get bulk-string", "quit simple-string", "unanswered get closed"]),
    ("CLIENT KILL of itself",
     Dialogue().trades("CLIENT KILL ID 4", integer(1)).close("server"),
     ["client|kill integer"]),
    ("RESET in RESP3 while subscribed",
     Dialogue().trades(*H, "SUBSCRIBE a", push("subscribe", "a", 1), "RESET", simple("RESET"),
                       "SUBSCRIBE b", array("subscribe", "b", 1))
         .answer(array("message", "b", "x")),
     ["hello map", "subscribe push", "reset simple-string", "subscribe array", "push message"]),
    ("RESET ends replies off",
     Dialogue().ask("CLIENT REPLY OFF", "GET k", "RESET", "GET k").answer(simple("RESET"), "v"),
     ["silent client|reply", "silent get", "reset simple-string", "get bulk-string"]),
    ("max clients, while the client has asked already",
     Dialogue().ask("PING").answer(error("ERR max number of clients reached")).close("server"),
     ["unmatched ERR", "unanswered ping closed"]),
    ("protected mode",
     Dialogue().answer(error("DENIED Redis is running in protected mode because")).close("server"),
     ["unmatched DENIED"]),
    ("MONITOR lines in pieces, replies between",
     Dialogue(mss=9).trades("MONITOR", OK)
         .answer(simple('1700000000.123456 [0 10.0.9.2:40000] "SET" "k" "v"')).ask("PING")
         .answer(simple('1700000000.123457 [0 lua] "GET" "k"'), PONG),
     ["monitor simple-string", "push monitor", "push monitor", "ping simple-string"]),
    ("a status that looks like MONITOR without MONITOR",
     Dialogue().trades("GET k", simple('1700000000.123456 [0 x] "A"'), "PING", PONG),
     ["get simple-string", "ping simple-string"]),
    ("unknown command, renamed one",
     Dialogue().trades("FOO a",
                       error("ERR unknown command 'FOO', with args beginning with: 'a' "),
                       "CONFIG-9f GET x", array("x", "y"), "PING", PONG),
     ["unknown error ERR", "unknown array", "ping simple-string"]),
    ("REDIRECT of a standalone replica",
     Dialogue().trades("CLIENT CAPA redirect", OK, "GET k", error("REDIRECT 10.0.0.3:6379")),
     ["client|capa simple-string", "get error REDIRECT"]),
    ("empty host, host name, ?, bare v6",
     Dialogue().trades("GET k", error("MOVED 3999 :6379"), "GET k",
                       error("ASK 3999 a-b.example:7000"), "GET k", error("MOVED 3999 ?:6379"),
                       "GET k", error("MOVED 3999 2001:db8::5:6379")),
     ["get error MOVED", "moved 3999 :6379 get", "get error ASK", "ask 3999 a-b.example:7000 get",
      "get error MOVED", "moved 3999 ?:6379 get", "get error MOVED",
      "moved 3999 [2001:db8::5]:6379 get"]),
    ("NOKEY is a status",
     Dialogue().trades("MIGRATE h 1 k 0 5", simple("NOKEY")),
     ["migrate simple-string"]),
    ("migrate: bulk error of target",
     Dialogue().trades("MIGRATE h 1 k 0 5",
                       error("IOERR error or timeout reading to target instance")),
     ["migrate error IOERR"]),
    ("ASKING is answered",
     Dialogue().ask("ASKING", "GET k").answer(OK, error("TRYAGAIN Multiple keys request")),
     ["asking simple-string", "get error TRYAGAIN"]),
    ("FAILOVER PSYNC",
     Dialogue().trades("REPLCONF listening-port 6379", OK, "PSYNC " + ID + " 7 FAILOVER",
                       simple("CONTINUE")).answer(command("PING")).ask("REPLCONF ACK 20"),
     ["replconf simple-string", "link psync", "psync simple-string", "link continue",
      "streamed ping", "link ack", "silent replconf"]),
    ("PSYNC refused, SYNC then",
     Dialogue().trades("PSYNC ? -1", error("ERR unknown command 'PSYNC'")).ask("SYNC")
         .answer(b"$4\r\nRDB!").answer(command("PING")),
     ["link psync", "psync error ERR", "silent sync", "link rdb", "link stream",
      "streamed ping"]),
    ("PSYNC while loading, again",
     Dialogue().trades("PSYNC ? -1", error("LOADING Redis is loading the dataset in memory"),
                       "PING", PONG, "PSYNC ? -1", simple("FULLRESYNC " + ID + " 10")),
     ["link psync", "psync error LOADING", "ping simple-string", "link psync",
      "psync simple-string", "link fullresync"]),
    ("newlines before the answer to PSYNC and the payload",
     Dialogue().ask("PSYNC ? -1").answer(b"\n").wait(1).answer(b"\n")
         .answer(simple("FULLRESYNC " + ID + " 10")).answer(b"\n\n")
         .answer(b"$EOF:" + b"m" * 40 + b"\r\nREDIS0011...." + b"m" * 40).answer(command("PING")),
     ["link psync", "psync simple-string", "link fullresync", "link rdb", "link stream",
      "streamed ping"]),
    ("GETACK from the primary, ACK with FACK",
     Dialogue().trades("PSYNC ? -1", simple("FULLRESYNC " + ID + " 10"))
         .answer(b"$3\r\nRDB", command("REPLCONF", "GETACK", "*")).ask("REPLCONF ACK 47 FACK 40"),
     ["link psync", "psync simple-string", "link fullresync", "link rdb", "link stream",
      "streamed replconf", "link ack", "silent replconf"]),
    ("Valkey dual channel: main",
     Dialogue().trades("PSYNC ? -1", simple("DUALCHANNELSYNC"), "REPLCONF set-rdb-client-id 7",
                       OK, "PSYNC " + ID + " 101", simple("CONTINUE")).answer(command("PING")),
     ["link psync", "psync simple-string", "link rdb-channel", "replconf simple-string",
      "link psync", "psync simple-string", "link continue", "streamed ping"]),
    ("Valkey dual channel: rdb",
     Dialogue().trades("REPLCONF capa eof rdb-only 1 rdb-channel 1 listening-port 6379", OK)
         .ask("SYNC").answer(b"$ENDOFF:100 " + b"a" * 40 + b" 0 7\r\n")
         .answer(b"$EOF:" + b"m" * 40 + b"\r\nREDIS" + b"m" * 40),
     ["replconf simple-string", "silent sync", "link fullresync", "link rdb", "link stream"]),
    ("Redis 8 rdb channel: main",
     Dialogue().trades("REPLCONF capa eof capa rdb-channel-repl", OK, "PSYNC ? -1",
                       simple("RDBCHANNELSYNC 7")).answer(command("PING")),
     ["replconf simple-string", "link psync", "psync simple-string", "link rdb-channel",
      "streamed ping"]),
    ("Valkey slot migration with auth",
     Dialogue().ask("AUTH u p",
                    f"CLUSTER SYNCSLOTS ESTABLISH SOURCE {ID} NAME {ID} SLOTSRANGE 0 9")
         .answer(OK, OK).ask("SET k v").answer(command("CLUSTER", "SYNCSLOTS", "ACK")),
     ["auth simple-string", "cluster|syncslots simple-string", "link migration", "streamed set",
      "streamed cluster|syncslots"]),
    ("slot migration: FAIL",
     Dialogue().trades("CLUSTER SYNCSLOTS SYNC t 0 9", error("ERR no")).trades("PING", PONG),
     ["cluster|syncslots error ERR", "ping simple-string"]),
    ("MIGRATE connection: login refused, keys taken",
     Dialogue().ask("AUTH u p", "SELECT 0", "RESTORE-ASKING k 0 x")
         .answer(error("WRONGPASS invalid"), OK, OK),
     ["auth error WRONGPASS", "select simple-string", "restore-asking simple-string"]),
    ("empty requests between",
     Dialogue().ask(b"*0\r\n" + command("GET", "k") + b"*-1\r\n\r\n" + command("PING"))
         .answer("v", PONG),
     ["get bulk-string", "ping simple-string"]),
    ("SSUBSCRIBE moved",
     Dialogue().trades("SSUBSCRIBE ch", error("MOVED 15495 10.0.0.2:6379")),
     ["ssubscribe error MOVED", "moved 15495 10.0.0.2:6379 ssubscribe"]),
    ("CLIENT REPLY with wrong word",
     Dialogue().trades("CLIENT REPLY",
                       error("ERR wrong number of arguments for 'client|reply' command"), "PING",
                       PONG),
     ["client|reply error ERR", "ping simple-string"]),
    ("SUBSCRIBE without channel",
     Dialogue().trades("SUBSCRIBE",
                       error("ERR wrong number of arguments for 'subscribe' command"), "PING",
                       PONG),
     ["subscribe error ERR", "ping simple-string"]),
    ("MULTI, SUBSCRIBE queued, RESP3",
     Dialogue().trades(*H, "MULTI", OK, "SUBSCRIBE a", QUEUED).ask("EXEC")
         .answer(push("subscribe", "a", 1), array()),
     ["hello map", "multi simple-string", "subscribe simple-string", "push subscribe",
      "exec array"]),
    ("MULTI, SUBSCRIBE queued, RESP2",
     Dialogue().trades("MULTI", OK, "SUBSCRIBE a", QUEUED).ask("EXEC")
         .answer(b"*1\r\n" + array("subscribe", "a", 1)).answer(array("message", "a", "x")),
     ["multi simple-string", "subscribe simple-string", "exec array", "push message"]),
    ("MULTI, SUBSCRIBE of two queued, RESP2",
     Dialogue().trades("MULTI", OK, "SUBSCRIBE a b", QUEUED).ask("EXEC")
         .answer(b"*1\r\n" + array("subscribe", "a", 1) + array("subscribe", "b", 2))
         .answer(array("message", "a", "x")).trades("PING", array("pong", "")),
     ["multi simple-string", "subscribe simple-string", "exec array", "push subscribe",
      "push message", "ping array"]),
    ("MULTI, SUBSCRIBE of two queued, RESP3",
     Dialogue().trades(*H, "MULTI", OK, "SUBSCRIBE a b", QUEUED).ask("EXEC")
         .answer(b"*1\r\n" + push("subscribe", "a", 1) + push("subscribe", "b", 2))
         .answer(push("message", "a", "x")).trades("PING", PONG),
     ["hello map", "multi simple-string", "subscribe simple-string", "exec array",
      "push subscribe", "push message", "ping simple-string"]),
    ("EVAL with a table of errors",
     Dialogue().trades("EVAL x 0", array(error("ERR a"), error("MYERR b"))),
     ["eval array"]),
    ("big pipeline across HELLO",
     Dialogue().ask("GET a", "HELLO 3", "GET b").answer(NIL, HELLO3, null()),
     ["get null", "hello map", "get null"]),
    ("HELLO refused: NOAUTH",
     Dialogue().trades("HELLO 3",
                       error("NOAUTH HELLO must be called with the client already authenticated"),
                       "AUTH p", OK),
     ["hello error NOAUTH", "auth simple-string"]),
    ("WAIT times out",
     Dialogue().ask("SET k v", "WAIT 1 100").answer(OK).wait(.1).answer(integer(0)),
     ["set simple-string", "wait integer blocking"]),
    ("DEBUG SEGFAULT",
     Dialogue().ask("DEBUG SEGFAULT").close("server"),
     ["unanswered debug closed"]),
]


@pytest.mark.parametrize("name, talk, expected", DIALOGUES, ids=[name for name, *_ in DIALOGUES])
def test_dialogue(store, name, talk, expected):
    events = bustap.dump(store(talk.capture.pcap()))
    assert [TOLD[e["event"]](e) for e in events if e["event"] in TOLD] == expected


# The key that decides, None where there is none. An empty key argument of MIGRATE is the key "" if
# no KEYS follows; DEBUG OBJECT names a key, but servers do not look at it to route the request.
KEYS = [
    ("EVAL x 1 {a}k v", "{a}k"), ("EVAL x 0 k", None), ("EVAL x 2 k", None), ("EVAL x -1 k", None),
    ("EVALSHA_RO abc 2 {b}1 {b}2", "{b}1"), ("FCALL f 1 kk", "kk"), ("FCALL_RO f 1 kk", "kk"),
    ("XREAD COUNT 2 BLOCK 5 STREAMS {s}a {s}b 0 0", "{s}a"),
    ("XREADGROUP GROUP streams c COUNT 1 NOACK STREAMS s >", "s"), ("XREAD STREAMS a", None),
    ("SORT k BY w_* GET # STORE dst", "k"), ("SORT_RO k", "k"),
    ("GEORADIUS g 1 2 3 m STORE dst", "g"), ("GEORADIUSBYMEMBER_RO g m 3 m", "g"),
    ("OBJECT FREQ k", "k"), ("OBJECT HELP", None), ("MEMORY USAGE k SAMPLES 5", "k"),
    ("MEMORY DOCTOR", None), ("DEBUG SLEEP 1", None), ("PFDEBUG ENCODING k", "k"),
    ("XINFO GROUPS k", "k"), ("XGROUP CREATECONSUMER k g c", "k"),
    ("ZUNIONSTORE dst 2 {dst}a {dst}b", "dst"), ("ZINTERCARD 2 a b LIMIT 5", "a"),
    ("LMPOP 1 k LEFT", "k"), ("BLMPOP 0 1 k LEFT", "k"), ("BZMPOP 0 1 k MIN", "k"),
    ("SINTERCARD 1 k", "k"), ("LCS a b", "a"), ("COPY a b", "a"), ("SMOVE a b m", "a"),
    ("GEOSEARCHSTORE d s FROMMEMBER m", "d"), ("ZRANGESTORE d s 0 1", "d"), ("BITOP NOT d s", "d"),
    ("BRPOP a b 0", "a"), ("WATCH a b", "a"), ("RESTORE-ASKING k 0 p", "k"), ("SPUBLISH c m", "c"),
    ("SSUBSCRIBE c d", "c"), ("PUBLISH c m", None), ("SUBSCRIBE c", None), ("GET {}x", "{}x"),
    ("GET x{", "x{"), ("GET {a}{b}", "{a}{b}"), ("GET {{a}}", "{{a}}"), ("GET a{b}", "a{b}"),
    ("MIGRATE h 1 k 0 5 COPY REPLACE AUTH pw", "k"),
    (["MIGRATE", "h", "1", "", "0", "5", "AUTH", "KEYS", "KEYS", "{z}1", "{z}2"], "{z}1"),
    (["MIGRATE", "h", "1", "", "0", "5", "AUTH2", "u", "KEYS", "KEYS", "{y}1"], "{y}1"),
    (["MIGRATE", "h", "1", "", "0", "5"], ""), ("HEXPIRE k 5 FIELDS 1 f", "k"),
    ("MSETEX 1 k v", "k"), ("XACKDEL k g IDS 1 1-0", "k"), ("CLUSTER KEYSLOT k", None),
    ("STRALGO LCS KEYS a b", "a"), ("ZMPOP 1 z MIN", "z"), ("ZDIFFSTORE d 1 {d}a", "d"),
    ("SUNION a b", "a"), ("MSET a 1 b 2", "a"), ("PFMERGE d s", "d"), ("LMOVE a b LEFT LEFT", "a"),
    ("EXISTS a b", "a"), ("CLUSTER GETKEYSINSLOT 5 10", None), ("DELIFEQ k v", "k"),
    ("JSON.SET k $ 1", "k"), ("FT.SEARCH i q", None), ("TS.MADD k 1 1 l 2 2", "k"),
    ("TS.ADD k 1 1", "k"), ("BF.ADD k x", "k"),
]


def name_of(value):
    return value if isinstance(value, str) else " ".join(value or ["none"])


@pytest.mark.parametrize("request_, key", KEYS, ids=name_of)
def test_slot(store, request_, key):
    events = bustap.dump(store(Dialogue().trade(request_, OK).capture.pcap()))
    (event,) = bustap.named(events, "request")
    assert event["slot"] == (None if key is None else slot(key))


INLINE = [(b'SET "k\\x30" v\r\n', "k0"), (b"SET 'it\\'s' v\r\n", "it's"), (b'GET "a b"\r\n', "a b"),
          (b"\r\nget  k0 \n", "k0"), (b'GET "\\n"\r\n', "\n")]


@pytest.mark.parametrize("line, key", INLINE, ids=repr)
def test_slot_of_a_line(store, line, key):
    """Quotes and escapes are undone before the key is looked at."""
    talk = Dialogue().trades("PING", PONG, line, OK)
    _, event = bustap.named(bustap.dump(store(talk.capture.pcap())), "request")
    assert event["slot"] == slot(key)

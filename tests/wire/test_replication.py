"""Connections on which requests are not answered: replicas, MIGRATE's, slot migrations (D, E).

PSYNC and what leads to it are requests of a client, and so is every REPLCONF ACK: INFO commandstats
of the primary counts them (checked against real servers: 21 REPLCONF in the books of a primary,
three of them in two handshakes, 18 of them ACKs). What the primary then sends is a stream of
commands in the direction of the replies; none of them is anybody's request.
"""

import pytest

from lib import bustap, clients
from lib.clients import Between
from lib.resp import OK, PONG, Dialogue, array, bulk, command, error, inline, simple

PRIMARY, REPLICA = ("10.0.0.1", 6379), ("10.0.0.2", 43210)
ID, OTHER_ID, MARK = "8f097806027fc37fda062a8b81bc0dcdbe23d087", "b" * 40, b"m" * 20 + b"k" * 20
LF = b"\n"
# a snapshot with everything in it that could be taken for something else
RDB = (b"REDIS0011\xfa\tredis-ver\x057.2.5" + command("FLUSHALL") + b"-ERR no\r\n" + b"+OK\r\n"
       + MARK[:-1] + b"\r\n$5\r\n" + bytes(range(256)) * 20 + b"\xff12345678")
STREAM = [command("SELECT", "0"), command("SET", "k", "v"), command("PING"), command("MULTI"),
          command("INCR", "n"), command("EXEC"), command("DEL", "k")]
FULL = simple(f"FULLRESYNC {ID} 100")
ACKS = "an ACK is a request without an answer: it may be among the requests or not"


def replica(**more):
    """A replica that has said what it can do and not yet asked for anything."""
    return Dialogue(client=REPLICA, server=PRIMARY, **more).trades(
        "PING", PONG, "REPLCONF listening-port 6379", OK, "REPLCONF capa eof capa psync2", OK)


HANDSHAKE = {"ping": 1, "replconf": 2, "psync": 1}


def ack(talk, *offsets):
    for offset in offsets:
        talk.wait(1).ask(f"REPLCONF ACK {offset}")
    return talk


def check(store, talk, commands, acks=0, answered=None):
    """The handshake was answered, ACKs count as commands, the stream does not; nothing is left
    over. Returns the events."""
    path = store(talk.capture.pcap())
    answered = sum(commands.values()) if answered is None else answered
    if acks:
        commands = {**commands, "replconf": commands.get("replconf", 0) + acks}
    clients.check(path, commands, requests=Between(answered, answered + acks, ACKS),
                  replies=answered)
    events = bustap.dump(path)
    assert bustap.named(events, "replication"), "nothing is told of the replication"
    assert not [c for c in clients.asked(events) if c in ("set", "incr", "del", "flushall")]
    return events


# ------------------------------------------------------------------------------- full resync

@pytest.mark.parametrize("mss", [16000, 1448, 17, 1])
@pytest.mark.parametrize("form", ["by length", "by mark"])
def test_full_resync(store, form, mss):
    """The snapshot with its length or between two marks, without a line end behind it, then the
    stream; whatever stands in it, and however it is cut."""
    snapshot = b"$%d\r\n" % len(RDB) + RDB if form == "by length" else \
        b"$EOF:" + MARK + b"\r\n" + RDB + MARK
    talk = replica(mss=mss).trade(f"PSYNC {OTHER_ID} 1", FULL).answer(snapshot)
    ack(talk, 100).answer(*STREAM)
    check(store, ack(talk, 150, 250), HANDSHAKE, acks=3)


@pytest.mark.parametrize("request_", ["PSYNC ? -1", "psync ? -1", inline("PSYNC ? -1"),
                                      f"PSYNC {ID} 101 FAILOVER"], ids=str)
def test_forms_of_psync(store, request_):
    """In any case, inline, and the form of the FAILOVER command."""
    talk = replica().trade(request_, FULL).answer(b"$%d\r\n" % len(RDB) + RDB, *STREAM)
    check(store, ack(talk, 100), HANDSHAKE, acks=1)


def test_sync(store):
    """The old command has no status line: the snapshot is its answer."""
    talk = Dialogue(client=REPLICA, server=PRIMARY).trade("PING", PONG)
    talk.ask("SYNC").wait(5).answer(b"$%d\r\n" % len(RDB) + RDB).answer(*STREAM)
    path = store(talk.capture.pcap())
    snapshot = "the snapshot may be seen as the reply to SYNC or as none"
    clients.check(path, {"ping": 1, "sync": 1}, replies=Between(1, 2, snapshot))
    assert bustap.named(bustap.dump(path), "replication")


def test_keep_alives(store):
    """Lone line feeds: before the answer to PSYNC, before the snapshot, and from the replica while
    it loads."""
    talk = replica().ask("PSYNC ? -1")
    talk.answer(LF).wait(1).answer(LF).answer(FULL).wait(1).answer(LF).wait(1).answer(LF)
    talk.answer(b"$EOF:" + MARK + b"\r\n" + RDB + MARK).ask(LF).wait(1).ask(LF)
    ack(talk, 100).answer(*STREAM)
    check(store, ack(talk, 200), HANDSHAKE, acks=2)


def test_empty_snapshot_and_stream_in_one_segment(store):
    """Status line, snapshot and the first commands arrive together."""
    talk = replica().trade("PSYNC ? -1", FULL + b"$10\r\nREDIS0011\xff" + b"".join(STREAM))
    check(store, ack(talk, 200), HANDSHAKE, acks=1)


# ------------------------------------------------------------------------------- partial resync

@pytest.mark.parametrize("answer", ["CONTINUE", f"CONTINUE {ID}"])
def test_partial_resync(store, answer):
    """The stream goes on right behind the status line."""
    talk = replica().ask(f"PSYNC {ID} 101").answer(simple(answer) + b"".join(STREAM[1:]))
    check(store, ack(talk, 200, 300), HANDSHAKE, acks=2)


@pytest.mark.parametrize("text", ["NOMASTERLINK Can't SYNC while not connected with my master",
                                  "LOADING Redis is loading the dataset in memory"])
def test_refused_psync(store, text):
    """The replica tries again on the same connection: an ordinary error until it is accepted."""
    talk = replica().trade("PSYNC ? -1", error(text)).wait(1)
    talk.trade("PSYNC ? -1", FULL).answer(b"$EOF:" + MARK + b"\r\n" + RDB + MARK)
    path = store(ack(talk, 100).capture.pcap())
    clients.check(path, {"ping": 1, "replconf": 3, "psync": 2}, errors={text.split()[0]: 1},
                  requests=Between(5, 6, ACKS), replies=5)


def test_refused_for_good(counted):
    """After a refusal the connection is a client's like any other."""
    talk = replica().trades("PSYNC ? -1", error("ERR no"), "GET k", "v")
    counted(talk, {**HANDSHAKE, "get": 1}, errors={"ERR": 1})


def test_getack(store):
    """The primary asks within its stream, the replica answers with an ACK."""
    talk = replica().trade(f"PSYNC {ID} 101", simple("CONTINUE"))
    for offset in (138, 175):
        talk.answer(command("REPLCONF", "GETACK", "*")).ask(f"REPLCONF ACK {offset}")
    ack(talk, 175).ask("REPLCONF ACK 175 FACK 150")
    check(store, talk, HANDSHAKE, acks=4)


def test_error_text_in_the_stream(store):
    """What the stream holds are values: they are no errors and no redirects."""
    talk = replica().trade(f"PSYNC {ID} 101", simple("CONTINUE"))
    talk.answer(command("SET", "k", "-MOVED 1 10.0.0.2:6379\r\n-ERR no\r\n")).answer(*STREAM)
    events = check(store, ack(talk, 300), HANDSHAKE, acks=1)
    assert not clients.redirects(events)


def test_gap_in_the_snapshot(store):
    """A megabyte of a snapshot by length was not captured: the stream behind it is found."""
    talk = replica().trade("PSYNC ? -1", FULL)
    talk.answer(b"$%d\r\n" % (len(RDB) + 1_000_000)).lose("server", bytes(1_000_000)).answer(RDB)
    check(store, ack(talk.answer(*STREAM), 200), HANDSHAKE, acks=1)


def test_joined_in_the_stream(store):
    """The capture starts on an old replica link: commands one way, ACKs the other, no handshake.
    None of it is a request that waits for its reply, and no reply either."""
    talk = Dialogue(client=REPLICA, server=PRIMARY, joined=True)
    for offset in range(1000, 1010):
        ack(talk.answer(command("SET", "k", "v"), command("PING")), offset)
    report = bustap.analyze(store(talk.capture.pcap()))["clients"]
    found = clients.counts(report)
    assert found["unanswered"] == found["unmatched"] == found["undecoded"] == 0
    assert not set(found["commands"]) - {"replconf"} and found["replies"] == 0


def test_clients_beside_a_replica(store):
    """The same server serves both; the clients' books are not touched by the stream."""
    talk = replica().trade(f"PSYNC {ID} 101", simple("CONTINUE"))
    client = talk.another(50009)
    for _ in range(5):
        client.trade("SET k v", OK)
        talk.answer(command("SET", "k", "v"))
    path = store(ack(talk, 400).capture.pcap())
    clients.check(path, {"ping": 1, "replconf": 3, "psync": 1, "set": 5},
                  requests=Between(9, 10, ACKS), replies=9)


# ------------------------------------------------------------------------------- two channels

def test_redis_8_rdb_channel(store):
    """As seen of Redis 8.0.2: +RDBCHANNELSYNC, then the stream on this connection while the
    snapshot travels on another one, which names the client id and asks for a full resync."""
    main = Dialogue(client=REPLICA, server=PRIMARY).trades(
        "PING", PONG, "REPLCONF listening-port 6379", OK,
        "REPLCONF capa eof capa psync2 capa rdb-channel-repl", OK,
        f"PSYNC {OTHER_ID} 1", simple("RDBCHANNELSYNC 6"))
    second = main.another(43211).trades(
        "REPLCONF capa eof rdb-only 1 rdb-channel 1 main-ch-client-id 6 listening-port 6379", OK,
        "PSYNC ? -1", simple(f"FULLRESYNC {ID} 0"))
    ack(main, 0)
    second.answer(b"$EOF:" + MARK + b"\r\n" + RDB + MARK)
    main.answer(*STREAM)
    second.close()
    check(store, ack(main, 0, 129), {"ping": 1, "replconf": 3, "psync": 2}, acks=3)


def test_valkey_dual_channel(store):
    """+DUALCHANNELSYNC, then SYNC on a second connection whose answer is $ENDOFF and a snapshot;
    the first one goes on with a partial resync behind it."""
    main = Dialogue(client=REPLICA, server=PRIMARY).trades(
        "PING", PONG, "REPLCONF listening-port 6379", OK,
        "REPLCONF capa eof capa psync2 capa dual-channel", OK, "REPLCONF version 8.1.1", OK,
        "PSYNC ? -1", simple("DUALCHANNELSYNC"))
    second = main.another(43211).trades(
        "PING", PONG, "REPLCONF capa eof rdb-only 1 rdb-channel 1 listening-port 6379", OK)
    second.ask("SYNC").wait(1).answer(f"$ENDOFF:100 {ID} 0 77\r\n".encode())
    main.trades("REPLCONF set-rdb-client-id 77", OK, f"PSYNC {ID} 101", simple("CONTINUE"))
    second.answer(b"$EOF:" + MARK + b"\r\n" + RDB + MARK)
    main.answer(*STREAM)
    second.close()
    path = store(ack(main, 150).capture.pcap())
    header = "the $ENDOFF line may be seen as the reply to SYNC or as none"
    clients.check(path, {"ping": 2, "replconf": 6, "psync": 2, "sync": 1},
                  requests=Between(10, 11, ACKS), replies=Between(9, 10, header))
    events = bustap.dump(path)
    assert len(bustap.named(events, "replication")) >= 2
    assert "set" not in clients.asked(events)


# ------------------------------------------------------------------------------- slot migrations

PAYLOAD = b"\x00\x02v1\x0a\x00\x5f\xe5\xb0\x5e\xcb\x50\x79\x5b"


def test_migrate(counted):
    """MIGRATE's connection to the target: SELECT and a RESTORE-ASKING for each key in one go, one
    line in return for each. The source's client waits meanwhile."""
    user = Dialogue()
    user.ask(["MIGRATE", "10.0.0.2", "6379", "", "0", "60000", "KEYS", "{m}1", "{m}2"])
    source = Dialogue(user.capture, client=("10.0.0.1", 51000), server=("10.0.0.2", 6379))
    source.ask("SELECT 0", ["RESTORE-ASKING", "{m}1", "0", PAYLOAD.decode("latin-1")],
               ["RESTORE-ASKING", "{m}2", "0", PAYLOAD.decode("latin-1")])
    source.answer(OK, OK, error("BUSYKEY Target key name already exists."))
    user.answer(error("ERR Target instance replied with error: BUSYKEY Target key name already "
                      "exists."))
    events = counted(user, {"migrate": 1, "select": 1, "restore-asking": 2},
                     errors={"BUSYKEY": 1, "ERR": 1})
    assert clients.answered(events) == [("select", None), ("restore-asking", None),
                                        ("restore-asking", "BUSYKEY"), ("migrate", "ERR")]


ESTABLISH = f"CLUSTER SYNCSLOTS ESTABLISH SOURCE {ID} NAME {OTHER_ID} SLOTSRANGE 0 99"


def no_pairing(path, answered):
    """What was answered is, the rest is neither unanswered nor undecoded; commands in the direction
    of the replies are no replies."""
    report = bustap.analyze(path)["clients"]
    found = clients.counts(report)
    wrong = {name: found[name] for name in ("unanswered", "unmatched", "undecoded", "errors")
             if found[name]}
    assert not wrong and found["replies"] == answered, f"{wrong}, {found['replies']} replies"
    return found


def test_valkey_9_slot_migration(store):
    """ESTABLISH is the only SYNCSLOTS that is answered. Then both ends send commands: a snapshot
    and live writes one way, acknowledgements and requests of the target the other."""
    sync = lambda words: command("CLUSTER", "SYNCSLOTS", *words.split())
    talk = Dialogue(client=("10.0.0.1", 51000), server=("10.0.0.2", 6379))
    talk.trades("AUTH primary secret", OK, ESTABLISH, OK)
    talk.ask(command("SELECT", "0"), *[command("SET", f"k{i}", "v") for i in range(50)])
    talk.answer(sync("ACK")).ask(sync("SNAPSHOT-EOF")).answer(sync("REQUEST-PAUSE"))
    talk.ask(command("SET", "k", "v"), sync("PAUSED")).answer(sync("REQUEST-FAILOVER"))
    talk.ask(sync("FAILOVER-GRANTED")).close()
    found = no_pairing(store(talk.capture.pcap()), answered=2)
    assert found["commands"]["auth"] == 1 and found["commands"]["cluster|syncslots"] >= 1


def test_redis_8_slot_migration(store):
    """The destination pulls: +RDBCHANNELSYNCSLOTS on the first connection, on which live writes
    follow; a snapshot of commands behind +SLOTSSNAPSHOT on the second."""
    sync = lambda words: command("CLUSTER", "SYNCSLOTS", *words.split())
    main = Dialogue(client=("10.0.0.2", 51000), server=("10.0.0.1", 6379))
    main.trades(["AUTH", "internal connection", "x" * 40], OK,
                f"CLUSTER SYNCSLOTS CONF NODE-ID {ID}", OK,
                f"CLUSTER SYNCSLOTS SYNC {OTHER_ID} 0 99", simple("RDBCHANNELSYNCSLOTS"))
    second = main.another(51001).trade(["AUTH", "internal connection", "x" * 40], OK)
    second.ask(f"CLUSTER SYNCSLOTS RDBCHANNEL {OTHER_ID}").answer(LF).wait(1).answer(LF)
    second.answer(simple("SLOTSSNAPSHOT"), command("SELECT", "0"), sync("CONF SLOT-INFO 0:1:0"),
                  command("RESTORE", "k", "0", PAYLOAD.decode("latin-1"), "ABSTTL"),
                  sync("SNAPSHOT-EOF"))
    second.close("server")
    main.answer(command("SET", "k", "v")).ask(sync("ACK streaming-buffer 31"))
    main.answer(command("SET", "l", "v"), sync("STREAM-EOF")).ask(sync("ACK wait-stream-eof 93"))
    found = no_pairing(store(main.close().capture.pcap()), answered=5)
    assert found["commands"]["auth"] == 2 and "set" not in found["commands"]


def test_redis_8_snapshot_joined(store):
    """The capture begins within the snapshot, to which nobody says a word: the next slot's
    SLOT-INFO tells what it is. Nothing is taken for a reply, before or after."""
    sync = lambda words: command("CLUSTER", "SYNCSLOTS", *words.split())
    keys = [command("RESTORE", f"k{i}", "0", "x" * 100, "ABSTTL") for i in range(50)]
    talk = Dialogue(joined=True, client=("10.0.0.2", 51001), server=("10.0.0.1", 6379))
    for _ in range(3):
        talk.answer(*keys)
    talk.answer(sync("CONF SLOT-INFO 7:50:0"), *keys, sync("SNAPSHOT-EOF")).close("server")
    events = bustap.dump(store(talk.capture.pcap()))
    (step,) = bustap.named(events, "replication")
    assert (step["what"], step["src"]) == ("migration", "10.0.0.1:6379")
    streamed = [e["command"] for e in bustap.named(events, "replicated")]
    assert streamed == ["cluster|syncslots", *["restore"] * 50, "cluster|syncslots"]
    assert not bustap.named(events, "reply") and not bustap.named(events, "unmatched")


def test_answers_that_look_like_commands(counted):
    """An array of bulk strings is a reply like any other where no stream was agreed on."""
    talk = Dialogue().trades("LRANGE l 0 2", array("SET", "k", "v"), "GET k", bulk("v"),
                             "LRANGE l 0 0", array("PING"))
    counted(talk, {"lrange": 2, "get": 1})

/* test_resp_repl.c - links without replies, event by event: a replica's, from the handshake through
 * the payload to the stream and its offsets, and those that move slots.
 * How lines are read here: tests/lib/dialogue.h.
 *
 * tests/wire/test_replication.py asks what reports make of such links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "decode/command.h"
#include "decode/proto.h"
#include "decode/resp.h"
#include "tests/lib/dialogue.h"
#include "tests/lib/group.h"

#include <stdlib.h>

#define FIELDS "command type error count why kind what name replid offset"
#define ID     "8f097806"
#define MARK   "0123456789abcdefghijklmnopqrstuvwxyzABCD"
#define RDB    "REDIS0011\xff*1\r\n$8\r\nFLUSHALL\r\n-ERR no\r\n" /* 37 bytes */

#define PSYNC          "> PSYNC ? -1"
#define ASKED          "replication what=psync replid=?"
#define ANSWERED       "reply command=psync type=simple-string"
#define FULL           "replication what=fullresync replid=" ID " offset=100"
#define LOADED         "replication what=rdb offset=100", "replication what=stream offset=100"
#define CONTINUED      "replication what=continue offset=100"
#define ACKED(offset)  "replication what=ack offset=" offset, "silent command=replconf"
#define PINGED(offset) "replicated command=ping offset=" offset

/* ---- the handshake, the payload, the stream ---- */

static const struct dialogue links[] = {
    {.name = "a payload by length; then each byte counts",
     .said = {PSYNC, "<| +FULLRESYNC " ID " 100", "<~ $37\r\n" RDB, "< *1 $4 PING",
              "< *1 $4 PING *2 $6 SELECT $1 0 *3 $3 SET $1 k $1 v"},
     .heard = {ASKED, ANSWERED, FULL, LOADED, PINGED("114"), PINGED("128"),
               "replicated command=select offset=151", "replicated command=set offset=178"}},
    {.name = "a payload between marks, and newlines that keep the link alive",
     .said = {PSYNC, "<~ \n", "<~ \n", "<| +FULLRESYNC " ID " 100", "<~ \n", "<~ \n",
              "<~ $EOF:" MARK "\r\n" RDB MARK, ">~ \n", "< *1 $4 PING", ">~ \n"},
     .heard = {ASKED, ANSWERED, FULL, LOADED, PINGED("114")}},
    {.name = "all in one segment, the payload empty",
     .said = {PSYNC, "<~ +FULLRESYNC " ID " 100\r\n$0\r\n*1\r\n$4\r\nPING\r\n"},
     .heard = {ASKED, ANSWERED, FULL, "replication what=rdb offset=100",
               "replication what=stream offset=100", PINGED("114")}},
    {.name = "the mark's beginning within the payload, and before the mark",
     .said = {PSYNC, "<| +FULLRESYNC " ID " 100", "<| $EOF:" MARK,
              "<~ 0123456789abcdefg0123456789abcdefghijklmnopqrstuvwxyzABC0" MARK, "< *1 $4 PING"},
     .heard = {ASKED, ANSWERED, FULL, "replication what=rdb offset=100",
               "replication what=stream offset=100", PINGED("114")}},
    {.name = "SYNC: the payload is the answer",
     .said = {"> SYNC", "<~ \n", "<~ $37\r\n" RDB, "< *1 $4 PING"},
     .heard = {"silent command=sync", "replication what=rdb", "replication what=stream",
               "replicated command=ping"}},
    {.name = "SYNC refused",
     .said = {"> SYNC", "<| -NOMASTERLINK no", "> PING", "< +PONG"},
     .heard = {"reply command=sync type=error error=NOMASTERLINK",
               "reply command=ping type=simple-string"}},
    {.name = "PSYNC refused, then accepted",
     .said = {PSYNC, "<| -LOADING no", PSYNC, "<| +FULLRESYNC " ID " 100", "<~ $37\r\n" RDB},
     .heard = {ASKED, "reply command=psync type=error error=LOADING", ASKED, ANSWERED, FULL,
               LOADED}},
    {.name = "a partial resync goes on with the byte that was asked for",
     .said = {"> PSYNC " ID " 101", "< +CONTINUE *1 $4 PING", "> REPLCONF ACK 114"},
     .heard = {"replication what=psync replid=" ID " offset=101", ANSWERED, CONTINUED,
               PINGED("114"), ACKED("114")}},
    {.name = "a partial resync under another identity",
     .said = {"> PSYNC " ID " 101", "<| +CONTINUE 00abcdef", "< *1 $4 PING"},
     .heard = {"replication what=psync replid=" ID " offset=101", ANSWERED,
               "replication what=continue replid=00abcdef offset=100", PINGED("114")}},
    {.name = "the primary asks for an ACK",
     .said = {"> PSYNC " ID " 101", "< +CONTINUE", "< *3 $8 REPLCONF $6 GETACK $1 *",
              "> REPLCONF ACK 137 FACK 90"},
     .heard = {"replication what=psync replid=" ID " offset=101", ANSWERED, CONTINUED,
               "replicated command=replconf offset=137", ACKED("137")}},
    {.name = "what was asked together with PSYNC is answered before it",
     .said = {"> REPLCONF capa eof capa psync2; PSYNC ? -1", "<~ +OK\r\n+FULLRESYNC " ID " 100\r\n",
              "<~ $37\r\n" RDB},
     .heard = {ASKED, "reply command=replconf type=simple-string", ANSWERED, FULL, LOADED}},
    {.name = "no payload after all",
     .said = {PSYNC, "<| +FULLRESYNC " ID " 100", "<| -ERR cannot", "> PING", "< +PONG"},
     .heard = {ASKED, ANSWERED, FULL, "replication what=refused",
               "reply command=ping type=simple-string"}},
    {.name = "joined in the stream: an ACK tells which end is the replica",
     .said = {"< *1 $4 PING", "> REPLCONF ACK 114", "< *1 $4 PING", "> REPLCONF ACK 128"},
     .heard = {"replication what=stream", ACKED("114"), "replicated command=ping", ACKED("128")},
     .joined = true,
     .uncut = true},
    {.name = "joined within a command of the stream",
     .said = {"< *1 $4 PING", "> REPLCONF ACK 114", "<~ lue\r\n", "< *1 $4 PING"},
     .heard = {"replication what=stream", ACKED("114"), "replicated command=ping"},
     .undecoded = 5,
     .joined = true,
     .uncut = true},
};

/* Runs them with the fields that matter on links. */
static void check_links(const struct dialogue *list, size_t count) {
    struct dialogue *copies = calloc(count, sizeof *copies);
    assert_non_null(copies);
    memcpy(copies, list, count * sizeof *copies);
    for (size_t i = 0; i < count; i++)
        copies[i].with = copies[i].with ? copies[i].with : FIELDS;
    dialogues_check(copies, count);
    free(copies);
}

static void replicas(void **state) {
    (void)state;
    check_links(links, countof(links));
}

/* ---- a stream that was joined: its offset, by the ACKs ---- */

#define JOIN         "< *1 $4 PING", "> REPLCONF ACK 114"
#define JOIN_HEARD   "replication what=stream", ACKED("114")
#define SAYS(offset) "replication what=ack offset=" offset

static const struct dialogue joins[] = {
    {.name = "three ACKs that agree",
     .said = {JOIN, "< *1 $4 PING", "> REPLCONF ACK 128", "> REPLCONF ACK 128",
              "> REPLCONF ACK 128", "< *1 $4 PING"},
     .heard = {JOIN_HEARD, "replicated command=ping", ACKED("128"), ACKED("128"), SAYS("128"),
               "replication what=offset offset=128", "silent command=replconf", PINGED("142")}},
    {.name = "at different places of the stream",
     .said = {JOIN, "< *1 $4 PING", "> REPLCONF ACK 128", "< *1 $4 PING", "> REPLCONF ACK 142",
              "< *2 $6 SELECT $1 0", "> REPLCONF ACK 165", "< *1 $4 PING"},
     .heard = {JOIN_HEARD, "replicated command=ping", ACKED("128"), "replicated command=ping",
               ACKED("142"), "replicated command=select", SAYS("165"),
               "replication what=offset offset=165", "silent command=replconf", PINGED("179")}},
    {.name = "a replica that has not carried out all of it yet",
     .said = {JOIN, "< *1 $4 PING *1 $4 PING *1 $4 PING", "> REPLCONF ACK 128",
              "> REPLCONF ACK 142", "> REPLCONF ACK 156", "> REPLCONF ACK 156",
              "> REPLCONF ACK 156", "< *1 $4 PING"},
     .heard = {JOIN_HEARD, "replicated command=ping", "replicated command=ping",
               "replicated command=ping", ACKED("128"), ACKED("142"), ACKED("156"), ACKED("156"),
               SAYS("156"), "replication what=offset offset=156", "silent command=replconf",
               PINGED("170")}},
    {.name = "it has not received all of it: its ACKs prove nothing",
     .said = {JOIN, "< *1 $4 PING", "< *1 $4 PING", ">? REPLCONF ACK 128", ">? REPLCONF ACK 128",
              ">? REPLCONF ACK 128", "< *1 $4 PING"},
     .heard = {JOIN_HEARD, "replicated command=ping", "replicated command=ping", ACKED("128"),
               ACKED("128"), ACKED("128"), "replicated command=ping"}},
    {.name = "bytes are missing before the ACKs, and nobody knows how many commands",
     .said = {JOIN, "< *1 $4 PING", "<- *1 $4 PING", "> REPLCONF ACK 142", "> REPLCONF ACK 142",
              "> REPLCONF ACK 142", ".", "< *1 $4 PING", "> REPLCONF ACK 156"},
     .heard = {JOIN_HEARD, "replicated command=ping", ACKED("142"), ACKED("142"), ACKED("142"),
               "replicated command=ping", ACKED("156")}},
    {.name = "a mistake is taken back",
     .said = {JOIN, "< *1 $4 PING *1 $4 PING", "> REPLCONF ACK 128", "> REPLCONF ACK 128",
              "> REPLCONF ACK 128", "> REPLCONF ACK 142", "< *1 $4 PING"},
     .heard = {JOIN_HEARD, "replicated command=ping", "replicated command=ping", ACKED("128"),
               ACKED("128"), SAYS("128"), "replication what=offset offset=128",
               "silent command=replconf", SAYS("142"), "replication what=offset",
               "silent command=replconf", "replicated command=ping"}},
};

static void offsets_of_joined_streams(void **state) {
    (void)state;
    struct dialogue copies[countof(joins)];
    memcpy(copies, joins, sizeof copies);
    for (size_t i = 0; i < countof(copies); i++)
        copies[i].joined = copies[i].uncut = true;
    check_links(copies, countof(copies));
}

/* ---- two channels ---- */

static const struct dialogue channels[] = {
    {.name = "Redis 8: the stream here, the payload elsewhere",
     .said = {PSYNC, "<| +RDBCHANNELSYNC 6", "> REPLCONF ACK 0", "< *1 $4 PING *1 $4 PING"},
     .heard = {ASKED, ANSWERED, "replication what=rdb-channel", "replication what=ack offset=0",
               "silent command=replconf", "replicated command=ping", "replicated command=ping"}},
    {.name = "Redis 8: the payload's channel",
     .said = {"> REPLCONF rdb-channel 1 main-ch-client-id 6; PSYNC ? -1", "< +OK",
              "<| +FULLRESYNC " ID " 100", "<~ $EOF:" MARK "\r\n" RDB MARK, ">x", "<x"},
     .heard = {ASKED, "reply command=replconf type=simple-string", ANSWERED, FULL, LOADED}},
    {.name = "Valkey 8: told to open another channel, then the stream from where that one says",
     .said = {PSYNC, "<| +DUALCHANNELSYNC", "> REPLCONF set-rdb-client-id 77; PSYNC " ID " 101",
              "< +OK +CONTINUE *1 $4 PING"},
     .heard = {ASKED, ANSWERED, "replication what=rdb-channel",
               "replication what=psync replid=" ID " offset=101",
               "reply command=replconf type=simple-string", ANSWERED, CONTINUED, PINGED("114")}},
    {.name = "Valkey 8: the payload's channel",
     .said = {"> REPLCONF rdb-only 1 rdb-channel 1; SYNC", "< +OK", "<~ \n",
              "<| $ENDOFF:100 " ID " 0 77", "<~ \n", "<~ $EOF:" MARK "\r\n" RDB MARK, ">x", "<x"},
     .heard = {"reply command=replconf type=simple-string", "silent command=sync", FULL, LOADED}},
};

static void payload_on_another_channel(void **state) {
    (void)state;
    check_links(channels, countof(channels));
}

/* ---- gaps: an offset is exact, or not told ---- */

#define OPENED          PSYNC, "<| +FULLRESYNC " ID " 100"
#define OPENED_HEARD    ASKED, ANSWERED, FULL
#define STREAMING       OPENED, "<~ $37\r\n" RDB
#define STREAMING_HEARD OPENED_HEARD, LOADED

static const struct dialogue gaps[] = {
    {.name = "within the payload",
     .said = {OPENED, "<~ $37\r\nREDIS0011", "<-~ 0123456789", "<~ 012345678901234567",
              "< *1 $4 PING"},
     .heard = {OPENED_HEARD, LOADED, PINGED("114")}},
    {.name = "of the payload's end and the first command",
     .said = {OPENED, "<~ $37\r\nREDIS0011", "<-~ 0123456789012345678901234567*1\r\n$4\r\nPI",
              "<~ NG\r\n", "> REPLCONF ACK 114", ".", "< *1 $4 PING", "< *1 $4 PING"},
     .heard = {OPENED_HEARD, ACKED("114"), LOADED, PINGED("128"), PINGED("142")},
     .undecoded = 4,
     .uncut = true},
    {.name = "within a payload between marks",
     .said = {OPENED, "<~ $EOF:" MARK "\r\nREDIS0011", "<-~ 0123456789012345678901234567",
              "<~ " MARK, "< *1 $4 PING"},
     .heard = {OPENED_HEARD, LOADED, PINGED("114")}},
    {.name = "of the mark: the stream is taken up at an ACK, its offset is not known",
     .said = {OPENED, "<~ $EOF:" MARK "\r\n" RDB, "<-~ " MARK, "< *1 $4 PING", "> REPLCONF ACK 114",
              ".", "< *1 $4 PING", "> REPLCONF ACK 128", "< *1 $4 PING"},
     .heard = {OPENED_HEARD, ACKED("114"), "replication what=stream", ACKED("128"),
               "replicated command=ping"},
     .uncut = true},
    {.name = "of the payload's head: likewise",
     .said = {OPENED, "<-~ $37\r\n", "<~ " RDB, "< *1 $4 PING", "> REPLCONF ACK 114", ".",
              "< *1 $4 PING", "> REPLCONF ACK 128", "< *1 $4 PING"},
     .heard = {OPENED_HEARD, ACKED("114"), "replication what=stream", ACKED("128"),
               "replicated command=ping"},
     .undecoded = 37 + 14 + 14,
     .uncut = true},
    {.name = "a command of the stream",
     .said = {STREAMING, "< *1 $4 PING", "<- *1 $4 PING", "< *1 $4 PING"},
     .heard = {STREAMING_HEARD, PINGED("114"), PINGED("142")},
     .uncut = true},
    {.name = "a command's head: what is left of it is not taken for another one",
     .said = {STREAMING, "<-~ *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1",
              "<~ 0\r\nFLUSHALL\r\n\r\n*1\r\n$4\r\nPING\r\n", ".", "< *1 $4 PING"},
     .heard = {STREAMING_HEARD, PINGED("151"), PINGED("165")},
     .undecoded = 15,
     .uncut = true},
    {.name = "within a value of the stream",
     .said = {STREAMING, "<~ *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nab", "<-~ 234567", "<~ 89\r\n",
              "< *1 $4 PING"},
     .heard = {STREAMING_HEARD, "replicated command=set offset=137", PINGED("151")}},
    {.name = "nonsense in the stream",
     .said = {STREAMING, "<~ hello\r\n", "< *1 $4 PING"},
     .heard = {STREAMING_HEARD, "anomaly name=resp-step offset=75", PINGED("121")},
     .undecoded = 7,
     .uncut = true},
    {.name = "more nonsense is nothing new",
     .said = {STREAMING, "<~ hello\r\n", "<~ again\r\n", "< *1 $4 PING"},
     .heard = {STREAMING_HEARD, "anomaly name=resp-step offset=75", PINGED("128")},
     .undecoded = 14,
     .uncut = true},
    {.name = "of an ACK: the next one is told",
     .said = {STREAMING, "> REPLCONF ACK 100", ">- REPLCONF ACK 100", "> REPLCONF ACK 100",
              "< *1 $4 PING", ".", "> REPLCONF ACK 114"},
     .heard = {STREAMING_HEARD, ACKED("100"), PINGED("114"), ACKED("100"), ACKED("114")},
     .uncut = true},
    {.name = "of the answer to PSYNC: the link is known by the first ACK",
     .said = {PSYNC, "<-| +FULLRESYNC " ID " 100", "<~ $37\r\n" RDB, "> REPLCONF ACK 100", ".",
              "< *1 $4 PING", "> REPLCONF ACK 114", "< *1 $4 PING"},
     .heard = {ASKED, "unanswered command=psync count=1 why=gap", "replication what=stream",
               ACKED("100"), "replication what=stream", ACKED("114"), "replicated command=ping"},
     .undecoded = 5 + 37 + 14,
     .uncut = true},
};

static void offsets_after_gaps(void **state) {
    (void)state;
    check_links(gaps, countof(gaps));
}

/* ---- what a payload measures ---- */

#define MEASURED .only = "replication", .with = "what bytes"

static const struct dialogue payloads[] = {
    {.name = "by length",
     .said = {OPENED, "<~ $37\r\n" RDB},
     .heard = {"replication what=psync", "replication what=fullresync",
               "replication what=rdb bytes=37", "replication what=stream"},
     MEASURED},
    {.name = "between marks, which do not count",
     .said = {OPENED, "<~ $EOF:" MARK "\r\n" RDB MARK},
     .heard = {"replication what=psync", "replication what=fullresync",
               "replication what=rdb bytes=37", "replication what=stream"},
     MEASURED},
    {.name = "nothing between marks",
     .said = {OPENED, "<~ $EOF:" MARK "\r\n" MARK},
     .heard = {"replication what=psync", "replication what=fullresync",
               "replication what=rdb bytes=0", "replication what=stream"},
     MEASURED},
    {.name = "halves of a mark, and missing bytes between them, are no mark",
     .said = {OPENED, "<~ $EOF:" MARK "\r\n0123456789abcdefghijklmn", "<-~ 0123456789",
              "<~ opqrstuvwxyzABCD", "<~ " MARK},
     .heard = {"replication what=psync", "replication what=fullresync",
               "replication what=rdb bytes=50", "replication what=stream"},
     MEASURED},
    {.name = "and where the replica listens, as it says in whatever form",
     .said = {"> REPLCONF capa eof Listening-Port 7001", "< +OK", OPENED, "<~ $37\r\n" RDB},
     .heard = {"replication what=psync port=7001", "replication what=fullresync port=7001",
               "replication what=rdb", "replication what=stream"},
     .only = "replication",
     .with = "what port"},
    {.name = "missing bytes count",
     .said = {OPENED, "<~ $EOF:" MARK "\r\nREDIS", "<-~ 0123456789", "<~ " MARK},
     .heard = {"replication what=psync", "replication what=fullresync",
               "replication what=rdb bytes=15", "replication what=stream"},
     MEASURED},
};

static void payload_bytes(void **state) {
    (void)state;
    check_links(payloads, countof(payloads));
}

/* ---- slots on their way ---- */

#define SYNCSLOTS "replicated command=cluster|syncslots"

static const struct dialogue migrations[] = {
    {.name = "MIGRATE: a pipeline like any other",
     .said = {"> SELECT 0; RESTORE-ASKING a 0 xx; RESTORE-ASKING b 0 xx REPLACE", "< +OK +OK",
              "<| -BUSYKEY Target key name already exists."},
     .heard = {"reply command=select type=simple-string",
               "reply command=restore-asking type=simple-string",
               "reply command=restore-asking type=error error=BUSYKEY"}},
    {.name = "Valkey 9: the source establishes, and then requests go both ways",
     .said = {"> AUTH u p; CLUSTER SYNCSLOTS ESTABLISH SOURCE s NAME j SLOTSRANGE 0 9", "< +OK +OK",
              "> SELECT 0; SET k v; CLUSTER SYNCSLOTS SNAPSHOT-EOF",
              "< *3 $7 CLUSTER $9 SYNCSLOTS $13 REQUEST-PAUSE", "> CLUSTER SYNCSLOTS PAUSED",
              "< *3 $7 CLUSTER $9 SYNCSLOTS $16 REQUEST-FAILOVER",
              "> CLUSTER SYNCSLOTS FAILOVER-GRANTED", "<x", ">x"},
     .heard = {"reply command=auth type=simple-string",
               "reply command=cluster|syncslots type=simple-string", "replication what=migration",
               "replicated command=select", "replicated command=set", SYNCSLOTS, SYNCSLOTS,
               SYNCSLOTS, SYNCSLOTS, SYNCSLOTS}},
    {.name = "Valkey 9: refused, it stays a client's connection",
     .said = {"> CLUSTER SYNCSLOTS ESTABLISH SOURCE s NAME j SLOTSRANGE 0 9", "<| -ERR no",
              "> PING", "< +PONG"},
     .heard = {"reply command=cluster|syncslots type=error error=ERR",
               "reply command=ping type=simple-string"}},
    {.name = "Redis 8.4: the destination asks, live writes come",
     .said = {"> CLUSTER SYNCSLOTS CONF NODE-ID x; CLUSTER SYNCSLOTS SYNC t 0 9", "< +OK",
              "<| -NOTREADY later", "> CLUSTER SYNCSLOTS SYNC t 0 9", "< +RDBCHANNELSYNCSLOTS",
              "< *3 $3 SET $1 k $1 v", "> CLUSTER SYNCSLOTS ACK streaming-buffer 31",
              "< *3 $7 CLUSTER $9 SYNCSLOTS $10 STREAM-EOF"},
     .heard = {"reply command=cluster|syncslots type=simple-string",
               "reply command=cluster|syncslots type=error error=NOTREADY",
               "reply command=cluster|syncslots type=simple-string", "replication what=migration",
               "replicated command=set", SYNCSLOTS, SYNCSLOTS}},
    {.name = "Redis 8.4: the snapshot's channel",
     .said = {"> CLUSTER SYNCSLOTS RDBCHANNEL t", "<~ \n", "<~ \n", "< +SLOTSSNAPSHOT",
              "< *2 $6 SELECT $1 0 *3 $7 RESTORE $1 k $1 v",
              "< *3 $7 CLUSTER $9 SYNCSLOTS $12 SNAPSHOT-EOF", "<x", ">x"},
     .heard = {"reply command=cluster|syncslots type=simple-string", "replication what=migration",
               "replicated command=select", "replicated command=restore", SYNCSLOTS}},
    {.name = "a gap either way: what is left of a value is no command",
     .said = {"> CLUSTER SYNCSLOTS ESTABLISH SOURCE s NAME j SLOTSRANGE 0 9", "< +OK",
              ">-~ *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8\r\nFLUS", ">~ HALL\r\n*1\r\n$4\r\nPING\r\n",
              "<-~ *3\r\n$7\r\nCLUSTER\r\n", "<~ QUIT\r\n", ".", "> PING",
              "< *3 $7 CLUSTER $9 SYNCSLOTS $3 ACK"},
     .heard = {"reply command=cluster|syncslots type=simple-string", "replication what=migration",
               "replicated command=ping", "replicated command=ping", SYNCSLOTS},
     .undecoded = 12,
     .uncut = true},
};

#define MOVES          "replication what=migration"
#define STREAMED(name) "replicated command=" name
#define NOT_TOLD(name) "unanswered command=" name " count=1 why=gap"

/* Its first packets are missing: it is taken for a client's, until somebody says what it is. */
static const struct dialogue mistaken[] = {
    {.name = "joined: the target acknowledges",
     .said = {"> SET k v; SET k w", "< *3 $7 CLUSTER $9 SYNCSLOTS $3 ACK", "> SET k x",
              "> CLUSTER SYNCSLOTS SNAPSHOT-EOF", "< *3 $7 CLUSTER $9 SYNCSLOTS $13 REQUEST-PAUSE"},
     .heard = {MOVES, SYNCSLOTS, STREAMED("set"), SYNCSLOTS, SYNCSLOTS},
     .joined = true,
     .uncut = true},
    {.name = "the source says that the snapshot is complete, and goes on",
     .said = {"> AUTH u p", "< +OK",
              ">- CLUSTER SYNCSLOTS ESTABLISH SOURCE s NAME j SLOTSRANGE 0 9",
              "> SET k v; CLUSTER SYNCSLOTS SNAPSHOT-EOF; SET k w",
              "< *3 $7 CLUSTER $9 SYNCSLOTS $13 REQUEST-PAUSE"},
     .heard = {"reply command=auth type=simple-string", NOT_TOLD("set"), MOVES, SYNCSLOTS,
               STREAMED("set"), SYNCSLOTS},
     .uncut = true},
    {.name = "the request that began it is lost",
     .said = {"> AUTH u p", "< +OK",
              ">- CLUSTER SYNCSLOTS ESTABLISH SOURCE s NAME j SLOTSRANGE 0 9", "< +OK",
              "> SELECT 0; SET k v", "< *3 $7 CLUSTER $9 SYNCSLOTS $3 ACK", "> SET k w"},
     .heard = {"reply command=auth type=simple-string", "unmatched type=simple-string",
               NOT_TOLD("select"), NOT_TOLD("set"), MOVES, SYNCSLOTS, STREAMED("set")},
     .uncut = true},
    {.name = "the answer to it is lost",
     .said = {"> CLUSTER SYNCSLOTS ESTABLISH SOURCE s NAME j SLOTSRANGE 0 9", "<- +OK",
              "> SELECT 0; SET k v", "< *3 $7 CLUSTER $9 SYNCSLOTS $3 ACK", "> SET k w"},
     .heard = {NOT_TOLD("cluster|syncslots"), NOT_TOLD("select"), NOT_TOLD("set"), MOVES, SYNCSLOTS,
               STREAMED("set")},
     .uncut = true},
    {.name = "Redis: the target acknowledges an offset",
     .said = {"< *3 $3 SET $1 k $1 v", "> CLUSTER SYNCSLOTS ACK streaming-buffer 31",
              "< *3 $3 SET $1 k $1 v"},
     .heard = {MOVES, SYNCSLOTS, STREAMED("set")},
     .joined = true,
     .uncut = true},
    {.name = "a replica that was taken for a server, paired before",
     .said = {"> SET k v", "< +OK", ".", "> SET k w", ".", "> SET k x",
              "< *3 $8 REPLCONF $3 ACK $2 99", "> SET k y"},
     .heard = {"reply command=set type=simple-string", NOT_TOLD("set"), NOT_TOLD("set"),
               "replication what=stream", "replication what=ack offset=99",
               "silent command=replconf", STREAMED("set")},
     .joined = true,
     .uncut = true},
    {.name = "near miss: nothing is missing, a list holds such words",
     .said = {"> LRANGE l 0 9; LRANGE l 0 9",
              "< *3 $7 CLUSTER $9 SYNCSLOTS $3 ACK *3 $8 REPLCONF $3 ACK $1 5", "> PING",
              "< +PONG"},
     .heard = {"reply command=lrange type=array", "reply command=lrange type=array",
               "reply command=ping type=simple-string"}},
};

static void slots_that_move(void **state) {
    (void)state;
    check_links(migrations, countof(migrations));
    check_links(mistaken, countof(mistaken));
}

/* ---- memory ---- */

struct turning {
    struct pool pool;
    struct resp_tools tools;
    struct command_index *commands;
    uint8_t client_ports[CLIENT_PORTS];
    struct emitter out;
    struct flow flow;
};

static void no_event(void *context, const struct event *event) {
    (void)context;
    (void)event;
}

static void turning_begin(struct turning *t) {
    *t = (struct turning){.pool.max = CAP_HELD};
    t->tools.pool = &t->pool;
    t->commands = command_index_new();
    assert_non_null(t->commands);
    t->out = (struct emitter){.emit = no_event,
                              .wants = EVENTS_ALL,
                              .pool = &t->pool,
                              .resp = &t->tools,
                              .commands = t->commands,
                              .client_ports = t->client_ports};
    t->flow.connector = CLIENT;
    t->flow.sides[CLIENT].stream.from_start = t->flow.sides[SERVER].stream.from_start = true;
    assert_true(proto_resp.open(&t->out, &t->flow, CLIENT));
}

static void turning_end(struct turning *t) {
    proto_resp.close(&t->out, &t->flow);
    command_index_free(t->commands);
}

/* Fed byte by byte, so that the reader has kept what it has of a value when it changes its role. */
static void feed_bytes(struct turning *t, unsigned direction, const char *text) {
    for (; *text; text++)
        proto_resp.feed(&t->out, &t->flow, direction, bytes_of((const uint8_t *)text, 1));
}

static const struct {
    const char *asked, *answered;
} turns[] = {
    {"PSYNC ? -1\r\n", "+FULLRESYNC " ID " 100\r\n"},
    {"PSYNC " ID " 101\r\n", "+CONTINUE\r\n"},
    {"PSYNC ? -1\r\n", "+RDBCHANNELSYNC 6\r\n"},
    {"PSYNC ? -1\r\n", "+FULLRESYNC " ID " 100\r\n-ERR no\r\n"},
    {"CLUSTER SYNCSLOTS ESTABLISH\r\n", "+OK\r\n"},
    {"CLUSTER SYNCSLOTS SYNC t 0 9\r\n", "+RDBCHANNELSYNCSLOTS\r\n"},
    {"GET a\r\nREPLCONF ACK 5\r\n", "*2\r\n$1\r\n"}, /* in the midst of a reply */
};

/* Blocks of the pool that the connection holds go back to it: at the turn all but those that what
 * follows needs, at the end all. */
static void a_turn_gives_back_what_was_kept(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(turns); i++) {
        struct turning *t = calloc(1, sizeof *t);
        assert_non_null(t);
        turning_begin(t);
        feed_bytes(t, CLIENT, "*1\r\n$4\r\nPING\r\n");
        feed_bytes(t, SERVER, "+PONG\r\n");
        feed_bytes(t, CLIENT, turns[i].asked);
        feed_bytes(t, SERVER, turns[i].answered);
        feed_bytes(t, SERVER, "*2\r\n$4\r\nECHO\r\n$5\r\nab"); /* in the midst of a command, too */
        turning_end(t);
        if (t->pool.used)
            fail_msg("%zu bytes are held after turn %zu: %s", t->pool.used, i, turns[i].answered);
        pool_free(&t->pool);
        free(t);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas),
        cmocka_unit_test(offsets_of_joined_streams),
        cmocka_unit_test(payload_on_another_channel),
        cmocka_unit_test(offsets_after_gaps),
        cmocka_unit_test(payload_bytes),
        cmocka_unit_test(slots_that_move),
        cmocka_unit_test(a_turn_gives_back_what_was_kept),
    };
    return RUN_GROUP(argc, argv, tests);
}

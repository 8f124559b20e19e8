/* model_writes.h - the writes that a server acknowledged and that a replica may not have.
 *
 * Each write that a client asks for is remembered, with what its answer was and, once a replica
 * was sent it, where it stands in the server's replication stream. What all replicas have is
 * forgotten. The stream is in the order of execution, so a write that was asked for when another
 * one had been acknowledged stands behind that one. */
#ifndef BUSTAP_ANALYSIS_MODEL_WRITES_H
#define BUSTAP_ANALYSIS_MODEL_WRITES_H

#include "analysis/model_clients.h"

enum write_state {
    WRITE_ASKED,  /* no good answer so far */
    WRITE_DONE,   /* acknowledged */
    WRITE_NO_OP,  /* likewise, but the answer says that it changed nothing */
    WRITE_DOUBTED /* likewise, and it may have changed nothing */
};

/* One cache line, as there are so many. */
struct write {
    nstime asked, acked; /* asked TIME_NONE: not known; acked: not yet */
    uint64_t offset;     /* behind it in the stream; NOT_KNOWN */
    union {
        uint64_t frame; /* of the answer, once it is there; before: */
        struct {
            uint32_t number; /* on its connection */
            uint32_t next;   /* of the same connection, if there is one: how many further on */
        };
    };
    const struct client *client;
    uint32_t print, bytes;
    uint32_t key;     /* where it begins, among the chunk's keys */
    uint16_t key_len; /* 0: none, or it was not kept */
    uint16_t command; /* row of command_rows */
    uint16_t client_port, source;
    uint8_t state, kind;
    bool passed; /* a later one is in the stream already, and it is not */
};

static_assert(sizeof(struct write) == CACHE_LINE, "a write is a line of the cache");

static inline struct endpoint write_client(const struct write *write) {
    struct endpoint client = write->client->addr;
    client.port = write->client_port;
    return client;
}

enum { WRITES_CHUNK = 256 };

struct write_chunk {
    struct write_log *log;
    struct write_chunk *younger; /* of all servers */
    struct write *free;          /* the next one in the list; behind its end: the chunk is full */
    nstime last_acked;
    uint8_t *keys;
    uint32_t keys_used, keys_room;
    struct write list[WRITES_CHUNK];
};

/* Of one server. Writes are numbered from 0 on; chunks[i] has those from base + i times
 * WRITES_CHUNK on. */
struct write_log {
    struct write_chunk **chunks;
    uint32_t chunk_count, chunk_room;
    uint64_t base, next;
    uint64_t from;      /* older ones are of another data set */
    bool stale;         /* the server follows another one now: to be forgotten */
    uint64_t forgotten; /* given up although a replica may lack them */

    uint64_t dropped; /* let go because all replicas have them */

    /* A replica begins to copy a data set with another id: it is the server's from now on, and what
     * was written before `from` is in it or gone. */
    struct {
        bool begun;
        char replid[WORD_LENGTH_MAX + 1];
        uint64_t offset, from;
        nstime since; /* of the copy's connection */
    } copy;

    /* The server has died and may be there again: what clients read of it then. */
    struct {
        nstime died; /* it refused a connection last; TIME_NONE: never, or it lived all the same */
        uint64_t before; /* older writes are from before */
        bool gone;       /* one of them is not there any more: */
        uint64_t lost;   /* the oldest such; */
        struct place place;
        uint64_t there; /* behind the youngest that was read and is there; 0: none */
        const struct client_conn *waits; /* has asked for the key of write `number`, in `frame` */
        uint64_t number, frame;
    } reread;

    char replid[WORD_LENGTH_MAX + 1]; /* of its data set; empty: not known */
    uint64_t stream;                  /* seen up to this offset; NOT_KNOWN */
    nstime stream_since;              /* without a gap since then */
    uint64_t match;                   /* older ones are matched, or passed */
    nstime matched;                   /* the youngest that is in the stream was asked for then */
    nstime safe;                      /* what was acknowledged before this is on all replicas */
    uint64_t safe_next;               /* where to go on looking for that */
};

static inline struct write_chunk *write_chunk_of(const struct write_log *log, uint64_t number) {
    return log->chunks[(number - log->base) / WRITES_CHUNK];
}

static inline struct write *write_in(struct write_chunk *chunk, uint64_t number) {
    return &chunk->list[number % WRITES_CHUNK];
}

/* The numbers from log->base to log->next - 1 exist. */
static inline struct write *write_at(const struct write_log *log, uint64_t number) {
    return write_in(write_chunk_of(log, number), number);
}

static inline struct bytes write_key_in(const struct write_chunk *chunk,
                                        const struct write *write) {
    return bytes_of(chunk->keys + write->key, write->key_len);
}

static inline struct bytes write_key_of(const struct write_log *log, uint64_t number) {
    struct write_chunk *chunk = write_chunk_of(log, number);
    return write_key_in(chunk, write_in(chunk, number));
}

/* The oldest one that is there and counts. */
static inline uint64_t write_oldest(const struct write_log *log) {
    return log->from > log->base ? log->from : log->base;
}

/* The log of the server at this address; NULL: it was asked for no write. */
const struct write_log *model_write_log(const struct model *model, const struct endpoint *server);

/* ---- what became of them when another node won ---- */

enum write_fate { FATE_OPEN, FATE_KEPT, FATE_LOST };

/* What is known of the winner; each may be missing. */
struct winner {
    uint64_t offset;      /* up to here it had the stream, at most; NOT_KNOWN */
    nstime claimed;       /* it took nothing from the server after this; TIME_NONE */
    const uint8_t *slots; /* that it claimed then */
    bool only_placed;     /* what has no place in the stream is open: the times contradict */
    nstime until;         /* later the server was its replica, or right again; TIME_NONE: never */
    uint64_t end;         /* where the server's own stream ended; NOT_KNOWN */
    nstime beyond;        /* filled in: what was asked for after this stands behind `offset` */
};

/* Fills in `beyond`: from a write whose place behind the winner's offset was seen; or, if the
 * stream was seen to an earlier place only and the writes known add up to its end, from their
 * sizes. */
void winner_prepare(const struct write_log *log, struct winner *winner);

enum { PING_BYTES = 14 /* of one in a replication stream, which keeps a link alive */ };

/* Do commands of so many bytes make up that part of a stream, together with the PINGs that belong
 * into this time? They come every ten seconds (repl-ping-replica-period), perhaps every second. */
static inline bool stream_adds_up(uint64_t bytes, uint64_t part, nstime time) {
    uint64_t pings = bytes <= part ? (part - bytes) / PING_BYTES : 0;
    return bytes <= part && (part - bytes) % PING_BYTES == 0 &&
           pings <= (uint64_t)(time / NS_PER_SEC) + 1;
}

/* Of a write that the server acknowledged, when its data set was thrown away for the winner's. */
enum write_fate write_fate(const struct write_log *log, uint64_t number,
                           const struct winner *winner);

#endif

/* resp_link.h - a client's connection: requests one way, replies the other; private to
 * decode/resp_*.c.
 *
 * Each request that will be answered waits in a queue for its reply: one value per command, in
 * order, but for the rules of enum command_reply. A connection becomes a stream
 * without replies when a replica synchronises on it (resp_repl.c), or slots are moved over it. */
#ifndef BUSTAP_DECODE_RESP_LINK_H
#define BUSTAP_DECODE_RESP_LINK_H

#include "decode/emitter.h"
#include "decode/flow.h"
#include "decode/proto.h"
#include "decode/resp.h"

/* ---- resp_pending.c: requests that wait for replies ---- */

enum { PENDING_INLINE = 2 };

struct pending {
    nstime sent;
    uint64_t frame;
    const struct command *command; /* NULL: not known */
    uint32_t bytes;
    union {
        uint32_t expected; /* confirmations to come; 0: not known yet, or just one reply */
        uint32_t move;     /* of one that moves slots or keys: which one of the connection */
    };
    uint32_t write; /* which write of the connection it is, from 1 on; 0: none */
    uint8_t reply;  /* enum command_reply */
    bool blocking;
    uint32_t after;  /* up to this sequence number it was made with the server's bytes known */
    uint32_t sample; /* sampling.h; 0: it was not looked at */
};

/* A ring; beyond CAP_PENDING, or without memory, requests are only counted, behind those in it. */
struct pending_queue {
    struct pending few[PENDING_INLINE];
    struct pending *ring; /* NULL: `few` */
    size_t size;          /* of the ring's block */
    uint32_t first, count, room;
    uint64_t uncounted; /* behind the ring: nothing is known of them but their number */
};

/* A place for the youngest one, to be filled in. NULL: it was only counted. */
struct pending *pending_add(struct pending_queue *queue, struct pool *pool);

/* The oldest one, to be changed in place; NULL: there is none in the ring. */
struct pending *pending_head(struct pending_queue *queue);

/* Takes the oldest one, which stays where it is until the next pending_add. NULL: none waits. One
 * that was only counted has no time: TIME_NONE. */
const struct pending *pending_take(struct pending_queue *queue);

void pending_free(struct pending_queue *queue, struct pool *pool);

/* ---- resp_early.c: what was said before it is known what it means ---- */

/* A segment, or bytes that were passed over. */
struct early {
    struct early *next;
    size_t room; /* of this block */
    uint64_t frame, passed;
    nstime time;
    uint32_t heard; /* as of struct flow_side */
    uint32_t kept;
    uint8_t direction;
    uint8_t bytes[];
};

struct early_list {
    struct early *first, *last;
    uint32_t kept; /* bytes of all of them */
};

/* ---- the connection ---- */

/* See resp_trial.c. */
struct trial {
    bool on;
    uint32_t asked, answered; /* requests and replies so far */
    uint32_t asked_to;        /* where the last whole request ends */
    uint32_t heard;           /* of the server, when the client last said something */
};

enum resp_mode {
    MODE_TALK,        /* requests and replies */
    MODE_REPLICATION, /* a replica listens; it sends requests without replies */
    MODE_MIGRATION,   /* requests without replies, both ways */
};

/* A command that waits for EXEC. */
struct queued {
    const struct command *command;
    uint32_t write; /* as in struct pending */
};

enum repl_phase {
    REPL_PAYLOAD_HEAD,
    REPL_PAYLOAD,
    REPL_PAYLOAD_MARKED,
    REPL_PAYLOAD_ENDLESS, /* how it ends was not captured */
    REPL_STREAM
};

enum { REPL_MARK = 40, REPL_LINE = 128 };

/* See resp_repl_offset.c. */
struct repl_guess {
    bool ended;      /* a command of the stream has, and no byte was missed since: */
    uint64_t end;    /* there, as struct repl counts */
    uint64_t ahead;  /* of that count is the true offset, as ACKs say */
    unsigned agreed; /* so many of them; 0: none */
    bool learnt;     /* the offset is known from them alone */
};

/* The primary's side of a replication link. */
struct repl {
    enum repl_phase phase;
    uint64_t payload_left, payload_bytes;
    uint8_t line[REPL_LINE]; /* the payload's first line, while it is cut */
    uint8_t line_len;
    uint8_t mark[REPL_MARK], tail[REPL_MARK]; /* of a payload that a mark ends; its last bytes */
    uint8_t tail_len;
    bool torn; /* bytes are missing that may have held the payload's end, or told how it ends */
    bool offset_known;
    uint64_t offset; /* of the last byte that was told of; else counted from where it was joined */
    struct repl_guess guess;
};

enum { RESP_USUAL = 1 }; /* opened, and nothing else */

struct resp_link {
    struct resp_reader readers[2]; /* by direction */
    uint8_t client;                /* the direction of requests */

    /* What makes a connection other than usual; all of it in one look. */
    union {
        uint64_t state; /* RESP_USUAL: none of it */
        struct {
            bool opened;    /* the client has said something */
            bool undecided; /* see resp_doubt.c */
            bool refuted;   /* it is not RESP */
            bool searching; /* for a request: out of step */
            bool broken;    /* the client sent nonsense, which the server answers and then closes */
            bool deaf;      /* replies are missing: those that come are not read */
            bool wary : 1;  /* requests are missing */
            bool unproven : 1; /* pairing has begun anew, and no reply has come since */
            uint8_t mode;      /* enum resp_mode */
        };
    };

    bool joined;        /* the capture joined in the middle */
    bool unsure;        /* that, or bytes are missing: it may be no client's (resp_mistaken.c) */
    bool server_first;  /* the server said something before the client did */
    bool greeted;       /* and it was looked at */
    bool late;          /* the request in hand was kept, and the server has spoken since */
    bool overlaps;      /* the client asks before it has been answered: see resp_pairing.c */
    uint32_t begun;     /* what the client had heard when it began the request in hand */
    uint32_t asked_at;  /* where the request in hand begins, or its segment, while wary or deaf */
    uint32_t begun_at;  /* where the request is with which pairing began anew, while unproven */
    uint32_t owed;      /* so many replies at least are still to come to requests that are missing
                         * or were not told to wait, while wary */
    nstime server_last; /* when the server last said something, while wary or deaf */

    struct early_list early; /* what was said first, while undecided */
    uint32_t doubtful_heard; /* of the server, when the client's first segment was sent */
    uint32_t doubtful_at;    /* where that begins */
    bool doubtful_begins;    /* pairing can begin with that one, */
    bool doubtful_first;     /* for nothing was captured before it */
    struct trial trial;

    bool
        astray[2]; /* of a stream without replies, by direction: the next command is searched for */
    bool answering; /* a reply has begun */
    bool muted;     /* CLIENT REPLY OFF */
    bool skip_next; /* CLIENT REPLY SKIP */
    bool in_multi;
    bool monitor;
    bool confirms;               /* a subscription was asked for while replies were off */
    uint64_t channels, patterns; /* subscribed to, as the server counted them last */
    uint64_t shards;             /* likewise, shard channels */
    nstime answer_began;         /* first byte of the reply in hand */
    uint64_t asked_offset;       /* by the last PSYNC */
    uint16_t replica_port;       /* at which the replica listens, as it says; 0: not said */
    uint32_t writes, moves;      /* told so far */
    struct pending_queue pending;
    struct queued *queued; /* by MULTI */
    uint32_t queued_count, queued_room;
    size_t queued_size;
    struct repl *repl; /* NULL until the first PSYNC */
    struct info *info; /* NULL until the first INFO */
};

/* The direction in hand. */
struct resp_walk {
    struct emitter *out;
    struct flow *flow;
    struct resp_link *link;
    unsigned direction;
};

void resp_anomaly(const struct resp_walk *walk, enum anomaly name);

/* The client's bytes. */
void resp_take_requests(const struct resp_walk *walk, struct bytes view);

/* ---- resp_sniff.c ---- */

struct sniff resp_sniff(const struct sniffed *sniffed);

/* ---- resp_doubt.c ---- */

/* The client's first bytes have come: is there doubt? */
void doubt_begin(const struct resp_walk *walk, struct bytes first);

/* Bytes of the client while undecided; they are kept, or told. */
void doubt_client(const struct resp_walk *walk, struct bytes view);

/* Bytes of the server before any of the client. False: it speaks another protocol. */
bool doubt_greeting(const struct resp_walk *walk, struct bytes view);

/* Bytes of the server while undecided. True: it is decided, and what is left of them to be read. */
bool doubt_server(const struct resp_walk *walk, struct bytes *view);

/* Bytes of the direction in hand are missing, while undecided. False: it is decided, and they are
 * to be passed over. */
bool doubt_skip(const struct resp_walk *walk, uint64_t len, enum stream_skip why);

void doubt_forget(const struct resp_walk *walk);

/* Keeps the view, or the length of what is passed over. False: there is no room for it. */
bool early_keep(const struct resp_walk *walk, struct bytes view);
bool early_pass(const struct resp_walk *walk, uint64_t len);

/* Tells all of it; or forgets it. */
void early_tell(const struct resp_walk *walk);
void early_drop(const struct resp_walk *walk);

/* ---- resp_trial.c ---- */

/* The client's first segments are kept, and the server says the first thing that is known of it.
 * False: there is nothing to be tried. */
bool trial_begin(const struct resp_walk *walk);

/* Bytes of either end. Returns those that are kept; if not all of them are, the trial is over, and
 * the others are to be read. */
size_t trial_take(const struct resp_walk *walk, struct bytes view);

/* Bytes of the direction in hand are missing. False: the trial is over, and they are to be passed
 * over; else they are kept, or told with what was. */
bool trial_skip(const struct resp_walk *walk, uint64_t len, enum stream_skip why);

/* No more will be said. */
void trial_end(const struct resp_walk *walk);

/* ---- resp_pairing.c ---- */

/* Is what the server says next the reply to the request in hand? While wary or deaf. */
bool pairing_may_begin(const struct resp_walk *walk);

/* Has the server been silent until now for so long that it has answered all that it has heard? */
bool pairing_is_silent(const struct resp_walk *walk);

/* What a request remembers about the time when it was made. */
void pairing_note(const struct resp_walk *walk, struct pending *ret_pending);

/* A request that is cut begins, or ends, in what is in hand. */
void pairing_cut(const struct resp_walk *walk, bool begins);

/* A request has come: does it wait for a reply that can be told from others? */
bool pairing_waits(const struct resp_walk *walk);

/* The server's next reply is to the request that begins here. */
void pairing_begin(const struct resp_walk *walk, uint32_t asked_at);

/* The first reply after that begins with `type`: had the server heard the request? While unproven.
 */
void pairing_prove(const struct resp_walk *walk, uint8_t type);

/* Bytes of the server, or of the client, are missing, or make no sense. */
void pairing_lost_replies(const struct resp_walk *walk);
void pairing_lost_requests(const struct resp_walk *walk);

/* ---- resp_mistaken.c ---- */

/* The connection turns out to be no client's: by the first bytes of what the server says, in a
 * segment of which nothing was read; by a whole value of the server; of the client. The latter two
 * have then been told, as what they are. By a reply only if the link is unsure. */
bool mistaken_begins(struct bytes view); /* is it a segment for the first of them? */
bool mistaken_by_head(const struct resp_walk *walk, struct bytes view);
bool mistaken_by_reply(const struct resp_walk *walk, const struct resp_value *value);
bool mistaken_by_request(const struct resp_walk *walk, const struct resp_value *value);

/* ---- resp_info.c ---- */

/* INFO was asked for: from here on link->info is there, if there is memory for it. */
void info_asked(const struct resp_walk *walk);

/* The reply to one begins; bytes of it; some of them are missing; it is complete. */
void info_begin(const struct resp_walk *walk);
void info_read(const struct resp_walk *walk, struct bytes view);
void info_torn(const struct resp_walk *walk);
void info_end(const struct resp_walk *walk);

/* ---- resp_plain.c ---- */

/* A request was taken the long way: can others that begin like it be taken the short one? */
void plain_remember(const struct resp_walk *walk, const struct command *command, struct bytes name,
                    uint64_t items);

/* The plain requests, and replies, with which the view begins. Bytes used. */
size_t plain_requests(const struct resp_walk *walk, struct bytes view);
size_t plain_replies(const struct resp_walk *walk, struct bytes view);

/* ---- resp_request.c ---- */

/* A whole request. False: a line that the server refuses, and then closes. */
bool resp_on_request(const struct resp_walk *walk, const struct resp_value *value);

/* Before the reply can be told: a write that waits for it. The key and the last argument are enough
 * to know it again where it is replicated. */
void resp_tell_write(const struct resp_walk *walk, struct pending *pending, uint64_t args,
                     struct bytes key, struct bytes last);

/* A command of a stream without replies. `offset`: behind it; NOT_KNOWN. */
void resp_on_streamed(const struct resp_walk *walk, const struct resp_value *value,
                      uint64_t offset);

/* Looks for the beginning of a request. Its place; or the view's length. *ret_found: it is one;
 * else more bytes may prove it to be one. */
size_t resp_find_request(const struct command_index *commands, struct bytes view, bool *ret_found);

/* Is it answered by messages that confirm subscriptions? */
static inline bool resp_is_confirmed(enum command_reply reply) {
    return reply >= REPLY_SUBSCRIBE && reply <= REPLY_SUNSUBSCRIBE;
}

/* ---- resp_reply.c ---- */

/* A whole reply or push. */
void resp_on_reply(const struct resp_walk *walk, const struct resp_value *value);

/* The reply to this request. */
void resp_tell_reply(const struct resp_walk *walk, const struct pending *pending,
                     const struct resp_value *value, bool called);

/* An error inside a reply; the context is the walk. */
void resp_on_inner_error(void *context, struct bytes text);

/* Requests that wait, or the oldest of them, get no replies any more: `why` is one of our words. */
void resp_give_up_pending(const struct resp_walk *walk, const char *why);
void resp_give_up_one(const struct resp_walk *walk, const char *why);

/* A request whose reply cannot be told from others. */
void resp_tell_unanswered(const struct resp_walk *walk, const struct command *command,
                          uint64_t count, const char *why);

/* A command that is not answered, by rule. */
void resp_tell_silent(const struct resp_walk *walk, const struct command *command,
                      uint64_t request_bytes);

/* One command of a stream without replies, or a part of it; where none begins the next one is
 * searched for. Returns the bytes used; *ret_value: it is complete, until resp_done; else NULL. */
size_t resp_take_streamed(const struct resp_walk *walk, struct bytes view,
                          const struct resp_value **ret_value);

/* ---- resp_repl.c ---- */

/* The replica asks for synchronisation. */
void repl_asked(const struct resp_walk *walk, struct bytes replid, struct bytes offset);

/* The primary's answer to PSYNC, or to a request that moves slots. */
void repl_answered(const struct resp_walk *walk, struct bytes line);
void repl_migration_accepted(const struct resp_walk *walk, struct bytes line);

/* A replica's link that the capture joined in the middle; the walk is the replica's. Likewise one
 * over which slots are moved; the walk is the source's. */
void repl_joined(const struct resp_walk *walk);
void repl_migration_joined(const struct resp_walk *walk);

/* SYNC has no answer but the payload. */
void repl_begin_payload(const struct resp_walk *walk);

void repl_acked(const struct resp_walk *walk, struct bytes offset);

/* REPLCONF: words in pairs, what and how much. */
void repl_configured(const struct resp_walk *walk, struct bytes what, struct bytes value);

/* Bytes of the primary's side. Returns those used. */
size_t repl_feed(const struct resp_walk *walk, struct bytes view);

/* Bytes of it are missing. */
void repl_skip(const struct resp_walk *walk, uint64_t len, enum stream_skip why);

/* ---- resp_repl_offset.c ---- */

/* The replica acknowledges; the walk is the primary's. True: the stream's offset is now known that
 * was not before, or the other way round. */
bool repl_learn_offset(const struct resp_walk *walk, uint64_t acked);

#endif

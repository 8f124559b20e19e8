/* command.h - the commands of Redis and Valkey: found by name, and what is read from a request's
 * arguments: which of them are keys, whether it writes, waits, and how it is answered.
 *
 * Facts: what servers from Redis 6.0 to Valkey 9.1 say of themselves, the files of src/commands and
 * the documentation for later ones; see commands.def. Pure functions over borrowed bytes. */
#ifndef BUSTAP_DECODE_COMMAND_H
#define BUSTAP_DECODE_COMMAND_H

#include "base/base.h"

/* What a command does to the data, by its flags; command_is_write asks the arguments too. */
enum command_access {
    ACCESS_NONE,     /* neither: administration, connection, Pub/Sub */
    ACCESS_READ,     /* may be served by a replica */
    ACCESS_WRITE,    /* always */
    ACCESS_STORE,    /* a write if STORE names a destination: SORT, GEORADIUS */
    ACCESS_BITFIELD, /* a write if there is a SET or INCRBY */
    ACCESS_GETEX,    /* a write if the expiry is to change */
    ACCESS_HGETEX,   /* likewise */
    ACCESS_SCRIPT,   /* runs a script that may write */
    ACCESS_COUNT
};

enum command_kind {
    COMMAND_PLAIN,
    COMMAND_BLOCKING,  /* may wait for others before it answers */
    COMMAND_CONTAINER, /* its first argument names a sub-command */
    COMMAND_KINDS
};

/* Where the keys stand; argv[0] is the command, and of a sub-command argv[1] is the second word. */
enum command_key_rule {
    KEYS_NONE,
    KEYS_1,         /* argv[1] */
    KEYS_2,         /* argv[2] */
    KEYS_1_2,       /* argv[1] and argv[2] */
    KEYS_ALL,       /* argv[1] to the end */
    KEYS_BUT_LAST,  /* argv[1] to the end, where a timeout stands */
    KEYS_ALTERNATE, /* argv[1], argv[3], ... */
    KEYS_EVERY_3,   /* argv[1], argv[4], ... */
    KEYS_FROM_2,    /* argv[2] to the end */
    KEYS_NUM,       /* argv[1] says how many follow */
    KEYS_NUM_PAIRS, /* likewise, a value after each */
    KEYS_2_NUM,     /* argv[2] says how many follow */
    KEYS_DST_NUM,   /* argv[1], and as many as argv[2] says from argv[3] */
    KEYS_SORT,      /* argv[1], and the destination after STORE */
    KEYS_GEORADIUS, /* argv[1], and the destination after STORE or STOREDIST */
    KEYS_STREAMS,   /* the first half of what follows STREAMS */
    KEYS_MIGRATE,   /* argv[3], or what follows KEYS */
    KEYS_STRALGO,   /* the two that follow KEYS */
    KEYS_CHANNEL,   /* argv[1], a shard channel: routed by its slot as a key is */
    KEYS_CHANNELS,  /* likewise, argv[1] to the end */
    KEYS_RULES
};

/* How a command is answered, where that is not just by one value, and what this makes of the
 * connection. */
enum command_reply {
    REPLY_ONE,
    REPLY_NONE,           /* never answered */
    REPLY_IF_REFUSED,     /* answered only by an error: SHUTDOWN */
    REPLY_SUBSCRIBE,      /* a "subscribe" for each argument */
    REPLY_PSUBSCRIBE,     /* a "psubscribe" for each argument */
    REPLY_SSUBSCRIBE,     /* a "ssubscribe" for each argument */
    REPLY_UNSUBSCRIBE,    /* one for each argument; if none, for each subscription, at least one */
    REPLY_PUNSUBSCRIBE,   /* likewise */
    REPLY_SUNSUBSCRIBE,   /* likewise */
    REPLY_MONITOR,        /* one, then lines without end */
    REPLY_MULTI,          /* one; what follows is queued */
    REPLY_EXEC,           /* one, made of the replies to what was queued */
    REPLY_DISCARD,        /* one; the queue is gone */
    REPLY_RESET,          /* one; the connection is as new */
    REPLY_QUIT,           /* one, then the server closes */
    REPLY_HELLO,          /* one, in the protocol that it asks for */
    REPLY_AUTH,           /* one */
    REPLY_ASKING,         /* one; good for the next command only */
    REPLY_ON,             /* one; from here on there are replies again */
    REPLY_OFF,            /* none, nor to what follows */
    REPLY_SKIP,           /* none, nor to the next command */
    REPLY_PSYNC,          /* a line; if it accepts, a replication link, without replies */
    REPLY_SYNC,           /* likewise, but the payload begins without a line */
    REPLY_INFO,           /* one, whose text is looked at */
    REPLY_MOVES,          /* one; it moves slots or keys, or begins or ends that */
    REPLY_MIGRATION_LINK, /* a line; if it accepts, requests go both ways, without replies */

    /* Those of rows that depend on the arguments; command_reply_to says what they come to. */
    REPLY_CLIENT_REPLY,
    REPLY_REPLCONF,
    REPLY_SHUTDOWN,
    REPLY_SYNCSLOTS,
    REPLY_COUNT
};

struct command {
    const char *name; /* lower case, as INFO commandstats names it: "get", "cluster|slots" */
    enum command_access access : 8;
    enum command_kind kind : 8;
    enum command_key_rule keys : 8;
    enum command_reply reply : 8;
};
static_assert(sizeof(struct command) == 16, "a command's row is found by a shift");
extern const struct command command_rows[]; /* sorted by name */
extern const size_t command_count;

/* ---- by name ---- */

struct command_index;

/* NULL: out of memory. To be freed with command_index_free. */
struct command_index *command_index_new(void);
void command_index_free(struct command_index *index);

/* The command of this name, in any case; NULL if there is none. `sub` is the first argument, empty
 * if there is none: looked at for containers only, whose own row is returned if they have no such
 * sub-command. */
const struct command *command_find(const struct command_index *index, struct bytes name,
                                   struct bytes sub);

/* ---- by arguments ---- */

/* The arguments of a request as far as they were kept. A view may be the beginning of a longer
 * argument if it has at least ARGUMENT_KEPT bytes: such a one is no word and no number. */
struct request_args {
    const struct bytes *list; /* list[0] is the command's name */
    size_t kept;              /* views in the list */
    uint64_t count;           /* arguments of the request, kept or not; at least `kept` */
};
enum { ARGUMENT_KEPT = 32, KEY_WHOLE = 512 /* and a first key is whole if it is shorter */ };

struct command_keys {
    uint64_t first, step; /* they stand at first, first + step, ...; perhaps not kept */
    uint64_t count;       /* at least 1 */
    uint64_t extra;       /* index of one more, a destination; 0: none */
    bool channels;        /* they are shard channels */
};

/* Where the keys of a request stand. False: it has none, or is not well-formed. */
bool command_keys(const struct command *command, const struct request_args *args,
                  struct command_keys *ret_keys);

/* The first key; empty: there is none, or it may not have been kept whole. */
struct bytes command_first_key(const struct command *command, const struct request_args *args);

/* Would the request, if it succeeds, change data? A script may, so it says true; so does what
 * depends on an argument that was not kept. */
bool command_is_write(const struct command *command, const struct request_args *args);

/* May the reply be held back until others do something? XREAD waits only with BLOCK. */
bool command_may_block(const struct command *command, const struct request_args *args);

/* How the request is answered. */
enum command_reply command_reply_to(const struct command *command, const struct request_args *args);

#endif

/* load.h - what the files of the load generator share. One process makes one kind of load (a mode)
 * on one cluster, from --connections workers: threads that share nothing but the options, the
 * diary's file and the wish to stop. Rate and time always have a bound.
 *
 *   load.c          options, workers, the summary           load_pubsub.c    channels
 *   load_stats.c    counts, time, pace                      load_scripts.c   exchanges as rows
 *   load_cluster.c  slot map, connections, redirects        load_resp3.c     RESP3, which hiredis
 *   load_modes.c    the table of modes; GET and SET                          0.14 cannot read
 *   load_diary.c    the diary, and what became of it
 */
#ifndef TESTS_LAB_LOAD_H
#define TESTS_LAB_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

enum {
    SLOTS = 16384,
    SEEDS_MAX = 64,
    HOST_MAX = 256,
    WHY_MAX = 256,
    KEY_MAX = 256,
    HOPS_MAX = 5, /* redirects that one request follows */
    ERRORS_MAX = 32,
    WORD_MAX = 32,
};

/* ---- options ------------------------------------------------------------------------------- */

struct seed {
    char host[HOST_MAX];
    int port;
};

struct options {
    struct seed seeds[SEEDS_MAX];
    size_t seed_count;
    long rate, seconds, connections, keys, size, depth, timeout;
    long slot;  /* -1: keys of all slots */
    long noise; /* values that cannot be compressed */
    const char *name, *prefix, *diary;
    char tag[WORD_MAX]; /* a hash tag of `slot` */
    int diary_fd;
};

/* ---- load_stats.c -------------------------------------------------------------------------- */

struct stats {
    uint64_t requests, replies, moved, ask, reconnects, refreshes, no_answer, pushes, latency_max;
    struct {
        char word[WORD_MAX]; /* an error's first word; the last row takes those that find no room */
        uint64_t count;
    } errors[ERRORS_MAX];
};

struct pace {
    uint64_t next, interval; /* ns */
};

uint64_t now_ns(void);  /* CLOCK_MONOTONIC */
uint64_t wall_ns(void); /* CLOCK_REALTIME */
void stats_reply(struct stats *stats, const redisReply *reply, uint64_t latency);
void stats_add(struct stats *sum, const struct stats *more);
void stats_print(const struct stats *stats, const char *mode, const char *name, double seconds);
/* Text as a JSON string, with its quotes; cut where `ret` (size bytes) is full. */
void quote(char *ret, size_t size, const char *text);

struct pace pace_of(double per_second);
/* Waits until `count` further requests are due. False if there is no more to do. */
bool pace_wait(struct pace *pace, unsigned count);

/* load.c: the time is up, or somebody asked to stop. */
bool load_over(void);

/* ---- load_cluster.c ------------------------------------------------------------------------ */

/* What a client does about redirects. All follow them. */
enum { REFRESHES = 1, SENDS_ASKING = 2, AWARE = REFRESHES | SENDS_ASKING, SPEAKS_RESP3 = 4 };

struct peer;
struct client;

struct answer {
    redisReply *reply;     /* NULL: none came */
    const struct peer *by; /* who gave it, or did not */
    bool sent;             /* the request may have been received */
    char why[WHY_MAX];     /* without reply */
    size_t hops;
    char redirects[HOPS_MAX]; /* 'M' or 'A' */
};

int key_slot(const char *key);
void slot_tag(int slot, char *ret, size_t size);

struct client *client_new(const struct options *options, struct stats *stats, unsigned policy);
void client_free(struct client *client);
/* One request of one key, wherever redirects lead. The caller frees the reply. */
struct answer client_ask(struct client *client, const char *key, int argc, const char **argv);
/* Likewise, with no interest in the reply. */
void client_tell(struct client *client, const char *key, int argc, const char **argv);

/* For those who need a connection in the hand. The owner of a key's slot, or another node. */
struct peer *client_owner(struct client *client, const char *key);
struct peer *client_any(struct client *client);
void peer_text(const struct peer *peer, char *ret, size_t size);
/* An open connection, made if there is none; NULL: none can be had. */
redisContext *peer_link(struct client *client, struct peer *peer);
/* It broke, or is not wanted any more: closes it, asks others who owns what. */
void peer_lost(struct client *client, struct peer *peer);
/* Puts a request behind those that wait to be written; peer_flush writes them. peer_send is both.
 */
bool peer_append(struct client *client, struct peer *peer, int argc, const char **argv);
bool peer_flush(struct client *client, struct peer *peer);
bool peer_send(struct client *client, struct peer *peer, int argc, const char **argv);
redisReply *peer_receive(struct client *client, struct peer *peer);
/* If the reply is a redirect: counts it, lets the client learn from it, and says where it leads. */
struct peer *client_redirect(struct client *client, const redisReply *reply, bool *ret_ask);

/* ---- load_modes.c and its neighbours --------------------------------------------------------- */

struct worker {
    const struct options *options;
    const struct mode *mode;
    struct stats stats;
    struct client *client, *other; /* two views and sets of connections; `other` speaks RESP2 */
    struct peer *subscribed;       /* of `other`: where it is, if anywhere */
    unsigned index;
    uint64_t turn; /* steps made */
    char *value;   /* --size bytes */
};

struct mode {
    const char *name;
    unsigned policy;
    long rate, keys, size; /* by default */
    /* Does a bit of work; the number of requests it stands for in --rate, 0: nothing left. */
    unsigned (*step)(struct worker *worker);
    const char *help;
};

extern const struct mode modes[];
const struct mode *mode_find(const char *name);
/* The key number `n`, in --slot if that is given. */
const char *worker_key(const struct worker *worker, uint64_t n, char *ret);

/* Puts the words of request `i` of a batch where told, and says how many. */
typedef int words_of(const struct worker *worker, long i, char *ret_key, const char **ret_words);
/* --depth requests at once to one node. */
unsigned batch(struct worker *worker, struct peer *peer, words_of *words);

unsigned diary_step(struct worker *worker);
unsigned verify_step(struct worker *worker);
unsigned pubsub_step(struct worker *worker);
unsigned spubsub_step(struct worker *worker);
unsigned flood_step(struct worker *worker);
unsigned blocking_step(struct worker *worker);
unsigned multi_step(struct worker *worker);
unsigned resp3_step(struct worker *worker);

/* load_resp3.c: the next reply, as hiredis would give it; maps are arrays of twice the length, what
 * RESP2 has no type for is a string. Pushes before it are counted. NULL: the connection has an
 * error. */
redisReply *resp3_reply(redisContext *link, uint64_t *pushes);

#endif

/* model_slow.h - which commands held a server up.
 *
 * A server carries out one command at a time. One that takes long shows as a silence of all its
 * connections which begins when it is asked and ends with its reply; what others ask meanwhile is
 * answered behind it. So of the replies that come when a silence ends, the command in question is
 * among those that were asked first. A process that stands still looks the same, but there any
 * command may be the first one: which of them are slow is told by how often each was the first, of
 * all its calls.
 *
 * While a script runs for longer than it should the server answers again, but BUSY to everybody:
 * then the script's own reply tells for how long. Whom CLIENT PAUSE lets wait no command held up.
 */
#ifndef BUSTAP_ANALYSIS_MODEL_SLOW_H
#define BUSTAP_ANALYSIS_MODEL_SLOW_H

#include "analysis/model_clients.h"

enum {
    SLOW_MIN_MS = 20, /* a shorter silence is none */
    SLOW_MIN_US = SLOW_MIN_MS * 1000,
    LONG_MS = 1000,    /* others may take the server for dead */
    SLOW_COMMANDS = 24 /* of a server; further ones are counted in `over` */
};

/* A call that held the server up, or may have. */
struct slow_call {
    const struct command *command;
    struct endpoint client;
    struct stamp at;        /* its reply */
    nstime over;            /* when it began: the server was free again */
    nstime busy;            /* how long the server was silent for it */
    uint64_t bytes;         /* of request and reply */
    uint64_t request_frame; /* NOT_KNOWN */
};

/* Of one command. */
struct slow_command {
    uint64_t count;            /* silences that began with it */
    nstime busy;               /* of all of them */
    nstime first, last;        /* began; ended */
    bool said_busy;            /* by the server itself, to others */
    nstime long_from, long_to; /* the same of those of LONG_MS or more; long_to 0: none */
    struct slow_call worst;
};

enum {
    CALLS_OF_SILENCE = 8,
    SILENCES = 8 /* the last ones: a big reply is complete when others have come and gone */
};

/* A silence and the replies with which it ended, for whom it was too long. */
struct silence {
    nstime from, to; /* to 0: there was none */
    struct slow_call calls[CALLS_OF_SILENCE];
    uint32_t count;
};

/* Requests that waited because the server had been told to let them: CLIENT PAUSE. */
struct paused {
    uint64_t count;     /* times */
    uint64_t waited;    /* requests */
    nstime longest;     /* of these */
    nstime first, last; /* told to for the first time; the end of the last pause */
    struct order order; /* the last one */
};

struct slow {
    struct slow_command commands[SLOW_COMMANDS];
    uint32_t count;
    uint64_t over;                   /* silences of further ones */
    uint64_t silences;               /* that held somebody up */
    uint64_t waited;                 /* replies that came late */
    struct silence recent[SILENCES]; /* in no order */
    struct paused paused;
};

/* What is known so far; false: the server was never that slow. */
bool model_slow(const struct server *server, struct slow *ret_slow);

/* Of the calls that a silence of the server began with, which of the last ones was from then to
 * then: the one that most likely held it up, by its share. NULL: it is not known (any more). */
const struct slow_call *model_slow_culprit(const struct server *server, nstime from, nstime to);

/* How much of a command's calls it is, if one more silence began with it: those of a command that
 * is slow by itself are all or many, of another one some by chance. */
double model_slow_share(const struct server *server, const struct command *command);

#endif

/* model_clients.h - what clients and servers do with each other, and servers among themselves: how
 * often, how fast, with which errors; and the replication links between servers.
 *
 * A server is an end that answers, a client an address that asks. Both are what the connections
 * say, whatever the bus says of nodes. Latencies are those of the capture, from the request's last
 * byte to the reply's first, in microseconds. */
#ifndef BUSTAP_ANALYSIS_MODEL_CLIENTS_H
#define BUSTAP_ANALYSIS_MODEL_CLIENTS_H

#include "analysis/model.h"
#include "analysis/model_orders.h"
#include "analysis/resync_cause.h"
#include "base/by_word.h"
#include "base/histogram.h"

enum { CUTS = 8 /* of a server that are kept: the last ones */ };

/* CLIENT KILL, as somebody asked a server for it. */
struct cut_order {
    nstime at;
    enum { CUT_REPLICAS, CUT_ADDRESS, CUT_OTHERS } whom;
    char addr[ENDPOINT_TEXT]; /* CUT_ADDRESS */
};

struct cut_orders {
    struct cut_order kept[CUTS];
    uint64_t count;
};

struct command_stats {
    uint64_t requests;
    uint64_t calls; /* as INFO commandstats counts: calls and rejected ones, also within EXEC */
    uint64_t errors;
    uint64_t bytes;           /* of requests and replies */
    struct histogram latency; /* without what may wait for others: see server.blocking */
};

/* The last reply without an error, to a command that has keys, to one client of a server. */
struct served {
    const struct client *client; /* NULL: none */
    struct stamp at;
};

enum { SERVED = 16 /* clients of a server; one takes another's place */ };

struct server {
    struct endpoint addr;
    nstime last_reply; /* 0: none */
    const struct command
        *last_command;  /* that it answered; NULL: none, or one that we do not know */
    struct pause pause; /* the last long one between two of its replies */
    struct pause lull;  /* the last one longer than HUSH_MIN_MS */
    const struct command *pause_command; /* the one that it answered when that was over */
    nstime pause_asked;                  /* when that had been asked */
    struct pause wait;                   /* the last long one of a client, from request to reply */
    struct stamp wait_over;              /* that reply */
    bool wait_had;                       /* its kernel had that request: none was sent again */
    nstime said_busy;                    /* its last BUSY: a script runs; 0: none */
    bool others;                         /* no server, but all those past CAP_SERVERS */
    uint64_t requests, replies;
    uint64_t request_bytes, reply_bytes;
    uint64_t unanswered, unmatched;
    struct by_word errors;        /* by first word */
    struct by_word redirects;     /* moved, ask */
    struct by_word pushes;        /* by kind */
    struct histogram blocking;    /* latency of what may wait for others */
    struct served served[SERVED]; /* by the client's number */
    struct orders orders;
    struct cut_orders cuts;
    struct command_stats rest; /* commands that we do not know, or past CAP_SERVER_COMMANDS */
    struct slow *slow;         /* NULL: it was never silent for long */
    struct write_log *writes;  /* NULL: none was asked of it */
    struct contest *contest;   /* of the node that it is; NULL: none. Known as of: */
    uint64_t contest_as_of;    /* model_claims.changes; 0: never looked for */
    struct command_stats *commands[]; /* by row of command_rows; NULL: never asked for */
};

struct client {
    struct endpoint addr; /* its port means nothing */
    uint32_t number;      /* by appearance */
    bool others;          /* no client, but all those past CAP_CLIENTS */
    uint64_t connections; /* on which it asked or was answered */
    uint64_t requests, bytes, errors;
    uint32_t steps_open;           /* redirects that it has not followed so far */
    struct redirected *redirected; /* these; NULL: never was redirected */
};

/* What a client says of itself on one connection; empty: nothing. Hostile text. */
enum { CLIENT_WORD = 48 /* with its NUL; longer ones are cut */ };
struct introduction {
    char name[CLIENT_WORD];    /* CLIENT SETNAME, HELLO ... SETNAME */
    char library[CLIENT_WORD]; /* CLIENT SETINFO LIB-NAME, LIB-VER */
    char version[CLIENT_WORD];
};

/* A connection on which one server sends another its writes, or the keys of a slot. */
struct replication {
    const char *kind;   /* replication, migration; rdb: the data of a replication on another one */
    bool rdb_elsewhere; /* its data come on another connection */
    struct endpoint primary, replica;
    struct server *server; /* the primary as one; NULL: nobody asked it for anything so far */
    char replid[WORD_LENGTH_MAX + 1]; /* empty: not seen */
    uint64_t base_offset;             /* where the stream begins; NOT_KNOWN */
    uint64_t offset;                  /* behind what was last seen of it; NOT_KNOWN */
    bool learnt;                      /* that, from the replica's ACKs: the beginning was missed */
    uint64_t acked;                   /* by the replica; NOT_KNOWN */
    uint64_t full_resyncs, partial_resyncs, refused;
    uint64_t rdb_bytes, stream_bytes;
    nstime first, last; /* events */
    uint64_t *commands; /* [command_count + 1], the last one: unknown; NULL: none seen */
    uint64_t *back;     /* likewise, those of the other direction, as a migration has them */

    bool over;             /* the connection is gone */
    bool data_channel;     /* it carries the data of another one's replication */
    uint16_t replica_port; /* at which the replica listens; 0: not said */
    uint32_t acks;
    nstime asked; /* PSYNC; TIME_NONE: not seen */
    uint64_t asked_offset;
    char asked_replid[WORD_LENGTH_MAX + 1];
    struct link_past past;
    struct follower *follower; /* whose link it is; NULL: not known (yet) */
    struct followed *followed; /* likewise, of the primary */
};

/* Of the connection whose event is in hand; NULL: nothing was said on it. */
const struct introduction *model_introduction_in_hand(const struct model *model);

/* NULL: nobody was answered there, or it is one of the others. */
const struct server *model_server_at(const struct model *model, const struct endpoint *addr);

size_t model_server_count(const struct model *model);
const struct server *model_server(const struct model *model, size_t index); /* by appearance */

/* Of all commands that do not wait for others. */
void model_server_latency(const struct server *server, struct histogram *ret_latency);

size_t model_client_count(const struct model *model);
const struct client *model_client(const struct model *model, size_t index); /* by appearance */

size_t model_replication_count(const struct model *model);
const struct replication *model_replication(const struct model *model, size_t index);

#endif

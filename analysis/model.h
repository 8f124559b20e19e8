/* model.h - the cluster as its own messages tell it: what each node says of itself, what it says
 * of others, and how the links between them do.
 *
 * Fed with observed events, it keeps the books (messages per type and node, sent and delivered) and
 * emits conclusions: the second block of decode/events.def. Time is the events'. Strings and
 * arrays belong to the model and live as long as it does. */
#ifndef BUSTAP_ANALYSIS_MODEL_H
#define BUSTAP_ANALYSIS_MODEL_H

#include "analysis/place.h"
#include "base/siphash.h"
#include "decode/event.h"
#include "decode/flow.h"

enum { NODE_NONE = UINT32_MAX, NODE_NAME_MAX = 256 };

/* Messages by type; the last counter is for unknown types. */
typedef uint64_t message_counts[BUS_COUNTERS];

/* Of all types. */
static inline uint64_t messages_sum(const message_counts counts) {
    uint64_t sum = 0;
    for (size_t i = 0; i < BUS_COUNTERS; i++)
        sum += counts[i];
    return sum;
}

/* Attempts to open a connection since one was last accepted. */
struct knocks {
    struct stamp first; /* of them; TIME_NONE: none, or the last one was accepted */
    nstime last;
    uint32_t unanswered, refused;
};

/* Nothing came between these two times. */
struct pause {
    nstime from, to; /* both 0: there was none */
};

enum { PAUSE_MIN_MS = 500, HUSH_MIN_MS = 1500 };

struct node {
    char id[BUS_NODE_ID];
    bool heard;      /* it has sent a full message itself; else known from gossip alone */
    bool ran_before; /* it was first heard on a connection that is older than the capture */
    bool addr_known;
    struct endpoint addr; /* client port; as announced, else the address it was seen at */
    uint16_t bus_port;
    uint16_t flags; /* about itself in its last header; if never heard, as last gossiped */
    uint8_t state;  /* 0: it says that the cluster is ok */
    uint64_t current_epoch, config_epoch, repl_offset;
    nstime epoch_since; /* when it first told this current epoch */
    nstime role_since;  /* when it last changed its role; 0: never */
    bool replica;       /* by its own word, or by gossip if it was never heard */
    uint32_t primary;   /* of a replica: index; NODE_NONE: not known */
    uint32_t was;       /* it went on under this name on a connection of that node; NODE_NONE: no */
    const uint8_t *slots; /* as in its last header (a replica's are its primary's); NULL: none */
    char hostname[NODE_NAME_MAX]; /* empty: none announced; hostile text */
    char shard_id[BUS_NODE_ID];
    bool shard_id_known;
    nstime first_seen, last_seen; /* heard, or gossiped if it was never heard */
    nstime last_heard;            /* TIME_NONE: never */
    struct stamp spoke;           /* its last message; TIME_NONE: never */
    nstime tried;                 /* to connect to another one, which refused; TIME_NONE: never */
    struct pause pause;           /* the last long one between two of its messages */
    struct stamp before_pause;    /* its message before that */
    struct pause lull;            /* the last one longer than HUSH_MIN_MS */
    struct knocks knocks;         /* of anybody at its bus port */
    message_counts sent, received;
    uint64_t bytes_sent;
    uint64_t clock_samples;     /* messages that tell when it last heard a PONG, by its clock */
    nstime clock_ahead;         /* the greatest of these minus the capture's clock then */
    struct place clock_place;   /* where that was */
    uint64_t gossip_seen;       /* entries in messages from it or to it, which do not name it */
    uint64_t unmentioned_since; /* other entries, when it was last gossiped about */
};

/* One ordered pair: the connections that `from` opened to `to`. Of a pair of values the first is
 * that of `from`. */
struct link {
    uint32_t from, to; /* node indexes */
    uint32_t connections, unanswered, refused, resets;
    uint64_t pings, pongs;     /* PINGs and MEETs of `from`; answers of `to` */
    uint64_t broadcasts;       /* PONGs that `from` sent unasked */
    struct stamp delivered[2]; /* last message of `from`, of `to`, when it was acknowledged */
    struct spread rtt;         /* PING to PONG: network and event loop of `to` */
    struct stamp waiting;      /* an unanswered PING; TIME_NONE: none */
    nstime longest_silence;    /* longest wait for a PONG, or still waiting at the end */
    struct stamp silent;       /* the PING with which that began */
    nstime unacked_since[2];   /* about when it sent the oldest message that is not acknowledged, on
                                  whatever connection; TIME_NONE: all are */
    nstime got_at;     /* what `from` sent was first acknowledged since it waits; see below */
    nstime seen;       /* the last time that anything of it was seen; TIME_NONE: never */
    struct pause hush; /* the last time in which nothing was, not even an attempt to connect */
    struct knocks knocks;
    nstime late[2];         /* the last two times that an acknowledgement took as long as a
                               retransmission does; 0: none */
    struct stamp closed[2]; /* it last closed or reset a connection; TIME_NONE: never */
    struct stamp full[2];   /* it last closed its receive window; likewise */
    nstime opened[4];       /* the last times that a connection was accepted, a ring */
    uint32_t opens;         /* how often one was accepted */
    uint32_t reconnects;    /* of these, in a row, after PONGs had come on the one before */
    uint64_t pongs_then;    /* `pongs`, when it was last accepted */
    uint32_t retransmits, zero_windows; /* TCP, both directions */
    uint64_t gap_bytes;
    uint32_t unacked_bytes; /* of `from`, when its last connection ended or the capture did */
};

/* Has the kernel of `to` got anything since a PING waits? Then since `got_at`. */
static inline bool link_has_got(const struct link *link) {
    return link->waiting.time != TIME_NONE && link->got_at >= link->waiting.time;
}

/* Nothing passes between the two, on either connection, and nothing waits there for an answer. */
struct hush {
    struct pause time; /* `to`: it is over, or now */
    bool goes_on;
};

/* Connections of one kind. */
struct traffic {
    uint64_t flows, bytes;
};

struct model;

/* `emit` gets the conclusions. NULL: out of memory. */
struct model *model_new(struct siphash_key key, event_fn *emit, void *context);
void model_free(struct model *model); /* NULL is fine */

/* The events that the model learns from: EVENT_BITs. */
extern const uint64_t model_wants;

/* Applies an observed event; conclusions are emitted before it returns. */
void model_event(struct model *model, const struct event *event);

/* ---- looking at it ---- */

size_t model_node_count(const struct model *model);
const struct node *model_node(const struct model *model, size_t index); /* by first appearance */
uint32_t model_find_node(struct model *model, const char *id);          /* NODE_NONE: unknown */

uint32_t model_index_of(const struct model *model, const char *id); /* the same, slower */

size_t model_link_count(const struct model *model);
const struct link *model_link(const struct model *model, size_t index); /* by first appearance */

/* The ordered pair; NULL: no connection of it was seen. */
const struct link *model_link_between(const struct model *model, uint32_t from, uint32_t to);
/* Has nothing been seen between the two for long, or had not until a moment ago? Nodes ping each
 * other and try to connect all the time: if one of them misses the other meanwhile, what it tried
 * was lost before it came to where the capture was taken. */
bool model_hush(const struct model *model, uint32_t one, uint32_t other, nstime now,
                struct hush *ret_hush);
/* Did the node say or answer anything for most of that time, to anybody? */
bool model_lived(const struct model *model, uint32_t node, const struct pause *time);
/* The node on whose host the capture was taken, as far as the bus tells: an end of all its
 * connections, of three nodes or more. NODE_NONE: the traffic of others is there, too. */
uint32_t model_vantage(const struct model *model);

/* The node that announces this host name; NODE_NONE: none, or its address is not known. */
uint32_t model_node_named(const struct model *model, struct bytes hostname);

/* Of the nodes whose client port this is, the one that was heard last; NODE_NONE: none. */
uint32_t model_node_at_address(const struct model *model, const struct endpoint *addr);

/* How people know it: its address, else the beginning of its id. */
void model_node_text(const struct model *model, size_t index, char text[ENDPOINT_TEXT]);

/* Does it vote? Primaries with slots do. */
bool model_is_voter(const struct model *model, size_t index);

/* What one node last gossiped of another: PFAIL, FAIL, or 0. */
uint16_t model_view(const struct model *model, size_t observer, size_t subject);

/* PFAIL and FAIL bits that most primaries (those with slots) gossip about the node. */
uint16_t model_failure(const struct model *model, size_t index);

/* Does another node, heard only after this one's last sign, have its address? To the others it is
 * then a node without an address (NOADDR): a restart without nodes.conf, CLUSTER RESET HARD. */
bool model_is_replaced(const struct model *model, size_t index);

/* Do the others know the node still? Not if most primaries have forgotten it (CLUSTER FORGET, told
 * by an extension since Redis 7.2), nor if it is held for sound but is no longer gossiped about. A
 * dead node without slots is not gossiped about either: it counts as known. */
bool model_is_member(const struct model *model, size_t index);

/* Each slot's owner in the view of the majority: of the primaries that claim it, the one with the
 * greatest config epoch. NODE_NONE: unclaimed. */
void model_slot_owners(const struct model *model, uint32_t ret_owners[BUS_SLOTS]);

/* Is the node one of these? What others have taken over it may still claim itself. */
bool model_owns_slots(const struct model *model, uint32_t index);

struct model_books {
    message_counts messages;  /* each once, as complete messages on the wire */
    uint64_t bus_bytes;       /* of those messages */
    uint64_t undecoded_bytes; /* on bus connections, part of no message */
    uint64_t bus_flows;
    uint64_t current_epoch;                  /* the greatest that any node said */
    uint64_t bus_anomalies[AN_COUNT];        /* on bus connections */
    uint64_t client_anomalies[AN_COUNT];     /* on those of clients and replicas */
    uint64_t other_anomalies[AN_COUNT];      /* elsewhere */
    uint64_t retransmits, early, duplicates; /* TCP segments: again, out of order, seen twice */
    uint64_t gaps, gap_bytes;                /* lost to the capture, all connections */
    uint64_t bus_missing_bytes;              /* of both, on bus connections */
    uint64_t snaplen_bytes;                  /* cut off by the capture's snaplen */
    message_counts unclaimed_sent, unclaimed_received; /* by or to a node we could not name */
    uint64_t gossip_entries;                           /* in all messages to a node that is known */
    uint64_t nodes_over_cap, links_over_cap, contests_over_cap;
    struct traffic resp, tls, other; /* connections that are not bus links */
    uint64_t resp_joined;            /* of the RESP ones: the capture joined in the middle */
    uint64_t resp_undecoded_bytes;   /* on them, part of no request and no reply */
    uint64_t unanswered, unmatched;  /* requests without replies, replies without requests */
    uint64_t servers_over_cap, clients_over_cap; /* connections of further ones */
    uint64_t commands_over_cap;                  /* requests and replies of further ones */
    uint64_t replications_over_cap, followers_over_cap;
    uint64_t redirects_over_cap; /* forgotten, so that what is told again counts as news */
    uint64_t migrations_over_cap, moves_over_cap; /* requests of further ones */
    uint64_t elections_over_cap;                  /* requests and promotions of further ones */
    uint64_t big_keys_over_cap;                   /* of further servers and commands */
    uint64_t writes_over_cap;                     /* forgotten although a replica may lack them */
    nstime first, last;                           /* events */
};
const struct model_books *model_books(const struct model *model);

#endif

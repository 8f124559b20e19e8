/* model_private.h - the model's insides, shared by analysis/model*.c alone. */
#ifndef BUSTAP_ANALYSIS_MODEL_PRIVATE_H
#define BUSTAP_ANALYSIS_MODEL_PRIVATE_H

#include "analysis/model.h"
#include "analysis/model_addresses.h"
#include "analysis/model_alarms.h"
#include "analysis/model_big_keys.h"
#include "analysis/model_claims.h"
#include "analysis/model_clients.h"
#include "analysis/model_elections.h"
#include "analysis/model_followers.h"
#include "analysis/model_migrations.h"
#include "analysis/model_numbers.h"
#include "analysis/model_redirects.h"
#include "base/list.h"
#include "base/table.h"
#include "decode/slot_set.h"

/* What is said to be a node's address, and what was said last, to know it again. */
struct node_addresses {
    struct told_address told[ADDRESSES_TOLD];
    size_t count;
    struct told_address *own, *source; /* as its last header and packet have it; NULL: none */
    struct told_address *gossiped;     /* as the last gossip entry about it has it; NULL: none */
    uint16_t gossip_port;
    uint8_t gossip_len;
    uint8_t gossip_ip[BUS_IP_TEXT];
};

/* What the model keeps of a node beside the public part. */
struct node_private {
    struct node node; /* first: the public view points here */
    uint8_t *slots;   /* owned; node.slots points here once heard */
    uint16_t *views;  /* [subject]: flags that this node last gossiped about it */
    uint32_t view_count;
    uint32_t suspects;    /* of the views, those that are PFAIL */
    nstime content_since; /* its gossip has suspected nobody since then; 0: it does */
    struct node_addresses addresses;
    nstime successor;          /* first seen of those heard at its address since; TIME_NONE: none */
    uint64_t successor_as_of;  /* model.addresses when that was looked for */
    struct alarm *alarm;       /* owned; NULL: nothing is held against it */
    struct place handover;     /* it last asked its primary to hand over; TIME_NONE: never */
    struct write_pause pause;  /* of its writes */
    struct contest *contest;   /* another one claims its slots; NULL: mostly */
    struct follower *follower; /* of its primary; NULL: it is none, as far as known */
    struct followed *followed; /* as a primary, by its address; NULL: it has said nothing as one */
};

/* A flow's note begins with what it is: a conn, or a client_conn. */
enum note_kind { NOTE_LINK, NOTE_CLIENT };

static inline bool note_is_client(const struct flow *flow) {
    return flow->note && *(const enum note_kind *)flow->note == NOTE_CLIENT;
}

/* A connection of the bus: which nodes its ends are, as far as known. */
struct conn {
    enum note_kind kind;
    uint32_t node[2]; /* by direction; NODE_NONE */
    uint32_t link;    /* index, or NODE_NONE until both ends are known */
    uint32_t early_pings;
    struct stamp early_ping;
    nstime pinged;         /* an unanswered PING on it; TIME_NONE: none */
    nstime ponged[2];      /* the last PONG, by direction; TIME_NONE: none */
    uint32_t in_flight[2]; /* messages not acknowledged, by direction */
    uint32_t unclaimed_sent[2][BUS_COUNTERS], unclaimed_received[2][BUS_COUNTERS]; /* by end */
};

/* Writes of one connection, from the oldest on; each knows how far the next one is. */
struct write_chain {
    uint64_t first, last; /* numbers in the server's log */
    uint32_t count;
};

/* A reply's first byte. The event is told when the last one is there: of a big reply long after it,
 * and after what others were answered meanwhile. */
static inline nstime reply_began(const struct event *event) {
    return event->time - (nstime)event->reply.lasted;
}

/* When a connection was last answered by which error; a new one takes the oldest one's place. */
enum { ERRED = 4 };
struct erred {
    struct {
        uint32_t hash; /* of the error's word */
        nstime at;     /* 0: never */
    } list[ERRED];
};

/* A connection of a client, or between servers: who answers, who asks, what is replicated. */
struct client_conn {
    enum note_kind kind;
    bool no_replication;   /* there was no room for it */
    struct server *server; /* NULL, as is client, until there is a request or a reply */
    struct client *client;
    struct served *served;           /* of that server and client */
    struct replication *replication; /* NULL: no step of one was seen */
    uint64_t gap_frame;  /* packet with which bytes were given up, and others told late; 0: none */
    struct moves *moves; /* requests on it that move slots or keys; NULL: none were seen */
    struct write_chain asked, queued;  /* its writes that wait for their replies, and for EXEC */
    struct introduction *introduction; /* owned; NULL: it has not said who it is */
    struct erred *erred;               /* owned, by which errors; NULL: none */
    nstime refreshed;                  /* last told the topology; 0: never */
    nstime asking;     /* its last ASKING that no redirect was followed with; 0: none */
    nstime asked_well; /* its last ASKING that no redirect has come after; likewise */
    nstime redirected; /* when it was last told again what it had been told; 0: never */
    const struct endpoint *client_addr; /* the flow's; NULL: not known */
};

/* Records stay where they are: notes point to them. */
struct model_clients {
    struct server **servers;
    uint32_t server_count, server_room;
    struct table server_index; /* by address and port */
    struct server *other_server;
    uint32_t stats_count; /* of commands, of all servers */

    struct client **list;
    uint32_t count, room;
    struct table index; /* by address */
    struct client other;
    struct client_conn other_conn; /* of the others, for a flow without a note */

    struct replication **replications;
    uint32_t replication_count, replication_room;
};

/* Primaries and their replicas; records stay where they are. */
struct model_followers {
    struct followed **primaries;
    uint32_t primary_count, primary_room;
    struct table primary_index; /* by address */

    struct follower **list;
    uint32_t count, room;
    struct table index; /* by primary and address */
};

/* What all servers' logs of writes share. */
struct model_writes {
    uint8_t *kinds;                      /* write_kind.h; by row of command_rows */
    struct write_chunk *oldest, *newest; /* of all servers */
    uint32_t chunks;
    size_t key_bytes;
    bool any_died; /* a server that had one has refused a connection (model_reread.c) */
};

/* A big key that was sent to a server, with the beginning of its name. */
struct moved_key {
    struct endpoint by;
    nstime at;
    uint64_t bytes; /* 0: none */
    struct key_name key;
};

enum { MOVED_KEYS = 16 };

struct model_big_keys {
    struct big_key *list;
    uint32_t count, room;
    struct moved_key moved[MOVED_KEYS]; /* the last ones, a ring */
    uint32_t next_moved;
};

struct claim_change;
struct migrate_call;
struct restore;
struct open_state;

/* See model_moves.h and model_migrations.c. */
struct model_migrations {
    struct migration **list;
    uint32_t count, room;
    uint32_t rows; /* requests remembered, of all connections */
    size_t key_bytes;

    struct open_state **open;           /* [BUS_SLOTS]; NULL: none was ever opened */
    struct claim_change *gained, *lost; /* likewise, the last of each; NULL: there was none */
    struct endpoint *keepers; /* by slot: who would not give it away with its keys; NULL: nobody */
    struct open_slot *kept;   /* were open, and for long */
    uint32_t kept_count, kept_room;

    struct migrate_call *calls;  /* that wait for their replies, the oldest first */
    struct migrate_call *failed; /* those whose connection may still carry keys */
    struct restore **doubtful;   /* the last request about each key that may be on both sides */
    uint32_t doubtful_count, doubtful_room;
    struct table doubtful_index; /* by key */

    struct endpoint ordered_at, ordered_by; /* the last order to move slots at once */
};

/* Double claims: those that go on stand with their nodes. */
struct model_claims {
    uint32_t open;
    uint64_t changes;     /* contests that began or ended, addresses that nodes changed */
    struct contest *kept; /* have ended */
    uint32_t count, room;
};

enum { NODE_RECENT = 1024 };

struct model {
    struct siphash_key key;
    event_fn *emit;
    void *context;
    const struct event *cause; /* the event in hand */

    struct node_private **nodes;
    uint32_t node_count, node_room;
    uint64_t addresses; /* times that an address was learnt, or a node heard for the first time */
    struct table node_index;
    uint32_t recent[NODE_RECENT]; /* indexes found lately; a guess, always verified */

    struct link *links;
    uint32_t link_count, link_room;
    struct table link_index;

    struct model_clients clients;
    struct model_followers followers;
    struct model_claims claims;
    struct model_writes writes;
    struct model_migrations migrations;
    struct model_numbers numbers;
    struct model_big_keys big_keys;

    struct election **elections; /* by their first sign */
    uint32_t election_count, election_room;
    uint32_t elections_unserved; /* promotions whose first good reply has not been seen */

    struct redirects *redirects;             /* NULL: none, and no slot has changed hands */
    uint64_t redirect_nexts[REDIRECT_NEXTS]; /* what clients did next */

    struct model_books books;
};

/* Who sent a message to whom; NODE_NONE: not known. */
struct message_ends {
    uint32_t sender, receiver;
};

/* Emits a conclusion at the time and place of the event in hand. */
void model_conclude(struct model *model, struct event *event);

/* model_node_table.c: finds or adds; NODE_NONE if the caps or the memory do not allow it. */
uint32_t model_add_node(struct model *model, const char *id);
struct node_private *model_node_at(const struct model *model, uint32_t index);

/* A node known to listen there, NODE_NONE: none. */
uint32_t model_node_by_bus_address(const struct model *model, const struct endpoint *bus);

/* The only node with this IP address; NODE_NONE: none, or several. */
uint32_t model_node_by_ip(const struct model *model, const struct endpoint *ip);

/* A view has the flags of gossip, and whether the observer has forgotten the node. */
enum {
    VIEW_FAILURE = NODE_PFAIL | NODE_FAIL,
    VIEW_ANNOUNCED = 0x4000, /* it sent FAIL, and has not gossiped of that yet */
    VIEW_FORGOTTEN = 0x8000,
};

static inline bool node_is_voter(const struct node *node) {
    return node->heard && !node->replica && slots_any(node->slots);
}

/* Entries of gossip so far that were about others. */
static inline uint64_t node_other_entries(const struct model *model, const struct node *node) {
    return model->books.gossip_entries - node->gossip_seen;
}

/* model_nodes.c: what a message says of its sender and of the nodes that it gossips about. */
void model_message(struct model *model, struct message_ends ends,
                   const struct ev_bus_message *message);

/* model_addresses.c: its own header and packet have these addresses; gossip has that one. */
void model_address_own(struct model *model, uint32_t index, const struct endpoint *announced,
                       const struct endpoint *seen);
void model_address_gossiped(struct model *model, uint32_t speaker, uint32_t subject,
                            const struct bus_gossip_entry *entry);

/* model_alarms.c: an observer's gossip about a node has other failure flags than before; a node
 * announces a failure to all. */
void model_alarm_view(struct model *model, uint32_t observer, uint32_t subject, bool was, bool is,
                      bool failed);
void model_alarm_announced(struct model *model, uint32_t sender, uint32_t subject);

/* model_nodes.c: what the observer holds of a node, as gossiped, or as it follows from elsewhere;
 * it sent FAIL about it: true: it was not known to hold anything against it. */
void model_set_view(struct model *model, uint32_t observer, uint32_t subject, uint16_t flags);
bool model_view_announced(struct model *model, uint32_t observer, uint32_t subject);

/* model_recovery.c: a node's answer to a PING has reached who asked; a node says that the cluster
 * is well again; one that suspects others gossips, and says so of nobody. */
void model_recovery_answered(struct model *model, uint32_t subject, uint32_t asker, nstime said);
void model_recovery_served(struct model *model, uint32_t observer);
void model_recovery_unmentioned(struct model *model, struct message_ends ends);

/* What a replica was when it was last heard as one. */
struct replica_was {
    uint32_t primary;
    nstime heard;
    uint64_t current_epoch; /* as it said */
};

/* model_elections.c: a message that is no heartbeat (a PONG that nobody asked for is none); a
 * request for a vote reached the other end; a replica speaks as a primary; a server served a client
 * well. */
void model_election_message(struct model *model, struct message_ends ends,
                            const struct ev_bus_message *message);
void model_election_reached(struct model *model, uint32_t candidate, uint32_t receiver);
void model_election_won(struct model *model, uint32_t winner, struct replica_was was,
                        const struct ev_bus_message *message);
void model_election_served(struct model *model, const struct client_conn *conn,
                           const struct event *event);
void model_elections_free(struct model *model);

/* model_signs.c: a message of one end, told and acknowledged; `end` is 0 for the one that opened
 * the connection. What TCP tells of attempts, closes and windows. */
void model_sign_sent(struct conn *conn, struct link *link, unsigned direction, unsigned end,
                     nstime now);
void model_sign_delivered(struct conn *conn, struct link *link, unsigned direction, unsigned end,
                          const struct event *event);
void model_sign_spoke(struct node *node, const struct event *event);
void model_tcp_event(struct model *model, const struct event *event);

/* The ordered pair of a connection, by its messages or else by its addresses; NULL: not known. */
struct link *model_link_of_flow(struct model *model, struct flow *flow);
/* model_claims.c: role, epoch or slots of a node changed; a contested one's header says the same
 * again; a server acknowledged a write of the key; it answered with an error. To be called for the
 * last two only while contests are open. */
void model_claim_changed(struct model *model, uint32_t index, bool was_replica);
void model_claim_repeated(struct model *model, struct node_private *node);
void model_claim_write(struct model *model, struct server *server, struct bytes key, nstime asked);
void model_claim_refusal(struct model *model, struct server *server);
void model_claims_free(struct model *model);

/* model_links.c: connections and ordered pairs. */
struct message_ends model_link_message(struct model *model, const struct event *event);
void model_link_delivered(struct model *model, const struct event *event);
void model_link_flow_end(struct model *model, const struct event *event);
void model_links_free(struct model *model);

/* model_orders.c: of replies without an error, of silence, of requests without a reply. */
void model_order_answered(struct server *server, const struct event *event);
void model_order_silent(struct server *server, const struct event *event);
void model_order_unanswered(struct server *server, const struct event *event);

/* model_reread.c: a connection was refused, to a node's bus port or (NODE_NONE) a server's; a write
 * was acknowledged by a server that was held for dead; a read is looked at, and answered. */
void model_reread_refused(struct model *model, uint32_t node, const struct event *event);
void model_reread_survived(struct write_log *log, const struct event *event);
void model_reread_asked(struct model *model, const struct event *event);
void model_reread_answered(struct client_conn *conn, const struct event *event);

/* model_clients.c: false: out of memory. */
bool model_clients_init(struct model_clients *clients);
void model_clients_free(struct model_clients *clients);

/* Where the event's server and client are known by the flow's note; else NULL. */
static inline struct client_conn *model_bound_conn(const struct event *event) {
    struct client_conn *conn = event->flow->note;
    return LIKELY(conn && conn->kind == NOTE_CLIENT && conn->server) ? conn : NULL;
}

/* The flow's note, made when it is first asked for. NULL: out of memory, or it is of the bus. */
struct client_conn *model_client_note(struct flow *flow);
void model_client_flow_end(struct flow *flow);

/* The server at this address; NULL: there is none. And at that end of the event's connection, which
 * makes it one. */
struct server *model_find_server(const struct model *model, const struct endpoint *addr);
struct server *model_server_of(struct model *model, const struct event *event, unsigned end);

/* model_replies.c: a reply to a request that is known. */
void model_reply(struct model *model, const struct event *event);

/* model_client_events.c, and model_client_errors.c for an error within the reply of EXEC. */
void model_silent(struct model *model, const struct event *event);
void model_executed(struct model *model, const struct event *event);
void model_inner_error(struct model *model, const struct event *event);
void model_unanswered(struct model *model, const struct event *event);
void model_unmatched(struct model *model, const struct event *event);
void model_push(struct model *model, const struct event *event);
void model_redirect(struct model *model, const struct event *event);
void model_introduced(struct model *model, const struct event *event);
/* Bytes of a client's connection were given up. */
void model_client_gap(struct model *model, const struct event *event);

/* model_cuts.c: somebody wants clients cut off; was that link meant, which its primary has
 * ended? */
void model_cut_asked(struct model *model, const struct event *event);
enum link_cut model_cut(const struct model *model, const struct replication *link, nstime ended);

/* model_redirects.c: a client is redirected; a host that was is answered; slots change hands. */
void model_redirect_step(struct model *model, struct client_conn *conn, const struct event *event);
void model_redirect_reply(struct model *model, struct client_conn *conn, const struct event *event);
void model_redirect_slots(struct model *model, uint32_t owner, const uint8_t *gained);
void model_redirects_free(struct model *model);

/* model_numbers.c: a request is looked at, and answered; one of a client beyond CAP_CLIENTS; a
 * reply bigger than the least of the biggest. */
void model_numbers_init(struct model *model);
void model_numbers_free(struct model_numbers *numbers);
void model_sampled(struct model *model, const struct event *event);
void model_slot_answered(struct model *model, const struct event *event);
void model_stranger(struct model *model, const struct endpoint *addr);
void model_big_reply(struct model *model, const struct event *event);

/* model_slow.c: the server says something again; a reply comes late. */
void model_silence(struct server *server, const struct event *event);
void model_late_reply(struct model *model, struct server *server, const struct event *event);

/* Which of the last silences a reply that began then has ended; NULL: none. The call that a reply
 * answers. */
struct silence *model_silence_ended(struct slow *slow, nstime began);
struct slow_call model_slow_call(const struct event *event, nstime busy, uint64_t bytes);

/* model_big_keys.c: a reply of a big key; one that may have moved one. */
void model_big_key_seen(struct model *model, struct client_conn *conn, const struct event *event);
void model_big_key_moved(struct model *model, struct server *server, const struct event *event);

/* model_writes.c: a client asks for a write; it has a good answer, or waits for EXEC. */
bool model_writes_init(struct model_writes *writes);
void model_write_asked(struct model *model, const struct event *event);
void model_write_answered(struct model *model, struct client_conn *conn, const struct event *event,
                          uint64_t number, bool nothing);
/* The key of a write that is about to be answered; empty: not known. */
struct bytes model_write_key(const struct client_conn *conn, uint64_t number);

void model_write_queued(struct client_conn *conn, uint64_t number);
void model_write_executed(struct model *model, struct client_conn *conn, const struct event *event);

/* A replica begins to follow the server, at this offset of the data set with this id; it has got
 * the whole of it; what it gets then; what it has; the server follows another one from now on. */
void model_write_attached(struct model *model, struct server *server,
                          const struct replication *link, bool full);
void model_write_copied(struct model *model, struct server *server);
void model_write_replicated(struct model *model, struct server *server,
                            const struct replication *link, const struct event *event);
void model_write_acked(struct model *model, struct server *server);
void model_write_demoted(struct model *model, const struct node *node);
void model_write_promoted(struct model *model, const struct node *node);
void model_writes_free(struct model *model);

/* model_moves.c: a request that moves slots or keys, and its reply; its connection ends. */
void model_move_asked(struct model *model, const struct event *event);
void model_move_answered(struct model *model, const struct event *event);
void model_moves_flow_end(struct model *model, const struct flow *flow);
/* model_migrate.c: a server refused a connection, perhaps one that MIGRATE waits for. */
void model_migrate_turned_away(struct model *model, const struct event *event);
void model_moves_free(struct model *model);

/* model_migrations.c: the migration between two primaries, a new one if there was none lately;
 * NULL: there is no room. Something of it is seen; it moves, too: a key, or a slot that is
 * given. While MIGRATE runs keys are on their way, if nothing else is. A node claims slots that it
 * did not claim before. */
struct migration *model_migration_at(struct model *model, const struct endpoint *source,
                                     const struct endpoint *target, bool atomic);
void model_migration_seen(struct migration *migration, nstime now);
void model_migration_moved(struct migration *migration, nstime now);
void model_migration_claimed(struct model *model, const struct node *node, const uint8_t *gained,
                             const uint8_t *lost);
void model_migrations_free(struct model *model);

/* model_open_slots.c: a key of a slot is on its way. SETSLOT has done its work. A node claims the
 * slot. A client was sent on. */
void model_migration_moves(struct model *model, struct migration *migration, uint64_t slot);
void model_slot_opened(struct model *model, uint16_t slot, const struct endpoint *server,
                       bool importing, const char *other);
void model_slot_closed(struct model *model, uint16_t slot, const struct endpoint *server,
                       const char *owner);
void model_slot_claimed(struct model *model, const struct node *node, uint32_t slot);
/* The server was told to give the slot away, and did; or did not, for it holds keys of it. */
void model_slot_kept(struct model *model, uint16_t slot, const struct endpoint *server,
                     bool holds_keys);
void model_migration_ask(struct model *model, const struct event *event);
void model_open_slots_free(struct model_migrations *migrations);

/* model_load.c: a migration begins; a connection ends. */
void model_load_begin(struct model *model, struct migration *migration);
void model_load_free(struct load *load);
void model_load_flow_end(struct model *model, const struct flow *flow);

/* model_handover.c: what a connection carries that carries whole slots; it ends. */
void model_handover_streamed(struct model *model, struct moves *moves, const struct event *event,
                             bool by_source);
void model_handover_ended(struct moves *moves, const struct flow *flow);

/* model_replication.c */
void model_replication_step(struct model *model, const struct event *event);
void model_replicated(struct model *model, const struct event *event);
void model_replications_free(struct model_clients *clients);
void model_replication_closed(struct model *model, const struct event *event);
/* model_follower_lag.c: an end tries to connect in vain, perhaps a replica to its primary. */
void model_follower_knocks(struct model *model, const struct event *event);

/* model_follower_link.c: what is told on a replica's link; how it ends; it is forgotten. */
void model_follower_asked(struct model *model, struct replication *link, const struct event *event);
void model_follower_full(struct model *model, struct replication *link, const struct event *event);
void model_follower_goes_on(struct model *model, struct replication *link,
                            const struct event *event);
void model_follower_copied(struct model *model, struct replication *link,
                           const struct event *event);
void model_follower_streams(struct model *model, struct replication *link,
                            const struct event *event);
void model_follower_acked(struct model *model, struct replication *link, const struct event *event);
void model_follower_refused(struct model *model, struct replication *link,
                            const struct event *event);
void model_follower_sent(struct replication *link, const struct event *event, uint64_t bytes);
void model_follower_closed(const struct model *model, struct replication *link,
                           const struct event *event);
void model_follower_forgets(struct replication *link);

/* model_follower_header.c: what a header says of its sender's offset. */
void model_follower_header(struct model *model, uint32_t index);

/* model_followers.c */
void model_followers_free(struct model_followers *followers);

#endif

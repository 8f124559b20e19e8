/* crowd.h - the clients of a storm, as people know them: by host, and by what they say of
 * themselves. Groups of connections, the first ones; further ones are counted together. */
#ifndef BUSTAP_ANALYSIS_CROWD_H
#define BUSTAP_ANALYSIS_CROWD_H

#include "analysis/finding.h"
#include "analysis/model_clients.h"

enum { CROWD_GROUPS = 16, CROWD_CLIENTS = 16 /* named one by one */, CROWD_TEXT = 400 };

struct crowd_group {
    struct endpoint host; /* its port is one of them */
    struct introduction said;
    uint64_t connections, count; /* count: of what makes the storm */
    uint64_t refreshes;          /* how often its host was told the topology */
};

struct crowd {
    struct crowd_group groups[CROWD_GROUPS];
    size_t group_count;
    uint64_t connections; /* in groups or not */
    struct endpoint clients[CROWD_CLIENTS];
    size_t client_count;
};

/* One more of it by this connection; `joins`: its first. NULL: it has not introduced itself. */
void crowd_add(struct crowd *crowd, const struct endpoint *client, const struct introduction *said,
               bool joins);

/* A client was told the topology. True: its host is one of these. */
bool crowd_refreshed(struct crowd *crowd, const struct endpoint *client);

/* "20 connections of 10.0.0.9 (jedis 5.1.0); 3 of 10.0.0.8": the greatest groups first. */
const char *crowd_text(const struct crowd *crowd, char text[CROWD_TEXT]);

/* Names them: among the finding's clients, and group by group as the metric "who". */
void crowd_tell(const struct crowd *crowd, struct finding *finding);

#endif

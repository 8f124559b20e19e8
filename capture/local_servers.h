/* local_servers.h - the Redis and Valkey servers that run on this host, also in other network
 * namespaces and containers, and the interfaces that carry what they say. Nothing is sent to them:
 * /proc tells. */
#ifndef BUSTAP_CAPTURE_LOCAL_SERVERS_H
#define BUSTAP_CAPTURE_LOCAL_SERVERS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/port_set.h"

struct local_servers {
    struct buf interfaces; /* as source_open takes them: "lo,eth0,eth0@1234" */
    struct buf said;       /* for people, a line each: "eth0: ports 7000, 17000 (redis-server 1)" */
    struct port_set ports; /* theirs, and those of others that they are connected to */
};

/* Those servers that listen on one of the ports; NULL: all. False and a message: none is to be
 * found; then nothing need be freed. */
bool local_servers_find(struct local_servers *ret_found, const struct port_set *ports,
                        struct err *err);
void local_servers_free(struct local_servers *found);

#endif

/* server_process.h - the processes of this host that are Redis or Valkey servers, with the ports on
 * which they listen. */
#ifndef BUSTAP_CAPTURE_SERVER_PROCESS_H
#define BUSTAP_CAPTURE_SERVER_PROCESS_H

#include <sys/types.h>

#include "base/err.h"
#include "capture/proc_sockets.h"

enum { CGROUP_SHOWN = 160 }; /* a longer path is cut */

struct server_process {
    pid_t pid;
    const char *name;          /* redis-server or valkey-server; static */
    ino_t netns;               /* the network namespace that it is in */
    char cgroup[CGROUP_SHOWN]; /* "" for the root's, or if it is not to be known */
    struct proc_sockets sockets;
};

struct server_processes {
    struct server_process *list;
    size_t count;
    uint64_t further;  /* than the cap: not in the list */
    struct err hidden; /* the first one that we may not look at, and why; "": there is none */
};

/* "/system.slice/redis.service" of the text of /proc/PID/cgroup: that of the unified hierarchy. */
void cgroup_parse(const char *text, char ret_path[CGROUP_SHOWN]);

/* Those that listen on one of the ports; NULL: on any. False and a message if that cannot be said;
 * whatever happened, server_processes_free() the result. */
bool server_processes_find(struct server_processes *ret_servers, const struct port_set *ports,
                           struct err *err);
void server_processes_free(struct server_processes *servers);

/* One more that would be captured from, if only we might. */
void server_processes_hide(struct server_processes *servers, const struct server_process *server,
                           const char *why);

#endif

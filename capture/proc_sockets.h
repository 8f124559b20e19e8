/* proc_sockets.h - the TCP sockets of another process, as /proc tells: where it listens, and which
 * ports it has connected to. */
#ifndef BUSTAP_CAPTURE_PROC_SOCKETS_H
#define BUSTAP_CAPTURE_PROC_SOCKETS_H

#include <netinet/in.h>

#include "base/port_set.h"

struct listener {
    struct in6_addr address; /* IPv4 as ::ffff:1.2.3.4; any: in6addr_any, for both */
    uint16_t port;
};

/* A server listens on up to 16 addresses, with three ports each. */
enum { LISTENERS_MAX = 48 };

struct proc_sockets {
    struct listener listeners[LISTENERS_MAX]; /* further ones are left out */
    size_t count;
    struct port_set peers; /* ports of others to which it has connected, or tries to */
};

/* Of /proc/PID, given as an open directory. False, with errno: they are not to be seen. */
bool proc_sockets_read(int process, struct proc_sockets *ret_sockets);

/* One line of /proc/net/tcp or tcp6: false if it is none of a socket. */
struct proc_socket {
    struct listener local;
    uint16_t peer;
    unsigned state; /* TCP_LISTEN and so on */
    unsigned long inode;
};
bool proc_socket_parse(const char *line, struct proc_socket *ret_socket);

#endif

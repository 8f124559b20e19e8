/* local_servers.c - server processes (server_process.c) by the network namespaces that they live
 * in, each with interfaces of its own, of which those that carry their traffic (carrier.c) are
 * chosen. Should these be more than can be captured from, `any` stands for all of a namespace. */
#include "capture/local_servers.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "capture/carrier.h"
#include "capture/netns.h"
#include "capture/server_process.h"

enum { TEXT_MAX = 64 << 10 };

/* A network namespace with servers in it. */
struct space {
    const struct server_process *servers; /* side by side */
    size_t server_count;
    bool is_ours;
    char name[64];                /* "" for ours */
    struct buf interfaces, lines; /* as in local_servers */
    size_t interface_count;
};

struct spaces {
    struct space *list;
    size_t count;
};

/* ---- interfaces, and what they carry ---- */

/* The ports of a server that come this way; interface NULL: all of them. */
static struct port_set carried_ports(const struct server_process *server, const struct ifaddrs *all,
                                     const struct ifaddrs *interface) {
    struct port_set ports = {0};
    for (size_t i = 0; i < server->sockets.count; i++) {
        const struct listener *listener = &server->sockets.listeners[i];
        if (!interface || carrier_of(all, interface, &listener->address))
            port_set_add(&ports, listener->port);
    }
    return ports;
}

/* ", 7000, 17000"; how many. */
static size_t put_ports(struct buf *buf, const struct port_set *ports) {
    size_t count = 0;
    uint16_t first, last;
    for (unsigned from = 0; port_set_run(ports, from, &first, &last); from = last + 1U)
        for (unsigned port = first; port <= last; port++, count++)
            buf_printf(buf, "%s%u", buf->len ? ", " : "", port);
    return count;
}

static void put_interface(struct space *space, const char *name, const char *ports, bool several) {
    size_t from = space->interfaces.len + (space->interfaces.len > 0);
    buf_printf(&space->interfaces, "%s%s", from ? "," : "", name);
    if (!space->is_ours)
        buf_printf(&space->interfaces, "@%d", (int)space->servers[0].pid);
    space->interface_count++;
    if (space->interfaces.failed)
        return;
    buf_printf(&space->lines, "%s%s%s: port%s ", space->interfaces.data + from,
               *space->name ? " in " : "", space->name, several ? "s" : "");
    buf_text(&space->lines, ports);
    buf_text(&space->lines, "\n");
}

/* " (redis-server 1234, /system.slice/redis.service)" */
static void put_process(struct buf *buf, const struct server_process *server) {
    buf_printf(buf, " (%s %d", server->name, (int)server->pid);
    buf_printf(buf, "%s%s)", *server->cgroup ? ", " : "", server->cgroup);
}

/* "eth0@1234 in namespace blue: ports 7000, 17000 (redis-server 1234)", if it carries any. */
static void add_interface(struct space *space, const char *name, const struct ifaddrs *all,
                          const struct ifaddrs *interface) {
    struct buf ports = {.max = TEXT_MAX};
    size_t count = 0;
    for (size_t i = 0; i < space->server_count; i++) {
        const struct server_process *server = &space->servers[i];
        struct port_set carried = carried_ports(server, all, interface);
        size_t more = put_ports(&ports, &carried);
        if (more)
            put_process(&ports, server);
        count += more;
    }
    if (count)
        put_interface(space, name, buf_str(&ports), count > 1);
    space->lines.failed |= ports.failed;
    buf_free(&ports);
}

/* All that are up; each is once in the list as a packet interface. */
static bool add_interfaces(struct space *space, struct err *err) {
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return err_set(err, "the interfaces cannot be listed: %s", strerror(errno));
    for (const struct ifaddrs *entry = all; entry; entry = entry->ifa_next) {
        bool is_packet = entry->ifa_addr && entry->ifa_addr->sa_family == AF_PACKET;
        if (is_packet && (entry->ifa_flags & IFF_UP))
            add_interface(space, entry->ifa_name, all, entry);
    }
    freeifaddrs(all);
    return true;
}

static void name_space(struct space *space) {
    char path[32];
    struct buf name = {.max = sizeof space->name - 1};
    (void)snprintf(path, sizeof path, "/proc/%d", (int)space->servers[0].pid);
    int process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    netns_put_name(&name, process, space->servers[0].netns);
    (void)snprintf(space->name, sizeof space->name, "%s", buf_str(&name));
    buf_free(&name);
    if (process >= 0)
        (void)close(process);
}

/* False and a message: the run cannot go on. A namespace that cannot be entered is left out. */
static bool look_around(struct server_processes *servers, struct space *space, struct err *err) {
    const struct server_process *first = space->servers;
    struct err why;
    int home;
    if (space->is_ours)
        return add_interfaces(space, err);
    name_space(space);
    if (!netns_enter(first->pid, &home, &why)) {
        server_processes_hide(servers, first, why.text);
        return true;
    }
    bool sound = add_interfaces(space, err);
    return netns_leave(home, &why) ? sound : err_set(err, "%s", why.text);
}

/* ---- namespaces ---- */

static void space_clear(struct space *space) {
    buf_free(&space->interfaces);
    buf_free(&space->lines);
    space->interface_count = 0;
}

static void spaces_free(struct spaces *spaces) {
    for (size_t i = 0; i < spaces->count; i++)
        space_clear(&spaces->list[i]);
    free(spaces->list);
}

static size_t interfaces_in(const struct spaces *spaces) {
    size_t count = 0;
    for (size_t i = 0; i < spaces->count; i++)
        count += spaces->list[i].interface_count;
    return count;
}

/* `any` in place of each namespace's own. */
static void fold(struct spaces *spaces) {
    for (size_t i = 0; i < spaces->count; i++) {
        struct space *space = &spaces->list[i];
        if (space->interface_count < 2)
            continue;
        space_clear(space);
        add_interface(space, "any", NULL, NULL);
    }
}

/* Ours first, then one namespace after the other. */
static int compare(const void *a, const void *b, void *ours) {
    const struct server_process *left = a, *right = b;
    ino_t home = *(const ino_t *)ours;
    if (left->netns == right->netns)
        return (left->pid > right->pid) - (left->pid < right->pid);
    if (left->netns == home || right->netns == home)
        return left->netns == home ? -1 : 1;
    return left->netns < right->netns ? -1 : 1;
}

static bool divide(struct spaces *spaces, struct server_processes *servers, struct err *err) {
    ino_t ours = netns_ours();
    spaces->list = calloc(servers->count, sizeof *spaces->list);
    if (!spaces->list)
        return err_no_memory(err);
    qsort_r(servers->list, servers->count, sizeof *servers->list, compare, &ours);
    for (size_t i = 0; i < servers->count; i++) {
        const struct server_process *server = &servers->list[i];
        if (i == 0 || server->netns != server[-1].netns)
            spaces->list[spaces->count++] = (struct space){.servers = server,
                                                           .is_ours = server->netns == ours,
                                                           .interfaces.max = TEXT_MAX,
                                                           .lines.max = TEXT_MAX};
        spaces->list[spaces->count - 1].server_count++;
    }
    return true;
}

/* ---- the choice ---- */

static void add_ports(struct port_set *all, const struct server_process *server) {
    for (size_t i = 0; i < server->sockets.count; i++)
        port_set_add(all, server->sockets.listeners[i].port);
    port_set_add_all(all, &server->sockets.peers);
}

static void put_space(struct local_servers *found, const struct space *space) {
    if (!space->interface_count)
        return;
    buf_text(&found->interfaces, found->interfaces.len ? "," : "");
    buf_text(&found->interfaces, buf_str(&space->interfaces));
    buf_text(&found->said, buf_str(&space->lines));
    found->said.failed |= space->interfaces.failed || space->lines.failed;
    for (size_t i = 0; i < space->server_count; i++)
        add_ports(&found->ports, &space->servers[i]);
}

static void put_left_out(struct buf *said, const struct server_processes *servers) {
    if (*servers->hidden.text)
        buf_printf(said, "left out: %s\n", servers->hidden.text);
    if (servers->further)
        buf_printf(said, "left out: %llu servers, being more than %d\n",
                   (unsigned long long)servers->further, CAP_LOCAL_SERVERS);
}

static bool none_found(const struct server_processes *servers, const struct port_set *ports,
                       struct err *err) {
    static const char remedy[] = "name interfaces and ports, as -i eth0 -p 6379, or -i any";
    if (*servers->hidden.text)
        return err_set(err, "%s; run as root, or %s", servers->hidden.text, remedy);
    return err_set(err, "no redis-server or valkey-server listens on %s of this host: %s",
                   ports ? "these ports" : "any TCP port", remedy);
}

static bool choose(struct local_servers *found, struct server_processes *servers,
                   struct spaces *spaces, struct err *err) {
    if (!divide(spaces, servers, err))
        return false;
    for (size_t i = 0; i < spaces->count; i++)
        if (!look_around(servers, &spaces->list[i], err))
            return false;
    if (interfaces_in(spaces) > CAP_TAPS)
        fold(spaces);
    if (interfaces_in(spaces) > CAP_TAPS)
        return err_set(err,
                       "servers run in %zu network namespaces, of which at most %d can be captured "
                       "from at once: name some, as -i any@PID, PID being a server's",
                       spaces->count, CAP_TAPS);
    for (size_t i = 0; i < spaces->count; i++)
        put_space(found, &spaces->list[i]);
    put_left_out(&found->said, servers);
    return (!found->interfaces.failed && !found->said.failed) || err_no_memory(err);
}

bool local_servers_find(struct local_servers *ret_found, const struct port_set *ports,
                        struct err *err) {
    struct server_processes servers;
    struct spaces spaces = {0};
    *ret_found = (struct local_servers){.interfaces.max = TEXT_MAX, .said.max = TEXT_MAX};
    bool sound = server_processes_find(&servers, ports, err) &&
                 (servers.count == 0 || choose(ret_found, &servers, &spaces, err));
    if (sound && !ret_found->interfaces.len)
        sound = none_found(&servers, ports, err);
    spaces_free(&spaces);
    server_processes_free(&servers);
    if (!sound)
        local_servers_free(ret_found);
    return sound;
}

void local_servers_free(struct local_servers *found) {
    buf_free(&found->interfaces);
    buf_free(&found->said);
}

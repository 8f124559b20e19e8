/* live.c - interfaces and ports, by what was named:
 *
 *   -i and -p   those
 *   -i          all TCP on them: who is a server, the decoder sees from what is said
 *   -p          the interfaces that carry these ports to local servers; without such servers, any
 *   neither     the interfaces and ports of the local servers */
#include "cli/live.h"

#include <stdlib.h>

#include "capture/local_servers.h"
#include "cli/say.h"

enum {
    TEXT_MAX = 8192,
    BUS_PORT_OFFSET = 10000, /* unless cluster-port says otherwise */
    RANGES_MAX = 128,        /* libpcap's optimiser takes time with the cube of them */
};

static void put_interfaces(struct buf *path, const struct words *names) {
    for (size_t i = 0; i < names->count; i++) {
        buf_text(path, i ? "," : "");
        buf_text(path, names->list[i]);
    }
}

/* "tcp and (port 7000 or portrange 17000-17002)"; without any ports, "tcp". */
static bool put_filter(struct buf *filter, const struct port_set *ports, const char *more,
                       struct err *err) {
    uint16_t first, last;
    size_t ranges = 0;
    buf_text(filter, "tcp");
    for (unsigned from = 0; port_set_run(ports, from, &first, &last); from = last + 1U) {
        buf_text(filter, ranges++ ? " or " : " and (");
        buf_printf(filter, first < last ? "portrange %u-%u" : "port %u", first, last);
    }
    buf_text(filter, ranges ? ")" : "");
    if (more) {
        buf_text(filter, " and (");
        buf_text(filter, more);
        buf_text(filter, ")");
    }
    return ranges <= RANGES_MAX ||
           err_set(err,
                   "%zu ranges of ports, with those of the bus, are more than %d: name fewer "
                   "(-p), or interfaces alone (-i)",
                   ranges, RANGES_MAX);
}

/* The ports that were named and those of the bus that belong to them. */
static struct port_set with_bus_ports(const struct port_set *clients) {
    struct port_set ports = *clients;
    for (unsigned port = 1; port + BUS_PORT_OFFSET <= UINT16_MAX; port++)
        if (port_set_has(clients, (uint16_t)port))
            port_set_add(&ports, (uint16_t)(port + BUS_PORT_OFFSET));
    return ports;
}

static void say_lines(const char *lines) {
    for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
        len = strcspn(lines, "\n");
        (void)say("%.*s", (int)len, lines);
    }
}

static bool find(const struct config *config, struct buf *path, struct port_set *ports,
                 struct err *err) {
    struct local_servers found;
    bool ports_named = !port_set_is_empty(ports);
    if (!local_servers_find(&found, ports_named ? ports : NULL, err)) {
        if (!ports_named)
            return false;
        if (!config->quiet)
            (void)say("any: %s", "no local server is known to listen on these ports");
        buf_text(path, "any");
        return true;
    }
    if (!config->quiet)
        say_lines(buf_str(&found.said));
    buf_text(path, buf_str(&found.interfaces));
    if (!ports_named)
        *ports = found.ports;
    local_servers_free(&found);
    return true;
}

static bool list_ports(struct live *live, const struct port_set *ports) {
    uint16_t first, last;
    live->ports = malloc((UINT16_MAX + 1) * sizeof *live->ports);
    if (!live->ports)
        return false;
    for (unsigned from = 0; port_set_run(ports, from, &first, &last); from = last + 1U)
        for (unsigned port = first; port <= last; port++)
            live->ports[live->port_count++] = (uint16_t)port;
    return true;
}

bool live_choose(const struct config *config, struct live *ret_live, struct err *err) {
    struct port_set ports = config->ports;
    bool ports_named = !port_set_is_empty(&ports);
    *ret_live = (struct live){.interfaces.max = TEXT_MAX, .filter.max = TEXT_MAX};
    put_interfaces(&ret_live->interfaces, &config->interfaces);
    if (config->interfaces.count == 0 && !find(config, &ret_live->interfaces, &ports, err))
        return false;
    if (ports_named)
        ports = with_bus_ports(&ports);
    if (!put_filter(&ret_live->filter, &ports, config->filter, err))
        return false;
    bool listed = list_ports(ret_live, &ports);
    return (listed && !ret_live->interfaces.failed && !ret_live->filter.failed) ||
           err_no_memory(err);
}

void live_free(struct live *live) {
    buf_free(&live->interfaces);
    buf_free(&live->filter);
    free(live->ports);
}

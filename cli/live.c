/* live.c - interfaces and ports, by what was named:
 *
 *   -i and -p   those
 *   -i          all TCP on them: who is a server, the decoder sees from what is said
 *   -p          the interfaces that carry these ports to local servers; without such servers, any
 *   neither     the interfaces and ports of the local servers */
#include "cli/live.h"

#include "capture/local_servers.h"
#include "cli/say.h"

enum {
    TEXT_MAX = 8192,
    BUS_PORT_OFFSET = 10000, /* unless cluster-port says otherwise */
};

static void put_interfaces(struct buf *path, const struct words *names) {
    for (size_t i = 0; i < names->count; i++) {
        buf_text(path, i ? "," : "");
        buf_text(path, names->list[i]);
    }
}

/* The ports that were named and those of the bus that belong to them. */
static struct port_set with_bus_ports(const struct port_set *clients) {
    struct port_set ports = *clients;
    for (unsigned port = 1; port + BUS_PORT_OFFSET <= UINT16_MAX; port++)
        if (port_set_has(clients, (uint16_t)port))
            port_set_add(&ports, (uint16_t)(port + BUS_PORT_OFFSET));
    return ports;
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

bool live_choose(const struct config *config, struct live *ret_live, struct err *err) {
    struct port_set ports = config->ports;
    bool ports_named = !port_set_is_empty(&ports);
    *ret_live = (struct live){.interfaces.max = TEXT_MAX};
    put_interfaces(&ret_live->interfaces, &config->interfaces);
    if (config->interfaces.count == 0 && !find(config, &ret_live->interfaces, &ports, err))
        return false;
    ret_live->ports = ports_named ? with_bus_ports(&ports) : ports;
    return !ret_live->interfaces.failed || err_no_memory(err);
}

void live_free(struct live *live) {
    buf_free(&live->interfaces);
}

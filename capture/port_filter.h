/* port_filter.h - which packets the kernel puts into the ring of a live capture: those of some
 * ports that also pass the user's own filter. The ports may become more while packets come. */
#ifndef BUSTAP_CAPTURE_PORT_FILTER_H
#define BUSTAP_CAPTURE_PORT_FILTER_H

#include <pcap/pcap.h>

#include "base/err.h"
#include "base/port_set.h"

struct port_filter {
    struct bpf_program widest; /* TCP that passes the user's filter, whatever its ports */
};

/* `own` is the user's filter, as tcpdump's; NULL: none. For an interface that is captured from but
 * not yet read. False and a message if the filter is wrong. Whatever happened, port_filter_free().
 */
bool port_filter_open(struct port_filter *filter, pcap_t *pcap, const char *own, struct err *err);
void port_filter_free(struct port_filter *filter);

/* From now on packets of these ports (none: of all) come, and no others. Of those that passed
 * before and pass now, none is missed meanwhile. False and a message: all is as before. */
bool port_filter_set(const struct port_filter *filter, pcap_t *pcap, const struct port_set *ports,
                     struct err *err);

#endif

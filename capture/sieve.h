/* sieve.h - a filter as tcpdump's for packets that are there already: those of files, and those
 * that eBPF programs handed up. A filter is compiled for a link type, and there may be several. */
#ifndef BUSTAP_CAPTURE_SIEVE_H
#define BUSTAP_CAPTURE_SIEVE_H

#include "base/err.h"
#include "capture/packet.h"

struct sieve;

/* `filter` is borrowed. NULL and a message if it is wrong. */
struct sieve *sieve_new(const char *filter, struct err *err);

/* Packets of this link type will come: of them sieve_look() cannot fail then. False and a message,
 * as there. */
bool sieve_expect(struct sieve *sieve, uint16_t link_type, struct err *err);

/* False and a message: it cannot be said of packets of this link type. */
bool sieve_look(struct sieve *sieve, const struct packet *packet, bool *ret_passes,
                struct err *err);

void sieve_free(struct sieve *sieve); /* NULL is fine */

#endif

/* sieve.h - a filter as tcpdump's for packets that are there already: those of files. What is
 * live is looked at where it is captured. A filter is compiled for a link type, and a file may hold
 * several. */
#ifndef BUSTAP_CAPTURE_SIEVE_H
#define BUSTAP_CAPTURE_SIEVE_H

#include "base/err.h"
#include "capture/packet.h"

struct sieve;

/* `filter` is borrowed. NULL and a message if it is wrong. */
struct sieve *sieve_new(const char *filter, struct err *err);

/* False and a message: it cannot be said of packets of this link type. */
bool sieve_look(struct sieve *sieve, const struct packet *packet, bool *ret_passes,
                struct err *err);

void sieve_free(struct sieve *sieve); /* NULL is fine */

#endif

/* streams.h - the connections of a capture, each with the bytes of its two streams put together the
 * slow and obvious way; nothing of decode/ but the reading of packets takes part.
 *
 *   struct streams *streams = streams_new();
 *   capture_each(path, streams_packet, streams);
 *   for (size_t i = 0; i < streams_count(streams); i++)
 *       look_at(streams_at(streams, i)->way[SERVER].bytes)
 *
 * Only connections whose opening was captured; each stream up to the first byte that is missing.
 * Out of memory ends the test program. */
#ifndef BUSTAP_TESTS_STREAMS_H
#define BUSTAP_TESTS_STREAMS_H

#include "base/buf.h"
#include "capture/packet.h"
#include "decode/endpoint.h"
#include "tests/lib/made.h"
#include "tests/lib/talk.h" /* CLIENT, SERVER */

struct early;

struct way {
    struct endpoint src;
    bool started;
    uint32_t first; /* sequence number of its first byte */
    struct made bytes;
    struct early *early; /* what came before its time */
};

struct connection {
    struct way way[2]; /* CLIENT: that of the end that opened it */
    struct buf notes;  /* for the test's own use */
};

struct streams *streams_new(void);
void streams_free(struct streams *streams);
void streams_packet(void *streams, const struct packet *packet);

size_t streams_count(const struct streams *streams);
struct connection *streams_at(const struct streams *streams, size_t index);

/* The youngest connection between these ends that began with these bytes' number; NULL: none. */
struct connection *streams_find(const struct streams *streams, const struct endpoint *client,
                                const struct endpoint *server, uint32_t first);

#endif

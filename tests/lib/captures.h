/* captures.h - the captures of real clusters in pcaps/ (or $BUSTAP_PCAPS), one after the other. */
#ifndef BUSTAP_TESTS_CAPTURES_H
#define BUSTAP_TESTS_CAPTURES_H

#include "capture/packet.h"

/* Calls `visit` with the path of each capture, in the order of their names. Returns how many. */
size_t captures_each(void (*visit)(void *context, const char *path), void *context);

/* Likewise those in the folders within $BUSTAP_CAPTURES; none where that is not set. */
size_t captures_outside_each(void (*visit)(void *context, const char *path), void *context);

/* Calls `visit` with each packet of a capture. A capture that cannot be read ends the program. */
void capture_each(const char *path, void (*visit)(void *context, const struct packet *packet),
                  void *context);

/* All packets of a capture, copied; at most `limit` captured bytes of them. */
struct packets {
    struct packet *list;
    size_t count;
    uint8_t *bytes;
};
struct packets capture_read(const char *path, size_t limit);
void packets_free(struct packets *packets);

#endif

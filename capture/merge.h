/* merge.h - several sources as one, ordered by time (ties: by source, then by frame).
 *
 * A packet without a time takes that of the packet before it in its source. Within one source the
 * order of the file is kept even where its times step back. */
#ifndef BUSTAP_CAPTURE_MERGE_H
#define BUSTAP_CAPTURE_MERGE_H

#include "capture/source.h"

struct merge;

/* Opens every path; packets get `source` = their index in `paths`. NULL and a message if one of
 * them cannot be opened; the message names it. */
struct merge *merge_open(const char *const *paths, size_t count,
                         const struct source_options *options, struct err *err);

/* SOURCE_FAILED is returned once, after the last packet of all sources, if any source was damaged:
 * the others are read to their ends, and err holds the first source's message. */
enum source_got merge_next(struct merge *merge, struct packet *ret_packet, struct err *err);

/* Of all sources (source_widen); the first that cannot says why. */
bool merge_widen(struct merge *merge, const struct port_set *ports, struct err *err);

/* Of the first source, which of a live run is the only one (source_traffic). */
bool merge_traffic(const struct merge *merge, struct source_traffic *ret_traffic);

size_t merge_count(const struct merge *merge);
const struct source_info *merge_info(const struct merge *merge, size_t index);
void merge_close(struct merge *merge); /* NULL is fine */

#endif

/* departed.c - a live run has one source, which knows its interfaces. */
#include "cli/departed.h"

#include <inttypes.h>

#include "base/limits.h"
#include "report/format.h"

_Static_assert(CAP_TAPS <= 64, "a bit for each");

/* What is not counted for it alone is not told of it. */
static void put(struct buf *said, const struct source_interface *interface) {
    buf_printf(said, "%s: the interface is gone since ", interface->name);
    buf_rfc3339(said, interface->gone);
    if (interface->packets != COUNT_UNKNOWN)
        buf_printf(said, ": %" PRIu64 " packets captured", interface->packets);
    if (interface->drops != COUNT_UNKNOWN)
        buf_printf(said, ", %" PRIu64 " dropped by the kernel", interface->drops);
    buf_text(said, "\n");
}

void departed_look(struct departed *departed, const struct merge *merge, struct buf *said) {
    const struct source_info *info = merge_info(merge, 0);
    for (size_t i = 0; i < info->interface_count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (info->interfaces[i].gone == TIME_NONE || departed->told & bit)
            continue;
        departed->told |= bit;
        put(said, &info->interfaces[i]);
    }
}

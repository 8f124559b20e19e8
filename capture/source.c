/* source.c - picks the kind of source for a path and passes the calls on to it. */
#include "capture/source.h"

#include "capture/source_kind.h"

#define SOURCE(name, prefix, help) {prefix, source_##name##_open},
const struct source_kind source_kinds[] = {
#include "capture/sources.def"
};
#undef SOURCE

const size_t source_kind_count = countof(source_kinds);

static const struct source_kind *kind_of(const char *path) {
    const struct source_kind *kind = source_kinds;
    while (strncmp(path, kind->prefix, strlen(kind->prefix)) != 0)
        kind++; /* ends: the last row claims every path */
    return kind;
}

struct source *source_open(const char *path, const struct source_options *options,
                           struct err *err) {
    return kind_of(path)->open(path, options, err);
}

bool source_is_file(const char *path) {
    return !*kind_of(path)->prefix;
}

enum source_got source_next(struct source *source, struct packet *ret_packet, struct err *err) {
    return source->next(source, ret_packet, err);
}

bool source_widen(struct source *source, const struct port_set *ports, struct err *err) {
    return !source->widen || source->widen(source, ports, err);
}

bool source_traffic(const struct source *source, struct source_traffic *ret_traffic) {
    if (source->traffic)
        source->traffic(source, ret_traffic);
    return source->traffic;
}

const struct source_info *source_info(const struct source *source) {
    return &source->info;
}

void source_close(struct source *source) {
    if (source)
        source->close(source);
}

void source_note_link_type(struct source *source, uint16_t link_type) {
    struct source_info *info = &source->info;
    source->last_link_type = link_type;
    for (size_t i = 0; i < info->link_type_count; i++)
        if (info->link_types[i] == link_type)
            return;
    if (info->link_type_count < SOURCE_LINK_TYPES)
        info->link_types[info->link_type_count++] = link_type;
}

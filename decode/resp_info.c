/* resp_info.c - what an answer to INFO says of the server's memory, read as it goes by.
 *
 * The answer is lines "name:value", which may be cut anywhere: of the line in hand the beginning is
 * kept, of the answer nothing. Lines that are not known are passed over. Wire facts: Redis and
 * Valkey src/server.c, genRedisInfoString. */
#include <stdlib.h>

#include "decode/resp_link.h"

enum { LINE_KEPT = 64 /* longer than any line that is looked for */ };

/* The numbers that are looked for. Several lines may add up to one. */
enum {
    INFO_USED,
    INFO_RSS,
    INFO_LIMIT,
    INFO_SYSTEM,
    INFO_FRAGMENTATION,
    INFO_CLIENTS,
    INFO_REPLICAS,
    INFO_LINKS,
    INFO_EVICTS,
    INFO_NUMBERS
};

enum info_form { FORM_NUMBER, FORM_RATIO, FORM_POLICY };

static const struct info_row {
    const char *name;
    uint8_t number, form;
} info_rows[] = {
    {"used_memory:", INFO_USED, FORM_NUMBER},
    {"used_memory_rss:", INFO_RSS, FORM_NUMBER},
    {"maxmemory:", INFO_LIMIT, FORM_NUMBER},
    {"total_system_memory:", INFO_SYSTEM, FORM_NUMBER},
    {"mem_fragmentation_ratio:", INFO_FRAGMENTATION, FORM_RATIO},
    {"mem_clients_normal:", INFO_CLIENTS, FORM_NUMBER},
    {"mem_clients_slaves:", INFO_REPLICAS, FORM_NUMBER},
    {"mem_replication_backlog:", INFO_REPLICAS, FORM_NUMBER},
    {"mem_cluster_links:", INFO_LINKS, FORM_NUMBER},
    {"maxmemory_policy:", INFO_EVICTS, FORM_POLICY},
};

struct info {
    uint64_t numbers[INFO_NUMBERS]; /* NOT_KNOWN */
    uint8_t line[LINE_KEPT];
    uint8_t len;
    bool passing; /* the rest of the line in hand, which is of no interest or not whole */
    bool found;   /* anything */
};

static void begin(struct info *info) {
    for (size_t i = 0; i < INFO_NUMBERS; i++)
        info->numbers[i] = NOT_KNOWN;
    info->len = 0;
    info->passing = info->found = false;
}

/* ---- lines ---- */

/* Digits; of a ratio those before the dot and three behind it. False: something else, or too many.
 */
static bool parse(struct bytes text, unsigned decimals, uint64_t *ret_number) {
    uint64_t number = 0;
    size_t at = 0, digits = 0;
    for (; at < text.len && (unsigned)(text.data[at] - '0') < 10 && digits < 18; at++, digits++)
        number = number * 10 + (text.data[at] - (unsigned)'0');
    bool dot = decimals > 0 && at < text.len && text.data[at] == '.';
    for (at += dot; decimals > 0; decimals--) {
        bool digit = dot && at < text.len && (unsigned)(text.data[at] - '0') < 10;
        number = number * 10 + (digit ? text.data[at++] - (unsigned)'0' : 0);
    }
    *ret_number = number;
    return digits > 0 && (dot || at == text.len) && digits < 16;
}

static bool value_of_line(enum info_form form, struct bytes text, uint64_t *ret_value) {
    if (form == FORM_POLICY) {
        *ret_value = !bytes_equal(text, bytes_str("noeviction"));
        return text.len > 0;
    }
    return parse(text, form == FORM_RATIO ? 3 : 0, ret_value);
}

static void on_line(struct info *info) {
    struct bytes line = bytes_of(info->line, info->len);
    uint64_t value;
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    for (size_t i = 0; i < countof(info_rows); i++) {
        const struct info_row *row = &info_rows[i];
        if (!bytes_begin(line, row->name))
            continue;
        struct bytes text = bytes_after(line, strlen(row->name));
        uint64_t *number = &info->numbers[row->number];
        if (value_of_line(row->form, text, &value)) {
            *number = *number == NOT_KNOWN ? value : *number + value;
            info->found = true;
        }
        return;
    }
}

static void read_bytes(struct info *info, struct bytes view) {
    while (view.len > 0) {
        const uint8_t *end = memchr(view.data, '\n', view.len);
        struct bytes part = bytes_first(view, end ? (size_t)(end - view.data) : view.len);
        size_t room = LINE_KEPT - (size_t)info->len;
        if (part.len > room)
            info->passing = true;
        if (!info->passing && part.len > 0) {
            memcpy(info->line + info->len, part.data, part.len);
            info->len += (uint8_t)part.len;
        }
        if (end && !info->passing)
            on_line(info);
        if (end) {
            info->len = 0;
            info->passing = false;
        }
        view = bytes_after(view, part.len + (end != NULL));
    }
}

/* ---- the connection ---- */

void info_asked(const struct resp_walk *walk) {
    if (!walk->link->info && emitter_wants(walk->out, EV_memory))
        walk->link->info = calloc(1, sizeof *walk->link->info);
}

void info_begin(const struct resp_walk *walk) {
    begin(walk->link->info);
}

void info_read(const struct resp_walk *walk, struct bytes view) {
    read_bytes(walk->link->info, view);
}

void info_torn(const struct resp_walk *walk) {
    walk->link->info->passing = true;
}

void info_end(const struct resp_walk *walk) {
    const struct info *info = walk->link->info;
    const uint64_t *numbers = info->numbers;
    struct event event = {.type = EV_memory};
    if (!info->found)
        return;
    event.memory = (struct ev_memory){.used = numbers[INFO_USED],
                                      .rss = numbers[INFO_RSS],
                                      .limit = numbers[INFO_LIMIT],
                                      .system = numbers[INFO_SYSTEM],
                                      .fragmentation = numbers[INFO_FRAGMENTATION],
                                      .client_buffers = numbers[INFO_CLIENTS],
                                      .replica_buffers = numbers[INFO_REPLICAS],
                                      .link_buffers = numbers[INFO_LINKS],
                                      .evicts = numbers[INFO_EVICTS]};
    emit_event(walk->out, walk->flow, walk->direction, &event);
}

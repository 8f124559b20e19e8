/* recorder.c - one printer for each kind of field, and the comparison of two lists of lines. */
#include "tests/lib/recorder.h"

#include "decode/flow.h"

#include <stdio.h>
#include <stdlib.h>

enum { RANGES_SHOWN = 4, AROUND = 3, TEXT_MAX = 512 << 20 };
enum { WORD_MAX = 1024 /* more than is kept of any */ };

static bool in_list(const char *list, const char *word) {
    size_t len = strlen(word);
    for (const char *at = list; at && (at = strstr(at, word)); at += len) {
        bool begins = at == list || at[-1] == ' ';
        if (begins && (at[len] == ' ' || at[len] == '\0'))
            return true;
    }
    return false;
}

/* ---- values ---- */

static bool has_slot(const uint8_t *slots, unsigned slot) {
    return slot < BUS_SLOTS && slots[slot >> 3] & 1u << (slot & 7);
}

/* The first few ranges, and how many slots there are in all. */
static void put_slots(struct buf *buf, const uint8_t *slots) {
    unsigned count = 0, ranges = 0;
    for (unsigned slot = 0; slot < BUS_SLOTS; slot++) {
        if (!has_slot(slots, slot))
            continue;
        unsigned first = slot;
        while (has_slot(slots, slot + 1))
            slot++;
        count += slot - first + 1;
        if (ranges++ < RANGES_SHOWN)
            buf_printf(buf, first == slot ? "%s%u" : "%s%u-%u", ranges == 1 ? "" : ",", first,
                       slot);
    }
    if (ranges > RANGES_SHOWN)
        buf_printf(buf, "...(%u)", count);
}

static void put_gossip(struct buf *buf, const struct bus_gossip *gossip) {
    for (size_t i = 0; i < gossip->count; i++) {
        struct bus_gossip_entry e = bus_gossip_at(gossip, i);
        buf_printf(buf, "[%.8s ", e.node);
        buf_wire_text(buf, bus_text(e.ip), BUS_IP_TEXT);
        buf_printf(buf, ":%u:%u:%u flags=%x ping=%u pong=%u]", e.port, e.bus_port, e.secondary_port,
                   e.flags, e.ping_sent, e.pong_received);
    }
}

static void put_extensions(struct buf *buf, struct bus_extensions walk) {
    struct bus_extension e;
    bool bad = false;
    while (bus_extension_next(&walk, &e, &bad)) {
        buf_printf(buf, "[%u %s ", e.id, e.name);
        buf_wire_text(buf, e.data, 256);
        buf_printf(buf, e.ttl_s ? " ttl=%llu]" : "]", (unsigned long long)e.ttl_s);
    }
    if (bad)
        buf_text(buf, "[bad]");
}

static void put_endpoint(struct buf *buf, const struct endpoint *endpoint) {
    char text[ENDPOINT_TEXT];
    endpoint_text(endpoint, text);
    buf_text(buf, text);
}

/* Those that were kept, as they are. */
static void put_keys(struct buf *buf, const struct request_keys *request) {
    struct command_keys keys;
    if (!request->command || !request->args ||
        !command_keys(request->command, request->args, &keys))
        return;
    for (uint64_t i = 0; i < keys.count + (keys.extra > 0); i++) {
        uint64_t at = i < keys.count ? keys.first + i * keys.step : keys.extra;
        if (at >= request->args->kept)
            break;
        buf_text(buf, i ? "," : "");
        buf_wire_text(buf, request->args->list[at], 256);
    }
}

static void put_value(struct buf *buf, enum field_kind kind, const void *at) {
    switch (kind) {
    case FIELD_NUM:
        if (*(const uint64_t *)at)
            buf_printf(buf, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case FIELD_MAYBE:
        if (*(const uint64_t *)at != NOT_KNOWN)
            buf_printf(buf, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case FIELD_BOOL:
        buf_text(buf, *(const bool *)at ? "yes" : "");
        break;
    case FIELD_USUAL:
        buf_text(buf, *(const bool *)at ? "" : "no");
        break;
    case FIELD_WORD:
        buf_text(buf, *(const char *const *)at ? *(const char *const *)at : "");
        break;
    case FIELD_NODE:
        if (*(const char *const *)at)
            buf_printf(buf, "%.8s", *(const char *const *)at);
        break;
    case FIELD_COMMAND:
        if (*(const struct command *const *)at)
            buf_text(buf, (*(const struct command *const *)at)->name);
        break;
    case FIELD_KEYS:
        put_keys(buf, at);
        break;
    case FIELD_WORD_OF:
    case FIELD_TEXT:
        buf_wire_text(buf, *(const struct bytes *)at, WORD_MAX);
        break;
    case FIELD_SLOTS:
        if (*(const uint8_t *const *)at)
            put_slots(buf, *(const uint8_t *const *)at);
        break;
    case FIELD_ENDPOINT:
        if (*(const struct endpoint *const *)at)
            put_endpoint(buf, *(const struct endpoint *const *)at);
        break;
    case FIELD_NODE_FLAGS:
        if (*(const uint16_t *)at)
            buf_printf(buf, "%x", *(const uint16_t *)at);
        break;
    case FIELD_MFLAGS:
    case FIELD_STATE:
        if (*(const uint8_t *)at)
            buf_printf(buf, "%u", *(const uint8_t *)at);
        break;
    case FIELD_BUS_TYPE:
        buf_text(buf, bus_type_names[*(const enum bus_type *)at]);
        break;
    case FIELD_ANOMALY:
        buf_text(buf, anomaly_rows[*(const enum anomaly *)at].name);
        break;
    case FIELD_GOSSIP:
        put_gossip(buf, at);
        break;
    case FIELD_EXTENSIONS:
        put_extensions(buf, *(const struct bus_extensions *)at);
        break;
    case FIELD_HIDDEN:
        break;
    case FIELD_KIND_COUNT:
        abort();
    }
}

/* ---- lines ---- */

static void put_field(struct buf *buf, const struct event *event, const struct event_field *field) {
    size_t before = buf->len;
    buf_printf(buf, " %s=", field->name);
    size_t empty = buf->len;
    put_value(buf, field->kind, (const char *)event + field->offset);
    if (buf->len == empty)
        buf->len = before;
}

static void put_ends(struct buf *buf, const struct event *event) {
    buf_text(buf, " ");
    put_endpoint(buf, &event->flow->ends[event->direction]);
    buf_text(buf, " > ");
    put_endpoint(buf, &event->flow->ends[!event->direction]);
}

static void must(bool worked) {
    if (!worked) {
        fprintf(stderr, "recorder: out of memory\n");
        exit(2);
    }
}

static void start_line(struct recorder *r) {
    if (r->count == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        r->starts = realloc(r->starts, r->room * sizeof *r->starts);
        must(r->starts != NULL);
    }
    r->starts[r->count++] = r->text.len;
}

void recorder_event(void *context, const struct event *event) {
    struct recorder *r = context;
    const struct event_row *row = &event_rows[event->type];
    if ((row->visibility == QUIET && !r->quiet) || (r->only && !in_list(r->only, row->name)))
        return;
    r->text.max = TEXT_MAX;
    start_line(r);
    if (r->placed)
        buf_printf(&r->text, "%llu %lld ", (unsigned long long)event->frame,
                   (long long)event->time);
    buf_text(&r->text, row->name);
    if (event->flow && !r->faceless)
        put_ends(&r->text, event);
    for (const struct event_field *field = row->fields(); field->name; field++) {
        if (!in_list(r->without, field->name) && (!r->with || in_list(r->with, field->name)))
            put_field(&r->text, event, field);
    }
    buf_text(&r->text, "\n");
    must(!r->text.failed);
}

void recorder_reset(struct recorder *recorder) {
    recorder->count = recorder->text.len = 0;
}

void recorder_free(struct recorder *recorder) {
    buf_free(&recorder->text);
    free(recorder->starts);
    recorder->starts = NULL;
    recorder->count = recorder->room = 0;
}

const char *recorder_line(const struct recorder *recorder, size_t index, size_t *ret_len) {
    size_t start = recorder->starts[index];
    size_t end = index + 1 < recorder->count ? recorder->starts[index + 1] : recorder->text.len;
    *ret_len = end - start - 1;
    return recorder->text.data + start;
}

/* ---- by direction ---- */

struct sorted {
    const char *line;
    size_t len, key, key_len, index;
};

static int by_key(const void *a, const void *b) {
    const struct sorted *x = a, *y = b;
    int cmp = memcmp(x->line + x->key, y->line + y->key, min_size(x->key_len, y->key_len));
    if (cmp)
        return cmp;
    if (x->key_len != y->key_len)
        return x->key_len < y->key_len ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The ends: from the first space to before the fourth one, if there are ends at all. */
static void find_key(struct sorted *s) {
    const char *space = memchr(s->line, ' ', s->len);
    const char *arrow = space ? memmem(s->line, s->len, " > ", 3) : NULL;
    s->key = s->key_len = 0;
    if (!arrow)
        return;
    const char *end = memchr(arrow + 3, ' ', s->len - (size_t)(arrow + 3 - s->line));
    s->key = (size_t)(space - s->line);
    s->key_len = (end ? (size_t)(end - s->line) : s->len) - s->key;
}

void recorder_by_direction(struct recorder *r) {
    if (r->count == 0)
        return;
    struct sorted *lines = malloc(r->count * sizeof *lines);
    struct buf text = {.max = TEXT_MAX};
    must(lines != NULL);
    for (size_t i = 0; i < r->count; i++) {
        lines[i].line = recorder_line(r, i, &lines[i].len);
        lines[i].index = i;
        find_key(&lines[i]);
    }
    qsort(lines, r->count, sizeof *lines, by_key);
    for (size_t i = 0; i < r->count; i++) {
        r->starts[i] = text.len;
        buf_add(&text, lines[i].line, lines[i].len + 1);
    }
    must(!text.failed);
    buf_free(&r->text);
    r->text = text;
    free(lines);
}

/* ---- comparing ---- */

static bool same_line(const struct recorder *a, const struct recorder *b, size_t index) {
    size_t a_len, b_len;
    const char *x = recorder_line(a, index, &a_len), *y = recorder_line(b, index, &b_len);
    return a_len == b_len && memcmp(x, y, a_len) == 0;
}

/* A line, from a little before the place where it differs if it is long. */
static void show_line(char mark, const struct recorder *r, size_t index, size_t from) {
    enum { LINE_SHOWN = 400, BEFORE = 60 };
    size_t len;
    if (index >= r->count) {
        fprintf(stderr, "  %c (nothing: %zu lines)\n", mark, r->count);
        return;
    }
    const char *line = recorder_line(r, index, &len);
    size_t skip = from > LINE_SHOWN / 2 ? from - BEFORE : 0;
    size_t shown = min_size(len - min_size(skip, len), LINE_SHOWN);
    fprintf(stderr, "  %c %zu: %s%.*s%s\n", mark, index + 1, skip ? "..." : "", (int)shown,
            line + min_size(skip, len), skip + shown < len ? "..." : "");
}

static size_t common(const struct recorder *a, const struct recorder *b, size_t index) {
    size_t a_len, b_len, at = 0;
    if (index >= a->count || index >= b->count)
        return 0;
    const char *x = recorder_line(a, index, &a_len), *y = recorder_line(b, index, &b_len);
    while (at < a_len && at < b_len && x[at] == y[at])
        at++;
    return at;
}

static void show_difference(const struct recorder *expected, const struct recorder *got,
                            size_t index) {
    fprintf(stderr, "the events differ at line %zu (- expected, + got):\n", index + 1);
    for (size_t i = index > AROUND ? index - AROUND : 0; i < index; i++)
        show_line(' ', expected, i, 0);
    size_t from = common(expected, got, index);
    show_line('-', expected, index, from);
    show_line('+', got, index, from);
    for (size_t i = index + 1; i <= index + AROUND && i < got->count; i++)
        show_line('+', got, i, 0);
}

static bool same_until(const struct recorder *expected, const struct recorder *got, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i < expected->count && i < got->count && same_line(expected, got, i))
            continue;
        show_difference(expected, got, i);
        return false;
    }
    return true;
}

bool recorder_same(const struct recorder *expected, const struct recorder *got) {
    return same_until(expected, got, expected->count > got->count ? expected->count : got->count);
}

bool recorder_begins(const struct recorder *whole, const struct recorder *part) {
    return same_until(whole, part, part->count);
}

bool recorder_is(const struct recorder *recorder, const char *const *lines, size_t count) {
    struct recorder expected = {.text.max = TEXT_MAX};
    for (size_t i = 0; i < count; i++) {
        start_line(&expected);
        buf_text(&expected.text, lines[i]);
        buf_text(&expected.text, "\n");
    }
    bool same = recorder_same(&expected, recorder);
    recorder_free(&expected);
    return same;
}

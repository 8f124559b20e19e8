/* captures.c - reads through capture/source, as the program does. */
#include "tests/lib/captures.h"

#include "capture/source.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int is_capture(const struct dirent *entry) {
    const char *at = strstr(entry->d_name, ".pcap");
    return at && (strcmp(at, ".pcap.zst") == 0 || strcmp(at, ".pcapng.zst") == 0 ||
                  strcmp(at, ".pcap") == 0 || strcmp(at, ".pcapng") == 0);
}

static int is_folder(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

typedef void visit_fn(void *context, const char *path);

/* The entries of a folder, by name; one that cannot be read has none. */
static size_t each_entry(const char *folder, int (*wanted)(const struct dirent *), visit_fn *visit,
                         void *context) {
    struct dirent **entries;
    int count = scandir(folder, &entries, wanted, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        visit(context, path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return count > 0 ? (size_t)count : 0;
}

size_t captures_each(visit_fn *visit, void *context) {
    const char *folder = getenv("BUSTAP_PCAPS") ? getenv("BUSTAP_PCAPS") : "pcaps";
    return each_entry(folder, is_capture, visit, context);
}

struct outside {
    visit_fn *visit;
    void *context;
    size_t count;
};

static void visit_folder(void *context, const char *path) {
    struct outside *outside = context;
    outside->count += each_entry(path, is_capture, outside->visit, outside->context);
}

size_t captures_outside_each(visit_fn *visit, void *context) {
    struct outside outside = {visit, context, 0};
    if (getenv("BUSTAP_CAPTURES"))
        (void)each_entry(getenv("BUSTAP_CAPTURES"), is_folder, visit_folder, &outside);
    return outside.count;
}

static _Noreturn void fail(const char *path, const char *why) {
    fprintf(stderr, "%s: %s\n", path, why);
    exit(2);
}

/* Until `visit` says false. */
static void read_while(const char *path, bool (*visit)(void *, const struct packet *),
                       void *context) {
    struct err err = {{0}};
    struct packet packet;
    enum source_got got = SOURCE_END;
    struct source *source = source_open(path, &(struct source_options){0}, &err);
    if (!source)
        fail(path, err.text);
    while ((got = source_next(source, &packet, &err)) == SOURCE_PACKET) {
        if (!visit(context, &packet))
            break;
    }
    if (got == SOURCE_FAILED)
        fail(path, err.text);
    source_close(source);
}

struct each {
    void (*visit)(void *context, const struct packet *packet);
    void *context;
};

static bool visit_one(void *context, const struct packet *packet) {
    struct each *each = context;
    each->visit(each->context, packet);
    return true;
}

void capture_each(const char *path, void (*visit)(void *context, const struct packet *packet),
                  void *context) {
    read_while(path, visit_one, &(struct each){visit, context});
}

struct reading {
    struct packets packets;
    size_t room, len, limit;
    const char *path;
};

static bool keep_one(void *context, const struct packet *packet) {
    struct reading *reading = context;
    struct packets *packets = &reading->packets;
    if (reading->len + packet->data.len > reading->limit)
        return false;
    if (packets->count == reading->room) {
        reading->room = reading->room ? 2 * reading->room : 1024;
        packets->list = realloc(packets->list, reading->room * sizeof *packets->list);
        if (!packets->list)
            fail(reading->path, "out of memory");
    }
    memcpy(packets->bytes + reading->len, packet->data.data, packet->data.len);
    packets->list[packets->count] = *packet;
    packets->list[packets->count].ahead = NULL;
    packets->list[packets->count++].data.data = packets->bytes + reading->len;
    reading->len += packet->data.len;
    return true;
}

struct packets capture_read(const char *path, size_t limit) {
    struct reading reading = {.limit = limit, .path = path};
    reading.packets.bytes = malloc(limit);
    if (!reading.packets.bytes)
        fail(path, "out of memory");
    read_while(path, keep_one, &reading);
    return reading.packets;
}

void packets_free(struct packets *packets) {
    free(packets->list);
    free(packets->bytes);
    *packets = (struct packets){0};
}

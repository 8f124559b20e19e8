/* streams.c - segments are appended where the stream ends, and wait in a list if they begin later.
 */
#include "tests/lib/streams.h"

#include "decode/net.h"

#include <stdio.h>
#include <stdlib.h>

struct early {
    struct early *next;
    uint32_t from;
    struct made bytes;
};

struct streams {
    struct net *net;
    struct connection **list;
    size_t count, room;
};

static void *must(void *memory) {
    if (!memory) {
        fprintf(stderr, "streams: out of memory\n");
        exit(2);
    }
    return memory;
}

struct streams *streams_new(void) {
    struct streams *streams = must(calloc(1, sizeof *streams));
    streams->net = must(net_new());
    return streams;
}

static void way_free(struct way *way) {
    while (way->early) {
        struct early *early = way->early;
        way->early = early->next;
        made_free(&early->bytes);
        free(early);
    }
    made_free(&way->bytes);
}

void streams_free(struct streams *streams) {
    for (size_t i = 0; i < streams->count; i++) {
        way_free(&streams->list[i]->way[CLIENT]);
        way_free(&streams->list[i]->way[SERVER]);
        buf_free(&streams->list[i]->notes);
        free(streams->list[i]);
    }
    net_free(streams->net);
    free(streams->list);
    free(streams);
}

size_t streams_count(const struct streams *streams) {
    return streams->count;
}

struct connection *streams_at(const struct streams *streams, size_t index) {
    return streams->list[index];
}

/* The youngest one between two ends, either of which may have opened it. */
static struct connection *between(const struct streams *streams, const struct endpoint *a,
                                  const struct endpoint *b) {
    for (size_t i = streams->count; i-- > 0;) {
        const struct way *way = streams->list[i]->way;
        const struct endpoint *client = &way[CLIENT].src, *server = &way[SERVER].src;
        if ((endpoint_equal(client, a) && endpoint_equal(server, b)) ||
            (endpoint_equal(client, b) && endpoint_equal(server, a)))
            return streams->list[i];
    }
    return NULL;
}

struct connection *streams_find(const struct streams *streams, const struct endpoint *client,
                                const struct endpoint *server, uint32_t first) {
    for (size_t i = streams->count; i-- > 0;) {
        const struct way *way = streams->list[i]->way;
        if (way[CLIENT].first == first && endpoint_equal(&way[CLIENT].src, client) &&
            endpoint_equal(&way[SERVER].src, server))
            return streams->list[i];
    }
    return NULL;
}

static struct connection *add(struct streams *streams, const struct segment *syn) {
    if (streams->count == streams->room) {
        streams->room = 2 * streams->room + 64;
        streams->list = must(realloc(streams->list, streams->room * sizeof *streams->list));
    }
    struct connection *connection = must(calloc(1, sizeof *connection));
    connection->notes.max = 64 << 20;
    connection->way[CLIENT].src = syn->src;
    connection->way[SERVER].src = syn->dst;
    streams->list[streams->count++] = connection;
    return connection;
}

/* Bytes that stand at `from`; false: the stream has not come so far. */
static bool append(struct way *way, uint32_t from, struct bytes bytes) {
    int32_t known = (int32_t)((uint32_t)way->bytes.len - from);
    if (known < 0)
        return false;
    bytes = bytes_after(bytes, min_size((size_t)known, bytes.len));
    made_bytes(&way->bytes, bytes.data, bytes.len);
    return true;
}

static void append_early(struct way *way) {
    for (struct early **at = &way->early; *at;) {
        struct early *early = *at;
        if (!append(way, early->from, made_view(&early->bytes))) {
            at = &early->next;
            continue;
        }
        *at = early->next;
        made_free(&early->bytes);
        free(early);
        at = &way->early;
    }
}

static void take_bytes(struct way *way, uint32_t from, struct bytes bytes) {
    if (append(way, from, bytes)) {
        append_early(way);
        return;
    }
    struct early *early = must(calloc(1, sizeof *early));
    early->from = from;
    early->next = way->early;
    made_bytes(&early->bytes, bytes.data, bytes.len);
    way->early = early;
}

void streams_packet(void *context, const struct packet *packet) {
    struct streams *streams = context;
    struct segment s;
    enum anomaly anomaly;
    if (net_decode(streams->net, packet, &s, &anomaly) != NET_SEGMENT || s.flags & TCP_RST)
        return;
    bool syn = s.flags & TCP_SYN, opens = syn && !(s.flags & TCP_ACK);
    struct connection *connection = between(streams, &s.src, &s.dst);
    bool known = connection &&
                 (!connection->way[CLIENT].started || connection->way[CLIENT].first == s.seq + 1);
    if (opens && !known)
        connection = add(streams, &s);
    if (!connection)
        return;
    struct way *way =
        &connection->way[endpoint_equal(&s.src, &connection->way[CLIENT].src) ? CLIENT : SERVER];
    if (syn && !way->started) {
        way->started = true;
        way->first = s.seq + 1;
    }
    if (way->started && s.payload.len)
        take_bytes(way, s.seq + syn - way->first, s.payload);
}

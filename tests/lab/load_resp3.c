/* load_resp3.c - reads RESP3, which hiredis 0.14 (Debian 12) cannot. Reads no byte more than the
 * reply, so there is no state between replies, and hiredis may go on writing. */
#include "tests/lab/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 4096, DEPTH_MAX = 16 };

static bool fail(redisContext *link, int error, const char *text) {
    link->err = error;
    snprintf(link->errstr, sizeof link->errstr, "%s", text);
    return false;
}

static bool read_bytes(redisContext *link, char *ret, size_t size) {
    for (size_t have = 0; have < size;) {
        ssize_t got = read(link->fd, ret + have, size - have);
        if (got == 0)
            return fail(link, REDIS_ERR_EOF, "Server closed the connection");
        if (got < 0 && errno != EINTR)
            return fail(link, REDIS_ERR_IO, strerror(errno));
        have += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool read_line(redisContext *link, char *ret) {
    for (size_t len = 0; len < TEXT_MAX && read_bytes(link, ret + len, 1); len++) {
        if (ret[len] != '\n')
            continue;
        ret[len - (len > 0)] = '\0'; /* at the CR */
        return true;
    }
    return link->err ? false : fail(link, REDIS_ERR_PROTOCOL, "a line too long");
}

static redisReply *read_value(redisContext *link, uint64_t *pushes, unsigned depth);

static bool take_text(redisReply *reply, const char *text) {
    reply->len = strlen(text);
    reply->str = strdup(text);
    return reply->str != NULL;
}

static bool read_bulk(redisContext *link, redisReply *reply, long long len) {
    if (len < 0) {
        reply->type = REDIS_REPLY_NIL;
        return true;
    }
    reply->len = (size_t)len;
    reply->str = malloc(reply->len + 2);
    if (!reply->str || !read_bytes(link, reply->str, reply->len + 2))
        return false;
    reply->str[reply->len] = '\0';
    return true;
}

static bool read_items(redisContext *link, redisReply *reply, long long count, uint64_t *pushes,
                       unsigned depth) {
    reply->type = count < 0 ? REDIS_REPLY_NIL : REDIS_REPLY_ARRAY;
    reply->element = count > 0 ? calloc((size_t)count, sizeof *reply->element) : NULL;
    for (long long i = 0; i < count && reply->element; i++, reply->elements++)
        if (!(reply->element[i] = read_value(link, pushes, depth + 1)))
            return false;
    return count <= 0 || reply->element;
}

static bool fill(redisContext *link, redisReply *reply, const char *line, uint64_t *pushes,
                 unsigned depth) {
    long long number = atoll(line + 1);
    reply->type = REDIS_REPLY_STRING;
    switch (line[0]) {
    case '-':
        reply->type = REDIS_REPLY_ERROR;
        return take_text(reply, line + 1);
    case '+':
        reply->type = REDIS_REPLY_STATUS;
        return take_text(reply, line + 1);
    case ':':
        reply->type = REDIS_REPLY_INTEGER;
        reply->integer = number;
        return true;
    case ',':
    case '(':
    case '#':
        return take_text(reply, line + 1);
    case '_':
        reply->type = REDIS_REPLY_NIL;
        return true;
    case '$':
    case '=':
    case '!':
        reply->type = line[0] == '!' ? REDIS_REPLY_ERROR : REDIS_REPLY_STRING;
        return read_bulk(link, reply, number);
    case '*':
    case '~':
    case '>':
        return read_items(link, reply, number, pushes, depth);
    case '%':
    case '|':
        return read_items(link, reply, 2 * number, pushes, depth);
    default:
        return fail(link, REDIS_ERR_PROTOCOL, "no type of RESP3");
    }
}

/* Attributes and pushes stand before the value that was meant. */
static redisReply *read_value(redisContext *link, uint64_t *pushes, unsigned depth) {
    char line[TEXT_MAX];
    while (depth < DEPTH_MAX && read_line(link, line)) {
        redisReply *reply = calloc(1, sizeof *reply);
        if (!reply)
            break;
        bool whole = fill(link, reply, line, pushes, depth);
        if (whole && line[0] != '>' && line[0] != '|')
            return reply;
        *pushes += line[0] == '>';
        freeReplyObject(reply);
        if (!whole)
            break;
    }
    if (!link->err)
        fail(link, REDIS_ERR_OTHER, "no memory, or a value too deep");
    return NULL;
}

redisReply *resp3_reply(redisContext *link, uint64_t *pushes) {
    return read_value(link, pushes, 0);
}

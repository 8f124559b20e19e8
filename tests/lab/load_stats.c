/* load_stats.c - what a worker counts, the line that sums it up, and the clock that spaces
 * requests. Requests and replies are all that went over the wire, also what finds the way: CLUSTER
 * SLOTS, ASKING, CLIENT SETNAME. Redirects are counted apart from other errors. */
#include "tests/lab/load.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const uint64_t second = 1000000000, nap = 50000000;

static uint64_t clock_ns(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * second + (uint64_t)at.tv_nsec;
}

uint64_t now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t wall_ns(void) {
    return clock_ns(CLOCK_REALTIME);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void count_word(struct stats *stats, const char *word, uint64_t count) {
    size_t i = 0;
    while (i < ERRORS_MAX - 1 && stats->errors[i].count && strcmp(stats->errors[i].word, word) != 0)
        i++;
    snprintf(stats->errors[i].word, WORD_MAX, "%s", i < ERRORS_MAX - 1 ? word : "others");
    stats->errors[i].count += count;
}

static void count_error(struct stats *stats, const char *text) {
    char word[WORD_MAX];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(text, " "), text);
    if (strcmp(word, "MOVED") == 0)
        stats->moved++;
    else if (strcmp(word, "ASK") == 0)
        stats->ask++;
    else
        count_word(stats, word, 1);
}

/* Also those within a reply to EXEC. */
static void count_errors(struct stats *stats, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR)
        count_error(stats, reply->str);
    for (size_t i = 0; i < reply->elements; i++)
        count_errors(stats, reply->element[i]);
}

void stats_reply(struct stats *stats, const redisReply *reply, uint64_t latency) {
    stats->replies++;
    if (latency > stats->latency_max)
        stats->latency_max = latency;
    count_errors(stats, reply);
}

void stats_add(struct stats *sum, const struct stats *more) {
    sum->requests += more->requests;
    sum->replies += more->replies;
    sum->moved += more->moved;
    sum->ask += more->ask;
    sum->reconnects += more->reconnects;
    sum->refreshes += more->refreshes;
    sum->no_answer += more->no_answer;
    sum->pushes += more->pushes;
    if (more->latency_max > sum->latency_max)
        sum->latency_max = more->latency_max;
    for (size_t i = 0; i < ERRORS_MAX && more->errors[i].count; i++)
        count_word(sum, more->errors[i].word, more->errors[i].count);
}

/* ---- telling --------------------------------------------------------------------------------- */

void quote(char *ret, size_t size, const char *text) {
    size_t at = 0;
    ret[at++] = '"';
    for (; *text && at + 8 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c >= 0x7f)
            at += (size_t)snprintf(ret + at, size - at, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            at += (size_t)snprintf(ret + at, size - at, "\\%c", c);
        else
            ret[at++] = (char)c;
    }
    ret[at++] = '"';
    ret[at] = '\0';
}

static void print_errors(const struct stats *stats) {
    printf("\"errors\": {");
    for (size_t i = 0; i < ERRORS_MAX && stats->errors[i].count; i++) {
        char word[8 * WORD_MAX];
        quote(word, sizeof word, stats->errors[i].word);
        printf("%s%s: %llu", i ? ", " : "", word, (unsigned long long)stats->errors[i].count);
    }
    printf("}");
}

void stats_print(const struct stats *stats, const char *mode, const char *name, double seconds) {
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {
        {"requests", stats->requests},
        {"replies", stats->replies},
        {"no_answer", stats->no_answer},
        {"moved", stats->moved},
        {"ask", stats->ask},
        {"refreshes", stats->refreshes},
        {"reconnects", stats->reconnects},
        {"pushes", stats->pushes},
    };
    char text[KEY_MAX];
    quote(text, sizeof text, name);
    printf("{\"mode\": \"%s\", \"name\": %s, \"seconds\": %.3f, ", mode, text, seconds);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("\"%s\": %llu, ", rows[i].name, (unsigned long long)rows[i].count);
    print_errors(stats);
    printf(", \"latency_max_ms\": %.3f}\n", (double)stats->latency_max / 1e6);
}

/* ---- pace ------------------------------------------------------------------------------------ */

struct pace pace_of(double per_second) {
    return (struct pace){.next = now_ns(), .interval = (uint64_t)((double)second / per_second)};
}

bool pace_wait(struct pace *pace, unsigned count) {
    uint64_t now = now_ns();
    pace->next += count * pace->interval;
    if (pace->next < now)
        pace->next = now; /* what a stall held up is not made up for in a burst */
    while (!load_over() && (now = now_ns()) < pace->next) {
        uint64_t left = pace->next - now < nap ? pace->next - now : nap;
        nanosleep(&(struct timespec){.tv_nsec = (long)left}, NULL);
    }
    return !load_over();
}

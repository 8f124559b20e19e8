/* report_json_replicas.c - the JSON report on replicas: how far each is behind its primary, and how
 * often it had to copy everything. */
#include "analysis/model_followers.h"
#include "report/render.h"
#include "report/report_json.h"

static void moment(struct json *json, const char *key, nstime time) {
    if (time == TIME_NONE)
        json_null(json, key);
    else
        json_time(json, key, time);
}

static void milliseconds(struct json *json, const char *key, nstime from, nstime to) {
    bool known = from != TIME_NONE && to != TIME_NONE && to >= from;
    render_json_maybe(json, key, known ? (uint64_t)((to - from) / NS_PER_MS) : NOT_KNOWN);
}

/* A replica that was not measured has null everywhere. */
static void lag(struct json *json, const char *key, const struct lag *lag) {
    bool known = lag->time != TIME_NONE;
    json_open(json, key, '{');
    moment(json, "time", lag->time);
    render_json_maybe(json, "bytes", known ? lag->bytes : NOT_KNOWN);
    render_json_maybe(json, "ms", known ? (uint64_t)(lag->behind / NS_PER_MS) : NOT_KNOWN);
    json_text(json, "told_by", !known ? NULL : lag->by_header ? "bus" : "ack");
    render_json_maybe(json, "waiting_bytes", known ? lag->waiting : NOT_KNOWN);
    render_json_maybe(json, "in_flight_bytes", known ? lag->in_flight : NOT_KNOWN);
    render_json_maybe(json, "unread_bytes", known ? lag->unread : NOT_KNOWN);
    json_close(json, '}');
}

/* Why, of one that was not the first. */
static void cause(struct json *json, const struct resync_cause *cause) {
    if (cause->end == LINK_NONE) {
        json_null(json, "cause");
        return;
    }
    json_text(json, "cause", resync_word_name(resync_word_of(cause)));
    json_text(json, "link_before", link_end_name(cause->end));
    render_json_maybe(json, "held_bytes", cause->held);
    render_json_maybe(json, "unacked_bytes", cause->unacked);
    render_json_maybe(json, "missed_bytes", cause->missed);
    render_json_maybe(json, "growth_bytes_per_s", cause->growth_per_s);
}

static void resync(struct json *json, const struct resync *resync) {
    json_open(json, NULL, '{');
    json_time(json, "time", resync->began);
    json_u64(json, "frame", resync->place.frame);
    json_u64(json, "source", resync->place.source);
    render_json_maybe(json, "offset", resync->offset);
    render_json_maybe(json, "bytes", resync->copied == TIME_NONE ? NOT_KNOWN : resync->bytes);
    milliseconds(json, "transfer_ms", resync->began, resync->copied);
    milliseconds(json, "duration_ms", resync->asked, resync->online);
    cause(json, &resync->cause);
    json_close(json, '}');
}

static void resyncs(struct json *json, const struct follower *follower) {
    uint64_t count = follower->full_resyncs;
    json_open(json, "resyncs", '[');
    for (uint64_t i = count > RESYNCS_KEPT ? count - RESYNCS_KEPT : 0; i < count; i++)
        if (follower_resync(follower, i))
            resync(json, follower_resync(follower, i));
    json_close(json, ']');
}

/* The same by each of those that tell of it. */
static void offsets(struct json *json, const struct follower *follower) {
    json_open(json, "offsets", '{');
    render_json_maybe(json, "sent", follower->link ? follower->link->offset : NOT_KNOWN);
    json_bool(json, "learnt", follower->link && follower->link->learnt);
    render_json_maybe(json, "acked", follower->acked);
    render_json_maybe(json, "primary_header", follower->primary->header);
    render_json_maybe(json, "replica_header", follower->header);
    json_close(json, '}');
}

static void replica(struct writer *w, const struct follower *follower) {
    struct json *json = &w->json;
    json_open(json, NULL, '{');
    writer_node(w, "replica", model_follower_node(w->model, follower));
    render_json_endpoint(json, "replica_addr", &follower->replica);
    writer_node(w, "primary", model_followed_node(w->model, follower));
    render_json_endpoint(json, "primary_addr", &follower->primary->addr);
    json_text(json, "link", model_follower_link(w->model, follower));
    render_json_maybe(json, "offset", follower->primary->offset);
    offsets(json, follower);
    render_json_maybe(json, "lag_bytes",
                      follower->lag.time == TIME_NONE ? NOT_KNOWN : follower->lag.bytes);
    milliseconds(json, "lag_ms", follower->lag.time == TIME_NONE ? TIME_NONE : 0,
                 follower->lag.behind);
    lag(json, "last", &follower->lag);
    lag(json, "worst", &follower->worst);
    json_u64(json, "most_bytes_behind", follower->most_bytes);
    json_u64(json, "links", follower->links);
    json_u64(json, "links_unsettled", follower->unsettled);
    json_u64(json, "full_resyncs", follower->full_resyncs);
    json_u64(json, "partial_resyncs", follower->partial_resyncs);
    json_u64(json, "refused", follower->refused);
    json_u64(json, "rdb_bytes", follower->rdb_bytes);
    json_u64(json, "stream_bytes", follower->stream_bytes);
    resyncs(json, follower);
    json_close(json, '}');
    writer_piece(w);
}

void writer_replicas(struct writer *w) {
    writer_open_lines(w, "replicas");
    for (size_t i = 0; i < model_follower_count(w->model); i++)
        replica(w, model_follower(w->model, i));
    writer_close_lines(w);
    json_u64(&w->json, "replicas_over_cap", model_books(w->model)->followers_over_cap);
}

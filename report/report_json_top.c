/* report_json_top.c - what is most, in the JSON report: "top", beside the servers and clients of
 * which it is made. */
#include "report/report_json.h"
#include "report/top.h"

static void command(struct json *json, const struct top_command *top) {
    json_open(json, NULL, '{');
    json_text(json, "command", top->name);
    json_u64(json, "requests", top->requests);
    json_u64(json, "errors", top->errors);
    json_u64(json, "bytes", top->bytes);
    writer_latency(json, "latency_us", &top->latency);
    json_close(json, '}');
}

static void commands(struct writer *w) {
    struct top_command top[TOP_SHOWN];
    size_t count = top_commands(w->model, top);
    json_open(&w->json, "commands", '[');
    for (size_t i = 0; i < count; i++)
        command(&w->json, &top[i]);
    json_close(&w->json, ']');
    writer_piece(w);
}

static void errors(struct writer *w) {
    struct top_error top[TOP_SHOWN];
    struct json *json = &w->json;
    size_t count = top_errors(w->model, top);
    json_open(json, "errors", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(json, NULL, '{');
        json_text(json, "error", top[i].word);
        json_u64(json, "count", top[i].count);
        json_u64(json, "servers", top[i].servers);
        if (top[i].busiest && !top[i].busiest->others)
            render_json_endpoint(json, "most_from", &top[i].busiest->addr);
        json_close(json, '}');
    }
    json_close(json, ']');
    writer_piece(w);
}

static void clients(struct writer *w) {
    struct top_client top[TOP_SHOWN];
    struct json *json = &w->json;
    size_t count = top_clients(w->model, top);
    char addr[ENDPOINT_TEXT];
    json_open(json, "clients", '[');
    for (size_t i = 0; i < count; i++) {
        endpoint_ip_text(&top[i].addr, addr);
        json_open(json, NULL, '{');
        json_text(json, "addr", addr);
        json_u64(json, "requests", top[i].requests);
        json_u64(json, "requests_error", top[i].error);
        json_close(json, '}');
    }
    json_close(json, ']');
    writer_piece(w);
}

static void slots(struct writer *w, const char *key, const struct top_slot *top, size_t count) {
    struct json *json = &w->json;
    json_open(json, key, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(json, NULL, '{');
        json_u64(json, "slot", top[i].slot);
        writer_node(w, "owner", w->view->owners[top[i].slot]);
        json_u64(json, "requests", slot_requests(top[i].load));
        json_u64(json, "requests_error", slot_requests_error(top[i].load));
        json_u64(json, "bytes", top[i].load->bytes);
        json_close(json, '}');
    }
    json_close(json, ']');
    writer_piece(w);
}

/* Without their names where keys are not to be shown. */
static void keys(struct writer *w) {
    const struct topk_entry *top[TOP_SHOWN];
    const struct render_style *style = &w->sink->options.style;
    struct json *json = &w->json;
    size_t count = top_keys(w->model, top);
    json_open(json, "keys", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(json, NULL, '{');
        if (style->keys == SHOW_NO_KEYS)
            json_null(json, "key");
        else
            render_json_key(json, "key", style, topk_text(top[i]));
        json_u64(json, "requests", top[i]->count);
        json_u64(json, "requests_error", top[i]->error);
        json_close(json, '}');
    }
    json_close(json, ']');
    writer_piece(w);
}

static void big_reply(struct json *json, const struct big_reply *big) {
    json_open(json, NULL, '{');
    json_u64(json, "bytes", big->bytes);
    json_text(json, "command", big->command ? big->command->name : NULL);
    render_json_endpoint(json, "server", &big->server);
    render_json_endpoint(json, "client", &big->client);
    render_json_maybe(json, "latency_us", big->latency_us);
    json_time(json, "time", big->at.time);
    json_u64(json, "frame", big->at.frame);
    json_u64(json, "source", big->at.source);
    json_close(json, '}');
}

static void big_replies(struct writer *w) {
    const struct model_numbers *numbers = model_numbers(w->model);
    json_open(&w->json, "replies", '[');
    for (uint32_t i = 0; i < numbers->big_count; i++)
        big_reply(&w->json, &numbers->big[i]);
    json_close(&w->json, ']');
    writer_piece(w);
}

void writer_top(struct writer *w) {
    struct top_slot top[TOP_SHOWN];
    struct json *json = &w->json;
    json_open(json, "top", '{');
    commands(w);
    errors(w);
    clients(w);
    slots(w, "slots_by_requests", top, top_slots_by_requests(w->model, top));
    slots(w, "slots_by_bytes", top, top_slots_by_bytes(w->model, top));
    keys(w);
    big_replies(w);
    json_open(json, "slots_and_keys_are_of", '{'); /* requests */
    json_u64(json, "all_of_the_first", SAMPLING_ALL);
    json_u64(json, "then_one_in", SAMPLING_EVERY);
    json_close(json, '}');
    json_close(json, '}');
}

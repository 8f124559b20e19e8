/* top.c - picks the greatest few of each kind. */
#include "report/top.h"

/* ---- a short list, sorted: the greatest first, of equals the one that came first ---- */

struct ranks {
    size_t count;
    struct rank {
        uint64_t weight;
        uint32_t index;
    } list[TOP_SHOWN];
};

static void rank(struct ranks *ranks, uint32_t index, uint64_t weight) {
    size_t at = ranks->count;
    if (weight == 0 || (at == TOP_SHOWN && ranks->list[at - 1].weight >= weight))
        return;
    if (at == TOP_SHOWN)
        at--;
    else
        ranks->count++;
    for (; at > 0 && ranks->list[at - 1].weight < weight; at--)
        ranks->list[at] = ranks->list[at - 1];
    ranks->list[at] = (struct rank){weight, index};
}

/* ---- commands ---- */

static const struct command_stats *stats_at(const struct server *server, size_t row) {
    return row < command_count ? server->commands[row] : &server->rest;
}

/* Of all servers, by row; the last one: those that we do not know. */
static struct top_command sum_of_command(const struct model *model, size_t row) {
    struct top_command sum = {.name = row < command_count ? command_rows[row].name : NULL};
    for (size_t i = 0; i < model_server_count(model); i++) {
        const struct command_stats *stats = stats_at(model_server(model, i), row);
        if (!stats)
            continue;
        sum.requests += stats->requests;
        sum.errors += stats->errors;
        sum.bytes += stats->bytes;
        histogram_merge(&sum.latency, &stats->latency);
    }
    return sum;
}

static uint64_t requests_of(const struct model *model, size_t row) {
    uint64_t requests = 0;
    for (size_t i = 0; i < model_server_count(model); i++) {
        const struct command_stats *stats = stats_at(model_server(model, i), row);
        requests += stats ? stats->requests : 0;
    }
    return requests;
}

size_t top_commands(const struct model *model, struct top_command ret_top[TOP_SHOWN]) {
    struct ranks ranks = {0};
    for (size_t row = 0; row <= command_count; row++)
        rank(&ranks, (uint32_t)row, requests_of(model, row));
    for (size_t i = 0; i < ranks.count; i++)
        ret_top[i] = sum_of_command(model, ranks.list[i].index);
    return ranks.count;
}

/* ---- errors ---- */

static uint64_t count_of(const struct server *server, const char *word) {
    for (uint32_t i = 0; i < server->errors.count; i++)
        if (strcmp(server->errors.list[i].word, word) == 0)
            return server->errors.list[i].count;
    return 0;
}

static struct top_error error_of(const struct model *model, const char *word, uint64_t count) {
    struct top_error error = {.word = word, .count = count};
    for (size_t i = 0; i < model_server_count(model); i++) {
        const struct server *server = model_server(model, i);
        uint64_t own = count_of(server, word);
        error.servers += own > 0;
        if (own > error.busiest_count) {
            error.busiest_count = own;
            error.busiest = server;
        }
    }
    return error;
}

/* The words' texts are those of the first server that has each: the sum lives here only. */
static const char *word_for_good(const struct model *model, const char *word) {
    for (size_t i = 0; i < model_server_count(model); i++) {
        const struct by_word *errors = &model_server(model, i)->errors;
        for (uint32_t k = 0; k < errors->count; k++)
            if (strcmp(errors->list[k].word, word) == 0)
                return errors->list[k].word;
    }
    return NULL;
}

size_t top_errors(const struct model *model, struct top_error ret_top[TOP_SHOWN]) {
    struct by_word sum = {0};
    struct ranks ranks = {0};
    for (size_t i = 0; i < model_server_count(model); i++) {
        const struct by_word *errors = &model_server(model, i)->errors;
        for (uint32_t k = 0; k < errors->count; k++)
            by_word_add(&sum, bytes_str(errors->list[k].word), errors->list[k].count);
    }
    for (uint32_t i = 0; i < sum.count; i++)
        rank(&ranks, i, sum.list[i].count);
    for (size_t i = 0; i < ranks.count; i++)
        ret_top[i] = error_of(model, word_for_good(model, sum.list[ranks.list[i].index].word),
                              ranks.list[i].weight);
    by_word_free(&sum);
    return ranks.count;
}

/* ---- keys and clients of a sketch ---- */

/* The heaviest are first, so the surest are mostly, too: what has room in front is certain enough,
 * or nothing is. */
static size_t top_certain(const struct topk *topk, const struct topk_entry **ret_top) {
    size_t count = topk_top(topk, ret_top, TOP_SHOWN), kept = 0;
    for (size_t i = 0; i < count; i++)
        if (ret_top[i]->error <= ret_top[i]->count / 2)
            ret_top[kept++] = ret_top[i];
    return kept;
}

size_t top_keys(const struct model *model, const struct topk_entry *ret_top[TOP_SHOWN]) {
    return top_certain(&model_numbers(model)->keys, ret_top);
}

static struct top_client stranger(const struct topk_entry *entry) {
    struct top_client client = {.requests = entry->count, .error = entry->error};
    memcpy(client.addr.ip, entry->text, sizeof client.addr.ip);
    return client;
}

/* Those with rows and those without are ranked together; the latter follow in numbers. */
size_t top_clients(const struct model *model, struct top_client ret_top[TOP_SHOWN]) {
    const struct topk_entry *further[TOP_SHOWN];
    size_t known = model_client_count(model);
    size_t count = top_certain(&model_numbers(model)->clients, further);
    struct ranks ranks = {0};
    for (size_t i = 0; i < known; i++) {
        const struct client *client = model_client(model, i);
        rank(&ranks, (uint32_t)i, client->others ? 0 : client->requests);
    }
    for (size_t i = 0; i < count; i++)
        rank(&ranks, (uint32_t)(known + i), further[i]->count);
    for (size_t i = 0; i < ranks.count; i++) {
        uint32_t index = ranks.list[i].index;
        const struct client *exact = index < known ? model_client(model, index) : NULL;
        ret_top[i] = exact ? (struct top_client){exact->addr, exact->requests, 0}
                           : stranger(further[index - known]);
    }
    return ranks.count;
}

/* ---- slots ---- */

static size_t top_slots(const struct model *model, uint64_t (*weigh)(const struct slot_load *),
                        struct top_slot *ret_top) {
    const struct slot_load *slots = model_numbers(model)->slots;
    struct ranks ranks = {0};
    for (uint32_t i = 0; slots && i < KEY_SLOTS; i++)
        rank(&ranks, i, weigh(&slots[i]));
    for (size_t i = 0; i < ranks.count; i++)
        ret_top[i] = (struct top_slot){ranks.list[i].index, &slots[ranks.list[i].index]};
    return ranks.count;
}

size_t top_slots_by_requests(const struct model *model, struct top_slot ret_top[TOP_SHOWN]) {
    return top_slots(model, slot_requests, ret_top);
}

static uint64_t bytes_of_slot(const struct slot_load *load) {
    return load->bytes;
}

size_t top_slots_by_bytes(const struct model *model, struct top_slot ret_top[TOP_SHOWN]) {
    return top_slots(model, bytes_of_slot, ret_top);
}

struct slot_load top_slots_sum(const struct model *model) {
    const struct slot_load *slots = model_numbers(model)->slots;
    struct slot_load sum = {0};
    for (uint32_t i = 0; slots && i < KEY_SLOTS; i++) {
        sum.every += slots[i].every;
        sum.chosen += slots[i].chosen;
        sum.bytes += slots[i].bytes;
    }
    return sum;
}

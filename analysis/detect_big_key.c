/* detect_big_key.c - one key of which so much was moved or served at once that its server stood
 * still for all others meanwhile. How long, and of which key, is the model's to tell
 * (model_big_keys.h): of a key that is moved by MIGRATE the size is seen where it arrives. */
#include <inttypes.h>

#include "analysis/detector.h"
#include "analysis/model_big_keys.h"

enum { WARNING_MS = 1000 /* others may take the server for dead */ };

static bool is_big(const struct detection *detection, const struct big_key *key) {
    return key->call.bytes >= threshold(detection, THRESHOLD_big_key) * 1000 &&
           key->call.busy >= (nstime)threshold(detection, THRESHOLD_big_key_blocked) * NS_PER_MS;
}

static bool is_moved(const struct command *command) {
    return command->keys == KEYS_MIGRATE || strncmp(command->name, "restore", 7) == 0;
}

static void tell_key(struct finding *finding, const struct big_key *key) {
    struct value *metrics = finding_metrics(finding);
    if (!key->key.known) {
        finding_caveat(finding, "which key it was stands in the request%s",
                       key->call.request_frame == NOT_KNOWN ? ", which was not seen" : "");
        return;
    }
    value_key(metrics, "key",
              bytes_of(key->key.text, min_size(key->key.len, sizeof key->key.text)));
    value_number(metrics, "slot", key->key.slot);
    finding_slot(finding, key->key.slot);
}

static void tell_metrics(struct finding *finding, const struct big_key *key) {
    struct value *metrics = finding_metrics(finding);
    value_number(metrics, "bytes", key->call.bytes);
    value_text(metrics, "command", key->call.command->name);
    value_addr(metrics, "server", &key->server->addr);
    value_ms(metrics, "blocked_ms", key->call.busy);
    value_number(metrics, "count", key->count);
}

static void explain(struct finding *finding, const struct big_key *key) {
    char client[ENDPOINT_TEXT];
    endpoint_text(&key->call.client, client);
    finding_explain(finding,
                    "A server does one thing at a time: it answered nobody while it was busy with "
                    "this key. %s asked for it.",
                    client);
    if (key->call.command->keys == KEYS_MIGRATE)
        finding_explain(finding, "MIGRATE waits until the other server has taken the whole key.");
    if (key->count > 1)
        finding_explain(finding, "There were %" PRIu64 " such requests; this one took longest.",
                        key->count);
}

static void advise(struct finding *finding, const struct big_key *key) {
    if (is_moved(key->call.command))
        finding_advise(finding, "move big keys while little is going on, one at a time, with a "
                                "cluster-node-timeout well above the time that one takes");
    finding_advise(finding,
                   "split the key, or read it in parts (HSCAN, SSCAN, LRANGE with limits)");
    finding_advise(finding, "delete it with UNLINK, not with DEL, which takes as long again");
}

/* The node is named only if it was busy for so long that others may have noticed on the bus. */
static void tell(const struct detection *detection, const struct big_key *key) {
    const struct slow_call *call = &key->call;
    char name[ENDPOINT_TEXT], bytes[BYTES_TEXT], busy[DURATION_TEXT];
    struct place at = place_of_stamp(call->at);
    uint32_t node = model_node_at_address(detection->model, &key->server->addr);
    endpoint_text(&key->server->addr, name);
    struct finding *finding = finding_new(
        "big-key", call->busy >= WARNING_MS * NS_PER_MS ? SEVERITY_WARNING : SEVERITY_NOTICE,
        call->over - call->busy);
    finding_title(finding, "A key of %s held %s up for %s (%s)", finding_bytes(call->bytes, bytes),
                  name, finding_duration(call->busy, busy), call->command->name);
    explain(finding, key);
    tell_metrics(finding, key);
    tell_key(finding, key);
    finding_addr(finding, &key->server->addr);
    if (node != NODE_NONE && call->busy >= WARNING_MS * NS_PER_MS)
        finding_node(finding, model_node(detection->model, node)->id);
    finding_client(finding, &call->client);
    finding_evidence(finding, &at, "the reply");
    advise(finding, key);
    finding_rests_on_unseen(finding); /* on the silence of the server */
    finding_ends(finding, call->over, "big-key");
    detection_report(detection, finding);
}

static void finish(const struct detection *detection, void *state) {
    (void)state;
    for (size_t i = 0; i < model_big_key_count(detection->model); i++) {
        const struct big_key *key = model_big_key(detection->model, i);
        if (is_big(detection, key))
            tell(detection, key);
    }
}

const struct detector detect_big_key = {
    .name = "big-key",
    .help = "one big key was moved or served, and its server stood still meanwhile",
    .finish = finish,
};

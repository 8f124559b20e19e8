/* losses.c - a list of lost writes. */
#include "analysis/losses.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"
#include "decode/key_slot.h"
#include "decode/slot_set.h"

static struct place place_of_answer(const struct write *write) {
    return (struct place){.time = write->acked, .frame = write->frame, .source = write->source};
}

static bool has_room(struct losses *losses) {
    uint64_t *numbers =
        list_with_room(losses->numbers, losses->count, &losses->room, sizeof *numbers);
    losses->failed |= !numbers;
    losses->numbers = numbers ? numbers : losses->numbers;
    return numbers;
}

void losses_add(struct losses *losses, uint64_t number) {
    const struct write *write = write_at(losses->log, number);
    if (!has_room(losses))
        return;
    if (losses->count == 0 || write->acked < losses->first.time)
        losses->first = place_of_answer(write);
    if (losses->count == 0 || write->acked >= losses->last.time)
        losses->last = place_of_answer(write);
    losses->numbers[losses->count++] = number;
    losses->bytes += write->bytes;
}

bool losses_is_elsewhere(const struct model *model, const uint32_t owners[BUS_SLOTS],
                         struct bytes key, const struct endpoint *server) {
    uint32_t owner = key.len ? owners[key_slot(key)] : NODE_NONE;
    return owner != NODE_NONE && !endpoint_equal(&model_node(model, owner)->addr, server);
}

void losses_free(struct losses *losses) {
    free(losses->numbers);
}

/* ---- the numbers ---- */

static void add_slots(const struct losses *losses, struct finding *finding, struct value *metrics) {
    uint8_t slots[BUS_SLOT_BYTES] = {0};
    for (size_t i = 0; i < losses->count; i++) {
        struct bytes key = write_key_of(losses->log, losses->numbers[i]);
        if (key.len)
            slots_add(slots, key_slot(key));
    }
    value_slots(metrics, "slots", slots);
    finding_slots(finding, slots);
}

enum { CLIENTS_NAMED = 64 };

static void name_client(struct finding *finding, const struct write *write) {
    struct endpoint client = write_client(write);
    finding_client(finding, &client);
}

/* The clients, by address and port. */
static void add_clients(const struct losses *losses, struct finding *finding,
                        struct value *metrics) {
    size_t i = 0;
    for (; i < losses->count && finding->clients.count < CLIENTS_NAMED; i++)
        name_client(finding, write_at(losses->log, losses->numbers[i]));
    value_number(metrics, "clients", finding->clients.count);
    if (i < losses->count)
        finding_caveat(finding, "of the clients only the first %d are named", CLIENTS_NAMED);
}

static void list_write(struct value *writes, const struct write_log *log, uint64_t number,
                       const struct endpoint *server) {
    const struct write *write = write_at(log, number);
    struct bytes key = write_key_of(log, number);
    struct endpoint client = write_client(write);
    struct value *one = value_object(writes, NULL);
    value_time(one, "time", write->acked);
    value_key(one, "key", key);
    if (key.len)
        value_number(one, "slot", key_slot(key));
    value_addr(one, "client", &client);
    value_addr(one, "server", server);
    value_number(one, "frame", write->frame);
}

enum { LISTED_BYTES = 1024 /* of memory, for one write in the list */ };

static void list_writes(const struct losses *losses, struct finding *finding,
                        const struct endpoint *server) {
    finding->arena.max += (size_t)CAP_LISTED_WRITES * LISTED_BYTES;
    struct value *writes = value_keyed_list(&finding->metrics, "writes");
    for (size_t i = 0; i < losses->count && i < CAP_LISTED_WRITES; i++)
        list_write(writes, losses->log, losses->numbers[i], server);
    if (losses->count > CAP_LISTED_WRITES)
        finding_caveat(finding, "only the first %d are listed (bustap list limits)",
                       CAP_LISTED_WRITES);
}

void losses_measure(const struct losses *losses, struct finding *finding,
                    const struct endpoint *server) {
    struct value *metrics = finding_metrics(finding);
    if (!finding)
        return;
    if (losses->count) {
        value_number(metrics, "bytes_of_writes", losses->bytes);
        add_slots(losses, finding, metrics);
        add_clients(losses, finding, metrics);
        value_time(metrics, "first", losses->first.time);
        value_time(metrics, "last", losses->last.time);
    }
    value_number(metrics, "undecided", losses->open);
    if (losses->count)
        list_writes(losses, finding, server);
    if (losses->failed)
        finding_caveat(finding, "there was no memory for all of them");
}

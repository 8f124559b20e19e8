/* model_addresses.c - the addresses that are said to be a node's.
 *
 * Gossip repeats the same text for hours: an entry that equals the one before it, byte for byte, is
 * only noted as told again. */
#include "analysis/model_addresses.h"

#include "analysis/model_private.h"

size_t model_addresses(const struct model *model, size_t index,
                       const struct told_address **ret_addresses) {
    const struct node_addresses *addresses = &model->nodes[index]->addresses;
    *ret_addresses = addresses->told;
    return addresses->count;
}

/* The record of this address, made when it is first told. NULL: there are too many already. */
static struct told_address *record_of(struct model *model, struct node_addresses *addresses,
                                      const struct endpoint *addr, uint32_t by) {
    for (size_t i = 0; i < addresses->count; i++)
        if (endpoint_equal(&addresses->told[i].addr, addr))
            return &addresses->told[i];
    if (addresses->count == ADDRESSES_TOLD)
        return NULL;
    struct told_address *told = &addresses->told[addresses->count++];
    *told = (struct told_address){
        .addr = *addr, .first_by = by, .first = place_of(model->cause), .last = TIME_NONE};
    return told;
}

static struct told_address *tell(struct model *model, struct node_addresses *addresses,
                                 const struct endpoint *addr, uint32_t by, enum address_way way) {
    struct told_address *told = record_of(model, addresses, addr, by);
    if (told) {
        told->ways |= way;
        told->last = model->cause->time;
    }
    return told;
}

void model_address_own(struct model *model, uint32_t index, const struct endpoint *announced,
                       const struct endpoint *seen) {
    struct node_addresses *addresses = &model->nodes[index]->addresses;
    struct told_address *own = addresses->own, *source = addresses->source;
    bool same = own && endpoint_equal(&own->addr, announced) && source &&
                endpoint_equal(&source->addr, seen);
    if (LIKELY(same)) {
        own->last = source->last = model->cause->time;
        return;
    }
    bool told_itself = !endpoint_equal(announced, seen);
    addresses->own =
        tell(model, addresses, announced, index, told_itself ? ADDRESS_ANNOUNCED : ADDRESS_SEEN);
    addresses->source = tell(model, addresses, seen, index, ADDRESS_SEEN);
}

static bool is_as_before(const struct node_addresses *addresses,
                         const struct bus_gossip_entry *entry) {
    return addresses->gossiped && addresses->gossip_port == entry->port &&
           entry->ip.len == addresses->gossip_len &&
           memcmp(addresses->gossip_ip, entry->ip.data, entry->ip.len) == 0;
}

void model_address_gossiped(struct model *model, uint32_t speaker, uint32_t subject,
                            const struct bus_gossip_entry *entry) {
    struct node_addresses *addresses = &model->nodes[subject]->addresses;
    if (LIKELY(is_as_before(addresses, entry))) {
        addresses->gossiped->last = model->cause->time;
        return;
    }
    struct endpoint addr;
    if (entry->flags & NODE_NOADDR || entry->ip.len > sizeof addresses->gossip_ip ||
        !endpoint_parse(entry->ip, entry->port, &addr))
        return;
    addresses->gossiped = tell(model, addresses, &addr, speaker, ADDRESS_GOSSIPED);
    addresses->gossip_port = entry->port;
    addresses->gossip_len = (uint8_t)entry->ip.len;
    memcpy(addresses->gossip_ip, entry->ip.data, entry->ip.len);
}

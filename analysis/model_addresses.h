/* model_addresses.h - which addresses are said to be a node's: by itself, by others' gossip, and by
 * the packets that come from it. Mostly there is one. */
#ifndef BUSTAP_ANALYSIS_MODEL_ADDRESSES_H
#define BUSTAP_ANALYSIS_MODEL_ADDRESSES_H

#include "analysis/model.h"
#include "analysis/place.h"

enum address_way {
    ADDRESS_ANNOUNCED = 1, /* the node's own header names it (cluster-announce-ip) */
    ADDRESS_GOSSIPED = 2,  /* others' gossip names it */
    ADDRESS_SEEN = 4,      /* packets come from it; the port is the announced one */
};

struct told_address {
    struct endpoint addr;
    unsigned ways;
    uint32_t first_by; /* the node that said so first; itself for one that was seen */
    struct place first;
    nstime last; /* told or seen */
};

enum { ADDRESSES_TOLD = 4 /* of one node; further ones are not kept */ };

/* By first appearance; at most ADDRESSES_TOLD. Returns how many. */
size_t model_addresses(const struct model *model, size_t index,
                       const struct told_address **ret_addresses);

#endif

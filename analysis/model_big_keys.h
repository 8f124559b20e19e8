/* model_big_keys.h - keys of which much was moved or served at once, and for how long that held
 * their server up. */
#ifndef BUSTAP_ANALYSIS_MODEL_BIG_KEYS_H
#define BUSTAP_ANALYSIS_MODEL_BIG_KEYS_H

#include "analysis/model_slow.h"

enum { BIG_KEY = 1000000 /* bytes of a request or a reply */, BIG_KEY_TEXT = 64 };

struct key_name {
    bool known;
    uint32_t slot, len;
    uint8_t text[BIG_KEY_TEXT]; /* its beginning */
};

/* The worst of a command's calls that moved or served so much, by how long it blocked. */
struct big_key {
    const struct server *server;
    struct slow_call call; /* bytes: of the key, so of the greater of request and reply */
    uint64_t count;
    struct key_name key;
};

size_t model_big_key_count(const struct model *model);
const struct big_key *model_big_key(const struct model *model, size_t index);

#endif

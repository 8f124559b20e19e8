/* render_keys.c - the keys of a request, for those who asked to see them: as they are, or each by a
 * name that stands for it during one run. */
#include "report/render_lists.h"

/* A walk over the keys of a request that were kept. */
struct key_walk {
    const struct request_args *args;
    struct command_keys keys;
    uint64_t done; /* keys gone by, the extra one behind the others */
    bool missing;  /* there are others, which were not kept */
};

static bool walk_keys(const struct request_keys *keys, struct key_walk *ret_walk) {
    *ret_walk = (struct key_walk){.args = keys->args};
    return keys->command && keys->args && command_keys(keys->command, keys->args, &ret_walk->keys);
}

/* The argument that is the next key; false: that was the last one. */
static bool next_key(struct key_walk *walk, uint64_t *ret_argument) {
    const struct command_keys *keys = &walk->keys;
    if (walk->done > keys->count || (walk->done == keys->count && keys->extra == 0))
        return false;
    *ret_argument = walk->done < keys->count ? keys->first + walk->done * keys->step : keys->extra;
    walk->done++;
    return true;
}

/* Keys that were not kept come last, so the first one of them ends the walk but for the extra. */
static bool next_kept(struct key_walk *walk, struct bytes *ret_key) {
    uint64_t argument;
    while (next_key(walk, &argument)) {
        if (argument < walk->args->kept) {
            *ret_key = walk->args->list[argument];
            return true;
        }
        walk->missing = true;
        if (walk->done < walk->keys.count)
            walk->done = walk->keys.count;
    }
    return false;
}

/* "k:" and 16 digits: the same for the same key, and no way back. */
enum { PSEUDONYM = 2 + 16 };

static void pseudonym(const struct siphash_key *secret, struct bytes key, char ret[PSEUDONYM]) {
    static const char hex[] = "0123456789abcdef";
    uint64_t hash = siphash(secret, key.data, key.len);
    ret[0] = 'k';
    ret[1] = ':';
    for (size_t i = PSEUDONYM; i-- > 2; hash >>= 4)
        ret[i] = hex[hash & 15];
}

void render_key(struct buf *buf, const struct render_style *style, struct bytes key) {
    char name[PSEUDONYM];
    if (style->keys == SHOW_KEYS) {
        render_quoted(buf, key);
        return;
    }
    pseudonym(&style->secret, key, name);
    buf_add(buf, name, sizeof name);
}

void text_KEYS(struct buf *buf, struct field_value value) {
    struct key_walk walk;
    struct bytes key;
    size_t from = buf->len;
    if (value.style->keys == SHOW_NO_KEYS || !walk_keys(value.at, &walk))
        return;
    while (next_kept(&walk, &key)) {
        if (buf->len > from)
            buf_add(buf, ",", 1);
        render_key(buf, value.style, key);
    }
    if (walk.missing)
        buf_text(buf, buf->len > from ? ",..." : "...");
}

void render_json_key(struct json *json, const char *key, const struct render_style *style,
                     struct bytes name) {
    char stands[PSEUDONYM];
    if (style->keys == SHOW_KEYS) {
        json_wire_text(json, key, name, TEXT_SHOWN);
        return;
    }
    pseudonym(&style->secret, name, stands);
    json_text_of(json, key, bytes_of(stands, sizeof stands));
}

/* A null at the end stands for keys that were not kept. */
void json_KEYS(struct json *json, const char *key, struct field_value value) {
    struct key_walk walk;
    struct bytes name;
    json_open(json, key, '[');
    if (walk_keys(value.at, &walk)) {
        while (next_kept(&walk, &name))
            render_json_key(json, NULL, value.style, name);
        if (walk.missing)
            json_null(json, NULL);
    }
    json_close(json, ']');
}

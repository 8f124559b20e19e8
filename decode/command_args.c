/* command_args.c - what is read from a request's arguments.
 *
 * As the servers read them (Redis and Valkey src/db.c, getKeysFromCommand and its helpers), with
 * one difference: a number of keys must be one, and that many must be there. Options are looked for
 * as words between other options, whose own arguments are stepped over: a password or a group may
 * be called KEYS or STREAMS. */
#include "decode/command.h"

#include <strings.h>

/* ---- words and numbers among the arguments ---- */

/* An option's word, and how many arguments after it are its own. */
struct option {
    const char *word;
    size_t len;
    size_t own;
};
#define OPTION(word, own) \
    { word, sizeof(word) - 1, own }
#define OPTIONS_END \
    { NULL, 0, 0 }

static bool is_word(struct bytes view, const char *word, size_t len) {
    return view.len == len && strncasecmp((const char *)view.data, word, len) == 0;
}

/* Steps over the option at `at` and what is its own. */
static size_t after_option(const struct request_args *args, size_t at,
                           const struct option *options) {
    for (const struct option *o = options; o->word; o++)
        if (is_word(args->list[at], o->word, o->len))
            return at + 1 + o->own;
    return at + 1;
}

/* Where the word stands at or after `at`, stepping over options and what is theirs; 0: nowhere
 * among those kept. */
static size_t find_word(const struct request_args *args, size_t at, const char *word,
                        const struct option *options) {
    size_t len = strlen(word);
    for (; at < args->kept; at = after_option(args, at, options))
        if (is_word(args->list[at], word, len))
            return at;
    return 0;
}

static const struct option no_options[] = {OPTIONS_END};

static bool all_kept(const struct request_args *args) {
    return args->kept == args->count;
}

/* A decimal number, small enough to count arguments. */
static bool number_at(const struct request_args *args, size_t at, uint64_t *ret_number) {
    enum { DIGITS = 10 };
    if (at >= args->kept || args->list[at].len == 0 || args->list[at].len > DIGITS)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < args->list[at].len; i++) {
        unsigned digit = args->list[at].data[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

/* ---- keys ---- */

typedef bool find_keys(const struct request_args *args, struct command_keys *keys);

struct key_rule {
    uint8_t first, step;
    uint8_t last;      /* 0: see before_end */
    uint8_t spare;     /* arguments after the last key, if `last` is 0 */
    uint8_t number;    /* index of the number of keys; 0: there is none */
    uint8_t extra;     /* index of one more key */
    bool channels;     /* no keys, but routed like such */
    find_keys *search; /* what depends on words */
};

static bool sort_keys(const struct request_args *args, struct command_keys *keys) {
    static const struct option options[] = {OPTION("limit", 2), OPTION("get", 1), OPTION("by", 1),
                                            OPTIONS_END};
    for (size_t at = 2; (at = find_word(args, at, "store", options)) && at + 1 < args->count; at++)
        keys->extra = at + 1; /* the last one counts */
    return true;
}

/* The fixed arguments are five at least: a member may be called STORE. */
static bool georadius_keys(const struct request_args *args, struct command_keys *keys) {
    for (size_t at = 5; at < args->kept && at + 1 < args->count; at++)
        if (is_word(args->list[at], "store", 5) || is_word(args->list[at], "storedist", 9))
            keys->extra = ++at; /* likewise */
    return true;
}

static const struct option streams_options[] = {
    OPTION("block", 1),    OPTION("count", 1),   OPTION("group", 2), OPTION("claim", 1),
    OPTION("maxcount", 1), OPTION("maxsize", 1), OPTIONS_END,
};

static size_t find_streams(const struct request_args *args) {
    return find_word(args, 1, "streams", streams_options);
}

/* As many ids follow as there are keys. */
static bool streams_keys(const struct request_args *args, struct command_keys *keys) {
    size_t streams = find_streams(args);
    uint64_t follow = args->count - streams - 1;
    *keys = (struct command_keys){.first = streams + 1, .count = follow / 2, .step = 1};
    return streams && follow && follow % 2 == 0;
}

/* One key stands in argv[3]; several at the end, and then argv[3] is empty. */
static bool migrate_keys(const struct request_args *args, struct command_keys *keys) {
    static const struct option options[] = {OPTION("auth", 1), OPTION("auth2", 2), OPTIONS_END};
    size_t word = find_word(args, 6, "keys", options);
    if (word)
        *keys =
            (struct command_keys){.first = word + 1, .count = args->count - word - 1, .step = 1};
    return keys->count && (!word || args->list[3].len == 0);
}

static bool stralgo_keys(const struct request_args *args, struct command_keys *keys) {
    static const struct option options[] = {OPTION("strings", 2), OPTIONS_END};
    size_t word = find_word(args, 1, "keys", options);
    *keys = (struct command_keys){.first = word + 1, .count = 2, .step = 1};
    return word && word + 2 < args->count;
}

static const struct key_rule rules[KEYS_RULES] = {
    [KEYS_NONE] = {0},
    [KEYS_1] = {.first = 1, .last = 1, .step = 1},
    [KEYS_2] = {.first = 2, .last = 2, .step = 1},
    [KEYS_1_2] = {.first = 1, .last = 2, .step = 1},
    [KEYS_ALL] = {.first = 1, .step = 1},
    [KEYS_BUT_LAST] = {.first = 1, .step = 1, .spare = 1},
    [KEYS_ALTERNATE] = {.first = 1, .step = 2},
    [KEYS_EVERY_3] = {.first = 1, .step = 3},
    [KEYS_FROM_2] = {.first = 2, .step = 1},
    [KEYS_NUM] = {.first = 2, .step = 1, .number = 1},
    [KEYS_NUM_PAIRS] = {.first = 2, .step = 2, .number = 1},
    [KEYS_2_NUM] = {.first = 3, .step = 1, .number = 2},
    [KEYS_DST_NUM] = {.first = 3, .step = 1, .number = 2, .extra = 1},
    [KEYS_SORT] = {.first = 1, .last = 1, .step = 1, .search = sort_keys},
    [KEYS_GEORADIUS] = {.first = 1, .last = 1, .step = 1, .search = georadius_keys},
    [KEYS_STREAMS] = {.first = 1, .last = 1, .step = 1, .search = streams_keys},
    [KEYS_MIGRATE] = {.first = 3, .last = 3, .step = 1, .search = migrate_keys},
    [KEYS_STRALGO] = {.first = 1, .last = 1, .step = 1, .search = stralgo_keys},
    [KEYS_CHANNEL] = {.first = 1, .last = 1, .step = 1, .channels = true},
    [KEYS_CHANNELS] = {.first = 1, .step = 1, .channels = true},
};

/* Arguments from the rule's first to its last, steps between included; 0: there are none. */
static uint64_t arguments_of(const struct key_rule *rule, uint64_t count) {
    uint64_t end = rule->last ? rule->last + UINT64_C(1) : count - min_size(count, rule->spare);
    return end <= count && end > rule->first ? end - rule->first : 0;
}

bool command_keys(const struct command *command, const struct request_args *args,
                  struct command_keys *ret_keys) {
    const struct key_rule *rule = &rules[command->keys];
    if (!rule->step)
        return false;
    uint64_t count = (arguments_of(rule, args->count) + rule->step - 1) / rule->step;
    *ret_keys = (struct command_keys){
        .first = rule->first,
        .count = count,
        .step = rule->step,
        .extra = rule->extra,
        .channels = rule->channels,
    };
    if (rule->number && !number_at(args, rule->number, &ret_keys->count))
        return false;
    if (ret_keys->count == 0 || ret_keys->count > count)
        return false;
    return !rule->search || rule->search(args, ret_keys);
}

/* ---- writes ---- */

typedef bool is_write(const struct command *command, const struct request_args *args);

static bool never(const struct command *command, const struct request_args *args) {
    (void)command;
    (void)args;
    return false;
}

static bool always(const struct command *command, const struct request_args *args) {
    (void)command;
    (void)args;
    return true;
}

static bool if_store(const struct command *command, const struct request_args *args) {
    struct command_keys keys;
    return !all_kept(args) || (command_keys(command, args, &keys) && keys.extra);
}

/* Neither a type nor a number is one of these words. */
static bool if_bitfield_sets(const struct command *command, const struct request_args *args) {
    (void)command;
    return !all_kept(args) || find_word(args, 2, "set", no_options) ||
           find_word(args, 2, "incrby", no_options);
}

static bool if_expiry_follows_key(const struct command *command, const struct request_args *args) {
    (void)command;
    return args->count > 2;
}

/* HGETEX key FIELDS 2 a b: nothing but that. */
static bool if_more_than_fields(const struct command *command, const struct request_args *args) {
    uint64_t fields;
    (void)command;
    bool bare = args->kept > 3 && is_word(args->list[2], "fields", 6) &&
                number_at(args, 3, &fields) && args->count == 4 + fields;
    return !bare;
}

static is_write *const writes[ACCESS_COUNT] = {
    [ACCESS_NONE] = never,
    [ACCESS_READ] = never,
    [ACCESS_WRITE] = always,
    [ACCESS_STORE] = if_store,
    [ACCESS_BITFIELD] = if_bitfield_sets,
    [ACCESS_GETEX] = if_expiry_follows_key,
    [ACCESS_HGETEX] = if_more_than_fields,
    [ACCESS_SCRIPT] = always,
};

bool command_is_write(const struct command *command, const struct request_args *args) {
    return writes[command->access](command, args);
}

/* ---- waiting ---- */

bool command_may_block(const struct command *command, const struct request_args *args) {
    if (command->kind != COMMAND_BLOCKING || command->keys != KEYS_STREAMS)
        return command->kind == COMMAND_BLOCKING;
    size_t block = find_word(args, 1, "block", streams_options);
    return block && block < find_streams(args);
}

/* ---- replies ---- */

/* The first row that fits says it; an empty word fits all. */
static const struct reply_row {
    enum command_reply row;
    unsigned at; /* where the word would stand */
    const char *word;
    enum command_reply reply;
} reply_rows[] = {
    {REPLY_CLIENT_REPLY, 2, "on", REPLY_ON},
    {REPLY_CLIENT_REPLY, 2, "off", REPLY_OFF},
    {REPLY_CLIENT_REPLY, 2, "skip", REPLY_SKIP},
    {REPLY_CLIENT_REPLY, 0, "", REPLY_ONE},
    {REPLY_REPLCONF, 1, "ack", REPLY_NONE},
    {REPLY_REPLCONF, 1, "getack", REPLY_NONE},
    {REPLY_REPLCONF, 0, "", REPLY_ONE},
    {REPLY_SHUTDOWN, 1, "abort", REPLY_ONE},
    {REPLY_SHUTDOWN, 0, "", REPLY_IF_REFUSED},
    {REPLY_SYNCSLOTS, 2, "sync", REPLY_MIGRATION_LINK},       /* Redis, main channel */
    {REPLY_SYNCSLOTS, 2, "rdbchannel", REPLY_MIGRATION_LINK}, /* Redis, the other one */
    {REPLY_SYNCSLOTS, 2, "establish", REPLY_MIGRATION_LINK},  /* Valkey */
    {REPLY_SYNCSLOTS, 3, "slot-info", REPLY_NONE}, /* CONF within a snapshot, or a stream */
    {REPLY_SYNCSLOTS, 3, "asm-task", REPLY_NONE},
    {REPLY_SYNCSLOTS, 2, "conf", REPLY_ONE},
    {REPLY_SYNCSLOTS, 0, "", REPLY_NONE},
};

static bool fits(const struct reply_row *row, const struct request_args *args) {
    return row->word[0] == '\0' ||
           (row->at < args->kept && is_word(args->list[row->at], row->word, strlen(row->word)));
}

enum command_reply command_reply_to(const struct command *command,
                                    const struct request_args *args) {
    for (size_t i = 0; command->reply >= REPLY_CLIENT_REPLY && i < countof(reply_rows); i++)
        if (reply_rows[i].row == command->reply && fits(&reply_rows[i], args))
            return reply_rows[i].reply;
    return command->reply;
}

struct bytes command_first_key(const struct command *command, const struct request_args *args) {
    struct command_keys where = {.first = 1, .count = 1};
    bool any = command->keys == KEYS_1 || command_keys(command, args, &where);
    if (!any || where.count == 0 || where.first >= args->kept)
        return bytes_of(NULL, 0);
    struct bytes key = args->list[where.first];
    return key.len < KEY_WHOLE ? key : bytes_of(NULL, 0);
}

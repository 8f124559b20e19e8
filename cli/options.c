/* options.c - one table of options: parsing and help follow from it.
 *
 * Like getopt_long, but descriptors instead of a switch, no abbreviations (a script that uses one
 * breaks when an option is added), and messages that say what would have been right. */
#include "cli/options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "analysis/detector.h"

enum { SNAPLEN_WHOLE = 262144 /* no packet is longer, to libpcap */ };

enum takes { TAKES_NOTHING, TAKES_VALUE, MAY_TAKE_VALUE };

/* Reads `text` (NULL: no value given) into the member. */
typedef bool read_value(void *member, const char *text, struct err *err);

struct kind {
    enum takes takes;
    const char *value; /* as the help calls it */
    read_value *read;
};

/* ---- the kinds of value ---- */

static bool read_FLAG(void *member, const char *text, struct err *err) {
    (void)text, (void)err;
    *(bool *)member = true;
    return true;
}

static bool read_FILE(void *member, const char *text, struct err *err) {
    struct words *words = member;
    (void)err;
    words->list[words->count++] = text; /* room for all of argv */
    return true;
}

static bool read_TIME(void *member, const char *text, struct err *err) {
    return when_parse(text, member, err);
}

/* False if it is not a whole number in digits alone. */
static bool read_number(uint64_t *ret_value, const char *text) {
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && value <= UINT64_MAX / 10 - 1; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    *ret_value = value;
    return at > text && !*at;
}

static bool read_COUNT(void *member, const char *text, struct err *err) {
    uint64_t value;
    if (!read_number(&value, text) || value == 0)
        return err_set(err, "'%.100s' is not a number of packets: write 1 or more", text);
    *(uint64_t *)member = value;
    return true;
}

/* Of libpcap's number of bytes, which is an int. */
static bool read_MIB(void *member, const char *text, struct err *err) {
    uint64_t value;
    if (!read_number(&value, text) || value == 0 || value > INT_MAX >> 20)
        return err_set(err, "'%.100s' is no size: write 1 to %d (MiB)", text, INT_MAX >> 20);
    *(uint64_t *)member = value;
    return true;
}

/* 0 is all of it, as tcpdump has it. */
static bool read_SNAPLEN(void *member, const char *text, struct err *err) {
    uint64_t value;
    if (!read_number(&value, text) || value > SNAPLEN_WHOLE)
        return err_set(err, "'%.100s' is no length of packets: write 1 to %d, or 0 for all of them",
                       text, SNAPLEN_WHOLE);
    *(uint64_t *)member = value ? value : SNAPLEN_WHOLE;
    return true;
}

static bool read_FILTER(void *member, const char *text, struct err *err) {
    (void)err;
    *(const char **)member = text;
    return true;
}

static bool read_INTERFACES(void *member, const char *text, struct err *err) {
    if (!*text || strchr(text, ','))
        return err_set(err, "'%.100s' is no interface: name one, and repeat -i for others", text);
    return read_FILE(member, text, err);
}

/* *text is moved behind it. 0: there is none. */
static uint32_t read_port(const char **text) {
    uint32_t port = 0;
    for (; **text >= '0' && **text <= '9' && port <= UINT16_MAX; ++*text)
        port = port * 10 + (uint32_t)(**text - '0');
    return port <= UINT16_MAX ? port : 0;
}

/* "7000" or "7000-7005"; *text is moved behind it. */
static bool read_port_range(struct port_set *ports, const char **text) {
    uint32_t first = read_port(text), last = first;
    if (**text == '-') {
        ++*text;
        last = read_port(text);
    }
    for (uint32_t port = first; first && port <= last; port++)
        port_set_add(ports, (uint16_t)port);
    return first && first <= last;
}

static bool read_PORTS(void *member, const char *text, struct err *err) {
    const char *at = text;
    bool sound;
    do {
        at += at > text;
        sound = read_port_range(member, &at);
    } while (sound && *at == ',');
    return (sound && *at == '\0') ||
           err_set(err, "'%.100s' is no list of ports: write 6379,7000-7005", text);
}

static bool read_TARGET(void *member, const char *text, struct err *err) {
    struct target *target = member;
    if (text && !*text)
        return err_set(err, "the name of the file is missing after =");
    *target = (struct target){.wanted = true, .path = text};
    return true;
}

static bool read_detector(uint64_t *mask, const char *name, size_t len, struct err *err) {
    for (size_t i = 0; i < detector_count; i++) {
        if (strlen(detectors[i]->name) == len && memcmp(detectors[i]->name, name, len) == 0) {
            *mask |= UINT64_C(1) << i;
            return true;
        }
    }
    return err_set(err, "there is no detector '%.*s': bustap list detectors names them",
                   (int)min_size(len, 100), name);
}

static bool read_DETECTORS(void *member, const char *text, struct err *err) {
    for (;;) {
        size_t len = strcspn(text, ",");
        if (!read_detector(member, text, len, err))
            return false;
        if (!text[len])
            return true;
        text += len + 1;
    }
}

static bool read_THRESHOLD(void *member, const char *text, struct err *err) {
    struct thresholds *thresholds = member;
    size_t len = strcspn(text, "=");
    for (size_t i = 0; i < THRESHOLD_COUNT; i++) {
        const char *name = threshold_rows[i].name;
        if (strlen(name) != len || memcmp(name, text, len) != 0)
            continue;
        uint64_t *value = &thresholds->of[i];
        return (text[len] && read_number(value, text + len + 1) && *value <= THRESHOLD_MAX) ||
               err_set(err, "write %s=NUMBER, in %s, up to %u", name, threshold_rows[i].unit,
                       THRESHOLD_MAX);
    }
    return err_set(err, "there is no threshold '%.*s': bustap list thresholds names them",
                   (int)min_size(len, 100), text);
}

static bool read_SEVERITY(void *member, const char *text, struct err *err) {
    for (int severity = SEVERITY_INFO; severity <= SEVERITY_CRITICAL; severity++) {
        if (strcmp(severity_name((enum severity)severity), text) == 0) {
            *(int *)member = severity;
            return true;
        }
    }
    return err_set(err, "'%.100s' is no severity: write info, notice, warning or critical", text);
}

/* Its index in the list; -1: it is not in it. */
static int index_of(const char *const *names, size_t count, const char *text) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0)
            return (int)i;
    return -1;
}

static bool read_COLOUR(void *member, const char *text, struct err *err) {
    static const char *const names[] = {"auto", "always", "never"};
    int index = index_of(names, countof(names), text);
    if (index < 0)
        return err_set(err, "'%.100s' is not a choice: write auto, always or never", text);
    *(enum colour *)member = (enum colour)index;
    return true;
}

static bool read_KEYS(void *member, const char *text, struct err *err) {
    static const char *const names[] = {"none", "pseudonym", "full"};
    int index = index_of(names, countof(names), text);
    if (index < 0)
        return err_set(err, "'%.100s' is not a choice: write full, pseudonym or none", text);
    *(enum show_keys *)member = (enum show_keys)index;
    return true;
}

static bool read_BACKEND(void *member, const char *text, struct err *err) {
    static const char *const names[] = {"pcap", "ebpf"};
    int index = index_of(names, countof(names), text);
    if (index < 0)
        return err_set(err, "'%.100s' is not a choice: write pcap or ebpf", text);
    *(enum backend *)member = (enum backend)index;
    return true;
}

#define OPTION_KINDS(KIND)                     \
    KIND(FLAG, TAKES_NOTHING, NULL)            \
    KIND(FILE, TAKES_VALUE, "FILE")            \
    KIND(INTERFACES, TAKES_VALUE, "IF")        \
    KIND(PORTS, TAKES_VALUE, "PORTS")          \
    KIND(FILTER, TAKES_VALUE, "FILTER")        \
    KIND(SNAPLEN, TAKES_VALUE, "BYTES")        \
    KIND(MIB, TAKES_VALUE, "MIB")              \
    KIND(TIME, TAKES_VALUE, "TIME")            \
    KIND(COUNT, TAKES_VALUE, "COUNT")          \
    KIND(TARGET, MAY_TAKE_VALUE, "FILE")       \
    KIND(DETECTORS, TAKES_VALUE, "DETECTORS")  \
    KIND(THRESHOLD, TAKES_VALUE, "NAME=VALUE") \
    KIND(SEVERITY, TAKES_VALUE, "SEVERITY")    \
    KIND(COLOUR, TAKES_VALUE, "WHEN")          \
    KIND(KEYS, TAKES_VALUE, "HOW")             \
    KIND(BACKEND, TAKES_VALUE, "HOW")

#define KIND(name, takes, value) KIND_##name,
enum kind_index { OPTION_KINDS(KIND) };
#undef KIND

#define KIND(name, takes, value) [KIND_##name] = {takes, value, read_##name},
static const struct kind kinds[] = {OPTION_KINDS(KIND)};
#undef KIND

/* ---- the options ---- */

static const struct option_row {
    enum kind_index kind;
    char letter;
    const char *name;
    unsigned commands;
    size_t offset; /* within struct config */
    const char *help;
} option_rows[] = {
#define OPTION(kind, letter, name, commands, member, help) \
    {KIND_##kind, letter, name, commands, offsetof(struct config, member), help},
#include "cli/options.def"
#undef OPTION
};

/* ---- parsing ---- */

struct parser {
    struct config *config;
    unsigned command;
    int argc, at; /* argv[at] is the next word */
    char *const *argv;
    struct err *err;
};

static const struct option_row *option_named(const char *name, size_t len) {
    for (size_t i = 0; i < countof(option_rows); i++)
        if (strlen(option_rows[i].name) == len && memcmp(option_rows[i].name, name, len) == 0)
            return &option_rows[i];
    return NULL;
}

static const struct option_row *option_lettered(char letter) {
    for (size_t i = 0; i < countof(option_rows); i++)
        if (option_rows[i].letter == letter)
            return &option_rows[i];
    return NULL;
}

/* `shown` is the option as the user wrote it. `value` is what hangs on it: "=x" or the rest of a
 * word of short options; NULL: nothing. */
static bool apply(struct parser *p, const struct option_row *option, const char *shown, int len,
                  const char *value) {
    const struct kind *kind;
    struct err why;
    if (!option)
        return err_set(p->err, "there is no option %.*s", len, shown);
    if (!(option->commands & p->command))
        return err_set(p->err, "this command does not take the option %.*s", len, shown);
    kind = &kinds[option->kind];
    if (value && kind->takes == TAKES_NOTHING)
        return err_set(p->err, "the option %.*s takes no value", len, shown);
    if (!value && kind->takes == TAKES_VALUE) {
        if (p->at == p->argc)
            return err_set(p->err, "the option %.*s needs a value: %s", len, shown, kind->value);
        value = p->argv[p->at++];
    }
    if (kind->read((char *)p->config + option->offset, value, &why))
        return true;
    return err_set(p->err, "%.*s: %.400s", len, shown, why.text);
}

static bool parse_long(struct parser *p, const char *word) {
    size_t len = strcspn(word + 2, "=");
    const char *value = word[2 + len] ? word + 2 + len + 1 : NULL;
    return apply(p, option_named(word + 2, len), word, (int)min_size(len + 2, 100), value);
}

/* "-qc5" is -q -c 5. */
static bool parse_short(struct parser *p, const char *word) {
    for (const char *at = word + 1; *at; at++) {
        const struct option_row *option = option_lettered(*at);
        char shown[3] = {'-', *at, '\0'};
        bool hangs = option && kinds[option->kind].takes == TAKES_VALUE && at[1];
        if (!apply(p, option, shown, 2, hangs ? at + 1 : NULL))
            return false;
        if (hangs)
            break;
    }
    return true;
}

static bool parse_all(struct parser *p) {
    for (bool options = true; p->at < p->argc;) {
        const char *word = p->argv[p->at++];
        bool done = true;
        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && strncmp(word, "--", 2) == 0)
            done = parse_long(p, word);
        else if (options && word[0] == '-' && word[1])
            done = parse_short(p, word);
        else
            done = read_FILE(&p->config->files, word, p->err);
        if (!done)
            return false;
    }
    return true;
}

/* Where both are said in the same way; else the capture's day decides. */
static bool is_window(const struct config *config, struct err *err) {
    const struct when *from = &config->from, *to = &config->to;
    if (from->set && to->set && from->of_day == to->of_day && from->time > to->time)
        return err_set(err, "--from is later than --to: no packet is between them");
    return true;
}

bool config_parse(struct config *config, unsigned command, int argc, char *const *argv,
                  struct err *err) {
    *config = (struct config){
        .fail_on = SEVERITY_NEVER, .thresholds = thresholds_preset(), .snaplen = SNAPLEN_WHOLE};
    config->files.list = calloc((size_t)argc + 1, sizeof *config->files.list);
    config->interfaces.list = calloc((size_t)argc + 1, sizeof *config->interfaces.list);
    if (!config->files.list || !config->interfaces.list)
        return err_no_memory(err);
    struct parser parser = {
        .config = config, .command = command, .argc = argc, .argv = argv, .err = err};
    return parse_all(&parser) && is_window(config, err);
}

void config_free(struct config *config) {
    free(config->files.list);
    free(config->interfaces.list);
}

/* ---- help ---- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 80 };

/* Broken between words; the first line has begun, up to HELP_COLUMN. */
static void help_text(struct buf *buf, const char *text) {
    size_t used = HELP_COLUMN;
    for (size_t len; *text; text += len + (text[len] == ' ')) {
        len = strcspn(text, " ");
        if (used + 1 + len > HELP_WIDTH) {
            buf_printf(buf, "\n%*s", HELP_COLUMN, "");
            used = HELP_COLUMN;
        }
        buf_printf(buf, " %.*s", (int)len, text);
        used += 1 + len;
    }
    buf_text(buf, "\n");
}

static void help_line(struct buf *buf, const struct option_row *option) {
    const struct kind *kind = &kinds[option->kind];
    size_t from = buf->len;
    if (option->letter)
        buf_printf(buf, "  -%c, --%s", option->letter, option->name);
    else
        buf_printf(buf, "      --%s", option->name);
    if (kind->takes != TAKES_NOTHING)
        buf_printf(buf, kind->takes == TAKES_VALUE ? " %s" : "[=%s]", kind->value);
    buf_pad_right(buf, from, HELP_COLUMN);
    help_text(buf, option->help);
}

void config_help(struct buf *buf, unsigned command) {
    for (size_t i = 0; i < countof(option_rows); i++)
        if (option_rows[i].commands & command)
            help_line(buf, &option_rows[i]);
}

/* option_kinds.c - the values of options, read; what is none is told with what would have been
 * right.
 */
#include "cli/option_kinds.h"

#include <limits.h>
#include <stdlib.h>

#include "analysis/detector.h"

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

/* The place of the text among the names, which end with NULL; -1, and a message with these choices:
 * it is none of them. */
static int read_choice(const char *const *names, const char *choices, const char *text,
                       struct err *err) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    (void)err_set(err, "'%.100s' is not a choice: write %s", text, choices);
    return -1;
}

static bool read_COLOUR(void *member, const char *text, struct err *err) {
    static const char *const names[] = {"auto", "always", "never", NULL};
    int index = read_choice(names, "auto, always or never", text, err);
    *(enum colour *)member = index < 0 ? COLOUR_AUTO : (enum colour)index;
    return index >= 0;
}

static bool read_KEYS(void *member, const char *text, struct err *err) {
    static const char *const names[] = {"none", "pseudonym", "full", NULL};
    int index = read_choice(names, "full, pseudonym or none", text, err);
    *(enum show_keys *)member = index < 0 ? SHOW_NO_KEYS : (enum show_keys)index;
    return index >= 0;
}

static bool read_BACKEND(void *member, const char *text, struct err *err) {
    static const char *const names[] = {"pcap", "ebpf", NULL};
    int index = read_choice(names, "pcap or ebpf", text, err);
    *(enum backend *)member = index < 0 ? BACKEND_PCAP : (enum backend)index;
    return index >= 0;
}

#define KIND(name, takes, value) [KIND_##name] = {takes, value, read_##name},
const struct option_kind option_kinds[] = {OPTION_KINDS(KIND)};
#undef KIND

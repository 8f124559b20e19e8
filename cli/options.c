/* options.c - one table of options: parsing and help follow from it.
 *
 * Like getopt_long, but descriptors instead of a switch, no abbreviations (a script that uses one
 * breaks when an option is added), and messages that say what would have been right. */
#include "cli/options.h"

#include <stdlib.h>

#include "cli/option_kinds.h"

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
    const struct option_kind *kind;
    struct err why;
    if (!option)
        return err_set(p->err, "there is no option %.*s", len, shown);
    if (!(option->commands & p->command))
        return err_set(p->err, "this command does not take the option %.*s", len, shown);
    kind = &option_kinds[option->kind];
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
        bool hangs = option && option_kinds[option->kind].takes == TAKES_VALUE && at[1];
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
            done = option_kinds[KIND_FILE].read(&p->config->files, word, p->err);
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
    const struct option_kind *kind = &option_kinds[option->kind];
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

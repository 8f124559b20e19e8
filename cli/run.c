/* run.c - a whole run: open everything, read everything, finish everything, say what went wrong.
 *
 * Damage of the input does not keep the report from being written: what stood before it counts. */
#include "cli/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/privileges.h"
#include "cli/clock.h"
#include "cli/departed.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/learnt.h"
#include "cli/onlooker.h"
#include "cli/say.h"
#include "cli/traffic.h"
#include "version.h"

enum { SINKS = 2, LINES_MAX = 64 << 10 };

struct run {
    const struct config *config;
    const struct run_kind *kind;
    struct input input;
    struct engine *engine;
    struct timeline timeline;
    struct siphash_key secrets[2]; /* of the tables, and of the pseudonyms of keys */
    struct sink sinks[SINKS];
    size_t sink_count;
    struct onlooker onlooker; /* of `watch` */
    struct learnt learnt;     /* live: the ports that are captured */
    struct departed departed; /* live: the interfaces that are not any more */
};

static bool is_live(const struct run *run) {
    return run->config->files.count == 0;
}

/* Somebody may look on. */
static bool watches(const struct run *run) {
    return run->kind->concludes && is_live(run);
}

/* ---- opening ---- */

static bool coloured(const struct config *config, int fd) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool refused = (no_color && *no_color) || (term && strcmp(term, "dumb") == 0);
    if (config->colour == COLOUR_AUTO)
        return !refused && isatty(fd);
    return config->colour == COLOUR_ALWAYS;
}

static bool look_at(const char *file, struct stat *ret_stat) {
    return strcmp(file, "-") == 0 ? fstat(STDIN_FILENO, ret_stat) == 0 : stat(file, ret_stat) == 0;
}

/* Writing over what is being read would destroy it. */
static bool is_input(const struct config *config, const char *path) {
    struct stat output, input;
    if (strcmp(path, "-") == 0 || stat(path, &output) != 0 || !S_ISREG(output.st_mode))
        return false;
    for (size_t i = 0; i < config->files.count; i++)
        if (look_at(config->files.list[i], &input) && input.st_dev == output.st_dev &&
            input.st_ino == output.st_ino)
            return true;
    return false;
}

static struct sink_options sink_options(const struct run *run) {
    return (struct sink_options){
        .colour = coloured(run->config, STDOUT_FILENO),
        .brief = run->config->quiet,
        .style = {.whole = run->config->verbose,
                  .keys = run->config->keys,
                  .secret = run->secrets[1]},
        .sources = run->config->files.count,
        .model = engine_model(run->engine),
    };
}

static bool add_sink(struct run *run, const struct sink_ops *ops, const char *path,
                     struct err *err) {
    struct sink_options options = sink_options(run);
    if (is_input(run->config, path))
        return err_set(err, "%.400s: is a capture to be read: name another file for the JSON",
                       path);
    if (!sink_open(&run->sinks[run->sink_count], ops, &options, path, err))
        return false;
    run->sink_count++;
    return true;
}

/* JSON alone, text alone, or both: text to standard output and JSON to its file. A full screen is
 * in the text's place. */
static bool open_sinks(struct run *run, struct err *err) {
    const struct target *json = &run->config->json;
    bool both = json->path && strcmp(json->path, "-") != 0;
    if (run->config->tui && json->wanted && !both)
        return err_set(err, "--tui and --json both want the terminal: write --json=FILE");
    if (json->wanted && !add_sink(run, run->kind->json, json->path ? json->path : "-", err))
        return false;
    return (json->wanted && !both) || run->config->tui || add_sink(run, run->kind->text, "-", err);
}

static void on_event(void *context, const struct event *event) {
    struct run *run = context;
    onlooker_event(&run->onlooker, event);
    if (run->kind->concludes)
        timeline_event(&run->timeline, engine_model(run->engine), event);
    for (size_t i = 0; i < run->sink_count; i++)
        sink_event(&run->sinks[i], event);
}

static void on_finding(void *context, const struct finding *finding) {
    struct run *run = context;
    onlooker_finding(&run->onlooker, finding);
    for (size_t i = 0; i < run->sink_count; i++)
        sink_finding(&run->sinks[i], finding);
}

static bool open_engine(struct run *run, struct err *err) {
    const struct config *config = run->config;
    struct engine_options options = {
        .key = run->secrets[0],
        .skip_detectors = config->skip | (config->only ? ~config->only : 0),
        .thresholds = config->thresholds,
        .wants = run->kind->concludes ? EVENTS_CONCLUSIONS : EVENTS_ALL,
        .on_event = on_event,
        .on_finding = on_finding,
        .live = is_live(run),
        .context = run,
    };
    uint64_t all = detector_count < 64 ? (UINT64_C(1) << detector_count) - 1 : UINT64_MAX;
    if ((options.skip_detectors & all) == all)
        return err_set(err, "--only and --skip leave no detector to run");
    if (!run->kind->concludes)
        options.skip_detectors = UINT64_MAX;
    run->engine = engine_new(&options, err);
    return run->engine;
}

static bool open_onlooker(struct run *run, struct err *err) {
    struct sink_options options = sink_options(run);
    return onlooker_open(&run->onlooker, run->config, coloured(run->config, STDERR_FILENO),
                         run->input.merge, &options, err);
}

static bool run_open(struct run *run, struct err *err) {
    bool sha256 = run->kind->concludes && run->config->json.wanted;
    timeline_init(&run->timeline);
    if (getrandom(run->secrets, sizeof run->secrets, 0) != sizeof run->secrets)
        return err_set(err, "the system gives no random numbers (getrandom)");
    return input_open(&run->input, run->config, sha256, err) && open_engine(run, err) &&
           open_sinks(run, err) && (!watches(run) || open_onlooker(run, err)) &&
           (!is_live(run) || privileges_drop(err));
}

static void run_close(struct run *run) {
    timeline_free(&run->timeline);
    engine_free(run->engine);
    input_close(&run->input);
}

/* ---- reading and finishing ---- */

/* What tcpdump's users look for, on standard error. */
static void say_counters(struct run *run) {
    uint64_t drops = input_facts(&run->input).kernel_drops;
    struct buf traffic = {.max = LINES_MAX};
    if (!onlooker_make_way(&run->onlooker))
        return; /* the screen shows them */
    if (!run->config->quiet)
        traffic_put(&traffic, run->input.merge);
    say_lines(buf_str(&traffic));
    buf_free(&traffic);
    (void)say("%" PRIu64 " packets captured, %" PRIu64 " dropped by the kernel",
              run->input.tally.packets, drops);
}

static void learn_ports(struct run *run) {
    struct buf said = {.max = LINES_MAX};
    learnt_look(&run->learnt, engine_model(run->engine), run->input.merge, clock_steady(), &said);
    if (said.len && !run->config->quiet && onlooker_make_way(&run->onlooker))
        say_lines(buf_str(&said));
    buf_free(&said);
}

/* Unless the screen is in the way: then at the end. */
static void say_departed(struct run *run) {
    struct buf said = {.max = LINES_MAX};
    if (run->onlooker.tui)
        return;
    departed_look(&run->departed, run->input.merge, &said);
    if (said.len && onlooker_make_way(&run->onlooker))
        say_lines(buf_str(&said));
    buf_free(&said);
}

/* While a live run goes on: what is known of losses, and what was written, are for all to see. */
static void go_along(struct run *run) {
    struct run_facts facts = input_facts(&run->input);
    engine_facts(run->engine, &facts);
    learn_ports(run);
    say_departed(run);
    for (size_t i = 0; i < run->sink_count; i++)
        output_flush(&run->sinks[i].output);
    if (counters_wanted())
        say_counters(run);
    onlooker_tick(&run->onlooker, run->input.merge, run->engine);
}

/* Whoever wants to see what there is, and output that nobody takes, end the reading. */
static bool goes_on(void *context) {
    struct run *run = context;
    if (is_live(run)) /* it ends by itself, once what it holds is read */
        go_along(run);
    else if (interrupted())
        return false;
    for (size_t i = 0; i < run->sink_count; i++)
        if (run->sinks[i].output.error || run->sinks[i].buf.failed)
            return false;
    return true;
}

/* False, having said why, if one of the outputs is not whole. */
static bool finish_sinks(struct run *run, const char *damage) {
    timeline_sort(&run->timeline);
    struct report report = {
        .version = BUSTAP_VERSION,
        .engine = run->engine,
        .sources = run->input.merge,
        .timeline = &run->timeline,
        .tally = run->input.tally,
        .damage = damage,
    };
    bool whole = true;
    for (size_t i = 0; i < run->sink_count; i++) {
        struct err err;
        if (!sink_finish(&run->sinks[i], &report, &err)) {
            (void)say("%s", err.text);
            whole = false;
        }
    }
    return whole;
}

/* Of one interface alone the message that the run ends with tells all there is. */
static void say_end(struct run *run) {
    if (merge_info(run->input.merge, 0)->interface_count > 1)
        say_departed(run);
    say_counters(run);
}

static bool is_found(const struct run *run) {
    int fail_on = run->config->fail_on;
    if (fail_on == SEVERITY_NEVER)
        return false;
    for (size_t i = 0; i < engine_finding_count(run->engine); i++)
        if ((int)engine_finding(run->engine, i)->severity >= fail_on)
            return true;
    return false;
}

static int run_all(struct run *run) {
    struct err damage;
    bool shows_progress = !run->config->quiet && !watches(run);
    run->learnt = learnt_start(&run->input.live.ports, !port_set_is_empty(&run->config->ports));
    bool sound =
        input_run(&run->input, run->engine, shows_progress, goes_on, run, &damage) || interrupted();
    onlooker_close(&run->onlooker);
    struct run_facts facts = input_facts(&run->input);
    engine_finish(run->engine, &facts);
    bool whole = finish_sinks(run, sound ? NULL : damage.text);
    if (is_live(run))
        say_end(run);
    else if (interrupted())
        (void)say("stopped by a signal: what follows in the input was not read");
    if (!sound)
        (void)say("%s", damage.text);
    if (!sound || !whole)
        return EXIT_TROUBLE;
    return is_found(run) ? EXIT_FOUND : EXIT_DONE;
}

/* Who named nothing at all may want to know what there is to name. */
static int say_why(const struct run *run, const char *why) {
    const struct config *config = run->config;
    bool named = config->files.count || config->interfaces.count;
    return named ? say("%s", why) : usage_error(run->kind->command, why);
}

int run(const struct config *config, const struct run_kind *kind) {
    struct run run = {.config = config, .kind = kind};
    struct err err;
    if (config->files.count && !kind->files)
        return usage_error(kind->command, "it reads no files: name interfaces (-i)");
    if (config->files.count && config->interfaces.count)
        return usage_error(kind->command, "files or interfaces (-i), not both");
    if (config->files.count == 0 && !kind->live)
        return usage_error(kind->command, "name a capture, or - for standard input");
    interrupt_install();
    bool open = run_open(&run, &err);
    if (!open)
        onlooker_close(&run.onlooker);
    int status = open ? run_all(&run) : say_why(&run, err.text);
    run_close(&run);
    return status;
}

/* recorder.h - events as lines of text, so that tests compare lists of lines and a failure shows
 * what differs. It prints every field of the schema, in its own way, not the reports'.
 *
 *   struct recorder r = {.quiet = true, .without = "gossip slots"};
 *   decoder_new(key, EVENTS_ALL, recorder_event, &r);
 *   ...
 *   assert_true(recorder_same(&expected, &r));        or
 *   assert_recorded(&r, "tcp-open 10.0.0.1:40000 > 10.0.0.2:16379");
 *
 * A line is the event's name, its two ends if it has a flow, then " field=value" for each field
 * that is not zero, unknown or empty; of those that are usually true, if they are not. */
#ifndef BUSTAP_TESTS_RECORDER_H
#define BUSTAP_TESTS_RECORDER_H

#include "base/buf.h"
#include "decode/event.h"

struct recorder {
    /* what is wanted; zero: every SHOWN event, all fields, no places */
    bool quiet;          /* QUIET events too */
    bool placed;         /* frame and time stand before each line */
    bool faceless;       /* no ends */
    const char *with;    /* names of the fields wanted, separated by spaces; NULL: all */
    const char *without; /* names of fields to leave out, likewise */
    const char *only;    /* names of the events wanted, likewise; NULL: all */

    size_t count;         /* lines so far */
    struct buf text;      /* all lines, each with its '\n' */
    size_t *starts, room; /* of each line in the text */
};

void recorder_event(void *context, const struct event *event); /* an event_fn */
void recorder_free(struct recorder *recorder);
void recorder_reset(struct recorder *recorder); /* forgets the lines */

const char *recorder_line(const struct recorder *recorder, size_t index, size_t *ret_len);

/* Sorts the lines by their ends (where the first one is who sent), keeping their order otherwise:
 * what each direction of each connection said. */
void recorder_by_direction(struct recorder *recorder);

/* False, having shown the first difference with what stands around it. */
bool recorder_same(const struct recorder *expected, const struct recorder *got);

/* Is `part` how `whole` begins? */
bool recorder_begins(const struct recorder *whole, const struct recorder *part);

/* Are these the lines? */
bool recorder_is(const struct recorder *recorder, const char *const *lines, size_t count);

#define assert_recorded(recorder, ...)                                      \
    assert_true(recorder_is((recorder), (const char *const[]){__VA_ARGS__}, \
                            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

#endif

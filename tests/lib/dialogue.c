/* dialogue.c - lines become bytes, and bytes segments of one connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/decoder.h"
#include "tests/lib/dialogue.h"
#include "tests/lib/made.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- bytes of a line ---- */

static void put_text(struct made *made, struct bytes text) {
    made_bytes(made, text.data, text.len);
}

static struct bytes next_word(struct bytes *text) {
    while (text->len && text->data[0] == ' ')
        *text = bytes_after(*text, 1);
    size_t len = 0;
    while (len < text->len && text->data[len] != ' ')
        len++;
    struct bytes word = bytes_first(*text, len);
    *text = bytes_after(*text, len);
    return word;
}

static void put_line(struct made *made, struct bytes text) {
    put_text(made, text);
    put_text(made, bytes_str("\r\n"));
}

static void put_lines(struct made *made, struct bytes text) {
    for (struct bytes word; (word = next_word(&text)).len;)
        put_line(made, word);
}

static void put_head(struct made *made, char type, size_t number) {
    char head[32];
    put_text(made, bytes_of(head, (size_t)snprintf(head, sizeof head, "%c%zu\r\n", type, number)));
}

static void put_request(struct made *made, struct bytes text) {
    struct bytes rest = text;
    size_t words = 0;
    while (next_word(&rest).len)
        words++;
    put_head(made, '*', words);
    for (struct bytes word; (word = next_word(&text)).len;) {
        put_head(made, '$', word.len);
        put_line(made, word);
    }
}

static void put_requests(struct made *made, struct bytes text) {
    while (text.len) {
        const uint8_t *end = memmem(text.data, text.len, "; ", 2);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        put_request(made, bytes_first(text, len));
        text = bytes_after(text, end ? len + 2 : len);
    }
}

/* ---- segments ---- */

static void send_segments(struct dialogue_run *run, unsigned end, struct bytes view) {
    talk_send_cut(&run->talk, end, view, run->cut ? run->cut : 60000);
}

static void say(struct dialogue_run *run, unsigned end, const char *how, size_t count) {
    struct made made = {0};
    bool lost = *how == '-';
    how += lost;
    bool unheard = *how == '?';
    how += unheard;
    uint32_t heard = run->talk.heard[CLIENT];
    struct bytes text = bytes_str(strchr(how, ' ') ? strchr(how, ' ') + 1 : "");
    for (size_t i = 0; i < count; i++) {
        if (*how == '~')
            put_text(&made, text);
        else if (*how == '|')
            put_line(&made, text);
        else if (end == CLIENT)
            put_requests(&made, text);
        else
            put_lines(&made, text);
    }
    if (unheard)
        run->talk.heard[CLIENT] = run->heard_before;
    if (lost)
        talk_lose(&run->talk, end, made.len);
    else
        send_segments(run, end, made_view(&made));
    if (unheard)
        run->talk.heard[CLIENT] = heard;
    if (end == SERVER)
        run->heard_before = heard;
    made_free(&made);
}

void dialogue_repeat(struct dialogue_run *run, const char *line, size_t count) {
    unsigned end = *line == '>' ? CLIENT : SERVER;
    if (*line == '.')
        run->lan.time += 2 * NS_PER_SEC;
    else if (line[1] == 'x')
        talk_fin(&run->talk, end);
    else if (line[1] == '!')
        talk_reset(&run->talk, end);
    else
        say(run, end, line + 1, count);
}

void dialogue_say(struct dialogue_run *run, const char *line) {
    dialogue_repeat(run, line, 1);
}

/* ---- runs ---- */

static void deliver(void *context, const struct packet *packet) {
    decoder_packet(((struct dialogue_run *)context)->decoder, packet);
}

static void on_event(void *context, const struct event *event) {
    struct dialogue_run *run = context;
    if (event->type == EV_flow_end)
        run->undecoded += event->flow->sides[0].undecoded + event->flow->sides[1].undecoded;
    recorder_event(&run->heard, event);
}

void dialogue_begin(struct dialogue_run *run, bool joined) {
    uint64_t wants = run->wants ? run->wants : EVENTS_ALL;
    run->decoder = decoder_new((struct siphash_key){1, 2}, wants, on_event, run);
    assert_non_null(run->decoder);
    run->lan = (struct lan){.deliver = deliver, .context = run};
    run->talk = talk_between(&run->lan, 1, 40000, 2, 7000);
    if (!joined)
        talk_open(&run->talk);
}

void dialogue_end(struct dialogue_run *run) {
    decoder_finish(run->decoder);
    decoder_free(run->decoder);
    run->decoder = NULL;
}

void dialogue_free(struct dialogue_run *run) {
    recorder_free(&run->heard);
}

static size_t length_of(const char *const *list) {
    size_t count = 0;
    while (list[count])
        count++;
    return count;
}

/* False, having shown what differs. */
static bool check(const struct dialogue *dialogue, size_t cut) {
    const char *only = dialogue->only ? dialogue->only : DIALOGUE_EVENTS;
    const char *with = dialogue->with ? dialogue->with : DIALOGUE_FIELDS;
    struct dialogue_run run = {
        .heard = {.faceless = true, .quiet = true, .only = only, .with = with}, .cut = cut};
    dialogue_begin(&run, dialogue->joined);
    for (const char *const *line = dialogue->said; *line; line++)
        dialogue_say(&run, *line);
    dialogue_end(&run);
    bool same = recorder_is(&run.heard, dialogue->heard, length_of(dialogue->heard));
    dialogue_free(&run);
    if (!same)
        print_error("in \"%s\"; its segments are cut to %zu bytes (0: not at all)\n",
                    dialogue->name, cut);
    if (run.undecoded != dialogue->undecoded)
        print_error("in \"%s\" %llu bytes are not decoded, and not %llu\n", dialogue->name,
                    (unsigned long long)run.undecoded, (unsigned long long)dialogue->undecoded);
    return same && run.undecoded == dialogue->undecoded;
}

static bool check_cut(const struct dialogue *dialogue) {
    static const size_t cuts[] = {0, 1, 3, 7};
    for (size_t i = 0; i < (dialogue->uncut ? 1 : countof(cuts)); i++)
        if (!check(dialogue, cuts[i]))
            return false;
    return true;
}

void dialogues_check(const struct dialogue *list, size_t count) {
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += !check_cut(&list[i]);
    if (wrong)
        fail_msg("%zu of %zu dialogues differ, as shown", wrong, count);
}

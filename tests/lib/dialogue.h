/* dialogue.h - what a client and a server say to each other, as lines, and the events that it must
 * make: a page of them is a table.
 *
 *   static const struct dialogue dialogues[] = {
 *       {.name = "two at once",
 *        .said = {"> GET a; INCR n", "< $1 v :7"},
 *        .heard = {"reply command=get type=bulk-string", "reply command=incr type=integer"}},
 *   };
 *   CHECK_DIALOGUES(dialogues);
 *
 * A line of `said` is one segment, or several if it is cut:
 *
 *   "> GET a; PING"   the client: requests of these words; a blank and ';' part them
 *   "< *1 $1 v"       the server: each word is a line, CRLF behind it
 *   ">| text", "<| …" one line, with blanks
 *   ">~ text", "<~ …" these very bytes
 *   ">- …",    "<- …" sent, but not captured; also ">-|" and the like
 *   ">? …"            the client has not heard yet what the server said in its last line
 *   "."               two seconds go by
 *   ">x", "<x"        this end closes (FIN); ">!", "<!" resets
 *
 * Each dialogue is run as it stands and with its segments cut to a few bytes; that must make no
 * difference. */
#ifndef BUSTAP_TESTS_DIALOGUE_H
#define BUSTAP_TESTS_DIALOGUE_H

#include "base/base.h"
#include "tests/lib/recorder.h"
#include "tests/lib/talk.h"

struct dialogue {
    const char *name;
    const char *said[32];
    const char *heard[48]; /* as a recorder has them */
    const char *only;      /* events that are looked at; NULL: DIALOGUE_EVENTS */
    const char *with;      /* and their fields; NULL: DIALOGUE_FIELDS */
    uint64_t undecoded;    /* bytes, of both directions */
    bool joined;           /* the capture began later than the connection */
    bool uncut;            /* is run only as it stands: it says what segments hold */
};

#define DIALOGUE_EVENTS                                                                      \
    "reply silent executed error unanswered unmatched push redirect replication replicated " \
    "anomaly opaque"
#define DIALOGUE_FIELDS "command type error count why kind slot target what name"

/* Names all those that make other events, and then fails the test. */
void dialogues_check(const struct dialogue *list, size_t count);

#define CHECK_DIALOGUES(list) dialogues_check((list), countof(list))

/* ---- its parts, for tests that say more than a table can ---- */

struct dialogue_run {
    struct recorder heard;
    struct decoder *decoder;
    struct lan lan;
    struct talk talk;
    uint32_t heard_before; /* what the client had heard before the server's last line */
    size_t cut;            /* bytes of a segment; 0: as they come */
    uint64_t undecoded;    /* known once it has ended */
    uint64_t wants;        /* EVENT_BITs; 0: all */
};

/* The connection is open, unless it is `joined`. */
void dialogue_begin(struct dialogue_run *run, bool joined);
void dialogue_say(struct dialogue_run *run, const char *line);

/* `count` times the same in one go. */
void dialogue_repeat(struct dialogue_run *run, const char *line, size_t count);

/* The capture ends; what was heard stays until dialogue_free(). */
void dialogue_end(struct dialogue_run *run);
void dialogue_free(struct dialogue_run *run);

#endif

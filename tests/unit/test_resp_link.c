/* test_resp_link.c - a client's connection, event by event: which reply belongs to which
 * request, what is no RESP at all, and what is left of pairing after a gap and
 * where the capture joined in the middle. How lines are read here: tests/lib/dialogue.h.
 *
 * tests/wire/test_resp.py asks what reports count of such conversations; here it is said what each
 * value is taken for, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "decode/decoder.h"
#include "decode/resp.h"
#include "decode/sampling.h"
#include "tests/lib/dialogue.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/made.h"

#define GET  "reply command=get type=bulk-string"
#define INCR "reply command=incr type=integer"
#define SET  "reply command=set type=simple-string"
#define PING "reply command=ping type=simple-string"

/* ---- replies off ---- */

static const struct dialogue replies_off[] = {
    {.name = "OFF silences what follows, until ON",
     .said = {"> CLIENT REPLY OFF; GET a; INCR n; CLIENT REPLY ON; PING", "< +OK +PONG"},
     .heard = {"silent command=client|reply", "silent command=get", "silent command=incr",
               "reply command=client|reply type=simple-string", PING}},
    {.name = "SKIP silences itself and the next one",
     .said = {"> CLIENT REPLY SKIP; GET a; INCR n", "< :1"},
     .heard = {"silent command=client|reply", "silent command=get", INCR}},
    {.name = "SKIP after SKIP silences the one behind both",
     .said = {"> CLIENT REPLY SKIP; CLIENT REPLY SKIP; GET a; INCR n", "< :1"},
     .heard = {"silent command=client|reply", "silent command=client|reply", "silent command=get",
               INCR}},
    {.name = "SKIP while replies are off changes nothing",
     .said = {"> CLIENT REPLY OFF; CLIENT REPLY SKIP; GET a; CLIENT REPLY ON; INCR n", "< +OK :1"},
     .heard = {"silent command=client|reply", "silent command=client|reply", "silent command=get",
               "reply command=client|reply type=simple-string", INCR}},
    {.name = "a form that does not exist is refused",
     .said = {"> CLIENT REPLY MAYBE; INCR n", "<| -ERR syntax error", "< :1"},
     .heard = {"reply command=client|reply type=error error=ERR", INCR}},
    {.name = "RESET turns them on again",
     .said = {"> CLIENT REPLY OFF; GET a", "> RESET", "< +RESET", "> INCR n", "< :1"},
     .heard = {"silent command=client|reply", "silent command=get",
               "reply command=reset type=simple-string", INCR}},
    {.name = "but is itself skipped",
     .said = {"> CLIENT REPLY SKIP; RESET; INCR n", "< :1"},
     .heard = {"silent command=client|reply", "silent command=reset", INCR}},
    {.name = "an empty request is a next one, too",
     .said = {"> CLIENT REPLY SKIP", ">~ *0\r\n", "> GET a; CLIENT REPLY SKIP", "< $1 v", ">~ \r\n",
              "> INCR n", "< :1"},
     .heard = {"silent command=client|reply", "silent command=client|reply", GET, INCR}},
    {.name = "subscriptions are confirmed all the same",
     .said = {"> CLIENT REPLY SKIP; SUBSCRIBE a; PING", "< *3 $9 subscribe $1 a :1 *2 $4 pong $1 x",
              "> CLIENT REPLY OFF; SUBSCRIBE b",
              "< *3 $9 subscribe $1 b :2 *3 $7 message $1 a $2 hi", "> RESET; LRANGE l 0 9",
              "< +RESET *3 $7 message $1 a $1 b"},
     .heard = {"silent command=client|reply", "silent command=subscribe", "push kind=subscribe",
               "reply command=ping type=array", "silent command=client|reply",
               "silent command=subscribe", "push kind=subscribe", "push kind=message",
               "reply command=reset type=simple-string", "reply command=lrange type=array"}},
};

static void client_reply(void **state) {
    (void)state;
    CHECK_DIALOGUES(replies_off);
}

/* ---- Pub/Sub ---- */

#define SUBSCRIBED(command) "reply command=" command " type=array"

static const struct dialogue subscribers[] = {
    {.name = "each channel is confirmed, the last one answers",
     .said = {"> SUBSCRIBE a b; PING", "< *3 $9 subscribe $1 a :1 *3 $7 message $1 a $2 hi",
              "< *3 $9 subscribe $1 b :2 *2 $4 pong $0", "<| "},
     .heard = {"push kind=message", SUBSCRIBED("subscribe"), "reply command=ping type=array"}},
    {.name = "all channels are left one by one; then an array is a reply again",
     .said = {"> SUBSCRIBE a b", "< *3 $9 subscribe $1 a :1 *3 $9 subscribe $1 b :2",
              "> UNSUBSCRIBE; LRANGE l 0 9",
              "< *3 $11 unsubscribe $1 a :1 *3 $11 unsubscribe $1 b :0 *3 $7 message $1 a $1 b"},
     .heard = {SUBSCRIBED("subscribe"), SUBSCRIBED("unsubscribe"), SUBSCRIBED("lrange")}},
    {.name = "patterns and channels share one count, shard channels have their own",
     .said = {"> PSUBSCRIBE p*; SUBSCRIBE a; SSUBSCRIBE s",
              "< *3 $10 psubscribe $2 p* :1 *3 $9 subscribe $1 a :2 *3 $10 ssubscribe $1 s :1",
              "> PUNSUBSCRIBE; SUNSUBSCRIBE; PING",
              "< *3 $12 punsubscribe $2 p* :1 *3 $12 sunsubscribe $1 s :0 *2 $4 pong $1 x"},
     .heard = {SUBSCRIBED("psubscribe"), SUBSCRIBED("subscribe"), SUBSCRIBED("ssubscribe"),
               SUBSCRIBED("punsubscribe"), SUBSCRIBED("sunsubscribe"),
               "reply command=ping type=array"}},
    {.name = "a channel that was subscribed to already, one that was not",
     .said = {"> SUBSCRIBE a a", "< *3 $9 subscribe $1 a :1 *3 $9 subscribe $1 a :1",
              "> UNSUBSCRIBE z a; PING",
              "< *3 $11 unsubscribe $1 z :1 *3 $11 unsubscribe $1 a :0 +PONG"},
     .heard = {SUBSCRIBED("subscribe"), SUBSCRIBED("unsubscribe"), PING}},
    {.name = "nothing to leave is confirmed once",
     .said = {"> UNSUBSCRIBE; PING", "< *3 $11 unsubscribe $-1 :0 +PONG"},
     .heard = {SUBSCRIBED("unsubscribe"), PING}},
    {.name = "RESET leaves all",
     .said = {"> SUBSCRIBE a", "< *3 $9 subscribe $1 a :1", "> RESET; LRANGE l 0 9",
              "< +RESET *3 $7 message $1 a $1 b"},
     .heard = {SUBSCRIBED("subscribe"), "reply command=reset type=simple-string",
               SUBSCRIBED("lrange")}},
    {.name = "RESP3: pushes are the only answer, and come between replies",
     .said = {"> HELLO 3", "< %1 $5 proto :3", "> SUBSCRIBE a; GET k; PING",
              "< >3 $9 subscribe $1 a :1 $1 v >3 $7 message $1 a $2 hi +PONG"},
     .heard = {"reply command=hello type=map", "reply command=subscribe type=push", GET,
               "push kind=message", PING}},
    {.name = "RESP3: a list that looks like a message is one",
     .said = {"> HELLO 3", "< %1 $5 proto :3", "> SUBSCRIBE a", "< >3 $9 subscribe $1 a :1",
              "> PING", "< +PONG"},
     .heard = {"reply command=hello type=map", "reply command=subscribe type=push", PING}},
    {.name = "a shard channel that moves away is left by the server",
     .said = {"> SSUBSCRIBE s", "< *3 $10 ssubscribe $1 s :1", "< *3 $12 sunsubscribe $1 s :0",
              "> PING", "< +PONG"},
     .heard = {SUBSCRIBED("ssubscribe"), "push kind=sunsubscribe", PING}},
    {.name = "tracking: invalidations, and CACHING for the next command",
     .said = {"> HELLO 3; CLIENT TRACKING ON OPTIN", "< %1 $5 proto :3 +OK",
              "> CLIENT CACHING YES; GET a", "< +OK $1 v >2 $10 invalidate *1 $1 a", "> PING",
              "< >2 $10 invalidate _ +PONG"},
     .heard = {"reply command=hello type=map", "reply command=client|tracking type=simple-string",
               "reply command=client|caching type=simple-string", GET, "push kind=invalidate",
               "push kind=invalidate", PING}},
    {.name = "a push of a kind that we do not know",
     .said = {"> HELLO 3; PING", "< %1 $5 proto :3 >2 $6 secret :1 +PONG"},
     .heard = {"reply command=hello type=map", "push kind=other", PING}},
};

static void subscriptions_and_pushes(void **state) {
    (void)state;
    CHECK_DIALOGUES(subscribers);
}

/* ---- transactions ---- */

static const struct dialogue transactions[] = {
    {.name = "what is queued is executed later",
     .said = {"> MULTI; SET k v; INCR n; EXEC; PING", "< +OK +QUEUED +QUEUED *2 +OK :1 +PONG"},
     .heard = {"reply command=multi", "reply command=set called=no", "reply command=incr called=no",
               "reply command=exec", "executed command=set", "executed command=incr",
               "reply command=ping"}},
    {.name = "an error inside is the executed command's",
     .said = {"> MULTI; INCR n; EXEC", "< +OK +QUEUED *1", "<| -WRONGTYPE no integer"},
     .heard = {"reply command=multi", "reply command=incr called=no", "error error=WRONGTYPE",
               "reply command=exec", "executed command=incr"}},
    {.name = "one that is refused when it is queued dooms all",
     .said = {"> MULTI; SET k v; INCR", "< +OK +QUEUED", "<| -ERR wrong number of arguments",
              "> EXEC; PING", "<| -EXECABORT Transaction discarded", "< +PONG"},
     .heard = {"reply command=multi", "reply command=set called=no", "reply command=incr error=ERR",
               "reply command=exec error=EXECABORT", "reply command=ping"}},
    {.name = "moved when it is queued",
     .said = {"> MULTI; GET k", "< +OK", "<| -MOVED 7 10.0.0.3:6379", "> EXEC",
              "<| -EXECABORT Transaction discarded"},
     .heard = {"reply command=multi", "reply command=get error=MOVED", "redirect command=get",
               "reply command=exec error=EXECABORT"}},
    {.name = "a watched key was written",
     .said = {"> WATCH k; MULTI; SET k v; EXEC; SET k v", "< +OK +OK +QUEUED *-1 +OK"},
     .heard = {"reply command=watch", "reply command=multi", "reply command=set called=no",
               "reply command=exec", "reply command=set"}},
    {.name = "DISCARD",
     .said = {"> MULTI; SET k v; DISCARD; MULTI; INCR n; EXEC",
              "< +OK +QUEUED +OK +OK +QUEUED *1 :1"},
     .heard = {"reply command=multi", "reply command=set called=no", "reply command=discard",
               "reply command=multi", "reply command=incr called=no", "reply command=exec",
               "executed command=incr"}},
    {.name = "the value QUEUED of a key is a value",
     .said = {"> GET k; ECHO x", "< +QUEUED +QUEUED"},
     .heard = {"reply command=get", "reply command=echo"}},
};

static void queued_and_executed(void **state) {
    (void)state;
    struct dialogue list[countof(transactions)];
    memcpy(list, transactions, sizeof list);
    for (size_t i = 0; i < countof(list); i++)
        list[i].with = "command error called";
    CHECK_DIALOGUES(list);
}

/* ---- other rules ---- */

static const struct dialogue rules[] = {
    {.name = "nothing is asked, nothing answered",
     .said = {">~ *0\r\n", "> GET a", ">~ *-1\r\n\r\n*0\r\n", "> INCR n", "< $1 v :1"},
     .heard = {GET, INCR}},
    {.name = "an attribute belongs to the reply behind it",
     .said = {"> GET a; INCR n", "< |1 $3 ttl :9 $1 v |1 $1 k *2 :1 _ :1"},
     .heard = {GET, INCR}},
    {.name = "lines of MONITOR answer nothing; RESET ends it",
     .said = {"> MONITOR; PING", "< +OK", "<| +1700000000.123456 [0 127.0.0.1:5] \"get\" \"k\"",
              "< +PONG", "<| +1700000000.123457 [0 lua] \"+OK\"", "> RESET; ECHO x", "< +RESET",
              "<| +1700000000.123458 [0 127.0.0.1:5] \"no\" \"line\""},
     .heard = {"reply command=monitor type=simple-string", "push kind=monitor", PING,
               "push kind=monitor", "reply command=reset type=simple-string",
               "reply command=echo type=simple-string"}},
    {.name = "HELLO 3, HELLO 2, and one that is refused",
     .said = {"> HELLO 3; GET a; HELLO 2; GET a; HELLO 4; INCR n",
              "< %1 $5 proto :3 _ *2 $5 proto :2 $-1", "<| -NOPROTO unsupported protocol version",
              "< :1"},
     .heard = {"reply command=hello type=map", "reply command=get type=null",
               "reply command=hello type=array", "reply command=get type=null",
               "reply command=hello type=error error=NOPROTO", INCR}},
    {.name = "QUIT, answered",
     .said = {"> GET a; QUIT", "< $1 v +OK", "<x", ">x"},
     .heard = {GET, "reply command=quit type=simple-string"}},
    {.name = "QUIT, answered by the end",
     .said = {"> GET a; QUIT", "< $1 v", "<x", ">x"},
     .heard = {GET, "silent command=quit"}},
    {.name = "SHUTDOWN, which succeeds, is refused, or is called off",
     .said = {"> SHUTDOWN", "<| -ERR Errors trying to SHUTDOWN.", "> SHUTDOWN ABORT", "< +OK",
              "> SHUTDOWN NOSAVE", "<x"},
     .heard = {"reply command=shutdown type=error error=ERR",
               "reply command=shutdown type=simple-string", "silent command=shutdown"}},
    {.name = "closed before all was answered",
     .said = {"> GET a; INCR n; GET b", "< $1 v", "<!"},
     .heard = {GET, "unanswered command=incr count=1 why=closed",
               "unanswered command=get count=1 why=closed"}},
    {.name = "a capture that ends before the answer",
     .said = {"> GET a"},
     .heard = {"unanswered command=get count=1 why=end"}},
    {.name = "turned away before anything was asked",
     .said = {"<| -ERR max number of clients reached", "<x"},
     .heard = {"unmatched type=error error=ERR"}},
    {.name = "turned away while something was being asked",
     .said = {"<| -DENIED Redis is running in protected mode", "> PING", "<x"},
     .heard = {"unmatched type=error error=DENIED", "unanswered command=ping count=1 why=closed"}},
    {.name = "not authenticated, each request by itself",
     .said = {"> GET a; INCR n; AUTH secret", "<| -NOAUTH Authentication required.",
              "<| -NOAUTH Authentication required.", "< +OK"},
     .heard = {"reply command=get type=error error=NOAUTH",
               "reply command=incr type=error error=NOAUTH",
               "reply command=auth type=simple-string"}},
    {.name = "ASKING is good for one command, and answered by itself",
     .said = {"> GET k", "<| -ASK 7 10.0.0.3:6379", "> ASKING; GET k", "< +OK $1 v"},
     .heard = {"reply command=get type=error error=ASK",
               "redirect kind=ask slot=7 target=10.0.0.3:6379 command=get",
               "reply command=asking type=simple-string", GET}},
    {.name = "a protocol error answers no request",
     .said = {"> GET a", ">| *1x", "< $1 v", "<| -ERR Protocol error: invalid multibulk length",
              "<x"},
     .heard = {"anomaly name=resp-step", GET, "unmatched type=error error=ERR"},
     .undecoded = 5,
     .uncut = true},
};

static void one_rule_each(void **state) {
    (void)state;
    CHECK_DIALOGUES(rules);
}

/* ---- many at once ---- */

/* A deep pipeline: every reply goes to its own request, whoever wants to know of requests. */
static void a_deep_pipeline(void **state) {
    (void)state;
    for (int quietly = 0; quietly < 2; quietly++) {
        struct dialogue_run run = {.wants = quietly ? EVENTS_ALL & ~EVENT_BIT(request) : 0,
                                   .heard = {.faceless = true, .with = "command type count why"}};
        run.heard.only = "reply unanswered unmatched";
        dialogue_begin(&run, false);
        dialogue_repeat(&run, "> GET k; INCR n; GET k; SET k v", 5000);
        dialogue_repeat(&run, "< $1 v :1 $-1 +OK", 5000);
        dialogue_end(&run);
        static const char *const four[] = {GET, INCR, "reply command=get type=null", SET};
        assert_int_equal(run.heard.count, 20000);
        for (size_t i = 0; i < run.heard.count; i++) {
            size_t len;
            const char *line = recorder_line(&run.heard, i, &len);
            if (len != strlen(four[i % 4]) || memcmp(line, four[i % 4], len) != 0)
                fail_msg("reply %zu is told as: %.*s", i, (int)len, line);
        }
        dialogue_free(&run);
    }
}

static size_t count_lines(const struct recorder *heard, const char *line) {
    size_t count = 0;
    for (size_t i = 0; i < heard->count; i++) {
        size_t len;
        const char *other = recorder_line(heard, i, &len);
        count += len == strlen(line) && memcmp(line, other, len) == 0;
    }
    return count;
}

/* Has it made just these events, each so many times? */
struct counted {
    const char *line;
    size_t count;
};

static void check_counted(const struct recorder *heard, const struct counted *list, size_t count) {
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        size_t got = count_lines(heard, list[i].line);
        all += got;
        if (got != list[i].count)
            fail_msg("%zu times \"%s\" where %zu are due", got, list[i].line, list[i].count);
    }
    assert_int_equal(heard->count, all);
}

#define ASSERT_COUNTED(heard, ...)                                \
    check_counted((heard), (const struct counted[]){__VA_ARGS__}, \
                  countof(((const struct counted[]){__VA_ARGS__})))

static struct dialogue_run run_of_many(uint64_t wants) {
    return (struct dialogue_run){
        .wants = wants,
        .heard = {.faceless = true,
                  .quiet = true,
                  .only = "reply silent unanswered unmatched executed anomaly",
                  .with = "command type count why name"}};
}

/* CAP_PENDING: requests beyond it are counted; their replies are told without a command, in turn,
 * and those behind them are known again. */
static void more_than_may_wait(void **state) {
    (void)state;
    static const uint64_t wants[] = {0, EVENTS_ALL & ~EVENT_BIT(request)};
    for (size_t i = 0; i < countof(wants); i++) {
        struct dialogue_run run = run_of_many(wants[i]);
        dialogue_begin(&run, false);
        dialogue_repeat(&run, "> GET k", CAP_PENDING + 9);
        dialogue_repeat(&run, "< $1 v", CAP_PENDING + 7);
        dialogue_say(&run, "> INCR n"); /* behind the ones that are only counted */
        dialogue_say(&run, "< $1 v $1 v :1");
        dialogue_say(&run, "> SET k v");
        dialogue_say(&run, "< +OK");
        dialogue_end(&run);
        ASSERT_COUNTED(&run.heard, {GET, CAP_PENDING}, {"anomaly name=resp-pending-cap", 10},
                       {"reply type=bulk-string", 9}, {"reply type=integer", 1}, {SET, 1});
        dialogue_free(&run);
    }
}

/* Of those that were only counted no time is known either. */
static void no_time_of_what_was_counted(void **state) {
    (void)state;
    struct dialogue_run run = {.heard = {.faceless = true, .only = "reply"}};
    run.heard.with = "latency_us request_frame request_bytes";
    dialogue_begin(&run, false);
    dialogue_repeat(&run, "> GET k", CAP_PENDING + 2);
    dialogue_repeat(&run, "< +", CAP_PENDING);
    recorder_reset(&run.heard);
    dialogue_say(&run, "< + +");
    dialogue_end(&run);
    assert_recorded(&run.heard, "reply", "reply");
    dialogue_free(&run);
}

static void more_than_may_wait_unanswered(void **state) {
    (void)state;
    struct dialogue_run run = run_of_many(0);
    dialogue_begin(&run, false);
    dialogue_repeat(&run, "> GET k", CAP_PENDING + 9);
    dialogue_say(&run, "< $1 v");
    dialogue_say(&run, "<!");
    dialogue_end(&run);
    ASSERT_COUNTED(&run.heard, {GET, 1}, {"anomaly name=resp-pending-cap", 9},
                   {"unanswered command=get count=1 why=closed", CAP_PENDING - 1},
                   {"unanswered count=9 why=closed", 1});
    dialogue_free(&run);
}

/* CAP_PENDING holds for what MULTI queues, too. */
static void more_than_may_be_queued(void **state) {
    (void)state;
    struct dialogue_run run = run_of_many(0);
    dialogue_begin(&run, false);
    dialogue_say(&run, "> MULTI");
    dialogue_say(&run, "< +OK");
    for (int i = 0; i < 2; i++) {
        dialogue_repeat(&run, "> INCR n", CAP_PENDING / 2 + 2);
        dialogue_repeat(&run, "< +QUEUED", CAP_PENDING / 2 + 2);
    }
    dialogue_say(&run, "> EXEC; PING");
    dialogue_say(&run, "< *0 +PONG");
    dialogue_end(&run);
    ASSERT_COUNTED(&run.heard, {"reply command=multi type=simple-string", 1},
                   {"reply command=incr type=simple-string", CAP_PENDING + 4},
                   {"anomaly name=resp-pending-cap", 4}, {"executed command=incr", CAP_PENDING},
                   {"reply command=exec type=array", 1}, {PING, 1});
    dialogue_free(&run);
}

/* ---- the short way of what is plain ---- */

/* What is said after many requests, so that a request is only looked at by chance and may take the
 * short way of resp_plain.c; and what is not as plain as it looks. */
static const char *const exchanges[][2] = {
    {"> GET k", "< $1 v"},
    {"> GET k; SET k v; GET other; INCR n", "< $-1 +OK $5 value :7"},
    {"> set k v; Set k v; sEt k v", "< +OK +OK +OK"},
    {"> SET k v EX 10; SET k v", "< +OK $1 w"},
    {"> HSET h f v g w; HSET h f v; HGET h f", "< :2 :0 $1 v"},
    {"> LRANGE l 0 9; LLEN l", "< *2 $1 a $1 b :2"},
    {"> GETDEL k; GETEX k; GETEX k PERSIST", "< $1 v $1 v $1 v"},
    {"> SETRANGE k 0 v; SMEMBERS s", "< :1 *0"},
    {">~ *3\r\n$03\r\nSET\r\n$1\r\nk\r\n$01\r\nv\r\n", "< +OK"},
    {"> GETS k", "<| -ERR unknown command 'GETS'"},
    {"> SE k v", "<| -ERR unknown command 'SE'"},
    {"> SET k", "<| -ERR wrong number of arguments"},
    {"> CLIENT REPLY SKIP; GET k; GET k", "< $1 v"},
    {"> CLIENT REPLY OFF; SET k v; CLIENT REPLY ON; SET k v", "< +OK +OK"},
    {"> MULTI; SET k v; GET k; EXEC; SET k w", "< +OK +QUEUED +QUEUED *2 +OK $1 v +OK"},
    {"> SUBSCRIBE a; GET k; UNSUBSCRIBE a",
     "< *3 $9 subscribe $1 a :1 *3 $7 message $1 a $2 hi $1 v *3 $11 unsubscribe $1 a :0"},
};

/* A write with a key, or else a value, about as long as what is kept of it. */
static void say_long(struct dialogue_run *run, struct dice *dice) {
    char word[RESP_TEXT + 51] = "", line[sizeof word + 16];
    memset(word, 'w', RESP_TEXT - 50 + dice_below(dice, 100));
    snprintf(line, sizeof line, dice_once_in(dice, 2) ? "> SET %s v" : "> SET k %s", word);
    dialogue_say(run, line);
    dialogue_say(run, "< +OK");
}

static void say_at_random(struct dialogue_run *run, uint64_t seed) {
    struct dice dice = dice_of(seed);
    for (int i = 0; i < 3000; i++) {
        const char *const *exchange = exchanges[dice_below(&dice, countof(exchanges))];
        dialogue_say(run, exchange[0]);
        dialogue_say(run, exchange[1]);
        if (dice_once_in(&dice, 20))
            say_long(run, &dice);
    }
    dialogue_say(run, ">~ *2\r\n$3\r\nGETxx$1\r\nk\r\n");
}

/* A request that is cut takes the long way, and must be told as the short one tells it. */
static void the_short_way_and_the_long_one(void **state) {
    (void)state;
    static const size_t cuts[] = {0, 5};
    struct dialogue_run runs[countof(cuts)];
    for (size_t i = 0; i < countof(cuts); i++) {
        runs[i] = (struct dialogue_run){.wants = EVENTS_ALL & ~EVENT_BIT(request),
                                        .cut = cuts[i],
                                        .heard = {.faceless = true,
                                                  .quiet = true,
                                                  .without = "latency_us request_frame offset"}};
        runs[i].heard.only =
            "reply write sampled silent executed error unanswered unmatched push anomaly";
        dialogue_begin(&runs[i], false);
        dialogue_repeat(&runs[i], "> PING", SAMPLING_ALL);
        dialogue_repeat(&runs[i], "< +PONG", SAMPLING_ALL);
        say_at_random(&runs[i], 7);
        dialogue_end(&runs[i]);
    }
    assert_true(recorder_same(&runs[0].heard, &runs[1].heard));
    for (size_t i = 0; i < countof(cuts); i++)
        dialogue_free(&runs[i]);
}

/* ---- time ---- */

static void with_times(struct dialogue_run *run) {
    run->heard = (struct recorder){.faceless = true,
                                   .only = "reply",
                                   .with = "command latency_us request_frame blocking error"};
    dialogue_begin(run, false);
}

/* From the segment that completes the request to the one in which the reply begins. Frames 1 to 3
 * open the connection, each a millisecond after the other. */
static void latency_of_each(void **state) {
    (void)state;
    struct dialogue_run run = {0};
    with_times(&run);
    dialogue_say(&run, ">~ *2\r\n$3\r\nGET\r\n");
    dialogue_say(&run, ">~ $1\r\na\r\n*1\r\n$4\r\nPING\r\n");
    dialogue_say(&run, "> GET b");
    dialogue_say(&run, "<~ $1\r\n");
    dialogue_say(&run, "<~ v\r\n+PONG\r\n");
    dialogue_say(&run, "< $1 v");
    dialogue_end(&run);
    assert_recorded(&run.heard, "reply command=get latency_us=2000 request_frame=5",
                    "reply command=ping latency_us=3000 request_frame=5",
                    "reply command=get latency_us=3000 request_frame=6");
    dialogue_free(&run);
}

/* What may wait is told apart: in time, too late, and not at all. */
static void blocking_commands(void **state) {
    (void)state;
    struct dialogue_run run = {0};
    with_times(&run);
    dialogue_say(&run, "> BLPOP l 0; GET a");
    dialogue_say(&run, ".");
    dialogue_say(&run, "< *2 $1 l $1 v $1 v");
    dialogue_say(&run, "> BLPOP l 2; XREAD COUNT 1 STREAMS s 0; XREAD BLOCK 9 STREAMS s $");
    dialogue_say(&run, ".");
    dialogue_say(&run, "< *-1 *-1");
    dialogue_say(&run, "<| -UNBLOCKED force unblock from blocking operation");
    dialogue_end(&run);
    assert_recorded(
        &run.heard, "reply command=blpop latency_us=2001000 request_frame=4 blocking=yes",
        "reply command=get latency_us=2001000 request_frame=4",
        "reply command=blpop latency_us=2001000 request_frame=6 blocking=yes",
        "reply command=xread latency_us=2001000 request_frame=6",
        "reply command=xread latency_us=2002000 error=UNBLOCKED request_frame=6 blocking=yes");
    dialogue_free(&run);
}

/* ---- what is no RESP ---- */

static const struct dialogue other_protocols[] = {
    {.name = "memcached",
     .said = {">| get a", "<| VALUE a 0 1", "<| v", "<| END", ">| set a 0 0 1", ">| v", "<| STORED",
              ">| incr n 1", "<| 5", ">| quit"}},
    {.name = "memcached that begins with a set",
     .said = {">~ set a 0 0 4\r\nPING\r\n", "<| STORED"}},
    {.name = "HTTP",
     .said = {">~ GET / HTTP/1.1\r\nHost: x\r\n\r\n", "<| HTTP/1.1 200 OK", "<| +OK"}},
    {.name = "HTTP before versions", .said = {">| GET /index.html", "<| <html>", "<x"}},
    {.name = "HTTP with a body that is RESP, to a server that hangs up",
     .said = {">~ POST / HTTP/1.1\r\nHost: x\r\n\r\n", ">~ *1\r\n$8\r\nFLUSHALL\r\n", "<x"}},
    {.name = "POP3",
     .said = {"<| +OK POP3 ready", ">| AUTH PLAIN", "<| -ERR no", ">| QUIT", "<| +OK"}},
    {.name = "SMTP", .said = {"<| 220 mail.example", ">| HELO me", "<| 250 hi", ">| QUIT"}},
    {.name = "IMAP", .said = {"<| * OK ready", ">| a1 LOGIN u p", "<| a1 OK", "<| * 3 EXISTS"}},
    {.name = "NATS, whose first word is a command",
     .said = {"<| INFO {\"server_id\":\"x\"}", ">| CONNECT {}", ">| PING", "<| PONG", "<| +OK"}},
    {.name = "a banner that is one", .said = {"<| HELLO", ">| PING", "<| PONG"}},
    {.name = "IRC", .said = {">| NICK bob", ">| USER bob", "<| :irc.example 001 bob", ">| PING x"}},
    {.name = "TLS",
     .said = {">~ \x16\x03\x01\x02\x01hello", "<~ \x16\x03\x03\x02\x01hello"},
     .heard = {"opaque what=tls"}},
    {.name = "RESP in a value that nobody asked for",
     .said = {">~ PUT 99 bytes\r\n*1\r\n$8\r\nFLUSHALL\r\n", "<| 201 +OK"}},
    {.name = "a count, and no value", .said = {">| *2x", "<| *", ">| *x", "<| what?"}},
    {.name = "a list", .said = {">| * one", ">| * two", "<| * three"}},
};

static void other_protocols_are_left_alone(void **state) {
    (void)state;
    CHECK_DIALOGUES(other_protocols);
}

/* What stands within values is data: in a request, in a reply, in an array. */
static const struct dialogue values[] = {
    {.name = "RESP within bulks",
     .said = {">~ *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$18\r\n*1\r\n$8\r\nFLUSHALL\r\n\r\n", "< +OK",
              "> GET k; LRANGE l 0 9", "<~ $18\r\n*1\r\n$8\r\nFLUSHALL\r\n\r\n",
              "<~ *2\r\n$5\r\n+OK\r\n\r\n$9\r\n-MOVED 1 \r\n", "> PING", "< +PONG"},
     .heard = {SET, GET, "reply command=lrange type=array", PING}},
};

static void values_are_not_looked_at(void **state) {
    (void)state;
    CHECK_DIALOGUES(values);
}

static void random_bytes(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct dice dice = dice_of(seed);
        struct dialogue_run run = {.heard = {.only = DIALOGUE_EVENTS}};
        dialogue_begin(&run, seed % 2);
        for (int i = 0; i < 6; i++) {
            uint8_t bytes[400];
            for (size_t j = 0; j < sizeof bytes; j++)
                bytes[j] = (uint8_t)dice_throw(&dice);
            talk_send(&run.talk, dice_below(&dice, 2),
                      bytes_of(bytes, 1 + dice_below(&dice, sizeof bytes)));
        }
        dialogue_end(&run);
        if (!recorder_is(&run.heard, NULL, 0))
            fail_msg("seed %llu", (unsigned long long)seed);
        dialogue_free(&run);
    }
}

/* ---- believed only once the server answers ---- */

static const struct dialogue doubts[] = {
    {.name = "a line", .said = {">| PING", ">| GET a", "< +PONG $1 v"}, .heard = {PING, GET}},
    {.name = "a line without an answer", .said = {">| PING", ">| GET a"}},
    {.name = "lines, then arrays",
     .said = {">| PING", "< +PONG", "> GET a", ">| INCR n", "< $1 v :1"},
     .heard = {PING, GET, INCR}},
    {.name = "a word that the server does not know either",
     .said = {">| XYZZY a b", "<| -ERR unknown command 'XYZZY'", "> GET a", "< $1 v"},
     .heard = {"reply type=error error=ERR", GET}},
    {.name = "an array needs no answer",
     .said = {"> GET a"},
     .heard = {"unanswered command=get count=1 why=end"}},
    {.name = "only the server's side is captured",
     .said = {"< *1 $4", "<~ PING\r\n", "<~ $9\r\nab", "<-~ 34567", "<~ 89\r\n", "<~ *2\r\n$1\r\n",
              "<~ x\r\n:7\r\n"},
     .heard = {"unmatched type=array", "unmatched type=bulk-string", "unmatched type=array"}},
    {.name = "joined: an array needs one", .said = {"> GET a"}, .joined = true, .uncut = true},
    {.name = "joined: lines are not enough", .said = {">| PING", "< +PONG"}, .joined = true},
    {.name = "joined at a request, all answered",
     .said = {"> GET a; INCR n", "< $1 v :1", ">| PING", "< +PONG"},
     .heard = {GET, INCR, PING},
     .joined = true,
     .uncut = true},
    {.name = "joined within a value: what looks like a request is passed over",
     .said = {">~ xx\r\n*1\r\n$8\r\nFLUSHALL\r\nyy\r\n", "< +OK", "> GET a", "< $1 v"},
     .heard = {GET},
     .joined = true,
     .uncut = true},
    {.name = "joined at what looks like a request, but the rest is none",
     .said = {">~ *1\r\n$8\r\nFLUSHALL\r\nyy\r\n", "< +OK", "> GET a", "< $1 v"},
     .heard = {GET},
     .joined = true,
     .uncut = true},
    {.name = "joined between a request and its reply",
     .said = {"< $1 v", "> INCR n", "< :1"},
     .heard = {INCR},
     .joined = true,
     .uncut = true},
    {.name = "joined within a reply that the client has not got yet",
     .said = {"<~ $1\r\n", ">? INCR n", "<~ v\r\n", "< :1", "> SET k v", "< +OK"},
     .heard = {"unanswered command=incr count=1 why=joined", SET},
     .undecoded = 4,
     .joined = true,
     .uncut = true},
    {.name = "joined within a reply",
     .said = {"<~ lue\r\n", "> INCR n", "< :1"},
     .heard = {INCR},
     .joined = true,
     .uncut = true},
};

static void believed_once_answered(void **state) {
    (void)state;
    CHECK_DIALOGUES(doubts);
}

/* ---- gaps ---- */

static const struct dialogue gaps[] = {
    {.name = "within a value of a request",
     .said = {">~ *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nab", ">-~ 34567", ">~ 89\r\n", "< +OK"},
     .heard = {SET}},
    {.name = "within a value of a reply",
     .said = {"> GET a; INCR n", "<~ $9\r\nab", "<-~ 34567", "<~ 89\r\n:1\r\n", "> PING",
              "< +PONG"},
     .heard = {GET, INCR, PING}},
    {.name = "a request",
     .said = {"> GET a", "< $1 v", ">- GET b", "< $1 v", ".", "> INCR n", "< :1", "> GET c",
              "< $1 v"},
     .heard = {GET, "unmatched type=bulk-string", INCR, GET},
     .uncut = true},
    {.name = "a reply",
     .said = {"> GET a", "<- $1 v", ".", "> INCR n", "< :1"},
     .heard = {"unanswered command=get count=1 why=gap", INCR}},
    {.name = "the first of two replies: which one is there is not known",
     .said = {"> GET a; INCR n", "<- $1 v", "< :1", ".", "> GET b", "< $1 v"},
     .heard = {"unanswered command=get count=1 why=gap", "unanswered command=incr count=1 why=gap",
               GET},
     .undecoded = 4},
    {.name = "the head of a request",
     .said = {"> GET a", "< $1 v", ">-~ *2\r\n$3\r\nG", ">~ ET\r\n$1\r\nb\r\n", "< $1 v", ".",
              "> INCR n", "< :1"},
     .heard = {GET, "unmatched type=bulk-string", INCR},
     .undecoded = 11,
     .uncut = true},
    {.name = "the middle of a pipeline's replies: what follows cannot be told apart",
     .said = {"> GET a; GET b; INCR n; GET c", "< $1 v", "<-~ $1\r\nv", "<~ \r\n:1\r\n$1\r\nv\r\n",
              ".", "> INCR n", "< :2"},
     .heard = {GET, "unanswered command=get count=1 why=gap",
               "unanswered command=incr count=1 why=gap", "unanswered command=get count=1 why=gap",
               INCR},
     .undecoded = 13},
    {.name = "a request that was made after the hole is answered after it",
     .said = {"> GET a", "<- $1 v", "> INCR n", "< :1", ".", "> GET b", "< $1 v"},
     .heard = {"unanswered command=get count=1 why=gap", INCR, GET}},
    {.name = "a reply that is cut in the middle of an array",
     .said = {"> LRANGE l 0 9; GET a", "<~ *3\r\n$1\r\n", "<-~ x\r\n:1\r\n", "<~ :2\r\n$1\r\nv\r\n",
              ".", "> INCR n", "< :1"},
     .heard = {"unanswered command=lrange count=1 why=gap",
               "unanswered command=get count=1 why=gap", INCR},
     .undecoded = 11},
    {.name = "a request that was made between two replies: it has waited for neither",
     .said = {"> GET a; INCR n", "<- $1 v", "< :1", ">? GET b", "< $1 w", ".", "> INCR n", "< :2"},
     .heard = {"unanswered command=get count=1 why=gap", "unanswered command=incr count=1 why=gap",
               "unanswered command=get count=1 why=gap", INCR},
     .undecoded = 11,
     .uncut = true},
    {.name = "the first request, and another one was made before its reply came",
     .said = {">- GET b", "> INCR n", "< $1 v :1", ".", "> GET c", "< $1 v", "> SET k v", "< +OK"},
     .heard = {"unanswered command=incr count=1 why=joined", GET, SET},
     .undecoded = 11,
     .uncut = true},
    {.name = "a request, and another one was made before its reply came",
     .said = {"> PING", "< +PONG", ">- GET b", "> INCR n", "< $1 v :1", ".", "> GET c", "< $1 v",
              "> SET k v", "< +OK"},
     .heard = {PING, "unanswered command=incr count=1 why=gap", "unmatched type=bulk-string",
               "unmatched type=integer", GET, SET},
     .uncut = true},
    {.name = "a request, and then one is made before the other is answered: only silence helps",
     .said = {"> GET a", "< $1 v", ">- GET b", "> INCR n", "< $1 v", ".", ">? GET c", "< :1",
              ">? SET k v", "< $1 v", "> INCR n", "< +OK", ".", "> INCR n", "< :2"},
     .heard = {GET, "unanswered command=incr count=1 why=gap", "unmatched type=bulk-string",
               "unanswered command=get count=1 why=gap", "unmatched type=integer",
               "unanswered command=set count=1 why=gap", "unmatched type=bulk-string",
               "unanswered command=incr count=1 why=gap", "unmatched type=simple-string", INCR},
     .uncut = true},
    {.name = "a request, and the server has just spoken when this becomes known",
     .said = {"> PING", "< +PONG", ">- GET b", "> INCR n; SET k v", "< $1 v", ".", "< :1",
              "> GET c", "< +OK $1 v", ".", "> INCR n", "< :2"},
     .heard = {PING, "unanswered command=incr count=1 why=gap",
               "unanswered command=set count=1 why=gap", "unmatched type=bulk-string",
               "unmatched type=integer", "unanswered command=get count=1 why=gap",
               "unmatched type=simple-string", "unmatched type=bulk-string", INCR},
     .uncut = true},
    {.name = "a reply, of a client that began to ask before it was answered: only silence helps",
     .said = {"> GET a", ">~ *2\r\n$4\r\nINCR\r\n", "< $1 v", ">~ $1\r\nn\r\n", "< :1", "> GET b",
              "<- $1 v", "> INCR n", "< :2", ".", "> SET k v", "< +OK"},
     .heard = {GET, INCR, "unanswered command=get count=1 why=gap",
               "unanswered command=incr count=1 why=gap", SET},
     .undecoded = 4,
     .uncut = true},
    {.name = "nonsense among replies",
     .said = {"> GET a; INCR n", "<~ hello\r\n:1\r\n", ".", "> GET b", "< $1 v"},
     .heard = {"anomaly name=resp-step", "unanswered command=get count=1 why=gap",
               "unanswered command=incr count=1 why=gap", GET},
     .undecoded = 11,
     .uncut = true},
    {.name = "what MULTI had queued is forgotten",
     .said = {"> MULTI; INCR n", "< +OK +QUEUED", "> INCR n; EXEC", "<- +QUEUED", "< *2 :1 :2", ".",
              "> GET a", "< $1 v"},
     .heard = {"reply command=multi type=simple-string", "reply command=incr type=simple-string",
               "unanswered command=incr count=1 why=gap", "unanswered command=exec count=1 why=gap",
               GET},
     .undecoded = 12},
    {.name = "a second both ways",
     .said = {"> GET a", "< $1 v", ">- GET b; GET c", "<- $1 v $1 v", ".", "> INCR n", "< :1", ".",
              "> GET d", "< $1 v", "> SET k v", "< +OK"},
     .heard = {GET, "unanswered command=incr count=1 why=gap", GET, SET},
     .undecoded = 4,
     .uncut = true},
    {.name = "a second both ways, and a request behind it: the first reply is another's",
     .said = {"> PING", "< +PONG", ">- GET b", "<- $1 v", ".", ">- MULTI", "> INCR n",
              "< +OK +QUEUED", "> GET d", "< $1 v"},
     .heard = {PING, "unanswered command=incr count=1 why=gap", GET},
     .undecoded = 14,
     .uncut = true},
};

static void gaps_in_a_conversation(void **state) {
    (void)state;
    CHECK_DIALOGUES(gaps);
}

/* ---- replies that are captured before their requests ---- */

/* The client's next `line` is sent, and captured only when the result is passed to comes_late. */
static struct made held_back(struct dialogue_run *run, const char *line, uint32_t *ret_seq) {
    struct made made = {0};
    made_bytes(&made, line, strlen(line));
    *ret_seq = run->talk.next[CLIENT];
    talk_lose(&run->talk, CLIENT, made.len);
    return made;
}

static void comes_late(struct dialogue_run *run, struct made *made, uint32_t seq) {
    talk_packet(&run->talk, CLIENT, TCP_ACK, seq, made_view(made));
    made_free(made);
}

#define GET_A "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"

/* The line's segments were captured late: they say what their sender had heard when it sent them.
 */
static void comes_late_as_sent(struct dialogue_run *run, struct made *made, uint32_t seq,
                               uint32_t heard) {
    uint32_t now = run->talk.heard[CLIENT];
    run->talk.heard[CLIENT] = heard;
    comes_late(run, made, seq);
    run->talk.heard[CLIENT] = now;
}

/* Requests and replies, each captured before the request that it answers: as many as there are find
 * theirs, at the time and in the packet in which they came. A reply that came before its request
 * has no latency. */
static void each_reply_before_its_request(void **state) {
    (void)state;
    enum { PAIRS = 100 };
    struct dialogue_run run = {0};
    with_times(&run);
    run.heard.placed = true;
    for (int i = 0; i < PAIRS; i++) {
        uint32_t seq, heard = run.talk.heard[CLIENT];
        struct made request = held_back(&run, GET_A, &seq);
        dialogue_say(&run, "< $1 v");
        comes_late_as_sent(&run, &request, seq, heard);
    }
    dialogue_say(&run, "> INCR n");
    dialogue_say(&run, "< :1");
    dialogue_end(&run);
    static char expected[PAIRS * 128];
    size_t len = 0;
    for (unsigned i = 0; i < PAIRS; i++) {
        unsigned reply = 4 + 2 * i, ms = reply - 1;
        len += (size_t)snprintf(expected + len, sizeof expected - len,
                                "%u 17000000%02u%03u000000 reply command=get request_frame=%u\n",
                                reply, ms / 1000, ms % 1000, reply + 1);
    }
    assert_memory_equal(run.heard.text.data, expected, len);
    assert_int_equal(run.heard.count, PAIRS + 1);
    dialogue_free(&run);
}

/* So does a pipeline's, behind a server that answered all of it: replies in several packets. */
static void replies_before_a_pipeline(void **state) {
    (void)state;
    enum { ALL = 60 };
    struct dialogue_run run = run_of_many(0);
    char line[sizeof GET_A * ALL] = "";
    dialogue_begin(&run, false);
    for (int i = 0; i < ALL; i++)
        strcat(line, GET_A);
    uint32_t seq, heard = run.talk.heard[CLIENT];
    struct made requests = held_back(&run, line, &seq);
    for (int i = 0; i < ALL; i++)
        dialogue_say(&run, "< $1 v");
    comes_late_as_sent(&run, &requests, seq, heard);
    dialogue_say(&run, "> INCR n");
    dialogue_say(&run, "< :1");
    dialogue_end(&run);
    ASSERT_COUNTED(&run.heard, {GET, ALL}, {INCR, 1});
    dialogue_free(&run);
}

/* CAP_REORDER_BYTES: then it waits no longer, and is told as it came. */
static void too_much_waits(void **state) {
    (void)state;
    enum { EACH = 8000, SEGMENTS = 5 }; /* of seven bytes */
    struct dialogue_run run = run_of_many(0);
    dialogue_begin(&run, false);
    dialogue_say(&run, "> SET k v");
    dialogue_say(&run, "< +OK");
    dialogue_say(&run, ">- GET a");
    for (int i = 0; i < SEGMENTS; i++)
        dialogue_repeat(&run, "< $1 v", EACH);
    dialogue_end(&run);
    ASSERT_COUNTED(&run.heard, {SET, 1}, {"anomaly name=tcp-wait-cap", 1},
                   {"unmatched type=bulk-string", EACH * SEGMENTS});
    dialogue_free(&run);
}

/* Each finds its request, also when it is the connection's first. */
static void replies_before_requests(void **state) {
    (void)state;
    for (int opened = 0; opened < 2; opened++) {
        struct dialogue_run run = {.heard = {.faceless = true, .only = DIALOGUE_EVENTS}};
        run.heard.with = DIALOGUE_FIELDS;
        uint32_t seq;
        dialogue_begin(&run, false);
        if (opened) {
            dialogue_say(&run, "> SET k v");
            dialogue_say(&run, "< +OK");
        }
        struct made first = held_back(&run, GET_A, &seq);
        dialogue_say(&run, "< $1 v");
        comes_late(&run, &first, seq);
        dialogue_say(&run, "> INCR n");
        dialogue_say(&run, "< :1");
        dialogue_end(&run);
        if (opened)
            assert_recorded(&run.heard, SET, GET, INCR);
        else
            assert_recorded(&run.heard, GET, INCR);
        dialogue_free(&run);
    }
}

/* A loss is known late: what has waited for the lost bytes keeps its own time, and its request. */
static void a_reply_that_waited_in_vain(void **state) {
    (void)state;
    struct dialogue_run run = {0};
    with_times(&run);
    run.heard.placed = true;
    dialogue_say(&run, "> GET a");
    dialogue_say(&run, ">- GET b");
    dialogue_say(&run, "< $1 v");
    dialogue_say(&run, ".");
    dialogue_say(&run, "> INCR n");
    dialogue_say(&run, "< :1");
    dialogue_end(&run);
    assert_recorded(&run.heard,
                    "5 1700000000004000000 reply command=get latency_us=1000 request_frame=4",
                    "7 1700000002006000000 reply command=incr latency_us=1000 request_frame=6");
    dialogue_free(&run);
}

/* The ACK of a replica is captured before the line that makes it one. */
static void a_request_that_waits_for_a_reply(void **state) {
    (void)state;
    struct dialogue_run run = {.heard = {.faceless = true, .only = "reply replication"}};
    const struct bytes line = bytes_str("+FULLRESYNC 8f097806 100\r\n$0\r\n");
    run.heard.with = "command what offset";
    dialogue_begin(&run, false);
    dialogue_say(&run, "> PSYNC ? -1");
    uint32_t seq = run.talk.next[SERVER], heard = run.talk.heard[SERVER];
    talk_lose(&run.talk, SERVER, line.len);
    dialogue_say(&run, "> REPLCONF ACK 100");
    run.talk.heard[SERVER] = heard; /* when it sent the line */
    talk_packet(&run.talk, SERVER, TCP_ACK, seq, line);
    dialogue_end(&run);
    assert_recorded(&run.heard, "replication what=psync", "reply command=psync",
                    "replication what=fullresync offset=100", "replication what=rdb offset=100",
                    "replication what=stream offset=100", "replication what=ack offset=100");
    dialogue_free(&run);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_reply),
        cmocka_unit_test(subscriptions_and_pushes),
        cmocka_unit_test(queued_and_executed),
        cmocka_unit_test(one_rule_each),
        cmocka_unit_test(a_deep_pipeline),
        cmocka_unit_test(more_than_may_wait),
        cmocka_unit_test(no_time_of_what_was_counted),
        cmocka_unit_test(more_than_may_wait_unanswered),
        cmocka_unit_test(more_than_may_be_queued),
        cmocka_unit_test(the_short_way_and_the_long_one),
        cmocka_unit_test(latency_of_each),
        cmocka_unit_test(blocking_commands),
        cmocka_unit_test(other_protocols_are_left_alone),
        cmocka_unit_test(values_are_not_looked_at),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(believed_once_answered),
        cmocka_unit_test(gaps_in_a_conversation),
        cmocka_unit_test(each_reply_before_its_request),
        cmocka_unit_test(replies_before_a_pipeline),
        cmocka_unit_test(too_much_waits),
        cmocka_unit_test(replies_before_requests),
        cmocka_unit_test(a_reply_that_waited_in_vain),
        cmocka_unit_test(a_request_that_waits_for_a_reply),
    };
    return RUN_GROUP(argc, argv, tests);
}

/* interrupt.c - one flag, set by the handler; a read that waits is interrupted, not restarted. */
#include "cli/interrupt.h"

#include <signal.h>

#include "cli/clock.h"

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number) {
    (void)number;
    asked_to_stop = 1;
}

static volatile sig_atomic_t asked_for_counters;

static void on_question(int number) {
    if (number == SIGUSR1)
        asked_for_counters = 1;
}

void interrupt_install(void) {
    struct sigaction question = {.sa_handler = on_question};
    (void)sigemptyset(&question.sa_mask);
    (void)sigaction(SIGUSR1, &question, NULL);
    (void)sigaction(SIGUSR2, &question, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void) {
    return asked_to_stop;
}

nstime interrupted_at(void) {
    static nstime at = TIME_NONE;
    if (at == TIME_NONE && asked_to_stop)
        at = clock_wall();
    return at;
}

bool counters_wanted(void) {
    bool wanted = asked_for_counters;
    asked_for_counters = 0;
    return wanted;
}

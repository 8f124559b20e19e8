/* interrupt.c - one flag, set by the handler; a read that waits is interrupted, not restarted. */
#include "cli/interrupt.h"

#include <signal.h>

#include "cli/clock.h"

static volatile sig_atomic_t asked_to_stop;
static volatile sig_atomic_t asked_for_counters;
static void (*last_act)(void);

/* As if it had not been caught. */
static void die(int number) {
    if (last_act)
        last_act();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void on_signal(int number) {
    if (asked_to_stop)
        die(number);
    asked_to_stop = 1;
}

static void on_question(int number) {
    if (number == SIGUSR1)
        asked_for_counters = 1;
}

static void handle(int number, void handler(int)) {
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

void interrupt_install(void) {
    handle(SIGUSR1, on_question);
    handle(SIGUSR2, on_question);
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
}

void interrupt_before_death(void act(void)) {
    static const int deadly[] = {SIGHUP, SIGQUIT, SIGPIPE, SIGABRT, SIGSEGV,
                                 SIGBUS, SIGFPE,  SIGILL,  SIGALRM, SIGXCPU};
    last_act = act;
    for (size_t i = 0; i < countof(deadly); i++)
        handle(deadly[i], die);
}

void interrupt_ask(void) {
    asked_to_stop = 1;
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

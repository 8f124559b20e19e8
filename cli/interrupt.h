/* interrupt.h - SIGINT and SIGTERM end a run in order: what was read so far is reported. A second
 * signal ends the program at once. SIGUSR1 asks for the counters; SIGUSR2 to flush what is written,
 * which live runs do several times a second anyway. */
#ifndef BUSTAP_CLI_INTERRUPT_H
#define BUSTAP_CLI_INTERRUPT_H

#include "base/base.h"

void interrupt_install(void);
bool interrupted(void);

/* By the wall clock, when that was first noticed; TIME_NONE: it was not. */
nstime interrupted_at(void);

/* The program itself wants the end, as if it had been a signal. */
void interrupt_ask(void);

/* Whatever signal ends the program from now on, this is done before, within the handler. */
void interrupt_before_death(void act(void));

/* Once for each time that somebody asked. */
bool counters_wanted(void);

#endif

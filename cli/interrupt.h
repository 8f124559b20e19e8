/* interrupt.h - SIGINT and SIGTERM end a run in order: what was read so far is reported. A second
 * signal ends the program at once. SIGUSR1 asks for the counters; SIGUSR2 to flush what is written,
 * which live runs do several times a second anyway. */
#ifndef BUSTAP_CLI_INTERRUPT_H
#define BUSTAP_CLI_INTERRUPT_H

#include "base/base.h"

void interrupt_install(void);
bool interrupted(void);
void interrupt_ask(void); /* the same from within */

/* Whatever signal ends the program from now on, this is done before, within the handler. */
void interrupt_before_death(void act(void));

/* By the wall clock, when that was first noticed; TIME_NONE: it was not. */
nstime interrupted_at(void);

/* Once for each time that somebody asked. */
bool counters_wanted(void);

#endif

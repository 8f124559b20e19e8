/* interrupt.h - SIGINT and SIGTERM end a run in order: what was read so far is reported. A second
 * signal ends the program at once. */
#ifndef BUSTAP_CLI_INTERRUPT_H
#define BUSTAP_CLI_INTERRUPT_H

#include <stdbool.h>

void interrupt_install(void);
bool interrupted(void);

#endif

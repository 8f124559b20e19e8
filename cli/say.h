/* say.h - the one way to the user's standard error. */
#ifndef BUSTAP_CLI_SAY_H
#define BUSTAP_CLI_SAY_H

#include "base/base.h"

enum { EXIT_DONE = 0, EXIT_FOUND = 1, EXIT_TROUBLE = 2 };

/* "bustap: ..." and a new line. What the message quotes may come from anywhere, so whatever is not
 * printable ASCII is shown as \xHH. Returns EXIT_TROUBLE. */
int say(const char *format, ...) ATTR_PRINTF(1, 2);

/* Each line of a text. */
void say_lines(const char *lines);

#endif

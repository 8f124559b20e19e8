/* screen.h - the whole terminal, by ncurses: borrowed while the program watches, and given back as
 * it was on every way out, signals included. */
#ifndef BUSTAP_CLI_SCREEN_H
#define BUSTAP_CLI_SCREEN_H

#include "base/err.h"

/* Colours, in this order, as ncurses counts its pairs; without colours they are bold or nothing. */
enum screen_tone { SCREEN_PLAIN, SCREEN_GOOD, SCREEN_WARNING, SCREEN_BAD };

/* Before privileges are given up: what the terminal can do is read from files. False and a message:
 * standard input and output are no terminal, or one that nothing is known of. */
bool screen_open(bool coloured, struct err *err);
void screen_close(void); /* harmless if it is not open */

/* Sets the look of what is written next. */
void screen_look(enum screen_tone tone, bool reversed);

#endif

/* keeper.h - a small process that takes programs off their interfaces (clsact.h) once the one that
 * captures has ended, however it ended: that one has given up what is needed for it.
 *
 * It has CAP_NET_ADMIN, the sockets by which it takes them off, and a pipe that ends with the
 * program; it waits for that and does nothing else. Signals that end a program do not end it. */
#ifndef BUSTAP_CAPTURE_KEEPER_H
#define BUSTAP_CAPTURE_KEEPER_H

#include "capture/clsact.h"

struct keeper {
    int program; /* a pipe to it: its end is the program's */
    int done;    /* one from it: its end is the keeper's */
};

/* Starts it. False: err says why. */
bool keeper_start(struct keeper *keeper, struct clsact *held, size_t count, struct err *err);

/* Has it take them off now, and waits until that is done. */
void keeper_end(struct keeper *keeper);

#endif

/* privileges.h - what the program keeps once its sources are open, before it parses the first byte:
 * nothing. */
#ifndef BUSTAP_CAPTURE_PRIVILEGES_H
#define BUSTAP_CAPTURE_PRIVILEGES_H

#include "base/err.h"

/* Gives up, for good: root (for the user nobody), every capability, whatever an exec could gain,
 * and by seccomp all system calls but those that reading, waiting and writing need; another one
 * ends the program. False and a message: something could not be given up. */
bool privileges_drop(struct err *err);

/* The same but for CAP_NET_ADMIN, and sending by sockets that are open: for a process that takes
 * off an interface what it has put there. */
bool privileges_drop_to_net_admin(struct err *err);

#endif

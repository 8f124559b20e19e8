/* clsact.h - programs at an interface of a kernel that has no tcx (before Linux 6.6): as filters of
 * tc, at the qdisc that such filters are held by.
 *
 * They outlive the process that made them, so somebody has to take them off (keeper.h), and those
 * of which nobody did are taken off by the next who comes. Each has a priority that is ours, and a
 * number that is taken while a socket is bound to its name: who can bind it knows that the filter
 * of that number has no owner any more. */
#ifndef BUSTAP_CAPTURE_CLSACT_H
#define BUSTAP_CAPTURE_CLSACT_H

#include <stdint.h>

#include "base/err.h"

struct clsact {
    uint32_t ifindex;
    uint32_t number; /* of its filters, their handle */
    int netlink;     /* in the interface's namespace */
    int name;        /* a socket there: the number is taken */
    bool ours;       /* the qdisc was made here, or by another of us */
};

/* In the namespace where we are. Where packets come in, and, unless it loops, where they go out.
 * False: errno says why, and nothing is left. */
bool clsact_attach(struct clsact *clsact, int program, uint32_t ifindex, bool loops);

/* Takes the filters off; the qdisc too, if it is ours and nobody else needs it. It needs
 * CAP_NET_ADMIN and no other way but its own sockets, in any namespace. */
void clsact_detach(struct clsact *clsact);

/* Somebody else does. */
void clsact_leave(struct clsact *clsact);

#endif

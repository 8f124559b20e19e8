/* losses_emptied.h - the part of lost-writes that rests on an empty copy: a server came back
 * without its data before anybody took over, and its replica has followed it. */
#ifndef BUSTAP_ANALYSIS_LOSSES_EMPTIED_H
#define BUSTAP_ANALYSIS_LOSSES_EMPTIED_H

#include "analysis/losses_takeover.h"

/* A replica has got a copy (EV_replication, "rdb"): findings if it tells of a lost data set. Of the
 * server's own writes, and of those that the replica had acknowledged while the slots were its:
 * `takeover`, by which the server has them; NULL: it has them from somebody else. */
void losses_emptied_tell(const struct detection *detection, const struct event *event,
                         struct takeover *takeover);

#endif

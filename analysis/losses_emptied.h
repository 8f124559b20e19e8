/* losses_emptied.h - the part of lost-writes that rests on an empty copy: a server came back
 * without its data before anybody took over, and its replica has followed it. */
#ifndef BUSTAP_ANALYSIS_LOSSES_EMPTIED_H
#define BUSTAP_ANALYSIS_LOSSES_EMPTIED_H

#include "analysis/detector.h"

/* A replica has got a copy (EV_replication, "rdb"): a finding if it tells of a lost data set. */
void losses_emptied_tell(const struct detection *detection, const struct event *event);

#endif

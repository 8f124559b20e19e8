/* losses_reread.h - the part of lost-writes that rests on what clients read of a server which had
 * died, had no replica, and came back with less than it had acknowledged. */
#ifndef BUSTAP_ANALYSIS_LOSSES_REREAD_H
#define BUSTAP_ANALYSIS_LOSSES_REREAD_H

#include "analysis/detector.h"

/* At the end of the capture: a finding for each such server. */
void losses_reread_tell(const struct detection *detection);

#endif

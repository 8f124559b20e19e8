/* clock.h - the clocks of this host; what is analysed has its time from the packets. */
#ifndef BUSTAP_CLI_CLOCK_H
#define BUSTAP_CLI_CLOCK_H

#include "base/base.h"

nstime clock_wall(void);   /* as packets are stamped; it may be set back */
nstime clock_steady(void); /* never goes back; of no meaning but by differences */

#endif

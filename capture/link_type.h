/* link_type.h - LINKTYPE_ values, which files hold (tcpdump.org/linktypes.html), and libpcap's own
 * numbers for the same, DLT_: they are alike, but for few. */
#ifndef BUSTAP_CAPTURE_LINK_TYPE_H
#define BUSTAP_CAPTURE_LINK_TYPE_H

#include <stdint.h>

enum { LINKTYPE_ETHERNET = 1, LINKTYPE_RAW = 101, LINKTYPE_LOOP = 108 };

uint16_t link_type_of_dlt(int dlt);
int dlt_of_link_type(uint16_t link_type);

#endif

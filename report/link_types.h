/* link_types.h - names of link types, as Wireshark and tcpdump write them. */
#ifndef BUSTAP_REPORT_LINK_TYPES_H
#define BUSTAP_REPORT_LINK_TYPES_H

#include "base/buf.h"

/* "EN10MB"; "LINKTYPE_147" for one without a name here. */
void link_type_name(struct buf *buf, uint16_t link_type);

#endif

/* packet.h - one captured frame, as a view into the buffer of the source that delivered it. */
#ifndef BUSTAP_CAPTURE_PACKET_H
#define BUSTAP_CAPTURE_PACKET_H

#include "base/base.h"

enum { PACKET_AHEAD = 64 };

struct packet {
    struct bytes data;  /* what was captured; borrowed until the source's next call */
    nstime time;        /* TIME_NONE if the record has none (pcapng Simple Packet Block) */
    uint64_t frame;     /* 1-based number in its source, as Wireshark counts */
    uint32_t wire_len;  /* length on the wire, at least data.len */
    uint32_t interface; /* index within the source, counted over all sections */
    uint16_t link_type; /* LINKTYPE_ value of the file (tcpdump.org/linktypes.html) */
    uint16_t source;    /* which of the run's sources, from 0 */
    bool more;          /* comes of it next: the source cut it where bytes are left out */
    bool skimmed;       /* what is left out is known to be the inside of values */

    /* PACKET_AHEAD bytes where the next packet of the source probably begins, if they are at hand;
     * else NULL. Only for fetching early what that packet will need: never believed. */
    const uint8_t *ahead;
};

#endif

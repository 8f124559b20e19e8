/* link_types.c - the link types that we decode, and those that are met by mistake most often.
 * Numbers: tcpdump.org/linktypes.html. */
#include "report/link_types.h"

static const struct {
    uint16_t number;
    const char *name;
} names[] = {
    {0, "NULL"},         {1, "EN10MB"},      {12, "RAW"},
    {14, "RAW"},         {101, "RAW"},       {105, "IEEE802_11"},
    {108, "LOOP"},       {113, "LINUX_SLL"}, {127, "IEEE802_11_RADIO"},
    {228, "IPV4"},       {229, "IPV6"},      {249, "USBPCAP"},
    {276, "LINUX_SLL2"},
};

void link_type_name(struct buf *buf, uint16_t link_type) {
    for (size_t i = 0; i < countof(names); i++) {
        if (names[i].number == link_type) {
            buf_text(buf, names[i].name);
            return;
        }
    }
    buf_printf(buf, "LINKTYPE_%u", link_type);
}

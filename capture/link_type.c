/* link_type.c - those that have two numbers. */
#include "capture/link_type.h"

#include <pcap/dlt.h>

#include "base/base.h"

static const struct {
    int dlt;
    uint16_t link_type;
} odd[] = {{DLT_RAW, LINKTYPE_RAW}, {DLT_LOOP, LINKTYPE_LOOP}};

uint16_t link_type_of_dlt(int dlt) {
    for (size_t i = 0; i < countof(odd); i++)
        if (odd[i].dlt == dlt)
            return odd[i].link_type;
    return (uint16_t)dlt;
}

int dlt_of_link_type(uint16_t link_type) {
    for (size_t i = 0; i < countof(odd); i++)
        if (odd[i].link_type == link_type)
            return odd[i].dlt;
    return link_type;
}

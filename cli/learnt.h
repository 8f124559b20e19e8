/* learnt.h - the ports that a live run comes to capture from as it goes: nodes announce them, in
 * the headers of the bus or in its gossip. */
#ifndef BUSTAP_CLI_LEARNT_H
#define BUSTAP_CLI_LEARNT_H

#include "analysis/model.h"
#include "base/buf.h"
#include "base/port_set.h"
#include "capture/merge.h"

struct learnt {
    struct port_set ports; /* that are captured */
    bool grows;            /* false: all ports are captured, or no more can be */
    bool clients;          /* client ports are learnt, too, not those of the bus alone */
    size_t count;          /* that were learnt */
    nstime looked;         /* by the steady clock */
};

/* `ports` are those of the start; none: all. Client ports that the user chose are not added to. */
struct learnt learnt_start(const struct port_set *ports, bool chosen);

/* Captures from now on from ports that nodes have announced since. What is to be told of that is
 * put into `said`, in lines; now is by the steady clock. */
void learnt_look(struct learnt *learnt, const struct model *model, struct merge *merge, nstime now,
                 struct buf *said);

#endif

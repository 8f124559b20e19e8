/* node_lines.h - the nodes of the cluster at this moment, a line each, for whoever looks on. */
#ifndef BUSTAP_REPORT_NODE_LINES_H
#define BUSTAP_REPORT_NODE_LINES_H

#include "report/view.h"
#include "report/vitals.h"

struct node_lines {
    struct buf text;     /* a line of heads, then a line for each node; empty: no node is known */
    enum health *health; /* of each node, in the order of the lines */
    size_t count;
};

/* Of the report engine and sources are looked at. Without memory there are no lines. */
void node_lines_make(struct node_lines *ret_lines, const struct report *report);
void node_lines_free(struct node_lines *lines);

#endif

/* node_order.h - the order in which reports list nodes: a primary, its replicas, the next primary.
 */
#ifndef BUSTAP_REPORT_NODE_ORDER_H
#define BUSTAP_REPORT_NODE_ORDER_H

#include "analysis/model.h"

/* All nodes' indexes. NULL: out of memory. Released with free(). */
uint32_t *node_order(const struct model *model);

#endif

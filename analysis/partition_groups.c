/* partition_groups.c - nodes that hang together, as a forest: each points to another one of its
 * group, one of them to itself. */
#include "analysis/partition.h"

#include <stdlib.h>

bool groups_begin(struct groups *groups, size_t nodes) {
    if (nodes > groups->room) {
        uint32_t *of = realloc(groups->of, nodes * sizeof *of);
        if (!of)
            return false;
        groups->of = of;
        groups->room = nodes;
    }
    for (uint32_t i = 0; i < nodes; i++)
        groups->of[i] = i;
    return true;
}

uint32_t groups_root(const struct groups *groups, uint32_t node) {
    while (groups->of[node] != node)
        node = groups->of[node];
    return node;
}

void groups_join(struct groups *groups, uint32_t one, uint32_t other) {
    groups->of[groups_root(groups, one)] = groups_root(groups, other);
}

void groups_free(struct groups *groups) {
    free(groups->of);
}

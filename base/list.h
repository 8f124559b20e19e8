/* list.h - arrays that grow. The caller owns them, and frees them with free(). */
#ifndef BUSTAP_BASE_LIST_H
#define BUSTAP_BASE_LIST_H

#include "base/base.h"

/* The list of `count` records of `size` bytes, with room for one more. NULL: out of memory, and
 * the list is as it was. */
void *list_with_room(void *list, uint32_t count, uint32_t *room, size_t size);

/* The list of *count records, made as long as `wanted` if it is shorter; new ones are all zero.
 * NULL: there is none yet and none is wanted, or out of memory; then the list is as it was. */
void *list_up_to(void *list, size_t *count, size_t wanted, size_t size);

#endif

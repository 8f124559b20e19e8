/* list.c - twice the room when it is full; or as much as is asked for. */
#include "base/list.h"

#include <stdlib.h>

void *list_with_room(void *list, uint32_t count, uint32_t *room, size_t size) {
    if (count < *room)
        return list;
    uint32_t more = *room ? *room * 2 : 16;
    void *longer = realloc(list, more * size);
    if (longer)
        *room = more;
    return longer;
}

void *list_up_to(void *list, size_t *count, size_t wanted, size_t size) {
    if (wanted <= *count)
        return list;
    uint8_t *longer = realloc(list, wanted * size);
    if (!longer)
        return NULL;
    memset(longer + *count * size, 0, (wanted - *count) * size);
    *count = wanted;
    return longer;
}

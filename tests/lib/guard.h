/* guard.h - bytes placed flush against memory that cannot be read, so that a read past their end
 * ends the test even without a sanitizer. */
#ifndef BUSTAP_TESTS_GUARD_H
#define BUSTAP_TESTS_GUARD_H

#include "base/base.h"

/* A copy of the bytes (at most GUARD_ROOM) whose end is the end of readable memory. It lives until
 * the next call. */
struct bytes guarded(struct bytes view);

enum { GUARD_ROOM = 1 << 20 };

#endif

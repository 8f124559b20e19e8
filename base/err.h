/* err.h - failures of the environment (files, memory, usage), as opposed to our own bugs (assert)
 * and to malformed input (anomaly events). A function that can fail so takes a `struct err *`,
 * returns false or NULL, and has then written one line that names the input and the remedy. */
#ifndef BUSTAP_BASE_ERR_H
#define BUSTAP_BASE_ERR_H

#include "base/base.h"

struct err {
    char text[512]; /* not set before something has failed; longer messages are cut */
};

/* Writes the message and returns false, so that callers can `return err_set(...)`. */
bool err_set(struct err *err, const char *format, ...) ATTR_PRINTF(2, 3);

bool err_no_memory(struct err *err);

#endif

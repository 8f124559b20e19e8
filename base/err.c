/* err.c - one line of text per failure. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

bool err_set(struct err *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return false;
}

bool err_no_memory(struct err *err) {
    return err_set(err, "out of memory: the run ends here; free some memory and run it again");
}

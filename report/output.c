/* output.c - buffered writing with a memory for failure. */
#include "report/output.h"

#include <errno.h>

enum { FILE_BUFFER = 64 << 10 };

bool output_open(struct output *output, const char *path, struct err *err) {
    bool is_stdout = strcmp(path, "-") == 0;
    *output = (struct output){.name = is_stdout ? "standard output" : path};
    output->file = is_stdout ? stdout : fopen(path, "we");
    if (!output->file)
        return err_set(err, "%.400s: cannot be written: %s", path, strerror(errno));
    (void)setvbuf(output->file, NULL, _IOFBF, FILE_BUFFER);
    return true;
}

static void note_error(struct output *output) {
    if (output->error == 0)
        output->error = errno ? errno : EIO;
}

void output_take(struct output *output, struct buf *buf) {
    if (buf->len == 0)
        return;
    if (output->error == 0 && fwrite(buf->data, 1, buf->len, output->file) != buf->len)
        note_error(output);
    buf->len = 0;
}

bool output_unwanted(const struct output *output) {
    return output->error == EPIPE;
}

bool output_close(struct output *output, struct err *err) {
    if (!output->file)
        return true;
    if (fclose(output->file) != 0)
        note_error(output);
    output->file = NULL;
    if (output->error == 0 || output_unwanted(output))
        return true;
    return err_set(err, "%.400s: cannot be written: %s", output->name, strerror(output->error));
}

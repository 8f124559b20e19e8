/* output.c - buffered writing with a memory for failure. A signal interrupts no write: it may ask
 * for the end of the run, and what the run has to say is then still written. */
#include "report/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK = 64 << 10, NEW_FILE = 0666 };

bool output_open(struct output *output, const char *path, struct err *err) {
    bool is_stdout = strcmp(path, "-") == 0;
    *output = (struct output){
        .name = is_stdout ? "standard output" : path, .fd = STDOUT_FILENO, .block = malloc(BLOCK)};
    if (!output->block)
        return err_no_memory(err);
    if (!is_stdout)
        output->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, NEW_FILE);
    if (output->fd >= 0)
        return true;
    free(output->block);
    output->block = NULL;
    return err_set(err, "%.400s: cannot be written: %s", path, strerror(errno));
}

/* May be written to again; or it is known by then that it may not. */
static void await(int fd) {
    (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
}

static void put(struct output *output, const char *data, size_t len) {
    while (len > 0 && output->error == 0) {
        ssize_t put = write(output->fd, data, len);
        if (put >= 0) {
            data += put;
            len -= (size_t)put;
        } else if (errno == EAGAIN) {
            await(output->fd); /* others who have the terminal may have made it non-blocking */
        } else if (errno != EINTR) {
            output->error = errno;
        }
    }
}

void output_flush(struct output *output) {
    put(output, output->block, output->len);
    output->len = 0;
}

void output_take(struct output *output, struct buf *buf) {
    if (buf->len > BLOCK - output->len)
        output_flush(output);
    if (buf->len > BLOCK) {
        put(output, buf->data, buf->len);
    } else if (buf->len > 0) {
        memcpy(output->block + output->len, buf->data, buf->len);
        output->len += buf->len;
    }
    buf->len = 0;
}

static bool is_unwanted(const struct output *output) {
    return output->error == EPIPE;
}

bool output_close(struct output *output, struct err *err) {
    if (!output->block)
        return true;
    output_flush(output);
    free(output->block);
    output->block = NULL;
    if (close(output->fd) != 0 && output->error == 0)
        output->error = errno;
    if (output->error == 0 || is_unwanted(output))
        return true;
    return err_set(err, "%.400s: cannot be written: %s", output->name, strerror(output->error));
}

/* stored.c - opening and reading descriptors, whatever is behind them. */
#include "capture/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fd_is_capture(int fd, const char *path, struct err *err) {
    struct stat about;
    if (fstat(fd, &about) != 0)
        return err_set(err, "%s: %s: name another file", path, strerror(errno));
    if (S_ISDIR(about.st_mode))
        return err_set(err, "%s: is a directory: name the capture files in it", path);
    if (isatty(fd))
        return err_set(err, "%s: is a terminal: pipe a capture into it, as in tcpdump -w - | ...",
                       path);
    return true;
}

int stored_open_fd(const char *path, struct err *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        err_set(err, "%s: %s: check the name, and that you may read it", path, strerror(errno));
        return -1;
    }
    if (fd_is_capture(fd, path, err))
        return fd;
    if (!is_stdin)
        close(fd);
    return -1;
}

bool stored_init(struct stored *stored, int fd, const struct source_options *options,
                 struct source_info *info, struct err *err) {
    struct stat about;
    *stored =
        (struct stored){.fd = fd, .sha256 = options->sha256, .stop = options->stop, .info = info};
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
        info->input_size = (uint64_t)about.st_size;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only a hint; pipes refuse it */
    sha256_init(&stored->hash);
    stored->block = aligned_alloc(STORED_PAGE, STORED_BLOCK);
    return stored->block ? true : err_no_memory(err);
}

void stored_clear(struct stored *stored) {
    if (stored->fd > STDIN_FILENO) /* standard input is not ours to close */
        close(stored->fd);
    free(stored->block);
}

/* After a read that gave nothing: waits, unless it was a signal that ended it. Was there one? */
static bool is_signalled(int fd, int why) {
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return why == EINTR || (poll(&polled, 1, -1) < 0 && errno == EINTR);
}

/* read() until it says something final. Standard input may have been made non-blocking by
 * whoever is at the other end of it. */
static ssize_t read_patiently(int fd, uint8_t *dst, size_t room, bool (*stop)(void)) {
    for (;;) {
        ssize_t got = read(fd, dst, room);
        if (got >= 0 || (errno != EINTR && errno != EAGAIN))
            return got;
        if (is_signalled(fd, errno) && stop && stop())
            return 0;
    }
}

static void stored_finish_hash(struct stored *stored) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&stored->hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(stored->info->sha256 + 2 * i, 3, "%02x", digest[i]);
}

static void stored_note_end(struct stored *stored) {
    if (!stored->ended && stored->sha256)
        stored_finish_hash(stored);
    stored->ended = true;
}

bool stored_read(struct stored *stored, uint8_t *dst, size_t room, size_t *ret_len) {
    ssize_t got = stored->ended ? 0 : read_patiently(stored->fd, dst, room, stored->stop);
    if (got < 0) {
        stored->error = errno;
        return false;
    }
    if (got == 0)
        stored_note_end(stored);
    else if (stored->sha256)
        sha256_update(&stored->hash, (size_t)got, dst);
    stored->offset += (uint64_t)got;
    stored->info->input_offset = stored->offset;
    *ret_len = (size_t)got;
    return true;
}

bool stored_fill(struct stored *stored, size_t want) {
    if (stored->at == stored->end)
        stored->at = stored->end = 0;
    while (stored->end - stored->at < want && !stored->ended) {
        size_t len;
        if (!stored_read(stored, stored->block + stored->end, STORED_BLOCK - stored->end, &len))
            return false;
        stored->end += len;
    }
    return true;
}

/* source_file.c - opens a capture file, finds its format, and words every failure. */
#include "capture/source_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct file_format *const formats[] = {&pcap_format, &pcapng_format};

/* How each kind of failure is called in front of the offset. */
static const char *const fault_words[] = {
    [UNPACK_CUT] = "cut short",
    [UNPACK_DAMAGED] = "damaged",
    [UNPACK_UNREADABLE] = "unreadable",
    [UNPACK_REFUSED] = "refused",
};

static enum source_got file_failed(struct source *source, struct packet *ret_packet,
                                   struct err *err) {
    (void)ret_packet;
    *err = file_of(source)->failure;
    return SOURCE_FAILED;
}

static enum source_got fail(struct source_file *file, struct err *err) {
    file->failure = *err;
    file->base.next = file_failed;
    return SOURCE_FAILED;
}

static enum source_got fail_at(struct source_file *file, enum unpack_fault fault, const char *what,
                               struct err *err) {
    const char *before =
        file->base.info.packets ? "what came before has been used" : "no packet comes before that";
    unsigned long long at = window_offset(&file->window);
    unsigned long long stored_at = stored_offset(&file->stored);
    if (*unpack_suffix(&file->unpack))
        err_set(err,
                "%.240s: %s at byte %llu of the decompressed capture (stored byte %llu): %s; %s",
                file->path, fault_words[fault], at, stored_at, what, before);
    else
        err_set(err, "%.240s: %s at byte %llu: %s; %s", file->path, fault_words[fault], at, what,
                before);
    return fail(file, err);
}

enum source_got file_short(struct source_file *file, const char *what, size_t need,
                           struct err *err) {
    enum unpack_fault fault = file->unpack.fault;
    size_t left = window_left(&file->window);
    char text[96];
    if (fault == UNPACK_NO_MEMORY) {
        err_no_memory(err);
        return fail(file, err);
    }
    if (fault != UNPACK_OK && (fault != UNPACK_CUT || left == 0))
        return fail_at(file, fault, file->unpack.fault_text, err);
    if (left == 0)
        return SOURCE_END;
    snprintf(text, sizeof text, "%s of %zu bytes, %zu are there", what, need, left);
    return fail_at(file, UNPACK_CUT, text, err);
}

enum source_got file_damaged(struct source_file *file, struct err *err, const char *format, ...) {
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return fail_at(file, UNPACK_DAMAGED, what, err);
}

static const struct file_format *find_format(const uint8_t magic[4]) {
    for (size_t i = 0; i < countof(formats); i++)
        if (formats[i]->claims(magic))
            return formats[i];
    return NULL;
}

static bool open_format(struct source_file *file, struct err *err) {
    const uint8_t *magic = window_need(&file->window, 4);
    if (!magic) {
        if (file_short(file, "file header", 4, err) == SOURCE_END)
            err_set(err, "%s: nothing in it once decompressed: capture again", file->path);
        return false;
    }
    const struct file_format *format = find_format(magic);
    if (!format)
        return err_set(err,
                       "%.240s: not a capture (begins with %02x %02x %02x %02x): pcap and pcapng "
                       "are read, plain or in zstd or gzip",
                       file->path, magic[0], magic[1], magic[2], magic[3]);
    file->format = format;
    file->state = calloc(1, format->state_size);
    return file->state ? format->open(file, err) : err_no_memory(err);
}

static bool file_init(struct source_file *file, const char *path,
                      const struct source_options *options, struct err *err) {
    file->path = strdup(path);
    if (!file->path)
        return err_no_memory(err);
    file->base.info.path = file->path;
    if (!unpack_init(&file->unpack, &file->stored, path, err) ||
        !window_init(&file->window, &file->unpack, options->together, err) ||
        !open_format(file, err))
        return false;
    snprintf(file->format_name, sizeof file->format_name, "%s%s", file->format->name,
             unpack_suffix(&file->unpack));
    file->base.info.format = file->format_name;
    file->base.next = file->format->next;
    return true;
}

static void file_close(struct source *source) {
    struct source_file *file = file_of(source);
    unpack_clear(&file->unpack);
    window_clear(&file->window);
    stored_clear(&file->stored);
    free(file->state);
    free(file->path);
    free(file);
}

struct source *source_file_open_fd(int fd, const char *path, const struct source_options *options,
                                   struct err *err) {
    struct source_file *file = calloc(1, sizeof *file);
    if (!file) {
        err_no_memory(err);
        close(fd);
        return NULL;
    }
    file->base.close = file_close;
    file->base.last_link_type = LINK_TYPE_NONE;
    if (stored_init(&file->stored, fd, options, &file->base.info, err) &&
        file_init(file, path, options, err))
        return &file->base;
    file_close(&file->base);
    return NULL;
}

struct source *source_file_open(const char *path, const struct source_options *options,
                                struct err *err) {
    int fd = stored_open_fd(path, err);
    return fd < 0 ? NULL : source_file_open_fd(fd, path, options, err);
}

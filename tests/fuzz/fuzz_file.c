/* fuzz_file.c - the whole reader of capture files, from the stored bytes to the packets, on bytes
 * that nobody made a capture of. Reads every byte of every packet, and holds the counters to what
 * was delivered. */
#include "tests/fuzz/fuzz.h"

#include "capture/source_file.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The input as a file of its own. */
static int input_fd(const uint8_t *data, size_t size) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    return fd;
}

static unsigned sum_of(struct bytes view) {
    unsigned sum = 0;
    for (size_t i = 0; i < view.len; i++)
        sum += view.data[i];
    return sum;
}

static void check_packet(const struct packet *packet, uint64_t frame) {
    volatile unsigned sum = sum_of(packet->data); /* touched, for the sanitizers */
    (void)sum;
    assert(packet->frame == frame);
    assert(packet->wire_len >= packet->data.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err = {{0}};
    struct packet packet;
    uint64_t packets = 0, bytes = 0;
    enum source_got got;
    struct source *source = source_file_open_fd(input_fd(data, size), "fuzz",
                                                &(struct source_options){.sha256 = true}, &err);
    assert(source || err.text[0]);
    if (!source)
        return 0;
    while ((got = source_next(source, &packet, &err)) == SOURCE_PACKET) {
        check_packet(&packet, ++packets);
        bytes += packet.data.len;
    }
    assert((got == SOURCE_FAILED) == (err.text[0] != 0));
    assert(source_info(source)->packets == packets && source_info(source)->bytes == bytes);
    assert(source_next(source, &packet, &err) == got);
    source_close(source);
    return 0;
}

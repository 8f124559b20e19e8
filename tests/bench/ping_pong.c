/* ping_pong.c - requests and replies over loopback in one thread, and what a packet of them costs.
 *
 *   ping_pong PORT ROUNDS VALUE     prints nanoseconds of CPU for each packet with data
 *
 * Both ends are here, so all that the kernel does for the packet, captures included, is counted as
 * ours. A request is a GET, a reply a value of so many bytes. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { VALUE_MAX = 1 << 20 };

static const char request[] = "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n";

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static double cpu_seconds(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        fail("getrusage");
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void connect_both(unsigned port, int *ret_client, int *ret_server) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0)
        fail("bind");
    *ret_client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(*ret_client, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    *ret_server = accept(listener, NULL, NULL);
    (void)setsockopt(*ret_client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(*ret_server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* From one to the other, in steps that no buffer is too small for. */
static void hand_over(int from, int to, const char *bytes, size_t len, char *into) {
    enum { STEP = 1 << 14 };
    for (size_t at = 0; at < len;) {
        size_t step = len - at < STEP ? len - at : STEP, got = 0;
        if (write(from, bytes + at, step) != (ssize_t)step)
            fail("write");
        while (got < step) {
            ssize_t n = read(to, into, step - got);
            if (n <= 0)
                fail("read");
            got += (size_t)n;
        }
        at += step;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fputs("usage: ping_pong PORT ROUNDS VALUE\n", stderr);
        return 2;
    }
    static char reply[VALUE_MAX + 32], into[VALUE_MAX + 32];
    long rounds = strtol(argv[2], NULL, 10), value = strtol(argv[3], NULL, 10);
    if (rounds < 1 || value < 1 || value > VALUE_MAX)
        return 2;
    int head = snprintf(reply, sizeof reply, "$%ld\r\n", value), client, server;
    memset(reply + head, 'v', (size_t)value);
    memcpy(reply + head + value, "\r\n", 2);
    connect_both((unsigned)strtoul(argv[1], NULL, 10), &client, &server);
    double begun = cpu_seconds();
    for (long i = 0; i < rounds; i++) {
        hand_over(client, server, request, sizeof request - 1, into);
        hand_over(server, client, reply, (size_t)(head + value + 2), into);
    }
    (void)printf("%.1f\n", (cpu_seconds() - begun) * 1e9 / (double)(2 * rounds));
    return 0;
}

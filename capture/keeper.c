/* keeper.c - fork(2) and two pipes. */
#include "capture/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/limits.h"
#include "capture/privileges.h"

enum { READ_END, WRITE_END, ENDS };

static int by_number(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

/* It was forked from a process that has much open: files, maps, sockets. */
static void close_all_but(int *needed, size_t count) {
    unsigned from = 0;
    qsort(needed, count, sizeof *needed, by_number);
    for (size_t i = 0; i < count; i++) {
        unsigned fd = (unsigned)needed[i];
        if (fd > from)
            (void)close_range(from, fd - 1, 0);
        from = fd + 1;
    }
    (void)close_range(from, UINT_MAX, 0);
}

static void keep_only(const struct clsact *held, size_t count, int program, int done) {
    int needed[2 * CAP_TAPS + 2] = {program, done};
    size_t number = 2;
    for (size_t i = 0; i < count; i++) {
        needed[number++] = held[i].netlink;
        needed[number++] = held[i].name;
    }
    close_all_but(needed, number);
}

static void ignore_signals(void) {
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < countof(ending); i++)
        (void)signal(ending[i], SIG_IGN);
    (void)setsid();
}

/* Nothing is ever written to the pipe: it ends. What cannot be given up is kept: without the keeper
 * something would remain in the kernel. */
_Noreturn static void keep(struct clsact *held, size_t count, int program, int done) {
    char none;
    struct err err;
    (void)prctl(PR_SET_NAME, "bustap-keeper");
    ignore_signals();
    keep_only(held, count, program, done);
    (void)privileges_drop_to_net_admin(&err);
    while (read(program, &none, 1) < 0 && errno == EINTR)
        ;
    for (size_t i = 0; i < count; i++)
        clsact_detach(&held[i]);
    _exit(0);
}

static void close_both(const int *ends) {
    (void)close(ends[READ_END]);
    (void)close(ends[WRITE_END]);
}

static bool start(struct keeper *keeper, struct clsact *held, size_t count) {
    int to[ENDS], from[ENDS];
    if (pipe2(to, O_CLOEXEC) != 0)
        return false;
    if (pipe2(from, O_CLOEXEC) != 0) {
        close_both(to);
        return false;
    }
    pid_t child = fork();
    if (child == 0)
        keep(held, count, to[READ_END], from[WRITE_END]);
    if (child < 0) {
        close_both(to);
        close_both(from);
        return false;
    }
    (void)close(to[READ_END]);
    (void)close(from[WRITE_END]);
    *keeper = (struct keeper){.program = to[WRITE_END], .done = from[READ_END]};
    return true;
}

bool keeper_start(struct keeper *keeper, struct clsact *held, size_t count, struct err *err) {
    return start(keeper, held, count) ||
           err_set(err, "eBPF: the keeper cannot be started: %s", strerror(errno));
}

void keeper_end(struct keeper *keeper) {
    char none;
    (void)close(keeper->program);
    while (read(keeper->done, &none, 1) < 0 && errno == EINTR)
        ;
    (void)close(keeper->done);
}

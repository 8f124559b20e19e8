/* privileges.c - libcap-ng for the user and the capabilities, libseccomp for the system calls. */
#include "capture/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char user[] = "nobody";

enum { NO_CAPABILITY = -1 };

static void keep_only(int capability, capng_select_t which) {
    capng_clear(which);
    if (capability != NO_CAPABILITY)
        (void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)capability);
}

/* Root becomes the user; whoever is none keeps the user and loses the capabilities. */
static bool become_nobody(int capability, struct err *err) {
    if (geteuid() == 0) {
        const struct passwd *entry = getpwnam(user);
        if (!entry)
            return err_set(err, "there is no user %s to run as: `adduser --system %s`", user, user);
        keep_only(capability, CAPNG_SELECT_BOTH);
        int status = capng_change_id((int)entry->pw_uid, (int)entry->pw_gid,
                                     CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
        return status == 0 || err_set(err, "cannot become the user %s (%d)", user, status);
    }
    keep_only(capability, CAPNG_SELECT_CAPS);
    return capng_apply(CAPNG_SELECT_CAPS) == 0 ||
           err_set(err, "the capabilities cannot be given up: %s", strerror(errno));
}

/* What reading a ring or a file, waiting, allocating, writing and ending need. */
static const int calls[] = {
    SCMP_SYS(read),           SCMP_SYS(write),           SCMP_SYS(writev),
    SCMP_SYS(poll),           SCMP_SYS(ppoll),           SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),        SCMP_SYS(getsockopt),      SCMP_SYS(setsockopt),
    SCMP_SYS(ioctl),          SCMP_SYS(fcntl),           SCMP_SYS(close),
    SCMP_SYS(fstat),          SCMP_SYS(newfstatat),      SCMP_SYS(lseek),
    SCMP_SYS(mmap),           SCMP_SYS(munmap),          SCMP_SYS(mremap),
    SCMP_SYS(madvise),        SCMP_SYS(mprotect),        SCMP_SYS(brk),
    SCMP_SYS(futex),          SCMP_SYS(getrandom),       SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),   SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),           SCMP_SYS(exit_group),      SCMP_SYS(getpid),
    SCMP_SYS(gettid),         SCMP_SYS(tgkill),          SCMP_SYS(getsockname),
    SCMP_SYS(sysinfo), /* qsort of much: may it allocate? */
};

/* `also`: one more, or one of these. */
static bool allow_calls(int also, struct err *err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int status = filter ? 0 : -ENOMEM;
    for (size_t i = 0; status == 0 && i < countof(calls); i++)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    if (status == 0)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, also, 0);
    if (status == 0)
        status = seccomp_load(filter);
    seccomp_release(filter);
    return status == 0 || err_set(err, "seccomp is not to be had: %s", strerror(-status));
}

static bool drop_to(int capability, int call, struct err *err) {
    if (!become_nobody(capability, err))
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set(err, "no-new-privileges cannot be set: %s", strerror(errno));
    return allow_calls(call, err);
}

bool privileges_drop(struct err *err) {
    return drop_to(NO_CAPABILITY, SCMP_SYS(read), err);
}

bool privileges_drop_to_net_admin(struct err *err) {
    return drop_to(CAP_NET_ADMIN, SCMP_SYS(sendto), err);
}

/* netns.c - setns(2), and the places where names of namespaces are kept. */
#include "capture/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- being in one ---- */

bool netns_enter(pid_t pid, int *ret_home, struct err *err) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    bool entered = there >= 0 && home >= 0 && setns(there, CLONE_NEWNET) == 0;
    int why = errno;
    if (there >= 0)
        (void)close(there);
    if (entered) {
        *ret_home = home;
        return true;
    }
    if (home >= 0)
        (void)close(home);
    if (why == ENOENT || why == ESRCH)
        return err_set(err, "there is no process %d, nor its network namespace", (int)pid);
    return err_set(err, "the network namespace of process %d cannot be entered (%s): run as root",
                   (int)pid, strerror(why));
}

bool netns_leave(int home, struct err *err) {
    int status = setns(home, CLONE_NEWNET);
    int why = errno;
    (void)close(home);
    return status == 0 || err_set(err,
                                  "there is no way back to the network namespace in which "
                                  "the program was started: %s",
                                  strerror(why));
}

/* ---- its name ---- */

pid_t netns_split(const char *name, char ret_interface[IF_NAMESIZE]) {
    const char *at = strrchr(name, '@');
    char *end = NULL;
    long pid = at ? strtol(at + 1, &end, 10) : 0;
    if (pid <= 0 || pid > INT_MAX || *end || at - name >= IF_NAMESIZE)
        return 0;
    memcpy(ret_interface, name, (size_t)(at - name));
    ret_interface[at - name] = '\0';
    return (pid_t)pid;
}

ino_t netns_of(int process) {
    struct stat netns;
    return fstatat(process, "ns/net", &netns, 0) == 0 ? netns.st_ino : 0;
}

ino_t netns_ours(void) {
    struct stat netns;
    return stat("/proc/self/ns/net", &netns) == 0 ? netns.st_ino : 0;
}

/* Those that `ip netns add` made are mounted by their names. */
static bool put_ip_name(struct buf *buf, ino_t netns) {
    DIR *names = opendir("/run/netns");
    bool found = false;
    for (struct dirent *entry; names && !found && (entry = readdir(names));) {
        struct stat at;
        found = fstatat(dirfd(names), entry->d_name, &at, 0) == 0 && at.st_ino == netns;
        if (found)
            buf_printf(buf, "namespace %s", entry->d_name);
    }
    if (names)
        (void)closedir(names);
    return found;
}

enum { ID = 64, ID_SHOWN = 12 }; /* hex digits of a container's id, and as `docker ps` shows it */

/* Engines put a container into a control group that bears its id. */
static bool put_container(struct buf *buf, int process) {
    char text[4096];
    int file = openat(process, "cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t len = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        (void)close(file);
    text[len > 0 ? len : 0] = '\0';
    for (const char *at = text; *at;) {
        size_t digits = strspn(at, "0123456789abcdef");
        if (digits == ID) {
            buf_printf(buf, "container %.*s", ID_SHOWN, at);
            return true;
        }
        at += digits ? digits : 1;
    }
    return false;
}

void netns_put_name(struct buf *buf, int process, ino_t netns) {
    if (!put_ip_name(buf, netns) && !put_container(buf, process))
        buf_printf(buf, "namespace %lu", (unsigned long)netns);
}

/* netns.h - network namespaces of this host's processes: whose it is, and being in it for a while.
 *
 * A socket belongs for good to the namespace in which it was made. To enter that of another process
 * needs root (CAP_SYS_ADMIN, and CAP_SYS_PTRACE for a process of another user). */
#ifndef BUSTAP_CAPTURE_NETNS_H
#define BUSTAP_CAPTURE_NETNS_H

#include <net/if.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* From now on what this thread opens is in that process's namespace; *ret_home leads back. False
 * and a message, and it is where it was, if that cannot be entered. */
bool netns_enter(pid_t pid, int *ret_home, struct err *err);

/* Comes back. False and a message: it is lost there, and nothing sensible can be done. */
bool netns_leave(int home, struct err *err);

/* The process that "eth0@1234" names, and "eth0"; 0: no process is named. */
pid_t netns_split(const char *name, char ret_interface[IF_NAMESIZE]);

/* The namespace's number, of /proc/PID as an open directory; 0: it is not to be seen (errno). */
ino_t netns_of(int process);
ino_t netns_ours(void);

/* What people call it: "namespace blue", as `ip netns` does, "container 3f2a1b4c5d6e", or
 * "namespace 4026532281". */
void netns_put_name(struct buf *buf, int process, ino_t netns);

#endif

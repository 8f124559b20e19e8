/* proc_sockets.c - /proc/PID/fd names a process's sockets by number, /proc/PID/net/tcp and tcp6 say
 * what each number of that network namespace is: the two are joined here. */
#include "capture/proc_sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"

/* ---- the numbers of its sockets ---- */

struct inodes {
    unsigned long *list;
    uint32_t count, room;
};

static bool add_inode(struct inodes *inodes, unsigned long inode) {
    unsigned long *list = list_with_room(inodes->list, inodes->count, &inodes->room, sizeof *list);
    if (!list)
        return false;
    inodes->list = list;
    list[inodes->count++] = inode;
    return true;
}

static int compare(const void *a, const void *b) {
    unsigned long left = *(const unsigned long *)a, right = *(const unsigned long *)b;
    return (left > right) - (left < right);
}

static bool is_in(const struct inodes *inodes, unsigned long inode) {
    return inodes->count &&
           bsearch(&inode, inodes->list, inodes->count, sizeof inode, compare) != NULL;
}

static bool add_if_socket(struct inodes *inodes, int fds, const char *name) {
    static const char prefix[] = "socket:[";
    char target[64];
    ssize_t len = readlinkat(fds, name, target, sizeof target - 1);
    if (len < 0)
        return true; /* closed meanwhile */
    target[len] = '\0';
    if (strncmp(target, prefix, sizeof prefix - 1) != 0)
        return true;
    return add_inode(inodes, strtoul(target + sizeof prefix - 1, NULL, 10));
}

static bool read_inodes(int process, struct inodes *inodes) {
    int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fds >= 0 ? fdopendir(fds) : NULL;
    bool sound = list != NULL;
    for (struct dirent *entry; sound && (entry = readdir(list));)
        sound = add_if_socket(inodes, fds, entry->d_name);
    if (list)
        (void)closedir(list);
    else if (fds >= 0)
        (void)close(fds);
    if (inodes->count)
        qsort(inodes->list, inodes->count, sizeof *inodes->list, compare);
    return sound;
}

/* ---- what they are ---- */

/* The kernel prints an address as words of 32 bits of its own byte order: one, or four. */
static bool parse_address(const char *text, struct in6_addr *address) {
    enum { DIGITS = 8 };
    size_t words = strlen(text) / DIGITS;
    uint32_t word[4] = {0, 0, htonl(0xffff), 0};
    if ((words != 1 && words != 4) || strlen(text) % DIGITS != 0)
        return false;
    for (size_t i = 0; i < words; i++) {
        char digits[DIGITS + 1] = "";
        memcpy(digits, text + i * DIGITS, DIGITS);
        word[4 - words + i] = (uint32_t)strtoul(digits, NULL, 16);
    }
    memcpy(address, word, sizeof *address);
    if (words == 1 && word[3] == INADDR_ANY)
        *address = in6addr_any;
    return true;
}

bool proc_socket_parse(const char *line, struct proc_socket *ret_socket) {
    char address[33];
    unsigned port, peer, state;
    unsigned long inode;
    int fields =
        sscanf(line, "%*u: %32[0-9A-Fa-f]:%4x %*[0-9A-Fa-f]:%4x %2x %*s %*s %*s %*u %*u %lu",
               address, &port, &peer, &state, &inode);
    if (fields != 5 || !parse_address(address, &ret_socket->local.address))
        return false;
    ret_socket->local.port = (uint16_t)port;
    ret_socket->peer = (uint16_t)peer;
    ret_socket->state = state;
    ret_socket->inode = inode;
    return true;
}

static bool listens_on(const struct proc_sockets *sockets, uint16_t port) {
    for (size_t i = 0; i < sockets->count; i++)
        if (sockets->listeners[i].port == port)
            return true;
    return false;
}

/* In the kernel's tables those that listen come first. */
static void take(struct proc_sockets *sockets, const struct proc_socket *socket) {
    if (socket->state == TCP_LISTEN && sockets->count < LISTENERS_MAX)
        sockets->listeners[sockets->count++] = socket->local;
    bool connects = socket->state == TCP_ESTABLISHED || socket->state == TCP_SYN_SENT;
    if (connects && !listens_on(sockets, socket->local.port))
        port_set_add(&sockets->peers, socket->peer);
}

static bool read_table(int process, const char *name, const struct inodes *inodes,
                       struct proc_sockets *sockets) {
    int fd = openat(process, name, O_RDONLY | O_CLOEXEC);
    FILE *table = fd >= 0 ? fdopen(fd, "r") : NULL;
    struct proc_socket socket;
    char line[512];
    if (!table) {
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    while (fgets(line, sizeof line, table))
        if (proc_socket_parse(line, &socket) && is_in(inodes, socket.inode))
            take(sockets, &socket);
    (void)fclose(table);
    return true;
}

bool proc_sockets_read(int process, struct proc_sockets *ret_sockets) {
    struct inodes inodes = {0};
    *ret_sockets = (struct proc_sockets){0};
    bool sound =
        read_inodes(process, &inodes) && read_table(process, "net/tcp", &inodes, ret_sockets);
    if (sound) /* a kernel without IPv6 has no such table */
        (void)read_table(process, "net/tcp6", &inodes, ret_sockets);
    int why = errno;
    free(inodes.list);
    errno = why;
    return sound;
}

/* server_process.c - a walk through /proc. */
#include "capture/server_process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "capture/netns.h"

static const char *const names[] = {"redis-server", "valkey-server"};

enum { PATH_TEXT = 4096 };

/* ---- is it a server? ---- */

static const char *known_name(const char *name, size_t len) {
    for (size_t i = 0; i < countof(names); i++)
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return names[i];
    return NULL;
}

/* The last part of a path that ends, like a title of redis, at the first space: "/usr/bin/x *:1".
 */
static const char *known_path(const char *path) {
    size_t len = strcspn(path, " \n");
    size_t at = len;
    while (at > 0 && path[at - 1] != '/')
        at--;
    return known_name(path + at, len - at);
}

/* "" if it cannot be read. */
static void read_text(int process, const char *file, char ret_text[PATH_TEXT]) {
    int fd = openat(process, file, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, ret_text, PATH_TEXT - 1) : -1;
    if (fd >= 0)
        (void)close(fd);
    ret_text[len > 0 ? len : 0] = '\0';
}

static const char *read_name(int process, const char *file) {
    char text[PATH_TEXT];
    read_text(process, file, text);
    return known_path(text);
}

/* Debian's program file has another name, a debugger or a container's shim changes the command
 * line, a wrapper the name of the task: one of the three will do. */
static const char *name_of(int process) {
    char path[PATH_TEXT];
    const char *name = read_name(process, "comm");
    if (!name)
        name = read_name(process, "cmdline");
    ssize_t len = name ? 0 : readlinkat(process, "exe", path, sizeof path - 1);
    if (name || len <= 0)
        return name;
    path[len] = '\0'; /* " (deleted)" follows if it was upgraded */
    return known_path(path);
}

/* ---- where it belongs ---- */

void cgroup_parse(const char *text, char ret_path[CGROUP_SHOWN]) {
    static const char unified[] = "0::/";
    const char *line = text;
    while (line && strncmp(line, unified, sizeof unified - 1) != 0) {
        line = strchr(line, '\n');
        if (line)
            line++;
    }
    const char *path = line ? line + sizeof unified - 2 : "/\n";
    size_t len = strcspn(path, "\n");
    (void)snprintf(ret_path, CGROUP_SHOWN, "%.*s", len > 1 ? (int)len : 0, path);
}

static void read_cgroup(int process, char ret_path[CGROUP_SHOWN]) {
    char text[PATH_TEXT];
    read_text(process, "cgroup", text);
    cgroup_parse(text, ret_path);
}

/* ---- all of them ---- */

static bool listens_on_any(const struct proc_sockets *sockets, const struct port_set *ports) {
    for (size_t i = 0; i < sockets->count; i++)
        if (!ports || port_set_has(ports, sockets->listeners[i].port))
            return true;
    return false;
}

void server_processes_hide(struct server_processes *servers, const struct server_process *server,
                           const char *why) {
    if (!*servers->hidden.text)
        (void)err_set(&servers->hidden, "%s %d: %.300s", server->name, (int)server->pid, why);
}

static bool keep(struct server_processes *servers, const struct server_process *server,
                 struct err *err) {
    if (servers->count == CAP_LOCAL_SERVERS) {
        servers->further++;
        return true;
    }
    size_t size = (servers->count + 1) * sizeof *servers->list;
    struct server_process *list = realloc(servers->list, size);
    if (!list)
        return err_no_memory(err);
    list[servers->count++] = *server;
    servers->list = list;
    return true;
}

static bool look_at(struct server_processes *servers, pid_t pid, int process,
                    const struct port_set *ports, struct err *err) {
    struct server_process server = {.pid = pid, .name = name_of(process)};
    if (!server.name)
        return true;
    server.netns = netns_of(process);
    if (server.netns == 0 || !proc_sockets_read(process, &server.sockets)) {
        if (errno == EACCES || errno == EPERM) /* else it has just ended */
            server_processes_hide(servers, &server, "its ports are for root alone to see");
        return true;
    }
    read_cgroup(process, server.cgroup);
    return !listens_on_any(&server.sockets, ports) || keep(servers, &server, err);
}

static bool look_at_entry(struct server_processes *servers, int processes, const char *name,
                          const struct port_set *ports, struct err *err) {
    if (!isdigit((unsigned char)*name))
        return true;
    int process = openat(processes, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        return true; /* it has just ended */
    bool sound = look_at(servers, (pid_t)strtol(name, NULL, 10), process, ports, err);
    (void)close(process);
    return sound;
}

bool server_processes_find(struct server_processes *ret_servers, const struct port_set *ports,
                           struct err *err) {
    DIR *processes = opendir("/proc");
    *ret_servers = (struct server_processes){0};
    if (!processes)
        return err_set(err, "/proc: %s: mount it, or name interfaces (-i)", strerror(errno));
    bool sound = true;
    for (struct dirent *entry; sound && (entry = readdir(processes));)
        sound = look_at_entry(ret_servers, dirfd(processes), entry->d_name, ports, err);
    (void)closedir(processes);
    return sound;
}

void server_processes_free(struct server_processes *servers) {
    free(servers->list);
}

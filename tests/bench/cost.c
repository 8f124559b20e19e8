/* cost.c - runs a program on one core, its output thrown away, and prints what that took:
 * microseconds of CPU (user and system), and kilobytes of memory at its peak.
 *
 * A program of its own because a process starts with the peak of the one that it was forked from:
 * a child of python3 never has less than python3. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The last core that we may use: the first ones have the interrupts. */
static void keep_to_one_core(void) {
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    int core = CPU_SETSIZE - 1;
    while (core > 0 && !CPU_ISSET((size_t)core, &all))
        core--;
    CPU_ZERO(&one);
    CPU_SET((size_t)core, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
}

static void become(char **command) {
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0)
        execvp(command[0], command);
    fprintf(stderr, "cost: %s: %s\n", command[0], strerror(errno));
    _exit(127);
}

static long long us_of(struct timeval time) {
    return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("usage: cost PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    keep_to_one_core();
    pid_t child = fork();
    if (child == 0)
        become(argv + 1);
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child) {
        fprintf(stderr, "cost: %s\n", strerror(errno));
        return 2;
    }
    printf("%lld %ld\n", us_of(used.ru_utime) + us_of(used.ru_stime), used.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* test_privileges.c - after privileges_drop() what is needed works, and what is not ends the
 * process. Each try is made by a child of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/privileges.h"
#include "tests/lib/group.h"

/* The child's status after it has dropped everything and tried. */
static int try_after_drop(void attempt(void)) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        struct err err;
        if (!privileges_drop(&err))
            _exit(99);
        attempt();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* More than qsort(3) does on the stack. */
static void sort(void) {
    static int numbers[100000];
    for (size_t i = 0; i < countof(numbers); i++)
        numbers[i] = (int)(i * 7919 % countof(numbers));
    qsort(numbers, countof(numbers), sizeof *numbers, compare);
}

static void read_write_and_wait(void) {
    struct timespec now;
    char *block = malloc(1 << 20);
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!block || write(STDERR_FILENO, "", 0) != 0 || lseek(STDIN_FILENO, 0, SEEK_CUR) < -1)
        _exit(1);
    free(block);
    sort();
}

static void make_a_socket(void) {
    (void)socket(AF_INET, SOCK_DGRAM, 0);
}

static void open_a_file(void) {
    (void)open("/etc/passwd", O_RDONLY);
}

static void start_a_program(void) {
    (void)execl("/bin/true", "true", NULL);
}

static void signal_another(void) {
    (void)kill(getppid(), 0);
}

static void become_root(void) {
    if (setuid(0) == 0)
        _exit(1);
}

static void test_what_is_needed_works(void **state) {
    (void)state;
    int status = try_after_drop(read_write_and_wait);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_all_else_ends_the_process(void **state) {
    void (*const attempts[])(void) = {make_a_socket, open_a_file, start_a_program, signal_another,
                                      become_root};
    (void)state;
    for (size_t i = 0; i < countof(attempts); i++) {
        int status = try_after_drop(attempts[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_needed_works),
        cmocka_unit_test(test_all_else_ends_the_process),
    };
    return RUN_GROUP(argc, argv, tests);
}

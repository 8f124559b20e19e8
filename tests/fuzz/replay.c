/* replay.c - a fuzz target without a fuzzer: feeds it every file of the folders (or the files)
 * that are named, each in a heap block of exactly its size, so that ASan sees a read past its end.
 *
 *   replay_NAME tests/fuzz/corpus/NAME build/fuzz/NAME-crash-... */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

/* There when linked with a sanitizer. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static char current[4096]; /* the input that is being fed, for the last words */

static void last_words(void) {
    static const char says[] = "replay: died of ";
    if (write(STDERR_FILENO, says, sizeof says - 1) < 0 ||
        write(STDERR_FILENO, current, strlen(current)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        return;
}

static void on_abort(int signal_number) {
    (void)signal_number; /* a failed assert; returning from here ends the process all the same */
    last_words();
}

static _Noreturn void fail(const char *path) {
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    exit(2);
}

static void feed_file(const char *path, size_t size) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size);
    if (!file || (size && !data) || fread(data, 1, size, file) != size)
        fail(path);
    fclose(file);
    snprintf(current, sizeof current, "%s", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

/* Feeds one file, or all files below a folder in the order of their names; returns how many. */
static size_t feed(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0)
        fail(path);
    if (!S_ISDIR(st.st_mode)) {
        feed_file(path, (size_t)st.st_size);
        return 1;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        fail(path);
    size_t fed = 0;
    for (int i = 0; i < count; i++) {
        char inner[sizeof current];
        snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            fed += feed(inner);
        free(entries[i]);
    }
    free(entries);
    return fed;
}

int main(int argc, char **argv) {
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(last_words);
    signal(SIGABRT, on_abort);
    size_t fed = 0;
    for (int i = 1; i < argc; i++)
        fed += feed(argv[i]);
    printf("  ok     %-40s %zu inputs\n", argv[0], fed);
    return fed == 0; /* a target without a corpus is a test that tests nothing */
}

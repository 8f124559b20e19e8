/* say.c - messages to people, harmless to their terminals. */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>

int say(const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fputs("bustap: ", stderr);
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        (void)fprintf(stderr, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
    }
    (void)fputc('\n', stderr);
    return EXIT_TROUBLE;
}

void say_lines(const char *lines) {
    for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
        len = strcspn(lines, "\n");
        (void)say("%.*s", (int)len, lines);
    }
}

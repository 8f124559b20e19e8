/* screen.c - ncurses opens and closes; whoever dies of a signal has neither time nor right to call
 * it, so what it would do then is kept ready: a string to write, and the terminal's old settings.
 */
#include "cli/screen.h"

#include <curses.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "cli/interrupt.h"

enum { ESCAPE_MS = 25 /* after which an escape is a key of its own */ };

static SCREEN *screen;
static bool colours;
static struct termios settings; /* as they were */
static char farewell[256];      /* what makes the terminal ordinary again */

static void add_farewell(const char *capability) {
    const char *text = tigetstr(capability);
    if (text && text != (const char *)-1 && strlen(farewell) + strlen(text) < sizeof farewell)
        memcpy(farewell + strlen(farewell), text, strlen(text) + 1);
}

/* In a signal handler. */
static void restore(void) {
    if (!screen)
        return;
    (void)!write(STDOUT_FILENO, farewell, strlen(farewell));
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

static void set_up(void) {
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(ESCAPE_MS);
    if (!colours)
        return;
    (void)start_color();
    (void)use_default_colors();
    (void)init_pair(SCREEN_GOOD, COLOR_GREEN, -1);
    (void)init_pair(SCREEN_WARNING, COLOR_YELLOW, -1);
    (void)init_pair(SCREEN_BAD, COLOR_RED, -1);
}

static bool no_screen(struct err *err) {
    const char *term = getenv("TERM");
    return err_set(err, "--tui: a terminal TERM=%.100s has no screen: set TERM, or leave it out",
                   term ? term : "");
}

/* Can the cursor be moved? */
static bool has_screen(void) {
    const char *text = tigetstr("cup");
    return text && text != (const char *)-1;
}

bool screen_open(bool coloured, struct err *err) {
    static const char *const capabilities[] = {"sgr0", "rmkx", "cnorm", "rmcup"};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &settings) != 0)
        return err_set(err, "--tui: standard input and output are no terminal: leave it out");
    (void)signal(SIGTSTP, SIG_IGN); /* who has given up the right to send signals cannot stop */
    screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return no_screen(err);
    if (!has_screen()) {
        screen_close();
        return no_screen(err);
    }
    colours = coloured && has_colors();
    for (size_t i = 0; i < countof(capabilities); i++)
        add_farewell(capabilities[i]);
    interrupt_before_death(restore);
    set_up();
    return true;
}

void screen_close(void) {
    if (!screen)
        return;
    (void)endwin();
    delscreen(screen);
    screen = NULL;
}

void screen_look(enum screen_tone tone, bool reversed) {
    attr_t look = tone == SCREEN_BAD ? A_BOLD : A_NORMAL;
    if (reversed)
        look |= A_REVERSE;
    (void)attr_set(look, colours ? (short)tone : 0, NULL);
}

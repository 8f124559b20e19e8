/* tui.c - what is on the screen:
 *
 *   bustap watch: lo, eth0                                          18:51:40 UTC
 *   nodes 5 ok, 1 failed  1234 pkt/s  1.2 MB/s  drops 0  redirects 3/s  bus RTT 210 us
 *   node              role     state   heard  epoch  slots, or primary
 *   10.77.0.11:6379   primary  FAILED  4.1 s      1  0-5460
 *   ...
 *   findings, the newest first
 *   18:51:45.103 warning  10.77.0.14:6379 took over from 10.77.0.11:6379 ...
 *   ...
 *   changes, the newest first
 *   18:51:45.103 10.77.0.14:6379 was promoted ...
 *   ...
 *   q quit  up down choose  Enter open  Tab next list
 *
 * Nodes and findings take what they need, up to a share of the screen. All text is printable ASCII:
 * what came from the wire was made so where it became text. */
#include "cli/tui.h"

#include <curses.h>
#include <stdlib.h>

#include "cli/clock.h"
#include "cli/interrupt.h"
#include "cli/pulse_text.h"
#include "cli/screen.h"
#include "report/format.h"
#include "report/news.h"
#include "report/node_lines.h"

enum {
    ESCAPE = 27,
    TOP = 2,          /* lines above the nodes */
    LIST_MIN = 3,     /* lines of a list, with its head */
    HANGING = 14,     /* columns by which a paragraph's further lines are indented */
    CLOCK_SHOWN = 12, /* HH:MM:SS.mmm */
    DRAW_MS = 100,    /* at most so often, but for keys */
};

/* Items of the news, the newest first, of which one is chosen. */
struct list {
    const char *heads[2]; /* with items, without any */
    struct news news;
    uint64_t chosen; /* item of the news */
    bool follows;    /* the newest one is chosen, whichever that is */
    size_t first;    /* the first one shown, counted from the newest */
};

enum focus { ON_FINDINGS, ON_CHANGES, ON_NODES, LISTS = ON_NODES, IN_DETAIL };

struct tui {
    struct sink_options options;
    const char *title;
    struct list lists[LISTS]; /* findings and changes */
    struct pulse pulse;
    struct node_lines nodes; /* when it was taken: to make them is work, with many nodes */
    enum focus focus;
    size_t first_node, first_line; /* the first shown: of the nodes, of the finding that is open */
    bool is_new;                   /* something is, since it was drawn */
    nstime drawn;                  /* of the steady clock */
};

/* ---- lines ---- */

static size_t width(void) {
    return COLS > 0 ? (size_t)COLS : 0;
}

/* Writes a whole line, cut to the screen. */
static void put_line(int y, enum screen_tone tone, bool reversed, const char *text, size_t len) {
    if (y < 0 || y >= LINES)
        return;
    len = min_size(len, width());
    screen_look(tone, reversed);
    (void)mvaddnstr(y, 0, text, (int)len);
    if (reversed && len < width())
        (void)mvhline(y, (int)len, ' ' | A_REVERSE, COLS - (int)len);
    screen_look(SCREEN_PLAIN, false);
}

static void put_text(int y, enum screen_tone tone, bool reversed, const char *text) {
    put_line(y, tone, reversed, text, strlen(text));
}

static void put_title(const struct tui *tui, const struct model *model) {
    struct buf clock = {.max = 64};
    nstime last = model_books(model)->last;
    buf_clock(&clock, last > 0 ? last : 0);
    buf_cut(&clock, 8);
    buf_text(&clock, " UTC");
    put_text(0, SCREEN_PLAIN, true, tui->title);
    if (last > 0 && strlen(tui->title) + clock.len + 2 < width()) {
        screen_look(SCREEN_PLAIN, true);
        (void)mvaddstr(0, COLS - (int)clock.len, buf_str(&clock));
        screen_look(SCREEN_PLAIN, false);
    }
    buf_free(&clock);
}

static void put_part_here(void *context, const char *text, bool alarming) {
    (void)context;
    screen_look(alarming ? SCREEN_BAD : SCREEN_PLAIN, false);
    (void)addstr(text);
}

static void put_pulse(const struct tui *tui) {
    if (LINES < TOP)
        return;
    (void)move(1, 0);
    (void)pulse_parts(&tui->pulse, width(), put_part_here, NULL);
    screen_look(SCREEN_PLAIN, false);
}

/* ---- nodes ---- */

static const enum screen_tone health_tones[HEALTHS] = {SCREEN_PLAIN, SCREEN_WARNING, SCREEN_BAD,
                                                       SCREEN_PLAIN};

static void put_nodes(struct tui *tui, int height) {
    const struct node_lines *lines = &tui->nodes;
    const char *text = buf_str(&lines->text);
    size_t shown = (size_t)(height - 1);
    size_t last = lines->count > shown ? lines->count - shown : 0;
    tui->first_node = min_size(tui->first_node, last);
    for (size_t i = 0; *text; i++) {
        size_t len = strcspn(text, "\n");
        size_t row = i - 1 - tui->first_node; /* wraps for those that are scrolled away */
        if (i == 0)
            put_line(TOP, SCREEN_PLAIN, true, text, len);
        else if (i > tui->first_node && row < shown)
            put_line(TOP + 1 + (int)row, health_tones[lines->health[i - 1]], false, text, len);
        text += len + (text[len] == '\n');
    }
    if (lines->count == 0)
        put_text(TOP, SCREEN_PLAIN, true, "  no node of a cluster was heard so far");
}

/* ---- lists ---- */

static enum screen_tone severity_tone(int severity) {
    static const enum screen_tone tones[] = {SCREEN_PLAIN, SCREEN_PLAIN, SCREEN_WARNING,
                                             SCREEN_BAD};
    return severity == SEVERITY_CHANGE ? SCREEN_PLAIN : tones[severity];
}

static size_t kept(const struct list *list) {
    return (size_t)(list->news.total < CAP_NEWS ? list->news.total : CAP_NEWS);
}

/* The chosen item, counted from the newest; the list has some. */
static size_t chosen_at(struct list *list) {
    uint64_t total = list->news.total;
    if (list->follows)
        list->chosen = total - 1;
    if (total - list->chosen > kept(list)) /* it is too old to be kept */
        list->chosen = total - kept(list);
    return (size_t)(total - 1 - list->chosen);
}

static void put_item(const struct news_item *item, int y, bool chosen) {
    struct buf line = {.max = 4096};
    buf_clock(&line, item->time);
    buf_cut(&line, CLOCK_SHOWN);
    buf_text(&line, " ");
    size_t from = line.len;
    if (item->severity != SEVERITY_CHANGE) {
        buf_text(&line, severity_name((enum severity)item->severity));
        buf_pad_right(&line, from, sizeof "critical");
    }
    buf_text(&line, item->title);
    put_text(y, severity_tone(item->severity), chosen, buf_str(&line));
    buf_free(&line);
}

static void put_list(struct list *list, int top, int height, bool has_focus) {
    size_t shown = height > 1 ? (size_t)(height - 1) : 0;
    if (height > 0)
        put_text(top, SCREEN_PLAIN, true, list->heads[kept(list) == 0]);
    if (kept(list) == 0 || shown == 0)
        return;
    size_t at = chosen_at(list);
    if (at < list->first)
        list->first = at;
    if (at >= list->first + shown)
        list->first = at - shown + 1;
    for (size_t row = 0; row < shown && list->first + row < kept(list); row++) {
        size_t back = list->first + row;
        const struct news_item *item = news_item(&list->news, list->news.total - 1 - back);
        put_item(item, top + 1 + (int)row, back == at && has_focus);
    }
}

/* ---- the finding that is open ---- */

/* The lines of a paragraph, the further ones indented; puts those that are to be seen. `line` is
 * the number of the first one; gives that of the next. */
static size_t put_paragraph(const struct tui *tui, const char *text, size_t len, size_t line,
                            int height) {
    size_t indent = 0, hanging = width() / 2 > HANGING ? HANGING : 0;
    do {
        size_t part = line_break(text, len, width() > indent ? width() - indent : 1);
        if (line >= tui->first_line && line - tui->first_line < (size_t)height)
            (void)mvaddnstr(1 + (int)(line - tui->first_line), (int)indent, text, (int)part);
        text += part;
        len -= part;
        indent = hanging;
        line++;
    } while (len > 0);
    return line;
}

static void put_detail(struct tui *tui, const struct news_item *item, int height) {
    size_t line = 0;
    for (const char *text = item->whole; *text;) {
        size_t len = strcspn(text, "\n");
        line = put_paragraph(tui, text, len, line, height);
        text += len + (text[len] == '\n');
    }
    size_t last = line > (size_t)height ? line - (size_t)height : 0;
    if (tui->first_line <= last)
        return;
    tui->first_line = last; /* scrolled past its end: once more */
    put_detail(tui, item, height);
}

static const struct news_item *open_item(const struct tui *tui) {
    const struct list *findings = &tui->lists[ON_FINDINGS];
    return news_item(&findings->news, findings->chosen);
}

/* ---- the screen ---- */

static void put_keys(const struct tui *tui) {
    static const char *const texts[] = {
        [ON_FINDINGS] = "q quit   up down choose   Enter open it   Tab changes",
        [ON_CHANGES] = "q quit   up down scroll   Tab nodes",
        [ON_NODES] = "q quit   up down scroll   Tab findings",
        [IN_DETAIL] = "q back   up down scroll",
    };
    put_text(LINES - 1, SCREEN_PLAIN, true, texts[tui->focus]);
}

/* Lines for so many rows and their head: not more than they need, nor than a share of the room. */
static int height_for(size_t rows, int share) {
    int most = share > LIST_MIN ? share : LIST_MIN;
    return rows + 1 < (size_t)most ? (int)rows + 1 : most;
}

static void draw_cluster(struct tui *tui) {
    struct list *findings = &tui->lists[ON_FINDINGS], *changes = &tui->lists[ON_CHANGES];
    int top = TOP, room = LINES - TOP - 1;
    int nodes = height_for(tui->nodes.count, room * 2 / 5);
    int found = height_for(kept(findings), (room - nodes) / 2);
    put_pulse(tui);
    put_nodes(tui, nodes);
    put_list(findings, top + nodes, found, tui->focus == ON_FINDINGS);
    put_list(changes, top + nodes + found, room - nodes - found, tui->focus == ON_CHANGES);
}

static void draw(struct tui *tui, const struct model *model) {
    if (tui->focus == IN_DETAIL && !open_item(tui))
        tui->focus = ON_FINDINGS; /* it is too old to be kept */
    (void)erase();
    put_title(tui, model);
    if (tui->focus == IN_DETAIL && LINES > 2)
        put_detail(tui, open_item(tui), LINES - 2);
    else
        draw_cluster(tui);
    put_keys(tui);
    (void)refresh();
    tui->drawn = clock_steady();
    tui->is_new = false;
}

/* ---- keys ---- */

static size_t moved(size_t at, long by) {
    return by < 0 && (size_t)-by > at ? 0 : at + (size_t)by;
}

static void move_in(struct list *list, long by) {
    if (kept(list) == 0)
        return;
    size_t at = min_size(moved(chosen_at(list), by), kept(list) - 1);
    list->chosen = list->news.total - 1 - at;
    list->follows = at == 0;
}

/* Down is positive. What is too far is put right when it is drawn. */
static void move_by(struct tui *tui, long by) {
    if (tui->focus < LISTS)
        move_in(&tui->lists[tui->focus], by);
    else if (tui->focus == ON_NODES)
        tui->first_node = moved(tui->first_node, by);
    else
        tui->first_line = moved(tui->first_line, by);
}

static void go_down(struct tui *tui) {
    move_by(tui, 1);
}

static void go_up(struct tui *tui) {
    move_by(tui, -1);
}

static void page_down(struct tui *tui) {
    move_by(tui, LINES / 2);
}

static void page_up(struct tui *tui) {
    move_by(tui, -(LINES / 2));
}

static void go_first(struct tui *tui) {
    move_by(tui, -(1L << 30));
}

static void go_last(struct tui *tui) {
    move_by(tui, 1L << 30);
}

static void open_finding(struct tui *tui) {
    struct list *findings = &tui->lists[ON_FINDINGS];
    if (tui->focus != ON_FINDINGS || kept(findings) == 0)
        return;
    (void)chosen_at(findings);
    findings->follows = false; /* others may come while it is read */
    tui->first_line = 0;
    tui->focus = IN_DETAIL;
}

static void go_back(struct tui *tui) {
    if (tui->focus == IN_DETAIL)
        tui->focus = ON_FINDINGS;
}

static void quit(struct tui *tui) {
    if (tui->focus == IN_DETAIL)
        go_back(tui);
    else
        interrupt_ask();
}

static void change_focus(struct tui *tui) {
    if (tui->focus != IN_DETAIL)
        tui->focus = (tui->focus + 1) % (ON_NODES + 1);
}

static void start_anew(struct tui *tui) {
    (void)tui;
    (void)clear(); /* another size: nothing of what stands there is right */
}

static const struct {
    int key;
    void (*act)(struct tui *tui);
} keys[] = {
    {'q', quit},
    {KEY_DOWN, go_down},
    {'j', go_down},
    {KEY_UP, go_up},
    {'k', go_up},
    {KEY_NPAGE, page_down},
    {' ', page_down},
    {KEY_PPAGE, page_up},
    {KEY_HOME, go_first},
    {'g', go_first},
    {KEY_END, go_last},
    {'G', go_last},
    {'\n', open_finding},
    {'\r', open_finding},
    {KEY_ENTER, open_finding},
    {ESCAPE, go_back},
    {KEY_LEFT, go_back},
    {KEY_BACKSPACE, go_back},
    {'\t', change_focus},
    {KEY_RESIZE, start_anew},
};

/* True: some were pressed. */
static bool take_keys(struct tui *tui) {
    bool any = false;
    for (int key; (key = getch()) != ERR; any = true)
        for (size_t i = 0; i < countof(keys); i++)
            if (keys[i].key == key)
                keys[i].act(tui);
    return any;
}

/* ---- life ---- */

struct tui *tui_open(const struct sink_options *options, const char *title, struct err *err) {
    struct tui *tui = calloc(1, sizeof *tui);
    if (!tui) {
        (void)err_no_memory(err);
        return NULL;
    }
    *tui = (struct tui){
        .options = *options,
        .title = title,
        .lists = {[ON_FINDINGS] = {{"  findings, the newest first", "  no findings so far"},
                                   .follows = true},
                  [ON_CHANGES] = {{"  changes, the newest first", "  no changes so far"},
                                  .follows = true}},
        .is_new = true,
    };
    if (screen_open(options->colour, err))
        return tui;
    free(tui);
    return NULL;
}

void tui_close(struct tui *tui) {
    if (!tui)
        return;
    screen_close();
    node_lines_free(&tui->nodes);
    for (size_t i = 0; i < LISTS; i++)
        news_free(&tui->lists[i].news);
    free(tui);
}

void tui_event(struct tui *tui, const struct event *event) {
    news_change(&tui->lists[ON_CHANGES].news, tui->options.model, event);
    tui->is_new = true;
}

void tui_finding(struct tui *tui, const struct finding *finding) {
    news_finding(&tui->lists[ON_FINDINGS].news, &tui->options, finding);
    tui->is_new = true;
}

void tui_tick(struct tui *tui, const struct merge *merge, const struct engine *engine) {
    struct report report = {.engine = engine, .sources = merge};
    bool asked = take_keys(tui);
    bool due = pulse_take(&tui->pulse, merge, engine);
    if (due) {
        node_lines_free(&tui->nodes);
        node_lines_make(&tui->nodes, &report);
    }
    bool news = tui->is_new && clock_steady() - tui->drawn >= DRAW_MS * NS_PER_MS;
    if (asked || due || news)
        draw(tui, engine_model(engine));
}

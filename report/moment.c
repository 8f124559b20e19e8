/* moment.c - moments to text and back. No libc calendar: it is slow, knows time zones that nobody
 * asked for, and the day numbers of the Gregorian calendar are a few lines (after Hinnant's
 * days_from_civil: the year begins in March, so that the leap day comes last). */
#include "report/format.h"

#include <ctype.h>

enum { DAYS_PER_ERA = 146097, EPOCH_DAY = 719468, SECONDS_PER_DAY = 86400 };

struct date {
    int64_t year;
    unsigned month, day;
};

static struct date date_of_day(int64_t day) {
    day += EPOCH_DAY;
    int64_t era = (day >= 0 ? day : day - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    unsigned of_era = (unsigned)(day - era * DAYS_PER_ERA);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    struct date date = {.year = year + era * 400, .day = of_year - (153 * month + 2) / 5 + 1};
    date.month = month < 10 ? month + 3 : month - 9;
    date.year += date.month <= 2;
    return date;
}

static int64_t day_of_date(struct date date) {
    int64_t year = date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    unsigned of_year =
        (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1;
    return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAY;
}

/* ---- to text ---- */

static char *digits(char *at, uint64_t value, unsigned width) {
    for (unsigned i = width; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + width;
}

/* Seconds since 1970, rounded down, and the nanoseconds after them. */
static int64_t whole_seconds(nstime time, uint64_t *ret_ns) {
    nstime rest = time % NS_PER_SEC;
    *ret_ns = (uint64_t)(rest < 0 ? rest + NS_PER_SEC : rest);
    return time / NS_PER_SEC - (rest < 0);
}

static int64_t whole_days(int64_t seconds) {
    return seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0);
}

static char *put_date(char *at, int64_t day) {
    struct date date = date_of_day(day);
    at = digits(at, (uint64_t)date.year, 4);
    *at++ = '-';
    at = digits(at, date.month, 2);
    *at++ = '-';
    return digits(at, date.day, 2);
}

static char *put_clock(char *at, uint64_t second, uint64_t ns) {
    at = digits(at, second / 3600, 2);
    *at++ = ':';
    at = digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = digits(at, second % 60, 2);
    *at++ = '.';
    return digits(at, ns, 9);
}

void buf_rfc3339(struct buf *buf, nstime time) {
    char text[32], *at;
    uint64_t ns;
    int64_t seconds = whole_seconds(time, &ns), day = whole_days(seconds);
    at = put_date(text, day);
    *at++ = 'T';
    at = put_clock(at, (uint64_t)(seconds - day * SECONDS_PER_DAY), ns);
    *at++ = 'Z';
    buf_add(buf, text, (size_t)(at - text));
}

void buf_date(struct buf *buf, nstime time) {
    char text[16];
    uint64_t ns;
    int64_t seconds = whole_seconds(time, &ns);
    buf_add(buf, text, (size_t)(put_date(text, whole_days(seconds)) - text));
}

void buf_clock(struct buf *buf, nstime time) {
    char text[24];
    uint64_t ns;
    int64_t seconds = whole_seconds(time, &ns);
    uint64_t second = (uint64_t)(seconds - whole_days(seconds) * SECONDS_PER_DAY);
    buf_add(buf, text, (size_t)(put_clock(text, second, ns) - text));
}

/* ---- from text ---- */

/* Each take_... moves the text on past what it has read; false: that does not stand there. */

static bool take_char(const char **text, const char *accepted) {
    if (**text == '\0' || !strchr(accepted, **text))
        return false;
    ++*text;
    return true;
}

/* Exactly `width` digits, at most `most`. */
static bool take_digits(const char **text, unsigned width, unsigned most, unsigned *ret_value) {
    unsigned value = 0;
    for (unsigned i = 0; i < width; i++, ++*text) {
        if (!isdigit((unsigned char)**text))
            return false;
        value = value * 10 + (unsigned)(**text - '0');
    }
    *ret_value = value;
    return value <= most;
}

/* ".3", ".123456789" or nothing; digits behind the ninth say nothing to us. */
static bool take_fraction(const char **text, nstime *ret_ns) {
    nstime unit = NS_PER_SEC / 10;
    *ret_ns = 0;
    if (!take_char(text, ".,"))
        return true;
    const char *first = *text;
    for (; isdigit((unsigned char)**text); ++*text, unit /= 10)
        *ret_ns += (**text - '0') * unit;
    return *text > first;
}

/* HH:MM, HH:MM:SS or HH:MM:SS.fraction as nanoseconds of the day; a leap second is accepted. */
static bool take_clock(const char **text, nstime *ret_time) {
    unsigned hour, minute, second = 0;
    nstime ns = 0;
    if (!take_digits(text, 2, 23, &hour) || !take_char(text, ":") ||
        !take_digits(text, 2, 59, &minute))
        return false;
    if (take_char(text, ":") && (!take_digits(text, 2, 60, &second) || !take_fraction(text, &ns)))
        return false;
    *ret_time = (nstime)(hour * 3600 + minute * 60 + second) * NS_PER_SEC + ns;
    return true;
}

/* "Z", "+02:00" or nothing. */
static bool take_zone(const char **text, nstime *ret_offset) {
    unsigned hour, minute;
    const char *sign = *text;
    *ret_offset = 0;
    if (**text == '\0' || take_char(text, "Zz"))
        return true;
    if (!take_char(text, "+-") || !take_digits(text, 2, 23, &hour) || !take_char(text, ":") ||
        !take_digits(text, 2, 59, &minute))
        return false;
    *ret_offset = (nstime)(hour * 3600 + minute * 60) * NS_PER_SEC * (*sign == '-' ? -1 : 1);
    return true;
}

static bool take_date(const char **text, nstime *ret_time) {
    unsigned year;
    struct date date;
    if (!take_digits(text, 4, 9999, &year) || !take_char(text, "-") ||
        !take_digits(text, 2, 12, &date.month) || !take_char(text, "-") ||
        !take_digits(text, 2, 31, &date.day))
        return false;
    date.year = year;
    struct date real = date_of_day(day_of_date(date)); /* refutes February 30 and month 0 */
    if (real.month != date.month || real.day != date.day || year < 1678 || year > 2261)
        return false; /* years outside do not fit into nanoseconds */
    *ret_time = day_of_date(date) * SECONDS_PER_DAY * NS_PER_SEC;
    return true;
}

static bool parse_full(const char *text, struct when *ret_when) {
    nstime day, clock = 0, offset = 0;
    if (!take_date(&text, &day))
        return false;
    if (take_char(&text, "Tt ") && (!take_clock(&text, &clock) || !take_zone(&text, &offset)))
        return false;
    *ret_when = (struct when){.set = true, .time = day + clock - offset};
    return *text == '\0';
}

static bool parse_of_day(const char *text, struct when *ret_when) {
    *ret_when = (struct when){.set = true, .of_day = true};
    return take_clock(&text, &ret_when->time) && *text == '\0';
}

static bool parse_unix(const char *text, struct when *ret_when) {
    nstime seconds = 0, ns;
    const char *first = text;
    for (; isdigit((unsigned char)*text) && text - first < 11; text++)
        seconds = seconds * 10 + (*text - '0');
    if (text == first || seconds >= INT64_MAX / NS_PER_SEC || !take_fraction(&text, &ns))
        return false;
    *ret_when = (struct when){.set = true, .time = seconds * NS_PER_SEC + ns};
    return *text == '\0';
}

bool when_parse(const char *text, struct when *ret_when, struct err *err) {
    struct when when;
    if (!parse_full(text, &when) && !parse_of_day(text, &when) && !parse_unix(text, &when))
        return err_set(err,
                       "'%.100s' is not a time: write 2026-11-23T12:00:07Z, \"2026-11-23 "
                       "12:00:07.3\" (UTC), 12:00:07 (the capture's day) or seconds since 1970",
                       text);
    *ret_when = when;
    return true;
}

nstime when_time(const struct when *when, nstime capture) {
    uint64_t ns;
    nstime time;
    if (!when->of_day)
        return when->time;
    int64_t seconds = whole_seconds(capture, &ns);
    int64_t of_day = seconds - whole_days(seconds) * SECONDS_PER_DAY;
    nstime later = when->time - of_day * NS_PER_SEC - (nstime)ns;
    if (__builtin_add_overflow(capture, later, &time)) /* the first or last day there is */
        return later < 0 ? INT64_MIN : INT64_MAX;
    return time;
}

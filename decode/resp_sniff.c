/* resp_sniff.c - RESP told from a connection's first bytes. */
#include "decode/resp_link.h"

/* A line that asks something: its first word is a command, and it is not another protocol's. Empty
 * lines may come before it. */
static struct sniff sniff_inline(const struct command_index *commands, struct bytes head) {
    while (head.len && (head.data[0] == '\r' || head.data[0] == '\n'))
        head = bytes_after(head, 1);
    if (!head.len)
        return (struct sniff){SNIFF_MORE, 0};
    const uint8_t *end = memchr(head.data, '\n', head.len);
    struct bytes line = bytes_first(head, end ? (size_t)(end - head.data) : head.len);
    while (line.len && line.data[0] == ' ')
        line = bytes_after(line, 1);
    size_t len = 0;
    while (len < line.len && line.data[len] != ' ' && line.data[len] != '\r')
        len++;
    bool whole_word = end || len < line.len;
    if (!whole_word && head.len < RESP_LINE)
        return (struct sniff){SNIFF_MORE, 0};
    struct bytes word = resp_unquoted(bytes_first(line, len));
    bool http = line.len && memmem(line.data, line.len, " HTTP/", 6);
    if (http)
        return (struct sniff){SNIFF_NO, 0};
    if (!word.len || !command_find(commands, word, bytes_of(NULL, 0)))
        return (struct sniff){SNIFF_MORE, 0}; /* the server's answer may tell */
    return (struct sniff){end ? SNIFF_YES : SNIFF_MORE, 0};
}

/* "*3 CRLF $": a count, then a length, or in what a server says any type; "*0 CRLF": nothing, and
 * then anything. */
static struct sniff sniff_array(struct bytes head) {
    static const uint8_t after[] = {'\r', '\n'};
    size_t digits = 1 + (head.len > 1 && head.data[1] == '-'), at = digits;
    while (at < head.len && at < digits + 8 && (unsigned)(head.data[at] - '0') < 10)
        at++;
    if (at == digits && at < head.len)
        return (struct sniff){SNIFF_NO, 0};
    for (size_t i = 0; i < 2; i++) {
        if (at + i >= head.len)
            return (struct sniff){SNIFF_MORE, 0};
        if (head.data[at + i] != after[i])
            return (struct sniff){SNIFF_NO, 0};
    }
    bool nothing = digits == 2 || (at == 2 && head.data[1] == '0');
    if (nothing)
        return (struct sniff){SNIFF_YES, 0};
    if (head.len == at + 2)
        return (struct sniff){SNIFF_MORE, 0};
    bool type = head.data[at + 2] && strchr("$+-:*_,#!=(%~|>", head.data[at + 2]);
    return (struct sniff){type ? SNIFF_YES : SNIFF_NO, 0};
}

/* A server that refuses the connection speaks first; one that does not know the word that the
 * client began with says so. */
static struct sniff sniff_refusal(struct bytes head) {
    static const char *const refusals[] = {"-ERR max number of clients", "-ERR unknown command",
                                           "-ERR Protocol error", "-DENIED ", "-NOAUTH "};
    bool may_be = false;
    for (size_t i = 0; i < countof(refusals); i++) {
        size_t both = min_size(head.len, strlen(refusals[i]));
        if (memcmp(head.data, refusals[i], both) != 0)
            continue;
        if (both == strlen(refusals[i]))
            return (struct sniff){SNIFF_YES, 0};
        may_be = true;
    }
    return (struct sniff){may_be ? SNIFF_MORE : SNIFF_NO, 0};
}

/* In the middle of a connection a request is looked for where a segment begins: inside of one it
 * may stand in anybody's value. */
static struct sniff sniff_joined(const struct sniffed *s) {
    bool found;
    size_t at = resp_find_request(s->out->commands, s->head, &found);
    if (at == 0)
        return (struct sniff){found ? SNIFF_YES : SNIFF_MORE, 0};
    return (struct sniff){SNIFF_MORE, s->head.len};
}

struct sniff resp_sniff(const struct sniffed *s) {
    if (!s->from_start)
        return sniff_joined(s);
    if (strchr("*%~|", s->head.data[0]) && s->head.data[0])
        return sniff_array(s->head);
    if (bytes_begin(s->head, "-") && (s->head.len < 2 || s->head.data[1] != '\r'))
        return sniff_refusal(s->head);
    return sniff_inline(s->out->commands, s->head);
}

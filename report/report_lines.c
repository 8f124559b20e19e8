/* report_lines.c - `dump`: one line per event, to read and to grep.
 *
 *   frame time src > dst name node > node key=value ...
 *   frame time src > dst name key=value ...             what clients and servers say to each other
 *
 * The words before the first key=value are always the same number, so that awk finds its columns;
 * what is not known is "-". Clients and replicas are no nodes to each other but the ends of a
 * connection, so their lines do without the two columns of nodes. With several captures the frame
 * is preceded by the capture's number ("0:17"). A line is put together in one buffer without
 * printf: there may be millions. */
#include "decode/flow.h"
#include "report/format.h"
#include "report/render.h"
#include "report/sink.h"

enum { WIDTH_FRAME = 7, WIDTH_ENDPOINT = 21, WIDTH_NAME = 15 };

static void put_frame(struct buf *buf, const struct event *event, bool several) {
    size_t from = buf->len;
    if (several) {
        buf_u64(buf, event->source);
        buf_add(buf, ":", 1);
    }
    buf_u64(buf, event->frame);
    buf_pad_left(buf, from, WIDTH_FRAME);
    buf_add(buf, " ", 1);
}

static void put_end(struct buf *buf, const struct flow *flow, unsigned end) {
    size_t from = buf->len;
    char text[ENDPOINT_TEXT] = "-";
    if (flow)
        endpoint_text(&flow->ends[end], text);
    buf_text(buf, text);
    buf_pad_right(buf, from, WIDTH_ENDPOINT);
}

static void put_ends(struct buf *buf, const struct event *event) {
    put_end(buf, event->flow, event->direction);
    buf_add(buf, " > ", 3);
    put_end(buf, event->flow, !event->direction);
    buf_add(buf, " ", 1);
}

/* A bus message goes by the name of its type, which is its first field; any other event by its own
 * name. Returns the first field that is still to be written. */
static const struct event_field *put_name(struct buf *buf, const struct event *event,
                                          const struct render_style *style) {
    const struct event_field *field = event_rows[event->type].fields();
    size_t from = buf->len;
    if (field->name && field->kind == FIELD_BUS_TYPE)
        render_field(buf, event, field++, style);
    else
        buf_text(buf, event_rows[event->type].name);
    buf_pad_right(buf, from, WIDTH_NAME);
    return field;
}

/* The one or two nodes that most events begin with: sender and receiver, node and about. */
static const struct event_field *put_node(struct buf *buf, const struct event *event,
                                          const struct event_field *field,
                                          const struct render_style *style) {
    size_t from = buf->len;
    if (field->name && field->kind == FIELD_NODE)
        render_field(buf, event, field++, style);
    if (buf->len == from)
        buf_add(buf, "-", 1);
    buf_pad_right(buf, from, style->whole ? BUS_NODE_ID : NODE_SHORT);
    return field;
}

/* From the first to the last of what is said in RESP. */
static bool is_between_nodes(enum event_type type) {
    return type < EV_request || type > EV_replicated;
}

static const struct event_field *put_nodes(struct buf *buf, const struct event *event,
                                           const struct event_field *field,
                                           const struct render_style *style) {
    buf_add(buf, " ", 1);
    field = put_node(buf, event, field, style);
    buf_add(buf, " > ", 3);
    return put_node(buf, event, field, style);
}

static void event_line(struct sink *sink, const struct event *event) {
    struct buf *buf = &sink->buf;
    const struct render_style *style = &sink->options.style;
    put_frame(buf, event, sink->options.sources > 1);
    buf_clock(buf, event->time);
    buf_add(buf, " ", 1);
    put_ends(buf, event);
    const struct event_field *field = put_name(buf, event, style);
    if (is_between_nodes(event->type))
        field = put_nodes(buf, event, field, style);
    render_fields(buf, event, field, style);
    while (buf->len > 0 && buf->data[buf->len - 1] == ' ') /* no fields */
        buf_cut(buf, buf->len - 1);
    buf_add(buf, "\n", 1);
    sink_flush(sink);
}

const struct sink_ops sink_lines = {
    .name = "lines",
    .help = "dump: one line per event",
    .event = event_line,
};

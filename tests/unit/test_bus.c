/* test_bus.c - one message of the bus: framing, header and body of every type and version, on bytes
 * made by hand from the reference; every wrong length; and every message cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "decode/bus.h"
#include "decode/event.h"
#include "tests/lib/dice.h"
#include "tests/lib/group.h"
#include "tests/lib/guard.h"
#include "tests/lib/said.h"

/* ---- one of each ---- */

static struct said ping(unsigned version, unsigned type) {
    struct said m = said_new(version, type, 1);
    said_gossip(&m, &(struct said_about){.node = 2,
                                         .ip = "10.0.0.2",
                                         .port = 6379,
                                         .bus_port = 16379,
                                         .flags = NODE_PRIMARY,
                                         .ping_sent = 17,
                                         .pong_received = 18,
                                         .secondary_port = 6380});
    said_gossip(&m, &(struct said_about){.node = 3, .flags = NODE_REPLICA | NODE_PFAIL});
    return m;
}

static struct said extended_ping(void) {
    struct said m = ping(1, SAY_PING);
    said_extension(&m, 0, "host.example", 13);
    said_extension(&m, 3, said_id(9), SAID_ID);
    return m;
}

static struct said pings(void) {
    return ping(1, SAY_PING);
}
static struct said ping_v0(void) {
    return ping(0, SAY_PING);
}
static struct said pong(void) {
    return said_new(1, SAY_PONG, 1);
}
static struct said meet(void) {
    return said_new(1, SAY_MEET, 1);
}
static struct said fail_(void) {
    return said_fail(1, 2);
}
static struct said fail_v0(void) {
    struct said m = said_new(0, SAY_FAIL, 1);
    said_body(&m, said_id(2), SAID_ID);
    return m;
}
static struct said publish(void) {
    return said_publish(SAY_PUBLISH, 1, "chan", 50);
}
static struct said publishshard(void) {
    return said_publish(SAY_PUBLISHSHARD, 1, "", 0);
}
static struct said light_publish(void) {
    return said_publish(SAY_LIGHT | SAY_PUBLISH, 1, "chan", 50);
}
static struct said light_publishshard(void) {
    return said_publish(SAY_LIGHT | SAY_PUBLISHSHARD, 1, "c", 0);
}
static struct said auth_request(void) {
    return said_new(1, SAY_AUTH_REQUEST, 1);
}
static struct said auth_ack(void) {
    return said_new(1, SAY_AUTH_ACK, 1);
}
static struct said auth_ack_v0(void) {
    return said_new(0, SAY_AUTH_ACK, 1);
}
static struct said mfstart(void) {
    return said_new(1, SAY_MFSTART, 1);
}
static struct said update(void) {
    return said_update(1, 2, 33, 100, 199);
}
static struct said module(void) {
    return said_module(SAY_MODULE, 1, 0x1122334455667788, 7, 30);
}
static struct said light_module(void) {
    return said_module(SAY_LIGHT | SAY_MODULE, 1, 5, 7, 0);
}
static struct said nack(void) {
    return said_nack(1, 44, 2, false);
}
static struct said nack_of_old_form(void) {
    return said_nack(1, 0, 1, true);
}

static const struct sample {
    const char *name;
    struct said (*say)(void);
    enum bus_type type;

} samples[] = {
    {"ping", pings, BUS_PING},
    {"ping, version 0", ping_v0, BUS_PING},
    {"ping with extensions", extended_ping, BUS_PING},
    {"pong", pong, BUS_PONG},
    {"meet", meet, BUS_MEET},
    {"fail", fail_, BUS_FAIL},
    {"fail, version 0", fail_v0, BUS_FAIL},
    {"publish", publish, BUS_PUBLISH},
    {"publishshard", publishshard, BUS_PUBLISHSHARD},
    {"light publish", light_publish, BUS_PUBLISH},
    {"light publishshard", light_publishshard, BUS_PUBLISHSHARD},
    {"auth-req", auth_request, BUS_AUTH_REQUEST},
    {"auth-ack", auth_ack, BUS_AUTH_ACK},
    {"auth-ack, version 0", auth_ack_v0, BUS_AUTH_ACK},
    {"mfstart", mfstart, BUS_MFSTART},
    {"update", update, BUS_UPDATE},
    {"module", module, BUS_MODULE},
    {"light module", light_module, BUS_MODULE},
    {"auth-nack", nack, BUS_AUTH_NACK},
    {"auth-nack of the old form", nack_of_old_form, BUS_AUTH_NACK},
};

static struct said said; /* the message in hand */

static int end_said(void **state) {
    (void)state;
    said_free(&said);
    said = (struct said){0};
    return 0;
}

/* Frames and decodes the message in hand, of which no more is readable than decoding may need. */
static bool decode(struct ev_bus_message *ret_message) {
    struct bus_frame frame;
    struct bytes view = said_view(&said);
    assert_int_equal(bus_frame(view, &frame), FRAME_OK);
    assert_true(frame.hold <= view.len);
    return bus_decode(&frame, guarded(bytes_first(view, frame.hold)), ret_message);
}

static void assert_id(const char *id, unsigned node) {
    assert_non_null(id);
    assert_memory_equal(id, said_id(node), BUS_NODE_ID);
}

static void assert_is_text(struct bytes text, const char *expected) {
    assert_true(bytes_equal(text, bytes_str(expected)));
}

/* ---- headers ---- */

static void header_of_version_1(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = said_new(1, SAY_PING, 7);
    said_number(&said, SAID_PORT, 7001);
    said_number(&said, SAID_CPORT, 17001);
    said_number(&said, SAID_PPORT, 7002);
    said_number(&said, SAID_CURRENT_EPOCH, 0x0102030405060708);
    said_number(&said, SAID_CONFIG_EPOCH, 12);
    said_number(&said, SAID_OFFSET, 0xfffffffffffffff0);
    said_number(&said, SAID_STATE, 1);
    said_number(&said, SAID_MFLAGS, MFLAG_PAUSED);
    said_number(&said, SAID_FLAGS, 0x7fff);
    said_text(&said, SAID_IP, "192.168.1.2");
    said_text(&said, SAID_REPLICA_OF, said_id(8));
    said_slots(&said, 3, 9);
    assert_true(decode(&m));
    assert_int_equal(m.type, BUS_PING);
    assert_int_equal(m.length, 2256);
    assert_int_equal(m.version, 1);
    assert_false(m.light);
    assert_id(m.sender, 7);
    assert_id(m.replica_of, 8);
    assert_int_equal(m.port, 7001);
    assert_int_equal(m.bus_port, 17001);
    assert_int_equal(m.secondary_port, 7002);
    assert_true(m.current_epoch == 0x0102030405060708);
    assert_int_equal(m.config_epoch, 12);
    assert_true(m.repl_offset == 0xfffffffffffffff0);
    assert_int_equal(m.state, 1);
    assert_int_equal(m.mflags, MFLAG_PAUSED);
    assert_int_equal(m.flags, 0x7fff);
    assert_is_text(m.ip, "192.168.1.2");
    assert_int_equal(m.slots[0], 0xf8);
    assert_int_equal(m.slots[1], 0x03);
}

static void header_of_version_0(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = said_new(0, SAY_AUTH_REQUEST, 7);
    said_number(&said, SAID_PORT, 7001);
    said_number(&said, SAID_STATE, 1);
    said_number(&said, SAID_MFLAGS, MFLAG_FORCEACK);
    said_number(&said, SAID_CONFIG_EPOCH, 12);
    said_text(&said, SAID_REPLICA_OF, said_id(8));
    assert_true(decode(&m));
    assert_int_equal(m.length, 2208);
    assert_int_equal(m.version, 0);
    assert_id(m.sender, 7);
    assert_id(m.replica_of, 8);
    assert_int_equal(m.port, 7001);
    assert_int_equal(m.bus_port, 17001);
    assert_int_equal(m.config_epoch, 12);
    assert_int_equal(m.flags, NODE_PRIMARY | NODE_MYSELF);
    assert_int_equal(m.state, 1);
    assert_int_equal(m.mflags, MFLAG_FORCEACK);
    assert_int_equal(m.ip.len, 0);
}

static void a_light_header_names_nobody(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = light_publish();
    assert_true(decode(&m));
    assert_true(m.light);
    assert_null(m.sender);
    assert_null(m.slots);
    assert_int_equal(m.length, 16 + 8 + 4 + 50);
}

/* What is no node id is not taken for one: zeros, capitals, garbage in any place. */
static void node_ids(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = said_new(1, SAY_PING, 7);
    assert_true(decode(&m));
    assert_null(m.replica_of);
    for (int at = 0; at < BUS_NODE_ID; at++) {
        static const char wrong[] = {'g', 'A', '/', ':', '`', ' ', '\0', '\x80', '\xff'};
        for (size_t i = 0; i < sizeof wrong; i++) {
            uint8_t id[BUS_NODE_ID];
            memset(id, "09af"[at & 3], sizeof id);
            assert_true(bus_is_node_id(guarded(bytes_of(id, sizeof id)).data));
            id[at] = (uint8_t)wrong[i];
            assert_false(bus_is_node_id(guarded(bytes_of(id, sizeof id)).data));
        }
    }
}

/* ---- bodies ---- */

static void assert_entry(struct bus_gossip_entry entry, unsigned node, uint16_t port,
                         uint16_t bus_port, uint16_t flags) {
    assert_id(entry.node, node);
    assert_int_equal(entry.port, port);
    assert_int_equal(entry.bus_port, bus_port);
    assert_int_equal(entry.flags, flags);
}

static void gossip(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = pings();
    assert_true(decode(&m));
    assert_int_equal(m.gossip.count, 2);
    struct bus_gossip_entry first = bus_gossip_at(&m.gossip, 0);
    assert_entry(first, 2, 6379, 16379, NODE_PRIMARY);
    assert_int_equal(first.ping_sent, 17);
    assert_int_equal(first.pong_received, 18);
    assert_int_equal(first.secondary_port, 6380);
    assert_is_text(bus_text(first.ip), "10.0.0.2");
    assert_entry(bus_gossip_at(&m.gossip, 1), 3, 0, 0, NODE_REPLICA | NODE_PFAIL);
}

static void gossip_of_version_0(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = ping_v0();
    assert_true(decode(&m));
    assert_int_equal(m.gossip.count, 2);
    assert_entry(bus_gossip_at(&m.gossip, 0), 2, 6379, 16379, NODE_PRIMARY);
    assert_int_equal(bus_gossip_at(&m.gossip, 0).secondary_port, 0);
    assert_entry(bus_gossip_at(&m.gossip, 1), 3, 0, 10000, NODE_REPLICA | NODE_PFAIL);
}

static void bodies(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = fail_();
    assert_true(decode(&m));
    assert_id(m.about, 2);
    end_said(NULL);

    said = publish();
    assert_true(decode(&m));
    assert_is_text(m.channel, "chan");
    assert_int_equal(m.payload_bytes, 50);
    end_said(NULL);

    said = update();
    assert_true(decode(&m));
    assert_id(m.about, 2);
    assert_int_equal(m.about_epoch, 33);
    assert_int_equal(m.about_slots[12], 0xf0); /* 100 to 103 */
    end_said(NULL);

    said = module();
    assert_true(decode(&m));
    assert_true(m.module == 0x1122334455667788);
    assert_int_equal(m.module_type, 7);
    assert_int_equal(m.payload_bytes, 30);
    end_said(NULL);

    said = nack();
    assert_true(decode(&m));
    assert_int_equal(m.about_epoch, 44);
    assert_int_equal(m.reason, 2);
    end_said(NULL);

    said = nack_of_old_form();
    assert_true(decode(&m));
    assert_int_equal(m.about_epoch, 0);
    assert_int_equal(m.reason, 1);
}

/* CAP_CHANNEL_SHOWN: of a longer name only the beginning is needed, and kept. */
static void a_long_channel_is_cut(void **state) {
    (void)state;
    struct ev_bus_message m;
    char name[CAP_CHANNEL_SHOWN + 45];
    memset(name, 'c', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    said = said_publish(SAY_PUBLISH, 1, name, 10);
    assert_true(decode(&m));
    assert_int_equal(m.channel.len, CAP_CHANNEL_SHOWN);
    assert_int_equal(m.length, 2256 + 8 + sizeof name - 1 + 10);
}

static void an_unknown_type_is_kept(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = said_new(1, 12, 1);
    said_body(&said, "whatever", 8);
    assert_true(decode(&m));
    assert_int_equal(m.type, BUS_UNKNOWN);
    assert_id(m.sender, 1);
    said_number(&said, SAID_TYPE, 0x7fff);
    assert_true(decode(&m));
    assert_int_equal(m.type, BUS_UNKNOWN);
}

/* A version of the future: framed by its length, and nothing else believed. */
static void an_unknown_version_is_ignored(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = pings();
    said_number(&said, SAID_VER, 2);
    assert_false(decode(&m));
    assert_int_equal(m.version, 2);
    assert_null(m.sender);
}

/* ---- extensions ---- */

/* All extensions of the message in hand, as text. */
static void assert_extensions(const char *expected) {
    struct ev_bus_message m;
    struct bus_extension e;
    struct buf text = {.max = 4096};
    bool bad = false;
    (void)decode(&m);
    while (bus_extension_next(&m.extensions, &e, &bad)) {
        buf_printf(&text, "%u %s%s \"", e.id, e.name, e.secret ? " SECRET" : "");
        buf_wire_text(&text, e.data, 100);
        buf_printf(&text, "\" %u\n", (unsigned)e.ttl_s);
    }
    buf_text(&text, bad ? "bad" : "");
    assert_string_equal(text.data, expected);
    buf_free(&text);
}

static void every_extension(void **state) {
    (void)state;
    uint8_t forgotten[48] = {0};
    memset(forgotten, 'a', 40);
    forgotten[47] = 60;
    said = said_new(1, SAY_PING, 1);
    said_extension(&said, 0, "host", 5);
    said_extension(&said, 1, "name", 5);
    said_extension(&said, 2, forgotten, sizeof forgotten);
    said_extension(&said, 3, forgotten, 40);
    said_extension(&said, 4, "10.1.2.3", 9);
    said_extension(&said, 5, "fd00::1", 8);
    said_extension(&said, 6, "??", 2);
    assert_extensions("0 hostname \"host\" 0\n"
                      "1 nodename \"name\" 0\n"
                      "2 forgotten-node \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" 60\n"
                      "3 shard-id \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" 0\n"
                      "4 client-ipv4 \"10.1.2.3\" 0\n"
                      "5 client-ipv6 \"fd00::1\" 0\n"
                      "6 unknown \"??\\x00\\x00\\x00\\x00\\x00\\x00\" 0\n");
    struct ev_bus_message m;
    assert_true(decode(&m));
}

/* Redis 8's internal secret shares its number with an address: what is no address is not shown. */
static void the_secret_is_not_shown(void **state) {
    (void)state;
    static const char *const secrets[] = {"0123456789abcdef0123456789abcdef01234567", "10.1.2.3.4",
                                          "1.2.3.4 1.2.3.4 1.2.3.4 1.2.3.4 1.2.3.4.", "\x01"};
    for (size_t i = 0; i < countof(secrets); i++) {
        said = said_new(1, SAY_PING, 1);
        said_extension(&said, 4, secrets[i], strlen(secrets[i]));
        assert_extensions("4 internal-secret SECRET \"\" 0\n");
        end_said(NULL);
    }
    said = said_new(1, SAY_PING, 1); /* a secret that begins with a zero byte */
    said_extension(&said, 4, "\0secret of forty bytes, first one zero..", 40);
    assert_extensions("4 client-ipv4 \"\" 0\n");
}

/* Without the flag in mflags nothing is an extension; the server then wants none of their bytes. */
static void extensions_must_be_announced(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = extended_ping();
    said_number(&said, SAID_MFLAGS, 0);
    assert_false(decode(&m));
    assert_extensions("");
}

static void extensions_that_break_their_rules(void **state) {
    (void)state;
    static const uint32_t wrong[] = {0, 4, 7, 9, 12, 24, 0xfffffff8, 0xffffffff};
    struct ev_bus_message m;
    said = said_new(1, SAY_PING, 1);
    said_extension(&said, 0, "host", 5);
    assert_true(decode(&m));
    for (size_t i = 0; i < countof(wrong); i++) {
        for (int b = 0; b < 4; b++)
            said.bytes.data[SAID_HEADER + b] = (uint8_t)(wrong[i] >> (24 - 8 * b));
        assert_false(decode(&m));
        assert_extensions("bad");
    }
}

/* More announced than there are, and fewer. */
static void extensions_miscounted(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = extended_ping();
    said_number(&said, SAID_EXTENSIONS, 3);
    assert_false(decode(&m));
    said_number(&said, SAID_EXTENSIONS, 1);
    assert_false(decode(&m));
    said_number(&said, SAID_EXTENSIONS, 2);
    assert_true(decode(&m));
}

/* ---- lengths ---- */

/* One byte (or eight, or one entry) more or less than the server wants: it ignores the message, and
 * we say so; unless the message is then shorter than any, which ends the framing. */
static void wrong_lengths(void **state) {
    (void)state;
    static const int errors[] = {-104, -9, -8, -1, 1, 8, 9, 104};
    for (size_t i = 0; i < countof(samples); i++) {
        for (size_t k = 0; k < countof(errors); k++) {
            struct ev_bus_message m;
            struct bus_frame frame;
            said = samples[i].say();
            size_t len = said.bytes.len + (size_t)(ptrdiff_t)errors[k];
            said_number(&said, SAID_TOTLEN, len);
            made_zeros(&said.bytes, 200);
            said.bytes.len = len;
            if (bus_frame(said_view(&said), &frame) == FRAME_OK) {
                assert_false(decode(&m));
                assert_int_equal(m.type, samples[i].type);
            }
            end_said(NULL);
        }
    }
}

/* A count that promises more gossip than there is. */
static void gossip_miscounted(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = pings();
    said_number(&said, SAID_COUNT, 3);
    assert_false(decode(&m));
    assert_int_equal(m.gossip.count, 2);
    said_number(&said, SAID_COUNT, 0xffff);
    assert_false(decode(&m));
    assert_int_equal(m.gossip.count, 2);
    said_number(&said, SAID_COUNT, 1);
    assert_false(decode(&m));
}

/* Lengths inside the body whose sum overflows 32 bits. */
static void lengths_that_overflow(void **state) {
    (void)state;
    struct ev_bus_message m;
    said = publish();
    memset(said.bytes.data + SAID_HEADER, 0xff, 8);
    assert_false(decode(&m));
    end_said(NULL);
    said = module();
    memset(said.bytes.data + SAID_HEADER + 8, 0xff, 4);
    assert_false(decode(&m));
}

/* ---- framing ---- */

/* At every length of what has been seen so far: not enough, or the right frame; and never a byte
 * beyond. Once it is enough it stays so. */
static void frames_at_every_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(samples); i++) {
        struct bus_frame whole, frame;
        said = samples[i].say();
        struct bytes view = said_view(&said);
        assert_int_equal(bus_frame(view, &whole), FRAME_OK);
        assert_int_equal(whole.total, view.len);
        assert_int_equal(whole.type, samples[i].type);
        bool framed = false;
        for (size_t len = 0; len <= view.len; len++) {
            enum bus_frame_status got = bus_frame(guarded(bytes_first(view, len)), &frame);
            assert_int_not_equal(got, FRAME_BAD);
            if (got == FRAME_MORE)
                assert_true(!framed && frame.hold > len);
            framed = framed || got == FRAME_OK;
            if (framed)
                assert_memory_equal(&frame, &whole, sizeof frame);
        }
        assert_true(framed);
        end_said(NULL);
    }
}

/* With every byte from the first to `hold` the message decodes; what is cut before is not read. */
static void decodes_at_every_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(samples); i++) {
        struct bus_frame frame;
        struct ev_bus_message m;
        said = samples[i].say();
        struct bytes view = said_view(&said);
        assert_int_equal(bus_frame(view, &frame), FRAME_OK);
        for (size_t len = frame.hold; len <= view.len; len++)
            assert_true(bus_decode(&frame, guarded(bytes_first(view, len)), &m));
        assert_false(bus_decode(&frame, guarded(bytes_first(view, 15)), &m));
        assert_int_equal(m.type, samples[i].type);
        end_said(NULL);
    }
}

static void frames_that_are_none(void **state) {
    (void)state;
    struct bus_frame frame;
    for (int at = 0; at < 4; at++) {
        said = pong();
        said.bytes.data[at] ^= 1;
        for (size_t len = (size_t)at + 1; len < 20; len++)
            assert_int_equal(bus_frame(guarded(bytes_first(said_view(&said), len)), &frame),
                             FRAME_BAD);
        end_said(NULL);
    }
    said = pong(); /* shorter than its header */
    said_number(&said, SAID_TOTLEN, SAID_HEADER - 1);
    assert_int_equal(bus_frame(said_view(&said), &frame), FRAME_BAD);
    end_said(NULL);
    said = said_new(0, SAY_PONG, 1);
    said_number(&said, SAID_TOTLEN, SAID_HEADER_V0 - 1);
    assert_int_equal(bus_frame(said_view(&said), &frame), FRAME_BAD);
    end_said(NULL);
    said = light_publish();
    said_number(&said, SAID_TOTLEN, 15);
    assert_int_equal(bus_frame(said_view(&said), &frame), FRAME_BAD);
}

/* CAP_BUS_HOLD: of a longer message no more is asked for, and what was not held is not held
 * against it. */
static void a_message_longer_than_is_held(void **state) {
    (void)state;
    struct bus_frame frame;
    struct ev_bus_message m;
    said = said_new(1, SAY_PING, 1);
    for (unsigned i = 0; i < 2600; i++)
        said_gossip(&said, &(struct said_about){.node = 100 + i});
    assert_true(said.bytes.len > CAP_BUS_HOLD);
    assert_int_equal(bus_frame(said_view(&said), &frame), FRAME_OK);
    assert_int_equal(frame.hold, CAP_BUS_HOLD);
    assert_int_equal(frame.total, said.bytes.len);
    assert_true(decode(&m));
    assert_int_equal(m.gossip.count, (CAP_BUS_HOLD - SAID_HEADER) / 104);
}

/* CAP_BUS_PLAUSIBLE: a longer message is believed if the lengths of its payload say the same, and
 * it takes those lengths to tell. */
static void a_message_of_incredible_length(void **state) {
    (void)state;
    static const unsigned types[] = {SAY_MODULE, SAY_LIGHT | SAY_MODULE};
    for (size_t i = 0; i < countof(types); i++) {
        struct bus_frame frame;
        said = said_module(types[i], 1, 5, 7, 0);
        struct bytes view = said_view(&said);
        said_number(&said, SAID_TOTLEN, CAP_BUS_PLAUSIBLE + view.len);
        for (size_t len = BUS_PREFIX; len < view.len; len++)
            assert_int_equal(bus_frame(guarded(bytes_first(view, len)), &frame), FRAME_MORE);
        assert_int_equal(bus_frame(guarded(view), &frame), FRAME_BAD);
        said.bytes.data[view.len - 5] = CAP_BUS_PLAUSIBLE >> 24; /* the payload's length */
        assert_int_equal(bus_frame(guarded(view), &frame), FRAME_OK);
        end_said(NULL);
    }
}

/* ---- the search's credibility test ---- */

static bool plausible(void) {
    uint8_t head[BUS_PLAUSIBLE] = {0};
    struct bytes view = bytes_first(said_view(&said), sizeof head);
    memcpy(head, view.data, view.len);
    return bus_plausible(guarded(bytes_of(head, sizeof head)));
}

static void every_message_is_plausible(void **state) {
    (void)state;
    for (size_t i = 0; i < countof(samples); i++) {
        said = samples[i].say();
        assert_true(plausible());
        end_said(NULL);
    }
}

static void implausible(enum said_field field, uint64_t value) {
    said = pings();
    said_number(&said, field, value);
    assert_false(plausible());
    end_said(NULL);
}

static void what_is_not_plausible(void **state) {
    (void)state;
    implausible(SAID_VER, 2);
    implausible(SAID_TYPE, SAY_TYPES);
    implausible(SAID_TYPE, SAY_LIGHT | SAY_PING);
    implausible(SAID_TYPE, SAY_FAIL);
    implausible(SAID_TYPE, SAY_UPDATE);
    implausible(SAID_TYPE, SAY_MFSTART);
    implausible(SAID_COUNT, 3);
    implausible(SAID_TOTLEN, SAID_HEADER + 1);
    said = pings();
    said.bytes.data[40] = 'X'; /* in the sender's id */
    assert_false(plausible());
}

/* CAP_BUS_PLAUSIBLE: nobody sends such a message where a search could find it. */
static void too_long_to_be_plausible(void **state) {
    (void)state;
    said = said_publish(SAY_PUBLISH, 1, "c", 0);
    said_number(&said, SAID_TOTLEN, CAP_BUS_PLAUSIBLE);
    assert_true(plausible());
    said_number(&said, SAID_TOTLEN, CAP_BUS_PLAUSIBLE + 1);
    assert_false(plausible());
}

/* ---- there and back ---- */

static bool same_slots(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, BUS_SLOT_BYTES) == 0;
}

/* What was decoded, said again. */
static struct said said_again(const struct ev_bus_message *m) {
    struct said again = said_new((unsigned)m->version, (unsigned)m->type, 0);
    memcpy(again.bytes.data + 40, m->sender, SAID_ID);
    memcpy(again.bytes.data + 80, m->slots, BUS_SLOT_BYTES);
    if (m->replica_of)
        memcpy(again.bytes.data + 2128, m->replica_of, SAID_ID);
    said_number(&again, SAID_PORT, m->port);
    said_number(&again, SAID_CURRENT_EPOCH, m->current_epoch);
    said_number(&again, SAID_CONFIG_EPOCH, m->config_epoch);
    said_number(&again, SAID_OFFSET, m->repl_offset);
    said_number(&again, SAID_FLAGS, m->flags);
    said_number(&again, SAID_STATE, m->state);
    said_number(&again, SAID_MFLAGS, m->mflags);
    if (m->version == 1) {
        said_number(&again, SAID_CPORT, m->bus_port);
        said_number(&again, SAID_PPORT, m->secondary_port);
        if (m->ip.len)
            memcpy(again.bytes.data + 2168, m->ip.data, m->ip.len);
    }
    said_number(&again, SAID_COUNT, m->gossip.count);
    said_body(&again, m->gossip.entries, m->gossip.count * (size_t)BUS_GOSSIP_ENTRY);
    return again;
}

static void put_any(struct dice *dice, enum said_field field) {
    said_number(&said, field, dice_throw(dice));
}

/* A made-up header and gossip, decoded and made again from what was decoded: the same bytes. */
static void decoded_and_said_again(void **state) {
    (void)state;
    struct dice dice = dice_of(dice_seed());
    print_message("PROP_SEED=%llu\n", (unsigned long long)dice.state);
    for (int i = 0; i < 500; i++) {
        struct ev_bus_message m;
        said = said_new(dice_below(&dice, 2), dice_below(&dice, 3), dice_below(&dice, 9));
        static const enum said_field any[] = {SAID_PORT,   SAID_CURRENT_EPOCH, SAID_CONFIG_EPOCH,
                                              SAID_OFFSET, SAID_STATE,         SAID_FLAGS};
        for (size_t k = 0; k < countof(any); k++)
            put_any(&dice, any[k]);
        if (said.version == 1) {
            put_any(&dice, SAID_CPORT);
            put_any(&dice, SAID_PPORT);
            said_text(&said, SAID_IP, "fd00::12");
        }
        said_slots(&said, dice_below(&dice, 8000), 8000 + dice_below(&dice, 8384));
        for (uint32_t n = dice_below(&dice, 5); n > 0; n--)
            said_gossip(&said, &(struct said_about){.node = n, .port = 1, .flags = 0x1ff});
        assert_true(decode(&m));
        assert_true(same_slots(m.slots, said.bytes.data + 80));
        struct said again = said_again(&m);
        assert_int_equal(again.bytes.len, said.bytes.len);
        assert_memory_equal(again.bytes.data, said.bytes.data, said.bytes.len);
        said_free(&again);
        end_said(NULL);
    }
}

#define BUS_TEST(name) cmocka_unit_test_teardown(name, end_said)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        BUS_TEST(header_of_version_1),
        BUS_TEST(header_of_version_0),
        BUS_TEST(a_light_header_names_nobody),
        BUS_TEST(node_ids),
        BUS_TEST(gossip),
        BUS_TEST(gossip_of_version_0),
        BUS_TEST(bodies),
        BUS_TEST(a_long_channel_is_cut),
        BUS_TEST(an_unknown_type_is_kept),
        BUS_TEST(an_unknown_version_is_ignored),
        BUS_TEST(every_extension),
        BUS_TEST(the_secret_is_not_shown),
        BUS_TEST(extensions_must_be_announced),
        BUS_TEST(extensions_that_break_their_rules),
        BUS_TEST(extensions_miscounted),
        BUS_TEST(wrong_lengths),
        BUS_TEST(gossip_miscounted),
        BUS_TEST(lengths_that_overflow),
        BUS_TEST(frames_at_every_byte),
        BUS_TEST(decodes_at_every_byte),
        BUS_TEST(frames_that_are_none),
        BUS_TEST(a_message_longer_than_is_held),
        BUS_TEST(a_message_of_incredible_length),
        BUS_TEST(every_message_is_plausible),
        BUS_TEST(what_is_not_plausible),
        BUS_TEST(too_long_to_be_plausible),
        BUS_TEST(decoded_and_said_again),
    };
    return RUN_GROUP(argc, argv, tests);
}

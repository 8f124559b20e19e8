/* talk.c - segments of a conversation, each in an Ethernet frame of its own. */
#include "tests/lib/talk.h"

#include "tests/lib/wire.h"

struct talk talk_between(struct lan *lan, uint8_t client, uint16_t client_port, uint8_t server,
                         uint16_t server_port) {
    if (lan->time == 0)
        lan->time = 1700000000 * NS_PER_SEC;
    return (struct talk){.lan = lan,
                         .host = {client, server},
                         .port = {client_port, server_port},
                         .next = {1000, 5000000},
                         .heard = {5000000, 1000},
                         .window = 500};
}

static struct wire wire; /* the last packet; large, so not on the stack */

static void deliver(struct lan *lan, struct packet *packet) {
    packet->time = lan->time;
    packet->frame = ++lan->frame;
    lan->deliver(lan->context, packet);
}

void talk_captured_again(struct lan *lan) {
    struct packet packet = packet_of(wire_view(&wire), 1);
    lan->time -= NS_PER_MS - NS_PER_US;
    deliver(lan, &packet);
    lan->time += NS_PER_MS - NS_PER_US;
}

void talk_packet(struct talk *talk, unsigned end, uint8_t flags, uint32_t seq,
                 struct bytes payload) {
    unsigned peer = !end;
    wire_start(&wire, payload);
    wire_tcp(&wire, &(struct wire_tcp){.sport = talk->port[end],
                                       .dport = talk->port[peer],
                                       .seq = seq,
                                       .ack = flags & TCP_ACK ? talk->heard[end] : 0,
                                       .flags = flags,
                                       .window = talk->window});
    wire_ipv4(&wire, &(struct wire_ip){.src = talk->host[end],
                                       .dst = talk->host[peer],
                                       .protocol = PROTO_TCP,
                                       .id = ++talk->id});
    wire_ethernet(&wire, 0x0800);
    struct packet packet = packet_of(wire_view(&wire), 1);
    if (talk->cut && payload.len > talk->cut)
        packet.data.len -= payload.len - talk->cut;
    deliver(talk->lan, &packet);
    talk->lan->time += NS_PER_MS;
}

/* The end has sent `len` more bytes, and the peer hears of it. */
static void advance(struct talk *talk, unsigned end, size_t len) {
    talk->next[end] += (uint32_t)len;
    if (!talk->deaf[!end])
        talk->heard[!end] = talk->next[end];
}

void talk_syn(struct talk *talk, unsigned end) {
    talk_packet(talk, end, end == CLIENT ? TCP_SYN : TCP_SYN | TCP_ACK, talk->next[end],
                bytes_of(NULL, 0));
    advance(talk, end, 1);
}

void talk_open(struct talk *talk) {
    talk_syn(talk, CLIENT);
    talk_syn(talk, SERVER);
    talk_ack(talk, CLIENT);
}

void talk_send(struct talk *talk, unsigned end, struct bytes view) {
    talk_packet(talk, end, TCP_ACK, talk->next[end], view);
    advance(talk, end, view.len);
}

void talk_send_cut(struct talk *talk, unsigned end, struct bytes view, size_t size) {
    for (; view.len; view = bytes_after(view, size))
        talk_send(talk, end, bytes_first(view, size));
}

void talk_lose(struct talk *talk, unsigned end, size_t len) {
    advance(talk, end, len);
}

void talk_ack(struct talk *talk, unsigned end) {
    talk_packet(talk, end, TCP_ACK, talk->next[end], bytes_of(NULL, 0));
}

void talk_fin(struct talk *talk, unsigned end) {
    talk_packet(talk, end, TCP_FIN | TCP_ACK, talk->next[end], bytes_of(NULL, 0));
    advance(talk, end, 1);
}

void talk_reset(struct talk *talk, unsigned end) {
    talk_packet(talk, end, TCP_RST | TCP_ACK, talk->next[end], bytes_of(NULL, 0));
}

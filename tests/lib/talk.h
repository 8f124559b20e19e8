/* talk.h - a TCP conversation made by hand: both ends' sequence numbers are kept, frames are
 * numbered, time goes on by a millisecond a packet.
 *
 *   struct lan lan = {.deliver = feed_decoder, .context = decoder};
 *   struct talk t = talk_between(&lan, 1, 40000, 2, 16379);
 *   talk_open(&t);
 *   talk_send(&t, CLIENT, made_view(&message));
 *   talk_ack(&t, SERVER);
 *
 * An end acknowledges all that the other one has sent, unless `deaf` is set. */
#ifndef BUSTAP_TESTS_TALK_H
#define BUSTAP_TESTS_TALK_H

#include "capture/packet.h"
#include "decode/net.h"

enum { CLIENT, SERVER };

struct lan {
    void (*deliver)(void *context, const struct packet *packet);
    void *context;
    nstime time; /* of the next packet */
    uint64_t frame;
};

struct talk {
    struct lan *lan;
    uint8_t host[2]; /* 10.0.0.x */
    uint16_t port[2];
    uint32_t next[2];  /* sequence number of the next byte of each end */
    uint32_t heard[2]; /* what each end acknowledges */
    bool deaf[2];      /* does not hear any more */
    uint32_t cut;      /* captured bytes of a payload; 0: all (snaplen) */
    uint16_t window;
    uint16_t id; /* IPv4 identification of the last packet; each has its own */
};

struct talk talk_between(struct lan *lan, uint8_t client, uint16_t client_port, uint8_t server,
                         uint16_t server_port);

/* One packet, with everything said by the caller. */
void talk_packet(struct talk *talk, unsigned end, uint8_t flags, uint32_t seq,
                 struct bytes payload);

/* The last packet of all conversations, captured once more, a microsecond later. */
void talk_captured_again(struct lan *lan);

void talk_syn(struct talk *talk, unsigned end);                     /* the server's is a SYN-ACK */
void talk_open(struct talk *talk);                                  /* SYN, SYN-ACK, ACK */
void talk_send(struct talk *talk, unsigned end, struct bytes view); /* one segment */
void talk_send_cut(struct talk *talk, unsigned end, struct bytes view, size_t size);
void talk_lose(struct talk *talk, unsigned end, size_t len); /* sent, but not captured */
void talk_ack(struct talk *talk, unsigned end);
void talk_fin(struct talk *talk, unsigned end);
void talk_reset(struct talk *talk, unsigned end);

#endif

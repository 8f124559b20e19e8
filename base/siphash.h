/* siphash.h - SipHash-1-3, the keyed hash of every table whose keys the network chooses.
 *
 * Our own, because it sits on a packet's way and wants to be inlined with a constant length; the
 * construction is that of Aumasson and Bernstein (2012), the round counts those that Rust's and
 * CPython's tables use. tests/unit/test_base.c holds CPython's values as vectors. */
#ifndef BUSTAP_BASE_SIPHASH_H
#define BUSTAP_BASE_SIPHASH_H

#include "base/base.h"

struct siphash_key {
    uint64_t k0, k1; /* secret, drawn once per run by cli/ */
};

#define SIP_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = SIP_ROTL(v[1], 13) ^ v[0];
    v[0] = SIP_ROTL(v[0], 32);
    v[2] += v[3];
    v[3] = SIP_ROTL(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = SIP_ROTL(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = SIP_ROTL(v[1], 17) ^ v[2];
    v[2] = SIP_ROTL(v[2], 32);
}

static inline uint64_t siphash(const struct siphash_key *key, const void *data, size_t len) {
    const uint8_t *p = data;
    uint64_t v[4] = {key->k0 ^ UINT64_C(0x736f6d6570736575), key->k1 ^ UINT64_C(0x646f72616e646f6d),
                     key->k0 ^ UINT64_C(0x6c7967656e657261),
                     key->k1 ^ UINT64_C(0x7465646279746573)};
    uint64_t word;
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)len << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)p[i] << (8 * i);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#undef SIP_ROTL

#endif

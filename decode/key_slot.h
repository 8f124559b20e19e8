/* key_slot.h - the slot of a key, or of a shard channel. */
#ifndef BUSTAP_DECODE_KEY_SLOT_H
#define BUSTAP_DECODE_KEY_SLOT_H

#include "base/base.h"

enum { KEY_SLOTS = 16384 };

/* CRC16 of the key, or of what stands between its first '{' and the next '}' unless that is
 * nothing. Wire fact: Redis and Valkey src/crc16.c and keyHashSlot, CRC16/XMODEM. */
unsigned key_slot(struct bytes key);

#endif

/* pulse_text.h - the pulse in a few words for people:
 *
 *   nodes 5 ok, 1 failed  1234 pkt/s  1.2 MB/s  drops 0  redirects 3/s  bus RTT 210 us */
#ifndef BUSTAP_CLI_PULSE_TEXT_H
#define BUSTAP_CLI_PULSE_TEXT_H

#include "base/buf.h"
#include "cli/pulse.h"

/* A part and whether it tells of something wrong; the most important first. */
typedef void put_part(void *context, const char *text, bool alarming);

/* Those parts that fit into so many columns, with two blanks between them; how many they take. */
size_t pulse_parts(const struct pulse *pulse, size_t columns, put_part *put, void *context);

#endif

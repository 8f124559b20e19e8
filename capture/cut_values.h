/* cut_values.h - how much of a packet is worth its copy into the ring of a live capture: where it
 * ends with a large value, what comes before that.
 *
 *   packet   [headers|SET k $70000  v v v v v v v v]
 *   kept     [headers|SET k $70000  v]
 *
 * The kernel's classic BPF looks at each packet by itself, and knows nothing of those before it. So
 * only a packet that is a reply or a request from end to end is cut. One inside a value that holds
 * such is, too: then what is left out is of that value. */
#ifndef BUSTAP_CAPTURE_CUT_VALUES_H
#define BUSTAP_CAPTURE_CUT_VALUES_H

#include <pcap/pcap.h>

#include "base/base.h"

enum { CUT_VALUES_MAX = 1024 }; /* instructions */

/* Writes a program that accepts every packet, and returns how many instructions it has. `ip` is
 * where the kernel sees IP's header, `snaplen` what is kept of a packet at most; bytes both. */
unsigned cut_values(struct bpf_insn program[CUT_VALUES_MAX], uint32_t ip, uint32_t snaplen);

#endif

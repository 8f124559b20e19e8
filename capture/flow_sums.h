/* flow_sums.h - what the kernel side counted for each flow (bpf/record.h), summed by port. */
#ifndef BUSTAP_CAPTURE_FLOW_SUMS_H
#define BUSTAP_CAPTURE_FLOW_SUMS_H

#include "capture/skim.h"
#include "capture/source.h"

void flow_sums(const struct skim *skim, struct source_traffic *ret_traffic);

#endif

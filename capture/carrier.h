/* carrier.h - which interface carries the traffic of a server that listens on an address. */
#ifndef BUSTAP_CAPTURE_CARRIER_H
#define BUSTAP_CAPTURE_CARRIER_H

#include <ifaddrs.h>
#include <netinet/in.h>

#include "base/base.h"

/* May packets to that address (in6addr_any: to all addresses of the host) come by the interface,
 * which is one of all, as getifaddrs(3) lists them? */
bool carrier_of(const struct ifaddrs *all, const struct ifaddrs *interface,
                const struct in6_addr *address);

#endif

/* carrier.c - by the addresses of the interfaces:
 *
 *   the loopback interface     always: clients of the same host come that way to any address
 *   another                    if the address is one of its own; if it is any, and it has one; and
 *                              if no interface but lo has it: what is routed here may come from
 *                              anywhere */
#include "capture/carrier.h"

#include <net/if.h>

/* As IPv6 writes it, in either family; false: it has none that a stranger could come to. */
static bool address_of(const struct ifaddrs *entry, struct in6_addr *ret_address) {
    if (!entry->ifa_addr)
        return false;
    if (entry->ifa_addr->sa_family == AF_INET6) {
        *ret_address = ((const struct sockaddr_in6 *)(const void *)entry->ifa_addr)->sin6_addr;
        return !IN6_IS_ADDR_LINKLOCAL(ret_address);
    }
    if (entry->ifa_addr->sa_family != AF_INET)
        return false;
    const struct sockaddr_in *ip = (const struct sockaddr_in *)(const void *)entry->ifa_addr;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ret_address, mapped, sizeof mapped);
    memcpy((char *)ret_address + sizeof mapped, &ip->sin_addr, sizeof ip->sin_addr);
    return true;
}

static bool is_loopback(const struct ifaddrs *entry) {
    return entry->ifa_flags & IFF_LOOPBACK;
}

static bool is_loopback_address(const struct in6_addr *address) {
    static const uint8_t mapped_127[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    return IN6_IS_ADDR_LOOPBACK(address) || memcmp(address, mapped_127, sizeof mapped_127) == 0;
}

/* Has an interface (NULL: one that is not lo) this address (in6addr_any: any address)? */
static bool has_address(const struct ifaddrs *all, const char *interface,
                        const struct in6_addr *wanted) {
    for (const struct ifaddrs *entry = all; entry; entry = entry->ifa_next) {
        struct in6_addr address;
        bool asked = interface ? strcmp(entry->ifa_name, interface) == 0 : !is_loopback(entry);
        if (asked && address_of(entry, &address) &&
            (IN6_IS_ADDR_UNSPECIFIED(wanted) || memcmp(&address, wanted, sizeof address) == 0))
            return true;
    }
    return false;
}

bool carrier_of(const struct ifaddrs *all, const struct ifaddrs *interface,
                const struct in6_addr *address) {
    if (is_loopback(interface))
        return true;
    if (is_loopback_address(address))
        return false;
    bool from_anywhere = !has_address(all, NULL, address);
    return has_address(all, interface->ifa_name, from_anywhere ? &in6addr_any : address);
}

/* skim.c - libbpf loads the programs; a tcx link holds them at an interface, or what was there
 * before.
 *
 * The link is made by the bare system call: libbpf 1.1, which Debian 12 has, does not know tcx. */
#include "capture/skim.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/skim.skel.h"
#include "capture/link_type.h"
#include "capture/netns.h"
#include "capture/source.h"

enum {
    TCX_INGRESS = 46, /* enum bpf_attach_type of linux/bpf.h, since Linux 6.6 */
    TCX_EGRESS = 47,
};

/* ---- loading ---- */

static int say_nothing(enum libbpf_print_level level, const char *format, va_list arguments) {
    (void)level, (void)format, (void)arguments;
    return 0;
}

/* The largest power of two that gives each CPU its share. */
static uint64_t ring_bytes(size_t mib, size_t rings) {
    uint64_t share = ((uint64_t)mib << 20) / rings, bytes = SKIM_RING_MIN;
    while (bytes * 2 <= share)
        bytes *= 2;
    return bytes;
}

static bool configure(struct skim *skim, const struct skim_options *options) {
    struct skim_bpf *bpf = skim->bpf;
    uint32_t secret;
    if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
        return false;
    skim->ring_bytes = ring_bytes(options->ring_mib, skim->ring_count);
    skim->stride = sizeof(struct skim_ring) + skim->ring_bytes + SKIM_SLACK;
    bpf->rodata->ring_bytes = skim->ring_bytes;
    bpf->rodata->snaplen = options->snaplen < SNAPLEN_WHOLE ? options->snaplen : UINT32_MAX;
    bpf->rodata->secret = secret;
    bpf->rodata->all_ports = port_set_is_empty(&options->ports);
    return bpf_map__set_max_entries(bpf->maps.rings, (uint32_t)skim->ring_count) == 0 &&
           bpf_map__set_value_size(bpf->maps.rings, (uint32_t)skim->stride) == 0;
}

enum { PORTS = UINT16_MAX + 1 };

/* NULL, with errno: it is not to be had. */
static void *map_memory(const struct bpf_map *map, int access, size_t size) {
    void *memory = mmap(NULL, size, access, MAP_SHARED, bpf_map__fd(map), 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool map_all(struct skim *skim) {
    const int write = PROT_READ | PROT_WRITE;
    skim->memory = map_memory(skim->bpf->maps.rings, write, skim->stride * skim->ring_count);
    skim->ports = map_memory(skim->bpf->maps.ports, write, PORTS * sizeof *skim->ports);
    skim->flows = map_memory(skim->bpf->maps.flows, PROT_READ, SKIM_BUNDLES * sizeof *skim->flows);
    return skim->memory && skim->ports && skim->flows;
}

void skim_want(struct skim *skim, const struct port_set *ports) {
    for (unsigned port = 0; port < PORTS; port++)
        if (port_set_has(ports, (uint16_t)port))
            __atomic_store_n(&skim->ports[port], 1, __ATOMIC_RELAXED);
}

static bool refused(struct err *err, const char *what) {
    bool forbidden = errno == EPERM || errno == EACCES;
    return err_set(err, "eBPF: %s: %s%s", what, strerror(errno),
                   forbidden ? ": it needs root, or CAP_BPF and CAP_NET_ADMIN" : "");
}

static int link_to(int program, uint32_t ifindex, uint32_t where) {
    union bpf_attr attr = {
        .link_create = {.prog_fd = (uint32_t)program,
                        .target_ifindex = ifindex,
                        .attach_type = where},
    };
    return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr);
}

/* A kernel that knows tcx misses the interface, an older one the kind of link. */
static bool knows_tcx(int program) {
    return link_to(program, INT32_MAX, TCX_INGRESS) >= 0 || errno != EINVAL;
}

bool skim_open(struct skim *skim, const struct skim_options *options, struct err *err) {
    *skim = (struct skim){.ring_count = (size_t)libbpf_num_possible_cpus()};
    (void)libbpf_set_print(say_nothing); /* the verifier's log helps nobody at 3 AM */
    skim->bpf = skim_bpf__open();
    if (!skim->bpf || !configure(skim, options))
        return refused(err, "the programs cannot be prepared");
    if (skim_bpf__load(skim->bpf) != 0)
        return refused(err, "this kernel does not take the programs");
    skim->has_tcx = knows_tcx(bpf_program__fd(skim->bpf->progs.skim_ip));
    if (!map_all(skim))
        return refused(err, "the rings cannot be prepared");
    skim_want(skim, &options->ports);
    return true;
}

/* ---- attaching ---- */

/* What a packet has in front of IP; none of libpcap's other ways. */
static bool find_link_type(struct skim_device *device, unsigned hardware) {
    bool ethernet = hardware == ARPHRD_ETHER || hardware == ARPHRD_LOOPBACK;
    device->link_type = ethernet ? LINKTYPE_ETHERNET : LINKTYPE_RAW;
    return ethernet || hardware == ARPHRD_NONE || hardware == ARPHRD_PPP;
}

static bool hold_by_link(struct skim *skim, int program, uint32_t ifindex, bool loops) {
    for (uint32_t where = TCX_INGRESS; where <= (loops ? TCX_INGRESS : TCX_EGRESS); where++) {
        int link = link_to(program, ifindex, where);
        if (link < 0)
            return false;
        skim->links[skim->link_count++] = link;
    }
    return true;
}

static bool hold_by_filter(struct skim *skim, int program, uint32_t ifindex, bool loops) {
    bool held = clsact_attach(&skim->held[skim->held_count], program, ifindex, loops);
    skim->held_count += held;
    return held;
}

/* On the loopback device every packet that leaves comes in again. */
static bool hold(struct skim *skim, const struct skim_device *device, bool loops) {
    bool ethernet = device->link_type == LINKTYPE_ETHERNET;
    int program =
        bpf_program__fd(ethernet ? skim->bpf->progs.skim_ethernet : skim->bpf->progs.skim_ip);
    return skim->has_tcx ? hold_by_link(skim, program, device->ifindex, loops)
                         : hold_by_filter(skim, program, device->ifindex, loops);
}

static bool ask(const struct skim_device *device, unsigned long what, struct ifreq *ret_answer) {
    *ret_answer = (struct ifreq){0};
    memcpy(ret_answer->ifr_name, device->name, sizeof device->name);
    return ioctl(device->ioctls, what, ret_answer) == 0;
}

/* Two namespaces may have an interface of the same name and number. */
static bool is_attached(const struct skim *skim, const struct skim_device *device) {
    for (size_t i = 0; i < skim->device_count; i++)
        if (skim->devices[i].ifindex == device->ifindex && skim->devices[i].netns == device->netns)
            return true;
    return false;
}

static bool attach_device(struct skim *skim, struct skim_device *device, struct err *err) {
    struct ifreq index, flags, hardware;
    const char *name = device->name;
    if (!ask(device, SIOCGIFINDEX, &index))
        return err_set(err, "%.100s: there is no such interface: `ip link` lists them", name);
    if (!ask(device, SIOCGIFFLAGS, &flags) || !(flags.ifr_flags & IFF_UP))
        return err_set(err, "%.100s: the interface is down: `ip link set %.100s up`", name, name);
    device->ifindex = (uint32_t)index.ifr_ifindex;
    if (is_attached(skim, device)) /* once is enough */
        return true;
    if (!ask(device, SIOCGIFHWADDR, &hardware) ||
        !find_link_type(device, hardware.ifr_hwaddr.sa_family))
        return err_set(err, "eBPF: %.100s: neither an Ethernet nor an IP device", name);
    skim->full = skim->device_count == CAP_TAPS;
    if (skim->full)
        return err_set(err, "eBPF: more than %d interfaces: name fewer", CAP_TAPS);
    if (!hold(skim, device, flags.ifr_flags & IFF_LOOPBACK))
        return refused(err, name);
    skim->devices[skim->device_count++] = *device;
    return true;
}

/* In the namespace where we are. */
static bool attach_one(struct skim *skim, const char *name, struct err *err) {
    struct skim_device device = {.netns = netns_ours()};
    if (strlen(name) >= sizeof device.name)
        return err_set(err, "%.100s: there is no such interface: `ip link` lists them", name);
    memcpy(device.name, name, strlen(name));
    device.ioctls = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (device.ioctls < 0)
        return refused(err, name);
    size_t before = skim->device_count;
    bool attached = attach_device(skim, &device, err);
    if (skim->device_count == before)
        (void)close(device.ioctls);
    return attached;
}

/* Those that are down, or that are not read, are passed over; but nothing is left out in silence
 * because of the cap. */
static bool attach_all(struct skim *skim, struct err *err) {
    struct if_nameindex *all = if_nameindex();
    for (size_t i = 0; all && all[i].if_index && !skim->full; i++)
        (void)attach_one(skim, all[i].if_name, err);
    if_freenameindex(all);
    return skim->device_count > 0 && !skim->full;
}

static bool attach_here(struct skim *skim, const char *name, struct err *err) {
    return strcmp(name, "any") == 0 ? attach_all(skim, err) : attach_one(skim, name, err);
}

bool skim_attach(struct skim *skim, const char *name, struct err *err) {
    char interface[IF_NAMESIZE];
    struct err lost;
    int home;
    pid_t pid = netns_split(name, interface);
    if (pid == 0)
        return attach_here(skim, name, err);
    if (!netns_enter(pid, &home, err))
        return false;
    bool attached = attach_here(skim, interface, err);
    return netns_leave(home, &lost) ? attached : err_set(err, "%s", lost.text);
}

bool skim_keep(struct skim *skim, struct err *err) {
    skim->has_keeper =
        skim->held_count > 0 && keeper_start(&skim->keeper, skim->held, skim->held_count, err);
    return skim->has_keeper || skim->held_count == 0;
}

bool skim_is_there(const struct skim *skim, size_t index) {
    const struct skim_device *device = &skim->devices[index];
    struct ifreq answer;
    return ask(device, SIOCGIFINDEX, &answer) && (uint32_t)answer.ifr_ifindex == device->ifindex;
}

struct skim_ring *skim_ring(const struct skim *skim, size_t cpu) {
    return (struct skim_ring *)(skim->memory + cpu * skim->stride);
}

void skim_close(struct skim *skim) {
    if (skim->has_keeper)
        keeper_end(&skim->keeper);
    for (size_t i = 0; i < skim->held_count; i++)
        (skim->has_keeper ? clsact_leave : clsact_detach)(&skim->held[i]);
    for (size_t i = 0; i < skim->link_count; i++)
        (void)close(skim->links[i]);
    if (skim->memory)
        (void)munmap(skim->memory, skim->stride * skim->ring_count);
    if (skim->flows)
        (void)munmap((void *)(uintptr_t)skim->flows, SKIM_BUNDLES * sizeof *skim->flows);
    if (skim->ports)
        (void)munmap(skim->ports, PORTS * sizeof *skim->ports);
    if (skim->bpf)
        skim_bpf__destroy(skim->bpf);
    for (size_t i = 0; i < skim->device_count; i++)
        (void)close(skim->devices[i].ioctls);
}

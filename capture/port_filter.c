/* port_filter.c - libpcap compiles; how the filter comes into the kernel is another matter.
 *
 * pcap_setfilter puts a filter that takes nothing in between, and looks once more itself at what
 * waits in the ring, by the new one. What comes in that moment is lost, and counted by nobody. So
 * it is called once, when nothing has been read, with the widest filter that there will be: what it
 * looks at itself, it lets pass. The filter of the ports is then put in the place of the one before
 * by the bare system call, which the kernel does in one step.
 *
 * That filter is several, one behind the other, where whatever accepts a packet becomes a jump to
 * the next: what passes twice over loopback; the ports; the widest one; and what cuts large values
 * off. So the user's is compiled once, while names of ports and hosts may still be looked up. */
#include "capture/port_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "capture/cut_values.h"
#include "capture/source.h"

enum {
    TEXT_MAX = 8192,
    RANGES_MAX = 128, /* libpcap's optimiser takes time with the cube of them: 0.2 s */
    SLL_HEADER = 16,  /* of Linux cooked capture (`any`): libpcap makes it, the kernel has none */
    SLL_TYPE = 0,
    SLL_PROTOCOL = 14,
};

/* ---- compiling ---- */

/* "tcp and (port 7000 or portrange 17000-17002)" */
static void put_ports(struct buf *text, const struct port_set *ports) {
    uint16_t first, last;
    for (unsigned from = 0; port_set_run(ports, from, &first, &last); from = last + 1U) {
        buf_text(text, text->len ? " or " : "tcp and (");
        buf_printf(text, first < last ? "portrange %u-%u" : "port %u", first, last);
    }
    buf_text(text, ")");
}

static bool takes(const struct port_set *ports, struct err *err) {
    uint16_t first, last;
    size_t ranges = 0;
    for (unsigned from = 0; port_set_run(ports, from, &first, &last); from = last + 1U)
        ranges++;
    return ranges <= RANGES_MAX ||
           err_set(err,
                   "%zu ranges of ports, with those of the bus, are more than %d: name fewer "
                   "(-p), or interfaces alone (-i)",
                   ranges, RANGES_MAX);
}

/* Takes the text away; `shown` is what of it the user wrote. */
static bool compile(pcap_t *pcap, struct buf *text, const char *shown,
                    struct bpf_program *ret_program, struct err *err) {
    bool sound = !text->failed;
    *ret_program = (struct bpf_program){0};
    if (!sound)
        err_no_memory(err);
    else if (pcap_compile(pcap, ret_program, buf_str(text), 1, PCAP_NETMASK_UNKNOWN) != 0)
        sound = err_set(err, FILTER_IS_WRONG, shown, pcap_geterr(pcap));
    buf_free(text);
    return sound;
}

bool port_filter_open(struct port_filter *filter, pcap_t *pcap, const char *own, struct err *err) {
    struct buf text = {.max = TEXT_MAX};
    *filter = (struct port_filter){0};
    buf_text(&text, own ? "tcp and (" : "tcp");
    buf_text(&text, own ? own : "");
    buf_text(&text, own ? ")" : "");
    if (!compile(pcap, &text, own ? own : "tcp", &filter->widest, err))
        return false;
    return pcap_setfilter(pcap, &filter->widest) == 0 ||
           err_set(err, "the filter cannot be set: %.200s", pcap_geterr(pcap));
}

void port_filter_free(struct port_filter *filter) {
    pcap_freecode(&filter->widest);
}

/* ---- as the kernel sees packets ---- */

static bool loads_packet(const struct bpf_insn *insn) {
    unsigned mode = BPF_MODE(insn->code), class = BPF_CLASS(insn->code);
    return (class == BPF_LD || class == BPF_LDX) &&
           (mode == BPF_ABS || mode == BPF_IND || mode == BPF_MSH);
}

/* Of a packet that libpcap shows with a header of its own, the kernel sees what is behind that, and
 * keeps what is in it elsewhere. False: a part of which that is not so. */
static bool uncook(struct bpf_insn *insn) {
    if (!loads_packet(insn) || insn->k >= (uint32_t)SKF_AD_OFF)
        return true;
    if (insn->k == SLL_TYPE)
        insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);
    else if (insn->k == SLL_PROTOCOL)
        insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL);
    else if (insn->k >= SLL_HEADER)
        insn->k -= SLL_HEADER;
    else
        return false;
    return true;
}

static bool for_kernel(pcap_t *pcap, struct bpf_insn *program, unsigned len) {
    bool cooked = pcap_datalink(pcap) == DLT_LINUX_SLL, sound = true;
    for (unsigned i = 0; cooked && i < len; i++)
        sound = sound && uncook(&program[i]);
    return sound;
}

/* Where the kernel sees IP's header. False: not known. */
static bool ip_at(pcap_t *pcap, uint32_t *ret_ip) {
    static const struct {
        int link;
        uint32_t ip;
    } places[] = {{DLT_EN10MB, 14}, {DLT_LINUX_SLL, 0}, {DLT_RAW, 0}};
    for (size_t i = 0; i < countof(places); i++)
        if (places[i].link == pcap_datalink(pcap)) {
            *ret_ip = places[i].ip;
            return true;
        }
    return false;
}

/* ---- one behind the other ---- */

enum { LOOPBACK = 1, ONCE = 6 };

/* What leaves by the loopback device, which is the first of every network namespace, comes in by
 * it. libpcap shows it once in any case; so it is not even copied twice. */
static const struct bpf_insn once[ONCE] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LOOPBACK, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, 1),
};

struct chain {
    struct bpf_insn *insns;
    unsigned len;
};

static bool accepts(const struct bpf_insn *insn) {
    return BPF_CLASS(insn->code) == BPF_RET && (BPF_RVAL(insn->code) != BPF_K || insn->k != 0);
}

/* What the chain accepts so far goes through these, too. */
static void append(struct chain *chain, const struct bpf_insn *insns, unsigned len) {
    for (unsigned i = 0; i < chain->len; i++)
        if (accepts(&chain->insns[i]))
            chain->insns[i] = (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, chain->len - i - 1);
    for (unsigned i = 0; i < len; i++)
        chain->insns[chain->len++] = insns[i];
}

static void append_cut(struct chain *chain, pcap_t *pcap) {
    struct bpf_insn cut[CUT_VALUES_MAX];
    uint32_t ip;
    if (ip_at(pcap, &ip))
        append(chain, cut, cut_values(cut, ip, (uint32_t)pcap_snapshot(pcap)));
}

static bool attach(pcap_t *pcap, const struct chain *chain, struct err *err) {
    _Static_assert(sizeof(struct sock_filter) == sizeof *chain->insns, "libpcap has its form");
    const struct sock_fprog kernels = {.len = (unsigned short)chain->len,
                                       .filter = (struct sock_filter *)(void *)chain->insns};
    return setsockopt(pcap_fileno(pcap), SOL_SOCKET, SO_ATTACH_FILTER, &kernels, sizeof kernels) ==
               0 ||
           err_set(err, "the filter cannot be set: %s", strerror(errno));
}

/* What the kernel cannot look at, libpcap does in its place, for all ports. */
static bool put(const struct port_filter *filter, pcap_t *pcap, const struct bpf_program *ports,
                struct err *err) {
    size_t most = ONCE + ports->bf_len + filter->widest.bf_len + CUT_VALUES_MAX;
    struct chain chain = {.insns = calloc(most, sizeof *chain.insns)};
    if (!chain.insns)
        return err_no_memory(err);
    append(&chain, once, ONCE);
    append(&chain, ports->bf_insns, ports->bf_len);
    append(&chain, filter->widest.bf_insns, filter->widest.bf_len);
    bool sound = true;
    if (for_kernel(pcap, chain.insns, chain.len)) {
        append_cut(&chain, pcap);
        sound = attach(pcap, &chain, err);
    }
    free(chain.insns);
    return sound;
}

/* Of all ports: an empty program. */
static bool compile_ports(pcap_t *pcap, const struct port_set *ports,
                          struct bpf_program *ret_program, struct err *err) {
    struct buf text = {.max = TEXT_MAX};
    *ret_program = (struct bpf_program){0};
    if (port_set_is_empty(ports))
        return true;
    if (!takes(ports, err))
        return false;
    put_ports(&text, ports);
    return compile(pcap, &text, buf_str(&text), ret_program, err);
}

bool port_filter_set(const struct port_filter *filter, pcap_t *pcap, const struct port_set *ports,
                     struct err *err) {
    struct bpf_program program;
    if (!compile_ports(pcap, ports, &program, err))
        return false;
    bool sound = put(filter, pcap, &program, err);
    pcap_freecode(&program);
    return sound;
}

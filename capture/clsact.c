/* clsact.c - libbpf makes qdisc and filters; they are taken off by messages of our own, because
 * libbpf would open its socket wherever it is then. */
#include "capture/clsact.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    PRIORITY = 0x6275, /* "bu"; others run before it, and may end a packet's way */
    NUMBERS = 32,      /* of us at one interface */
    ANSWER_MAX = 16384,
};

static const uint32_t places[] = {TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
                                  TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)};

/* ---- messages ---- */

struct request {
    struct nlmsghdr head;
    struct tcmsg tc;
    struct nlattr kind;
    char name[8];
};

/* The answer's next message, or NULL: there is no answer. */
static const struct nlmsghdr *receive(int netlink, void *room, size_t *ret_len) {
    ssize_t len = recv(netlink, room, ANSWER_MAX, 0);
    *ret_len = len > 0 ? (size_t)len : 0;
    const struct nlmsghdr *head = room;
    return NLMSG_OK(head, *ret_len) ? head : NULL;
}

static bool send_request(int netlink, uint16_t type, uint16_t flags, const struct tcmsg *tc,
                         const char *kind) {
    struct request request = {
        .head = {.nlmsg_len = sizeof request, .nlmsg_type = type, .nlmsg_flags = flags},
        .tc = *tc,
        .kind = {.nla_type = TCA_KIND, .nla_len = (uint16_t)(NLA_HDRLEN + strlen(kind) + 1)},
    };
    memcpy(request.name, kind, strlen(kind));
    request.head.nlmsg_len =
        (uint32_t)(offsetof(struct request, kind) + NLA_ALIGN(request.kind.nla_len));
    return send(netlink, &request, request.head.nlmsg_len, 0) > 0;
}

static bool tell(int netlink, uint16_t type, const struct tcmsg *tc, const char *kind) {
    _Alignas(struct nlmsghdr) char room[ANSWER_MAX];
    size_t len;
    if (!send_request(netlink, type, NLM_F_REQUEST | NLM_F_ACK, tc, kind))
        return false;
    const struct nlmsghdr *head = receive(netlink, room, &len);
    return head && head->nlmsg_type == NLMSG_ERROR &&
           ((const struct nlmsgerr *)NLMSG_DATA(head))->error == 0;
}

static bool remove_filter(const struct clsact *clsact, uint32_t number, uint32_t place) {
    struct tcmsg tc = {
        .tcm_ifindex = (int)clsact->ifindex,
        .tcm_handle = number,
        .tcm_parent = place,
        .tcm_info = TC_H_MAKE((uint32_t)PRIORITY << 16, htons(ETH_P_ALL)),
    };
    return tell(clsact->netlink, RTM_DELTFILTER, &tc, "bpf");
}

static bool remove_filters(const struct clsact *clsact, uint32_t number) {
    bool came_in = remove_filter(clsact, number, places[0]);
    return remove_filter(clsact, number, places[1]) || came_in;
}

/* ---- the qdisc ---- */

/* Is there a filter in this answer's part? *ret_more: a further part follows. */
static bool tells_filter(const struct nlmsghdr *head, size_t len, bool *ret_more) {
    for (; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
        *ret_more = head->nlmsg_type == RTM_NEWTFILTER;
        if (!*ret_more || ((const struct tcmsg *)NLMSG_DATA(head))->tcm_handle != 0)
            return *ret_more;
    }
    return false;
}

/* Whoever cannot be asked may have one. */
static bool has_filters(const struct clsact *clsact, uint32_t place) {
    _Alignas(struct nlmsghdr) char room[ANSWER_MAX];
    struct tcmsg tc = {.tcm_ifindex = (int)clsact->ifindex, .tcm_parent = place};
    bool more =
        send_request(clsact->netlink, RTM_GETTFILTER, NLM_F_REQUEST | NLM_F_DUMP, &tc, "bpf");
    bool found = !more;
    while (more && !found) {
        size_t len;
        const struct nlmsghdr *head = receive(clsact->netlink, room, &len);
        found = !head || tells_filter(head, len, &more);
    }
    return found;
}

static void remove_qdisc(const struct clsact *clsact) {
    struct tcmsg tc = {.tcm_ifindex = (int)clsact->ifindex,
                       .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
                       .tcm_parent = TC_H_CLSACT};
    if (!has_filters(clsact, places[0]) && !has_filters(clsact, places[1]))
        (void)tell(clsact->netlink, RTM_DELQDISC, &tc, "clsact");
}

/* ---- numbers ---- */

/* Names of this kind are those of a network namespace, as interfaces are, and end with the socket.
 */
static int take_name(uint32_t ifindex, uint32_t number) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "bustap/clsact/%u/%u", ifindex,
                       number);
    int taken = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    if (taken < 0 || bind(taken, (struct sockaddr *)&name, size) == 0)
        return taken;
    (void)close(taken);
    return -1;
}

/* The first number that nobody has; the filters of all that nobody has are taken off. */
static bool take_number(struct clsact *clsact) {
    for (uint32_t number = 1; number <= NUMBERS; number++) {
        int name = take_name(clsact->ifindex, number);
        clsact->ours |= name < 0 || remove_filters(clsact, number);
        if (name >= 0 && clsact->name >= 0) {
            (void)close(name);
        } else if (name >= 0) {
            clsact->name = name;
            clsact->number = number;
        }
    }
    return clsact->name >= 0;
}

/* ---- attaching ---- */

static bool add_filter(const struct clsact *clsact, int program, enum bpf_tc_attach_point place) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)clsact->ifindex, .attach_point = place);
    LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program, .handle = clsact->number,
                .priority = PRIORITY);
    errno = -bpf_tc_attach(&hook, &filter);
    return errno == 0;
}

static bool make_qdisc(struct clsact *clsact) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)clsact->ifindex,
                .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
    int status = bpf_tc_hook_create(&hook);
    clsact->ours |= status == 0;
    errno = -status;
    return status == 0 || status == -EEXIST;
}

bool clsact_attach(struct clsact *clsact, int program, uint32_t ifindex, bool loops) {
    *clsact = (struct clsact){.ifindex = ifindex, .name = -1};
    clsact->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bool attached = clsact->netlink >= 0 && take_number(clsact) && make_qdisc(clsact) &&
                    add_filter(clsact, program, BPF_TC_INGRESS) &&
                    (loops || add_filter(clsact, program, BPF_TC_EGRESS));
    int why = errno;
    if (!attached)
        clsact_detach(clsact);
    errno = why;
    return attached;
}

void clsact_detach(struct clsact *clsact) {
    if (clsact->name >= 0)
        (void)remove_filters(clsact, clsact->number);
    if (clsact->name >= 0 && clsact->ours)
        remove_qdisc(clsact);
    clsact_leave(clsact);
}

void clsact_leave(struct clsact *clsact) {
    if (clsact->name >= 0)
        (void)close(clsact->name);
    if (clsact->netlink >= 0)
        (void)close(clsact->netlink);
}

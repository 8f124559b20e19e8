/* cut_values.c - a program in classic BPF, put together here since its language has no loops.
 *
 *   the payload begins with          it is read as
 *   "$16000\r\n..."                  a reply: one string
 *   "*3\r\n$3\r\nSET\r\n$1\r\nk..."  a request: strings of which the first few are short
 *
 * If a string is large and the packet ends exactly with its "\r\n", the packet is cut behind the
 * string's first bytes. All else is kept whole. A load behind the end of a packet would make the
 * kernel drop it; so only packets are looked at that are longer than what is read of them.
 *
 * Conditional jumps lead no further than 255 instructions on: so the program ends on the spot where
 * a packet is to be kept whole, and what leads further is a jump of its own behind the condition.
 */
#include "capture/cut_values.h"

#include <netinet/in.h>

#include "bpf/record.h"

enum {
    WORTHWHILE = 4096, /* bytes of a packet; less is copied nearly as fast as it is looked at */
    STRINGS = 4,       /* of a request are looked at: HSET key field value */
    DIGITS = 9,        /* of a string's length, at most */
    CRLF = 2,
    HEADERS_MAX = 14 + 60 + 60, /* Ethernet, IP, TCP */
    STRING_MAX = 1 + DIGITS + CRLF + SKIM_SHOWN + CRLF,
};

_Static_assert(HEADERS_MAX + (STRINGS + 1) * CRLF + (STRINGS - 1) * STRING_MAX + 1 + DIGITS + CRLF <
                   WORTHWHILE,
               "nothing is read behind the end of a packet");

/* Where the program keeps what. */
enum { NUMBER, DIGIT, LINE, HEAD };

struct draft {
    struct bpf_insn *insns;
    unsigned len;
    uint32_t snaplen;
};

static void put(struct draft *draft, unsigned code, uint32_t k) {
    draft->insns[draft->len++] = (struct bpf_insn)BPF_STMT((unsigned short)code, k);
}

/* So many instructions are passed over, if it is true and if it is not. */
static void put_jump(struct draft *draft, unsigned jump, uint32_t k, unsigned char then,
                     unsigned char otherwise) {
    draft->insns[draft->len++] =
        (struct bpf_insn)BPF_JUMP((unsigned short)(BPF_JMP | jump), k, then, otherwise);
}

static void keep_whole(struct draft *draft) {
    put(draft, BPF_RET | BPF_K, draft->snaplen);
}

/* Where it is not true, the packet is kept whole. */
static void require(struct draft *draft, unsigned jump, uint32_t k) {
    put_jump(draft, jump, k, 1, 0);
    keep_whole(draft);
}

/* Where it is true. */
static void refuse(struct draft *draft, unsigned jump, uint32_t k) {
    put_jump(draft, jump, k, 0, 1);
    keep_whole(draft);
}

/* A jump to a place that comes later: land() says where. */
static unsigned leave(struct draft *draft) {
    put(draft, BPF_JMP | BPF_JA, 0);
    return draft->len - 1;
}

static unsigned leave_if(struct draft *draft, unsigned jump, uint32_t k) {
    put_jump(draft, jump, k, 0, 1);
    return leave(draft);
}

static void land(struct draft *draft, unsigned from) {
    draft->insns[from].k = draft->len - from - 1;
}

/* A += a word of the program's. X is lost. */
static void add(struct draft *draft, uint32_t word) {
    put(draft, BPF_LDX | BPF_MEM, word);
    put(draft, BPF_ALU | BPF_ADD | BPF_X, 0);
}

/* ---- the headers ---- */

enum {
    HIGH = 0xf0, /* half of a byte: the version of IP, or the length of TCP's header in words */
    IP6 = 0x60,
    IP4_FRAGMENT = 6,  /* where it says whether it is one */
    IP4_PART = 0x3fff, /* more of them follow, or came before */
    IP6_NEXT = 6,      /* which header is behind this one */
    IP6_HEADER = 40,
    TCP_LENGTH = 12,
};

/* X becomes the length of IP's header. */
static void put_ip(struct draft *draft, uint32_t ip) {
    put(draft, BPF_LD | BPF_B | BPF_ABS, ip);
    put(draft, BPF_ALU | BPF_AND | BPF_K, HIGH);
    unsigned is_ip6 = leave_if(draft, BPF_JEQ, IP6);
    put(draft, BPF_LD | BPF_H | BPF_ABS, ip + IP4_FRAGMENT);
    refuse(draft, BPF_JSET, IP4_PART);
    put(draft, BPF_LDX | BPF_B | BPF_MSH, ip);
    unsigned done = leave(draft);
    land(draft, is_ip6);
    put(draft, BPF_LD | BPF_B | BPF_ABS, ip + IP6_NEXT);
    require(draft, BPF_JEQ, IPPROTO_TCP);
    put(draft, BPF_LDX | BPF_IMM, IP6_HEADER);
    land(draft, done);
}

/* LINE and X become where the payload begins. */
static void put_headers(struct draft *draft, uint32_t ip) {
    put(draft, BPF_LD | BPF_LEN, 0);
    require(draft, BPF_JGE, WORTHWHILE);
    put_ip(draft, ip);
    put(draft, BPF_LD | BPF_B | BPF_IND, ip + TCP_LENGTH);
    put(draft, BPF_ALU | BPF_AND | BPF_K, HIGH);
    put(draft, BPF_ALU | BPF_RSH | BPF_K, 2);
    put(draft, BPF_ALU | BPF_ADD | BPF_X, 0);
    put(draft, BPF_ALU | BPF_ADD | BPF_K, ip);
    put(draft, BPF_MISC | BPF_TAX, 0);
    put(draft, BPF_ST, LINE);
}

/* ---- the strings ---- */

/* LINE and X become what A is. */
static void go_on_from_here(struct draft *draft) {
    put(draft, BPF_ST, LINE);
    put(draft, BPF_MISC | BPF_TAX, 0);
}

/* "*3\r\n", or nothing. */
static void put_array(struct draft *draft) {
    put(draft, BPF_LD | BPF_W | BPF_IND, 0);
    put(draft, BPF_ALU | BPF_AND | BPF_K, 0xff00ffff);
    put_jump(draft, BPF_JEQ, 0x2a000d0a, 0, 4);
    put(draft, BPF_LD | BPF_MEM, LINE);
    put(draft, BPF_ALU | BPF_ADD | BPF_K, sizeof "*3\r\n" - 1);
    go_on_from_here(draft);
}

/* NUMBER becomes ten times itself and the digit in A; with any other byte the packet is kept. */
static void put_digit(struct draft *draft) {
    put(draft, BPF_ALU | BPF_SUB | BPF_K, '0');
    refuse(draft, BPF_JGT, 9);
    put(draft, BPF_ST, DIGIT);
    put(draft, BPF_LD | BPF_MEM, NUMBER);
    put(draft, BPF_ALU | BPF_MUL | BPF_K, 10);
    add(draft, DIGIT);
    put(draft, BPF_ST, NUMBER);
    put(draft, BPF_LDX | BPF_MEM, LINE);
}

/* NUMBER becomes that of the digits behind the line's first byte, HEAD the length of the line. */
static void put_number(struct draft *draft) {
    unsigned found[DIGITS];
    put(draft, BPF_LD | BPF_IMM, 0);
    put(draft, BPF_ST, NUMBER);
    put(draft, BPF_LD | BPF_B | BPF_IND, 1);
    for (unsigned i = 1; i <= DIGITS; i++) {
        put_digit(draft);
        put(draft, BPF_LD | BPF_IMM, 1 + i + CRLF);
        put(draft, BPF_ST, HEAD);
        put(draft, BPF_LD | BPF_B | BPF_IND, 1 + i);
        found[i - 1] = leave_if(draft, BPF_JEQ, '\r');
    }
    keep_whole(draft);
    for (unsigned i = 0; i < DIGITS; i++)
        land(draft, found[i]);
}

/* Passes a short string over. Returns the jump of a large one. */
static unsigned put_string(struct draft *draft) {
    put(draft, BPF_LD | BPF_B | BPF_IND, 0);
    require(draft, BPF_JEQ, '$');
    put_number(draft);
    put(draft, BPF_LD | BPF_MEM, NUMBER);
    unsigned large = leave_if(draft, BPF_JGT, SKIM_SHOWN);
    add(draft, LINE);
    add(draft, HEAD);
    put(draft, BPF_ALU | BPF_ADD | BPF_K, CRLF);
    go_on_from_here(draft);
    return large;
}

/* HEAD becomes where the string begins. INFO's answer is read, so it is kept. */
static void put_large(struct draft *draft) {
    put(draft, BPF_LD | BPF_MEM, LINE);
    add(draft, HEAD);
    put(draft, BPF_ST, HEAD);
    put(draft, BPF_MISC | BPF_TAX, 0);
    put(draft, BPF_LD | BPF_B | BPF_IND, 0);
    refuse(draft, BPF_JEQ, '#');
}

/* Does the packet end with the string's "\r\n"? */
static void put_end(struct draft *draft) {
    put(draft, BPF_LD | BPF_MEM, HEAD);
    add(draft, NUMBER);
    put(draft, BPF_MISC | BPF_TAX, 0);
    put(draft, BPF_LD | BPF_LEN, 0);
    put(draft, BPF_ALU | BPF_SUB | BPF_K, CRLF);
    require(draft, BPF_JEQ | BPF_X, 0);
    put(draft, BPF_LD | BPF_H | BPF_IND, 0);
    require(draft, BPF_JEQ, '\r' << 8 | '\n');
}

static void put_cut(struct draft *draft) {
    put(draft, BPF_LD | BPF_MEM, HEAD);
    put(draft, BPF_ALU | BPF_ADD | BPF_K, SKIM_HEAD);
    refuse(draft, BPF_JGT, draft->snaplen);
    put(draft, BPF_RET | BPF_A, 0);
}

unsigned cut_values(struct bpf_insn program[CUT_VALUES_MAX], uint32_t ip, uint32_t snaplen) {
    struct draft draft = {.insns = program, .snaplen = snaplen};
    unsigned large[STRINGS];
    put_headers(&draft, ip);
    put_array(&draft);
    for (unsigned i = 0; i < STRINGS; i++)
        large[i] = put_string(&draft);
    keep_whole(&draft);
    for (unsigned i = 0; i < STRINGS; i++)
        land(&draft, large[i]);
    put_large(&draft);
    put_end(&draft);
    put_cut(&draft);
    return draft.len;
}

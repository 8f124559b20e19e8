/* finding.h - a conclusion about the run: what happened, to whom, when, how we know, what to do.
 * The types are promised to whoever reads the JSON, as are their metrics and verdicts
 * (tests/lib/contract.py).
 *
 *   struct finding *finding = finding_new("node-failed", SEVERITY_CRITICAL, start);
 *   finding_title(finding, "%s was marked failed", name);
 *   value_number(finding_metrics(finding), "detection_ms", 6600);
 *   detection_report(detection, finding);
 *
 * A finding owns all that is put into it. Without memory there is none, or it lacks something and
 * says so (finding_seal); NULL is passed over by every function here. */
#ifndef BUSTAP_ANALYSIS_FINDING_H
#define BUSTAP_ANALYSIS_FINDING_H

#include "analysis/place.h"
#include "analysis/value.h"

enum severity { SEVERITY_INFO, SEVERITY_NOTICE, SEVERITY_WARNING, SEVERITY_CRITICAL };
enum confidence { CONFIDENCE_POSSIBLE, CONFIDENCE_LIKELY, CONFIDENCE_CERTAIN };

const char *severity_name(enum severity severity);
const char *confidence_name(enum confidence confidence);

/* A sentence of a list of them. */
struct sentence {
    const char *text;
    struct sentence *next;
};

struct evidence {
    struct place place;
    const char *note;
    struct evidence *next;
};

struct finding {
    const char *type;
    enum severity severity;
    enum confidence confidence; /* certain, unless it is lowered */
    nstime start, end;          /* end TIME_NONE: still going on when the capture ended */
    const char *title;
    const char *explanation;
    const char *verdict; /* static */
    struct sentence *ruled_out, *caveats, *advice;
    struct value nodes, clients, addrs; /* whom it concerns: lists */
    uint8_t *slots;                     /* likewise; BUS_SLOT_BYTES, NULL: none */
    struct value metrics;               /* an object */
    struct evidence *evidence;
    size_t evidence_count, evidence_left_out;
    bool quiet_if_caused;        /* a notice, if it follows from another finding */
    bool rests_on_unseen;        /* on something that was not there: less sure if much was missed */
    size_t incident;             /* of the run, from 1 on; 0: it stands alone */
    const struct finding *cause; /* the finding that this one follows from; NULL: none */
    struct arena arena;
};

/* NULL: out of memory. */
struct finding *finding_new(const char *type, enum severity severity, nstime start);
void finding_free(struct finding *finding);

/* Over at `end`, and what it was: one of our own words, static; NULL: unknown. */
void finding_ends(struct finding *finding, nstime end, const char *verdict);

/* One sentence without a full stop; a new one replaces the old. */
void finding_title(struct finding *finding, const char *format, ...) ATTR_PRINTF(2, 3);

/* Adds to what was said before, after a blank: whole sentences. */
void finding_explain(struct finding *finding, const char *format, ...) ATTR_PRINTF(2, 3);

/* Each adds one to its list. */
void finding_rule_out(struct finding *finding, const char *format, ...) ATTR_PRINTF(2, 3);
void finding_caveat(struct finding *finding, const char *format, ...) ATTR_PRINTF(2, 3);
void finding_advise(struct finding *finding, const char *format, ...) ATTR_PRINTF(2, 3);

/* Adds a packet that proves it; at most CAP_EVIDENCE stay, the first ones. */
void finding_evidence(struct finding *finding, const struct place *place, const char *format, ...)
    ATTR_PRINTF(3, 4);

/* Whom it concerns; each once. An address whose port is not known (0) is none. */
void finding_node(struct finding *finding, const char *node);
void finding_client(struct finding *finding, const struct endpoint *client);
void finding_addr(struct finding *finding, const struct endpoint *addr);
void finding_slot(struct finding *finding, uint32_t slot);
void finding_slots(struct finding *finding, const uint8_t *slots); /* BUS_SLOT_BYTES */

/* Where its metrics go; NULL for NULL. */
struct value *finding_metrics(struct finding *finding);

/* "40 ms", "5.3 s", "12 min": as people say it. Returns `text`. */
enum { DURATION_TEXT = 32 };
const char *finding_duration(nstime duration, char text[DURATION_TEXT]);

/* "4352 B", "1.2 MB"; powers of 1000. Returns `text`. */
enum { BYTES_TEXT = 32 };
const char *finding_bytes(uint64_t bytes, char text[BYTES_TEXT]);

/* To be called once, when nothing more is added: says so in a caveat if something found no room. */
void finding_seal(struct finding *finding);

/* It rests on something that was not there. At the end of the run it says so and is made less, if
 * the capture missed anything (engine.c). */
void finding_rests_on_unseen(struct finding *finding);

/* Lowers the confidence to this, if it is not lower already. */
void finding_doubt(struct finding *finding, enum confidence confidence);

#endif

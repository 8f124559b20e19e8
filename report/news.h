/* news.h - the last things that were concluded or found, as text, for whoever looks on. */
#ifndef BUSTAP_REPORT_NEWS_H
#define BUSTAP_REPORT_NEWS_H

#include "base/limits.h"
#include "report/sink.h"

enum { SEVERITY_CHANGE = -1 /* no finding, but a change of state */ };

struct news_item {
    nstime time;  /* when it ended; of a finding that has not, when it began */
    int severity; /* enum severity, or SEVERITY_CHANGE */
    char *title;
    char *
        whole; /* a finding with its proof, in lines of any length; NULL: there is no more to say */
};

/* The last CAP_NEWS of them; zero-initialised it is empty. */
struct news {
    struct news_item ring[CAP_NEWS];
    uint64_t total; /* all that there were: item n stands at n % CAP_NEWS */
};

/* Want of memory leaves an item out. */
void news_change(struct news *news, const struct model *model, const struct event *event);
void news_finding(struct news *news, const struct sink_options *options,
                  const struct finding *finding);
void news_free(struct news *news);

/* Item n of all, counted from 0; NULL: it is not there any more, or not yet. */
const struct news_item *news_item(const struct news *news, uint64_t n);

#endif

/* news.c - a ring of texts. */
#include "report/news.h"

#include <stdlib.h>

#include "report/report_text.h"

enum { TITLE_MAX = 1024, WHOLE_MAX = 256 << 10 };

static void item_free(struct news_item *item) {
    free(item->title);
    free(item->whole);
}

/* Takes over the texts. */
static void add(struct news *news, struct news_item item) {
    if (!item.title) {
        item_free(&item);
        return;
    }
    struct news_item *place = &news->ring[news->total++ % CAP_NEWS];
    item_free(place);
    *place = item;
}

void news_change(struct news *news, const struct model *model, const struct event *event) {
    struct buf title = {.max = TITLE_MAX};
    timeline_sentence(&title, model, event);
    add(news, (struct news_item){event->time, SEVERITY_CHANGE, title.data, NULL});
}

void news_finding(struct news *news, const struct sink_options *options,
                  const struct finding *finding) {
    struct buf whole = {.max = WHOLE_MAX}; /* what is longer is cut */
    struct sink_options plain = *options;
    plain.colour = false;
    struct page page = {.buf = &whole, .options = &plain, .model = options->model, .endless = true};
    page_finding(&page, finding);
    nstime time = finding->end == TIME_NONE ? finding->start : finding->end;
    add(news, (struct news_item){time, (int)finding->severity, strdup(finding->title), whole.data});
}

void news_free(struct news *news) {
    for (size_t i = 0; i < CAP_NEWS; i++)
        item_free(&news->ring[i]);
}

const struct news_item *news_item(const struct news *news, uint64_t n) {
    bool kept = n < news->total && news->total - n <= CAP_NEWS;
    return kept ? &news->ring[n % CAP_NEWS] : NULL;
}

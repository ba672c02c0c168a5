/*
 * Objects that one thread has used and keeps for reuse, so that a request
 * costs no malloc for what every request needs. Each is kept by a link that it
 * contains. What would be more than SPARE_MAX is left to the caller, who frees
 * it: so many at once are a burst.
 */
#ifndef NEARSIDE_BASE_SPARE_H
#define NEARSIDE_BASE_SPARE_H

#include "nearside/base/list.h"

enum {
    SPARE_MAX = 128,
};

struct spare {
    struct list list;
    unsigned len;
};

static inline void
spare_init(struct spare *spare)
{
    list_init(&spare->list);
    spare->len = 0;
}

/* The link of the object that was kept last; NULL: there is none. */
static inline struct list *
spare_take(struct spare *spare)
{
    struct list *link = list_pop(&spare->list);

    MUST((link != NULL) == (spare->len > 0));
    if (link != NULL) {
        spare->len--;
    }
    return link;
}

/* False: there are enough, and the caller frees it. */
static inline bool
spare_keep(struct spare *spare, struct list *link)
{
    if (spare->len >= SPARE_MAX) {
        return false;
    }
    list_init(link);
    list_push_front(&spare->list, link);
    spare->len++;
    return true;
}

#endif

/*
 * Intrusive circular list: the link lives inside the object, so linking
 * never allocates and unlinking needs no search.
 */
#ifndef NEARSIDE_BASE_LIST_H
#define NEARSIDE_BASE_LIST_H

#include <stdbool.h>

#include "nearside/base/check.h"

struct list {
    struct list *next;
    struct list *prev;
};

/* An empty list, or a link that is on no list. */
static inline void
list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
    return l->next == l;
}

/* A link that was never initialised also counts as being on no list. */
static inline bool
list_is_linked(const struct list *link)
{
    return link->next != NULL && link->next != link;
}

static inline void
list_push_back(struct list *list, struct list *link)
{
    MUST(!list_is_linked(link));
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

static inline void
list_push_front(struct list *list, struct list *link)
{
    list_push_back(list->next, link);
}

/* Harmless on a link that is on no list. */
static inline void
list_remove(struct list *link)
{
    if (link->next == NULL) {
        return;
    }
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* First link, or NULL. */
static inline struct list *
list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->next;
}

/* Takes the first link off, or gives NULL. */
static inline struct list *
list_pop(struct list *list)
{
    struct list *link = list_first(list);

    if (link != NULL) {
        list->next = link->next;
        link->next->prev = list;
        list_init(link);
    }
    return link;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void
list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Walks; the current link may be removed, the next one may not. */
#define LIST_EACH(it, of)                                                      \
    for (struct list *it = (of)->next, *it##_next = it->next; it != (of);      \
         it = it##_next, it##_next = it->next)

#endif

/*
 * What the origin's answer to a HEAD says of the stored response to a GET
 * (RFC 9111 4.3.5).
 */
#ifndef NEARSIDE_WRITE_HEAD_UPDATE_H
#define NEARSIDE_WRITE_HEAD_UPDATE_H

#include "nearside/rules/question.h"

struct worker;

struct head_update {
    struct question *q;        /* the HEAD's */
    const struct entry *found; /* before the origin was asked */
    const struct head *response;
    int64_t request_ms;  /* wall, when the origin was asked */
    struct arena *arena; /* for the call */
};

/*
 * If the answer agrees with the response that was found, that response is
 * stored again with the answer's fields and lifetime. If not, it is deleted;
 * if the target varies by something else now, all its variants are. The caller
 * waits for neither. True: a renewed response is on its way to be stored.
 */
bool head_update(struct worker *w, const struct head_update *u);

#endif

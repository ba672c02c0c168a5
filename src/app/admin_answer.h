/* What a request to the admin or metrics listener is answered. */
#ifndef APP_ADMIN_ANSWER_H
#define APP_ADMIN_ANSWER_H

#include "nearside/app/admin.h"
#include "nearside/base/buf.h"
#include "nearside/http/head.h"

enum {
    ADMIN_HEAD_OUT = 512,              /* bytes of an answer's head */
    ADMIN_BODY_MAX = 16 * 1024 * 1024, /* bytes of an answer's body */
};

struct admin_answer {
    unsigned status;
    const char *type;
    const char *allow; /* NULL: no such field */
    size_t head_len;
    char head[ADMIN_HEAD_OUT];
    struct buf body; /* what is sent: nothing to a HEAD */
};

void admin_answer_init(struct admin_answer *answer);
void admin_answer_fini(struct admin_answer *answer);

/* The listener that was asked. */
struct admin_asked {
    enum admin_kind kind;
    bool is_unix;
    const struct admin_sources *sources;
};

/* Fills the answer to a request that was read whole. */
void admin_answer_request(struct admin_answer *answer,
    const struct admin_asked *asked, const struct head *head, int64_t wall_ms);

/* Fills an answer that says no: the status and a line that says why. */
void admin_answer_refusal(struct admin_answer *answer, unsigned status,
    const char *why, int64_t wall_ms);

#endif

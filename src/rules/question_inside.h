/* What the two files of questions share: question.c makes them of requests,
   question_of.c makes them of other questions. */
#ifndef RULES_QUESTION_INSIDE_H
#define RULES_QUESTION_INSIDE_H

#include "nearside/rules/question.h"

/* One that was given back, or a new one, with nothing but an empty arena in it.
   NULL: no memory. */
struct question *question_take(struct question_pool *pool);

/* The key in Redis of the key that it has. RC_NOMEM. */
enum rc question_make_entry_key(struct question *q) RC_MUST_CHECK;

#endif

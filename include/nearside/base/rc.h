/*
 * The one error type. Every fallible function returns an enum rc, and the
 * compiler insists that it is looked at. RC_AGAIN (more bytes or more time
 * may help) is never used for RC_BAD (the bytes are wrong).
 */
#ifndef NEARSIDE_BASE_RC_H
#define NEARSIDE_BASE_RC_H

enum rc {
#define RC(name, text) RC_##name,
#include "nearside/base/rc.def"
#undef RC
};

#define RC_MUST_CHECK __attribute__((warn_unused_result))

/* A short lower-case phrase for logs; never NULL. */
const char *rc_text(enum rc rc);

#endif

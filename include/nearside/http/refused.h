/* What a head that was refused seems to have asked for, so that somebody who
   reads the log can find it. Nothing is decided by it. */
#ifndef NEARSIDE_HTTP_REFUSED_H
#define NEARSIDE_HTTP_REFUSED_H

#include "nearside/http/parse.h"

/*
 * Fills in method_text, target, version and host of an otherwise empty head, as
 * far as they can be told apart in `raw`: any bytes may be in them but LF, and
 * each is a loan into raw.
 */
void refused_read(struct slice raw, struct head *out);

/* The fault of a head that was refused for `fault`: when the bytes are those of
   another protocol (TLS, the PROXY protocol, HTTP/2), that is named instead. */
enum parse_fault refused_as(struct slice raw, enum parse_fault fault);

#endif

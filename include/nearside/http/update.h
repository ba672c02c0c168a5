/*
 * Freshening what is stored by a 304 or by the answer to a HEAD (RFC 9111
 * 3.2, 4.3.4, 4.3.5).
 */
#ifndef NEARSIDE_HTTP_UPDATE_H
#define NEARSIDE_HTTP_UPDATE_H

#include "nearside/http/write.h"

/*
 * Does the 304 speak of this stored response (4.3.4)? By its validators:
 * the strong ones if it has any, else the weak ones. A 304 without any, as
 * many an origin sends against RFC 9110 15.4.5, speaks of the one that was
 * asked about: the request named the validators of this response and of no
 * other (condition_write_validators). What is not identified must not be
 * updated.
 */
bool update_is_identified(
    const struct head *not_modified, struct slice stored_lines, int64_t now_s);

enum update_head {
    UPDATE_HEAD_NONE,    /* not a 200, or without anything to compare: it says
                            nothing of what is stored */
    UPDATE_HEAD_FRESHEN, /* the same representation: merge its fields */
    UPDATE_HEAD_STALE,   /* another one: what is stored is stale */
};

/* What the answer to a HEAD does to a stored response to GET (4.3.5). */
enum update_head update_by_head(const struct head *response,
    struct slice stored_lines, uint64_t stored_length);

/*
 * Writes the stored lines as they are after the update: those that nothing
 * replaces, then the new ones, names lower-case; Set-Cookie is one of those
 * only where it is stored, too (has_set_cookie). Of Vary the stored lines stay,
 * and names that they lack are added. Room enough: the stored
 * lines and a name, value and 4 bytes for each field. RC_LIMIT: w is full.
 */
enum rc update_merge(const struct head *response, struct slice stored_lines,
    bool has_set_cookie, struct writer *w) RC_MUST_CHECK;

#endif

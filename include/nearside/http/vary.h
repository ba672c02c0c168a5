/*
 * Vary (RFC 9110 12.5.5, RFC 9111 4.1): which request fields choose among
 * the responses of one URI, and the text by which two requests are found to
 * choose alike.
 */
#ifndef NEARSIDE_HTTP_VARY_H
#define NEARSIDE_HTTP_VARY_H

#include "nearside/http/write.h"

enum {
    /* Of a vary_list, which leaves as much again for the response's own. */
    VARY_LIST_MAX = 8,
    VARY_LIST_TEXT_MAX = 256,

    VARY_NAMES_MAX = 2 * VARY_LIST_MAX,
    VARY_TEXT_MAX = 768, /* all names with commas between them */
};

/* Names that vary without bound: taken only where somebody asked for it. */
struct vary_opts {
    bool allows_cookie;
    bool allows_authorization;
    bool allows_user_agent;
};

/* Lower-case names, each once, sorted by their bytes. */
struct vary {
    unsigned count;
    unsigned unsent; /* bit i: the origin does not get to see the i-th one
                        from this client; 0 until its user says so */
    uint16_t ends[VARY_NAMES_MAX]; /* behind each name in text */
    uint16_t text_len;
    char text[VARY_TEXT_MAX]; /* "accept,accept-encoding" */
};

/*
 * All Vary lines of a response. RC_OK: *out, perhaps without a name.
 * RC_REFUSED: "*" anywhere, a name that opts does not allow, or a field that
 * we write ourselves for each client (Forwarded, X-Forwarded-For). RC_LIMIT:
 * too many names. RC_BAD: a member that is no field name. In all but RC_OK
 * the response must not be stored, and *out is undefined.
 */
enum rc vary_read(const struct head *response, const struct vary_opts *opts,
    struct vary *out) RC_MUST_CHECK;

/* The same for one value, as in the list of a Vary record. */
enum rc vary_parse(struct slice value, const struct vary_opts *opts,
    struct vary *out) RC_MUST_CHECK;

/*
 * The names of both. RC_LIMIT: too many. out is neither of them.
 */
enum rc vary_join(
    const struct vary *a, const struct vary *b, struct vary *out) RC_MUST_CHECK;

/* Does the list of a Vary record have all of its names? */
bool vary_is_within(const struct vary *v, struct slice record_names);

/* Lower-case names that a response varies by whether it says so or not: no more
   than VARY_LIST_MAX, and VARY_LIST_TEXT_MAX bytes with a comma for each. */
struct vary_list {
    const struct slice *names;
    size_t count;
};

/* Adds them, whatever they are. RC_LIMIT: too many; v is then undefined. */
enum rc vary_add(struct vary *v, const struct vary_list *list) RC_MUST_CHECK;

/* Writes a Vary line of those of the list that the response does not name;
   nothing if it names them all, or "*". */
void vary_write_missing(const struct head *response,
    const struct vary_list *list, struct writer *w);

/* The names as one text, by which they can be read again. */
static inline struct slice
vary_text(const struct vary *v)
{
    return slice_of(v->text, v->text_len);
}

/* The i-th name; i < v->count. */
struct slice vary_name(const struct vary *v, unsigned i);

/*
 * What the request says for those names, one line each: "name: value\n", or
 * "name\n" when the field is not there, which differs from an empty one.
 * Several lines of a field are joined. Accept-Encoding and Accept-Language are
 * written in their normal form. Two requests choose alike if their texts are
 * equal. A field that is not sent on counts as not there: it cannot choose.
 * RC_LIMIT: w is full.
 *
 * The normal form of Accept-Language is in lower case and without whitespace.
 * Its ranges stand by falling weight, and those of equal weight in the order
 * in which they came. A weight has no trailing zeros, and q=1 is left out. A
 * value that is malformed, or has more than 32 ranges, stays as it is.
 */
enum rc vary_write_variant(const struct vary *v, const struct head *request,
    struct writer *w) RC_MUST_CHECK;

/*
 * The normal form of a request's Accept-Encoding, which is also what is to
 * be sent to the origin when a response may be stored: "br, gzip", "br",
 * "gzip" or "identity", by what is accepted (q=0 is not). A field that
 * refuses identity, or is malformed, is left as it is: the lines joined.
 * RC_MISS: no such field. RC_LIMIT: w is full.
 */
enum rc vary_write_accept_encoding(
    const struct head *request, struct writer *w) RC_MUST_CHECK;

#endif

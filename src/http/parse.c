/*
 * The head parser: bytes to lines, lines to a struct head.
 *
 *   AT_START --> AT_METHOD --> AT_TARGET --> AT_VERSION --+
 *            `-> AT_STATUS ------> AT_REASON -------------+--> AT_FIELD
 *                                                              |  ^
 *                                               AT_NAME <------+  |
 *                                                  `--> AT_VALUE -+
 *
 * Laws.
 * - The state that eats a byte judges it, and looks at nothing but the bytes
 *   before it. So it does not matter where reads cut a head, and a head is
 *   refused as soon as the offending byte is there.
 * - A limit is checked when its run of bytes ends, and when the bytes that
 *   have come end; both give the same answer.
 * - The hot path is a head that comes whole: one pass, fields stored as they
 *   are found, nothing zeroed that is not read. A head that comes in pieces
 *   is scanned as it grows, without storing (the bytes may move between two
 *   calls, and *out may be another one's meanwhile), and when its end is
 *   there one pass over the whole collects the fields. So the cost is twice
 *   a whole head's, however small the pieces.
 */
#include "nearside/http/parse.h"

#include "http/judge.h"
#include "nearside/base/check.h"
#include "http/scan.h"

enum {
    /* Below what origins take (Apache: 8,190), so that a request too large
       for them ends here and no error page of theirs is there to be stored. */
    TARGET_MAX_DEFAULT = 8000,
    FIELD_MAX_DEFAULT = 8000,
    HEAD_MAX_DEFAULT = 32768,
    NAME_MAX_DEFAULT = 256,
    REQUEST_FIELDS_DEFAULT = 100,
    RESPONSE_FIELDS_DEFAULT = 128,
};

static const struct {
    unsigned status;
    const char *text;
    const char *name;
} faults[] = {
#define FAULT(name, status, text) [FAULT_##name] = {status, text, #name},
#include "nearside/http/fault.def"
#undef FAULT
};

unsigned
fault_status(enum parse_fault fault)
{
    MUST((unsigned)fault < ARRAY_LEN(faults));
    return faults[fault].status;
}

const char *
fault_text(enum parse_fault fault)
{
    MUST((unsigned)fault < ARRAY_LEN(faults));
    return faults[fault].text;
}

const char *
fault_name(enum parse_fault fault)
{
    MUST((unsigned)fault < ARRAY_LEN(faults));
    return faults[fault].name;
}

void
parse_start(struct parse *p)
{
    *p = (struct parse){0};
}

static inline size_t
or_default(size_t value, size_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static inline void
scan_init(struct scan *s, struct parse *p, const struct parse_opts *opts,
    struct slice in, unsigned fields_default)
{
    size_t head_max = or_default(opts->head_max, HEAD_MAX_DEFAULT);
    size_t fields_max = or_default(opts->fields_max, fields_default);

    MUST(p->scanned <= in.len);
    s->head_max = head_max;
    s->target_max = or_default(opts->target_max, TARGET_MAX_DEFAULT);
    s->field_max = or_default(opts->field_max, FIELD_MAX_DEFAULT);
    s->name_max = or_default(opts->name_max, NAME_MAX_DEFAULT);
    s->fields_max = fields_max < HEAD_FIELDS_MAX ? fields_max : HEAD_FIELDS_MAX;
    s->keep_underscore = opts->keep_underscore;
    s->p = p;
    s->base = in.ptr == NULL ? "" : in.ptr;
    s->at = s->base + p->scanned;
    s->end = s->base + (in.len < head_max ? in.len : head_max);
    s->repeated = 0;
}

/* All but the fields, of which only field_count are ever read. */
static inline void
clear_head(struct head *h, enum method method)
{
    memset(h, 0, offsetof(struct head, fields));
    h->method = method;
}

/* Runs the machine as far as the bytes go, and remembers how far. */
static inline enum rc
run(struct scan *s, bool is_request)
{
    enum rc rc = RC_OK;

    if (s->p->state < AT_FIELD) {
        rc = is_request ? scan_request_line(s) : scan_status_line(s);
    }
    if (rc == RC_OK) {
        rc = scan_field_lines(s);
    }
    s->p->scanned = offset(s);
    if (rc == RC_AGAIN && (size_t)(s->end - s->base) == s->head_max) {
        return refuse(s, FAULT_HEAD_LONG);
    }
    return rc;
}

/* RC_OK: the lines are in out, whether they came whole or in pieces. */
static inline enum rc
collect(struct scan *s, struct head *out, bool is_request)
{
    enum rc rc;

    if (s->p->state == AT_FAULT) {
        return RC_BAD;
    }
    MUST(s->p->state != AT_END);
    if (s->p->state != AT_START || s->p->scanned > 0) {
        s->out = NULL;
        rc = run(s, is_request);
        if (rc != RC_OK) {
            return rc;
        }
        parse_start(s->p);
        s->end = s->at;
        s->at = s->base;
    }
    s->out = out;
    rc = run(s, is_request);
    if (rc == RC_AGAIN) {
        /* What comes next may move the bytes that a half head points into. */
        clear_head(out, out->method);
    }
    return rc;
}

/* The whole head is there, and this is what is wrong with it. */
static inline enum rc
judged(struct scan *s, enum parse_fault fault, size_t *out_len)
{
    if (fault != FAULT_NONE) {
        return refuse(s, fault);
    }
    *out_len = offset(s);
    return RC_OK;
}

enum rc
parse_request(struct parse *p, const struct parse_opts *opts, struct slice in,
    struct head *out, size_t *out_len)
{
    struct scan s;
    enum rc rc;

    scan_init(&s, p, opts, in, REQUEST_FIELDS_DEFAULT);
    clear_head(out, METHOD_OTHER);
    rc = collect(&s, out, true);
    return rc == RC_OK
               ? judged(&s, judge_request(out, opts, s.repeated), out_len)
               : rc;
}

enum rc
parse_response(struct parse *p, const struct parse_opts *opts,
    enum method method, struct slice in, struct head *out, size_t *out_len)
{
    struct scan s;
    enum rc rc;

    scan_init(&s, p, opts, in, RESPONSE_FIELDS_DEFAULT);
    clear_head(out, method);
    rc = collect(&s, out, false);
    return rc == RC_OK ? judged(&s, judge_response(out, s.repeated), out_len)
                       : rc;
}

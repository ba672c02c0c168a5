/*
 * The field lines of a head (RFC 9112 5): name, colon, value, CRLF, and the
 * empty line behind the last. No folding, no space around a name, no byte
 * that is not of its class. As in start_line.c, a plain line is taken in one
 * go and any other is left to the machine.
 */
#include "http/class.h"
#include "http/known.h"
#include "http/scan.h"

/* RC_OK: the head is whole, or a name begins. */
static inline enum rc
eat_line_start(struct scan *s)
{
    enum rc rc;

    if (s->at == s->end) {
        return RC_AGAIN;
    }
    if (*s->at == '\r') {
        rc = eat_crlf(s, FAULT_BARE_CR);
        if (rc == RC_OK) {
            s->p->state = AT_END;
        }
        return rc;
    }
    if (*s->at == ' ' || *s->at == '\t') {
        return refuse(s, FAULT_FOLD);
    }
    if (s->p->lines == s->fields_max) {
        return refuse(s, FAULT_FIELDS_MANY);
    }
    s->p->lines++;
    s->p->state = AT_NAME;
    return RC_OK;
}

static enum rc
refuse_name_byte(struct scan *s)
{
    switch (*s->at) {
    case ' ':
    case '\t':
        return refuse(s, FAULT_NAME_SPACE);
    case '\r':
        return refuse(s, FAULT_NO_COLON);
    default: /* any other byte that is no token */
        return refuse_byte(s, FAULT_NAME);
    }
}

/* *out_underscore is set, never cleared. */
static inline enum rc
eat_name(struct scan *s, bool *out_underscore)
{
    size_t len;

    for (;;) {
        s->at = skip_class(s->at, s->end, CLASS_NAME);
        if (s->at == s->end || *s->at != '_') {
            break;
        }
        *out_underscore = true;
        s->at++;
    }
    len = offset(s) - s->p->line_start;
    if (len > s->name_max) {
        return refuse(s, FAULT_NAME_LONG);
    }
    if (s->at == s->end) {
        return RC_AGAIN;
    }
    if (*s->at != ':') {
        return refuse_name_byte(s);
    }
    if (len == 0) {
        return refuse(s, FAULT_NAME_EMPTY);
    }
    s->p->mark = offset(s);
    s->at++;
    s->p->state = AT_VALUE;
    return RC_OK;
}

/* *out_stop: where the value's bytes end. */
static inline enum rc
eat_value(struct scan *s, const char **out_stop)
{
    enum rc rc;

    s->at = skip_value(s->at, s->end);
    if (offset(s) - s->p->line_start > s->field_max) {
        return refuse(s, FAULT_FIELD_LONG);
    }
    *out_stop = s->at;
    rc = eat_crlf(s, FAULT_CONTROL);
    if (rc == RC_OK) {
        s->p->line_start = offset(s);
        s->p->state = AT_FIELD;
    }
    return rc;
}

/* text: all behind the colon, OWS included. */
static inline void
fill_field(struct field *f, struct slice name, struct slice text)
{
    const char *value = text.ptr, *end = value + text.len;

    if (end > value && *value == ' ') {
        value++; /* nearly always, and all there is */
    }
    value = skip_ows(value, end);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    f->name = name;
    f->value = slice_of(value, (size_t)(end - value));
}

/*
 * The hot path: puts a whole line without anything unusual into *f and returns
 * its end. NULL: no such line; the machine says what it is. The bytes of a
 * known name need no look.
 */
static inline const char *
eat_plain_field(
    const struct scan *s, const char *at, const char *end, struct field *f)
{
    const char *colon, *stop;
    struct slice name;

    if (end - at >= 2 && at[0] == '\r') {
        return NULL; /* the head's end: no colon to be looked for */
    }
    colon = find_colon(at, end);
    if (colon == NULL || colon == at) {
        return NULL;
    }
    /* find_colon has read the words that hold the name. */
    name = slice_of(at, (size_t)(colon - at));
    f->id = field_id_padded(at, name.len);
    if (f->id == FIELD_OTHER && skip_class(at, colon, CLASS_NAME) != colon) {
        return NULL;
    }
    stop = skip_value(colon + 1, end);
    if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n' ||
        (size_t)(stop - at) > s->field_max || name.len > s->name_max) {
        return NULL;
    }
    fill_field(f, name, slice_of(colon + 1, (size_t)(stop - colon - 1)));
    return stop + 2;
}

/* Counts a field that was just filled. */
static inline void
note_field(const struct field *f, uint64_t *set, uint64_t *repeated)
{
    uint64_t bit;

    if (f->id != FIELD_OTHER) {
        bit = field_bit(f->id);
        *repeated |= *set & bit;
        *set |= bit;
    }
}

/*
 * Takes all plain fields in a row, by locals, which stay in registers. True:
 * the head's end stood behind them.
 */
static inline bool
eat_plain_fields(struct scan *s)
{
    struct field *f = &s->out->fields[s->out->field_count];
    uint64_t set = s->out->field_set, repeated = s->repeated;
    const char *at = s->at, *end = s->end, *next;
    size_t left = s->fields_max - s->p->lines;

    for (; left > 0; left--, f++) {
        next = eat_plain_field(s, at, end, f);
        if (next == NULL) {
            break;
        }
        at = next;
        note_field(f, &set, &repeated);
    }
    s->at = at;
    s->repeated = repeated;
    s->out->field_set = set;
    s->out->field_count = (uint16_t)(f - s->out->fields);
    s->p->lines = (unsigned)(s->fields_max - left);
    s->p->line_start = offset(s);
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n') {
        return false;
    }
    s->at = at + 2;
    s->p->state = AT_END;
    return true;
}

/* A line that the machine has eaten. */
static void
keep_field(
    struct scan *s, const char *line, const char *stop, bool has_underscore)
{
    const char *colon = s->base + s->p->mark;
    struct slice name = slice_of(line, (size_t)(colon - line));
    struct field *f;

    if (has_underscore && !s->keep_underscore) {
        s->out->has_underscore = true;
        return;
    }
    f = &s->out->fields[s->out->field_count++];
    fill_field(f, name, slice_of(colon + 1, (size_t)(stop - colon - 1)));
    f->id = field_id_of(name);
    note_field(f, &s->out->field_set, &s->repeated);
}

/* One line, or the head's end, step by step. */
static enum rc
field_line(struct scan *s)
{
    const char *line = s->base + s->p->line_start, *stop = NULL;
    bool has_underscore = false;
    enum rc rc = RC_OK;

    if (s->p->state == AT_FIELD) {
        rc = eat_line_start(s);
    }
    if (rc == RC_OK && s->p->state == AT_NAME) {
        rc = eat_name(s, &has_underscore);
    }
    if (rc == RC_OK && s->p->state == AT_VALUE) {
        rc = eat_value(s, &stop);
    }
    if (rc == RC_OK && s->out != NULL && stop != NULL) {
        keep_field(s, line, stop, has_underscore);
    }
    return rc;
}

/* From AT_FIELD, AT_NAME or AT_VALUE to AT_END. */
enum rc
scan_field_lines(struct scan *s)
{
    enum rc rc;

    while (s->p->state != AT_END) {
        if (s->out != NULL && eat_plain_fields(s)) {
            break;
        }
        rc = field_line(s);
        if (rc != RC_OK) {
            return rc;
        }
    }
    return RC_OK;
}

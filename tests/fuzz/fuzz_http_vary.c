/*
 * Vary: names come out lower-case, sorted and once, and read back as they
 * are; normal forms are their own normal forms; and a variant does not
 * change when the lines of a field are written as one.
 *
 * Input: the lines of Vary, an empty line, then "e" (Accept-Encoding), "l"
 * (Accept-Language) or another byte (Accept) and a value, line by line.
 */
#include "fuzz_http_fields.h"
#include "nearside/http/vary.h"

static const struct vary_opts opts = {
    .allows_cookie = true, .allows_authorization = true};

static void
must_be_canonical(const struct vary *v)
{
    struct vary again;

    MUST(v->count <= VARY_NAMES_MAX);
    for (unsigned i = 0; i < v->count; i++) {
        struct slice name = vary_name(v, i);
        MUST(name.len > 0);
        for (size_t c = 0; c < name.len; c++) {
            MUST(name.ptr[c] == ascii_lower(name.ptr[c]));
        }
        if (i > 0) {
            struct slice before = vary_name(v, i - 1);
            size_t len = before.len < name.len ? before.len : name.len;
            int order = memcmp(before.ptr, name.ptr, len);
            MUST(order < 0 || (order == 0 && before.len < name.len));
        }
    }
    MUST(vary_parse(vary_text(v), &opts, &again) == RC_OK);
    MUST(slice_eq(vary_text(v), vary_text(&again)));
}

static void
start(struct head *head)
{
    head->field_count = 0;
    head->field_set = 0;
}

/* Of a variant, what stands for Accept-Language. */
static enum rc
write_language(const struct head *request, struct writer *w)
{
    static char text[1 << 18];
    struct writer line = writer_of(text, sizeof(text));
    struct vary vary;
    struct slice value;

    if (!head_has(request, FIELD_ACCEPT_LANGUAGE)) {
        return RC_MISS;
    }
    MUST(vary_parse(SLICE("accept-language"), &opts, &vary) == RC_OK);
    if (vary_write_variant(&vary, request, &line) != RC_OK) {
        return RC_LIMIT;
    }
    value = slice_skip(writer_slice(&line), strlen("accept-language: "));
    value.len--;
    write_slice(w, value);
    return RC_OK;
}

typedef enum rc (*write_fn)(const struct head *, struct writer *);

static void
must_be_idempotent(const struct head *request, enum field_id id, write_fn write)
{
    static char once[1 << 18], twice[1 << 18];
    static struct head normal;
    struct writer w = writer_of(once, sizeof(once));
    struct writer again = writer_of(twice, sizeof(twice));
    enum rc rc = write(request, &w);

    if (rc != RC_OK) {
        MUST(rc == (head_has(request, id) ? RC_LIMIT : RC_MISS));
        return;
    }
    start(&normal);
    fuzz_add_field(&normal, id, writer_slice(&w));
    MUST(write(&normal, &again) == RC_OK);
    MUST(slice_eq(slice_trim(writer_slice(&w)), writer_slice(&again)));
}

/* The lines of Accept as one. */
static void
must_not_depend_on_lines(const struct vary *v, const struct head *request)
{
    static char joined[1 << 18], once[1 << 18], twice[1 << 18];
    static struct head other;
    struct writer line = writer_of(joined, sizeof(joined));
    struct writer w = writer_of(once, sizeof(once));
    struct writer again = writer_of(twice, sizeof(twice));
    const struct field *f = head_find(request, FIELD_ACCEPT);

    start(&other);
    for (size_t i = 0; i < request->field_count; i++) {
        if (request->fields[i].id != FIELD_ACCEPT) {
            fuzz_add_field(
                &other, request->fields[i].id, request->fields[i].value);
        }
    }
    for (; f != NULL; f = head_find_next(request, f)) {
        write_slice(&line, f->value);
        if (head_find_next(request, f) != NULL) {
            write_slice(&line, SLICE(", "));
        }
    }
    if (head_has(request, FIELD_ACCEPT)) {
        other.fields[other.field_count++] = (struct field){
            field_name_of(FIELD_ACCEPT), writer_slice(&line), FIELD_ACCEPT};
        other.field_set |= UINT64_C(1) << (FIELD_ACCEPT - 1);
    }
    if (line.is_full || vary_write_variant(v, request, &w) != RC_OK) {
        return;
    }
    MUST(vary_write_variant(v, &other, &again) == RC_OK);
    MUST(slice_eq(writer_slice(&w), writer_slice(&again)));
}

static enum field_id
id_of(char c)
{
    switch (c) {
    case 'e':
        return FIELD_ACCEPT_ENCODING;
    case 'l':
        return FIELD_ACCEPT_LANGUAGE;
    default: /* a byte, not an enum */
        return FIELD_ACCEPT;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head response, request;
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice rest = slice_of(copy, size), line;
    struct vary vary;

    start(&response);
    start(&request);
    while (slice_split(&rest, '\n', &line) && line.len > 0) {
        fuzz_add_field(&response, FIELD_VARY, line);
    }
    while (slice_split(&rest, '\n', &line)) {
        if (line.len > 0) {
            fuzz_add_field(&request, id_of(*line.ptr), slice_skip(line, 1));
        }
    }
    if (vary_read(&response, &opts, &vary) == RC_OK) {
        must_be_canonical(&vary);
        must_not_depend_on_lines(&vary, &request);
    }
    must_be_idempotent(
        &request, FIELD_ACCEPT_ENCODING, vary_write_accept_encoding);
    must_be_idempotent(&request, FIELD_ACCEPT_LANGUAGE, write_language);
    free(copy);
    return 0;
}

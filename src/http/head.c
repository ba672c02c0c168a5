/*
 * Heads: known names, and looking fields up.
 *
 * Law: a name is recognised exactly or not at all. It is compared in words of
 * eight bytes, lower-cased by setting 0x20 where 0x40 is set. That turns
 * nothing but letters into letters, and leaves '-' and digits alone; so equal
 * words mean equal names.
 */
#include "nearside/http/head.h"

#include "http/known.h"
#include "nearside/base/check.h"

enum {
    PADDED_LEN = (NAME_LEN_MAX + 7) / 8 * 8, /* in whole words */
};

#define FIELD(id, name)                                                        \
    static_assert(                                                             \
        sizeof(name) > NAME_LEN_MIN && sizeof(name) - 1 <= NAME_LEN_MAX,       \
        "every length has its case");
#include "nearside/http/field.def"
#undef FIELD

/* A name in lower case; what stands behind its last byte is rubbish. */
struct lower {
    uint64_t words[PADDED_LEN / 8];
};

static inline uint64_t
lower_word(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word | (word & UINT64_C(0x4040404040404040)) >> 1;
}

/* With a constant len, all rows of another length fold away. */
static inline __attribute__((always_inline)) enum field_id
known(const char *name, size_t len)
{
    struct lower lower;

    lower.words[0] = lower_word(name);
    if (len > 8) {
        lower.words[1] = lower_word(name + 8);
    }
    if (len > 16) {
        lower.words[2] = lower_word(name + 16);
    }
    if (len > 24) {
        lower.words[3] = lower_word(name + 24);
    }
#define FIELD(id, text)                                                        \
    if (sizeof(text) - 1 == len &&                                             \
        memcmp(&lower, text, sizeof(text) - 1) == 0) {                         \
        return FIELD_##id;                                                     \
    }
#include "nearside/http/field.def"
#undef FIELD
    return FIELD_OTHER;
}

#define KNOWN(len)                                                             \
    case len:                                                                  \
        return known(name, len);

enum field_id
field_id_padded(const char *name, size_t len)
{
    switch (len) {
        EACH_NAME_LEN(KNOWN)
    default: /* a length, not an enum */
        return FIELD_OTHER;
    }
}

#undef KNOWN

enum field_id
field_id_of(struct slice name)
{
    char padded[PADDED_LEN] = {0};

    if (name.len == 0 || name.len > NAME_LEN_MAX) {
        return FIELD_OTHER;
    }
    memcpy(padded, name.ptr, name.len);
    return field_id_padded(padded, name.len);
}

/* name: what else FIELD_OTHER must be. */
static const struct field *
find_from(
    const struct head *h, size_t from, enum field_id id, struct slice name)
{
    for (size_t i = from; i < h->field_count; i++) {
        const struct field *f = &h->fields[i];
        if (f->id == id && (id != FIELD_OTHER || slice_ieq(f->name, name))) {
            return f;
        }
    }
    return NULL;
}

const struct field *
head_find(const struct head *h, enum field_id id)
{
    return head_has(h, id) ? find_from(h, 0, id, slice_of(NULL, 0)) : NULL;
}

const struct field *
head_find_next(const struct head *h, const struct field *after)
{
    size_t from = (size_t)(after - h->fields) + 1;

    MUST(from <= h->field_count);
    return find_from(h, from, after->id, after->name);
}

const struct field *
head_find_name(const struct head *h, struct slice name)
{
    enum field_id id = field_id_of(name);

    return id == FIELD_OTHER ? find_from(h, 0, id, name) : head_find(h, id);
}

bool
head_lists(const struct head *h, enum field_id id, struct slice member)
{
    const struct field *f = head_find(h, id);
    struct slice rest, at;

    for (; f != NULL; f = head_find_next(h, f)) {
        rest = f->value;
        while (slice_split(&rest, ',', &at)) {
            if (slice_ieq(slice_trim(at), member)) {
                return true;
            }
        }
    }
    return false;
}

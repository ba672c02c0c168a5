/*
 * Looking forwarding fields up. Law: a field that is none, as most are, must
 * cost little. A known field is judged by its id. For the others a switch by
 * length leaves few names to compare: with a constant length the compiler
 * drops the rows of all others.
 */
#include "nearside/http/forwarding.h"

#include "http/known.h"

#define FORWARDING(kind, text)                                                 \
    static_assert(                                                             \
        sizeof(text) > NAME_LEN_MIN && sizeof(text) - 1 <= NAME_LEN_MAX,       \
        "every length has its case");
#include "nearside/http/forwarding.def"
#undef FORWARDING

/* Known fields that are such. */
#define FIELDS_FORWARDING                                                      \
    (FIELD_BIT(FORWARDED) | FIELD_BIT(X_FORWARDED_FOR) |                       \
        FIELD_BIT(X_FORWARDED_HOST) | FIELD_BIT(X_FORWARDED_PORT) |            \
        FIELD_BIT(X_FORWARDED_PROTO) | FIELD_BIT(X_FORWARDED_SCHEME) |         \
        FIELD_BIT(X_FORWARDED_SERVER) | FIELD_BIT(X_HOST) |                    \
        FIELD_BIT(X_HTTP_METHOD) | FIELD_BIT(X_HTTP_METHOD_OVERRIDE) |         \
        FIELD_BIT(X_METHOD_OVERRIDE) | FIELD_BIT(X_ORIGINAL_URL) |             \
        FIELD_BIT(X_REWRITE_URL))

static inline bool
is_name(const char *at, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (ascii_lower(at[i]) != name[i]) {
            return false;
        }
    }
    return true;
}

static inline __attribute__((always_inline)) enum forwarding
forwarding_with(const char *name, size_t len)
{
#define FORWARDING(kind, text)                                                 \
    if (sizeof(text) - 1 == len && is_name(name, text, len)) {                 \
        return FORWARDING_##kind;                                              \
    }
#include "nearside/http/forwarding.def"
#undef FORWARDING
    return FORWARDING_NONE;
}

#define WITH(len)                                                              \
    case len:                                                                  \
        return forwarding_with(name.ptr, len);

static enum forwarding
forwarding_listed(struct slice name)
{
    switch (name.len) {
        EACH_NAME_LEN(WITH)
    default: /* a length, not an enum */
        return FORWARDING_NONE;
    }
}

#undef WITH

/* X-Forwarded-*: nobody has listed them all. */
static bool
is_forwarded(struct slice name)
{
    const struct slice prefix = SLICE("x-forwarded-");

    return name.len >= prefix.len && is_name(name.ptr, prefix.ptr, prefix.len);
}

enum forwarding
forwarding_of_name(struct slice name)
{
    if (is_forwarded(name)) {
        return slice_ieq(name, SLICE("x-forwarded-for")) ? FORWARDING_ADDRESS
                                                         : FORWARDING_SITE;
    }
    return forwarding_listed(name);
}

enum forwarding
forwarding_of(const struct field *f)
{
    if (f->id != FIELD_OTHER && (field_bit(f->id) & FIELDS_FORWARDING) == 0) {
        return FORWARDING_NONE;
    }
    return forwarding_of_name(f->name);
}

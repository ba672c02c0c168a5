/* What can go wrong with an exchange, as a table: error.def says it once. */
#include "origin/group_inside.h"

#include "nearside/base/check.h"

struct error_row {
    bool was_sent;
    unsigned status;
    const char *name;
    const char *type;
    const char *text;
};

static const struct error_row rows[] = {
    [ORIGIN_ERROR_NONE] = {true, 0, "NONE", "", "no error"},
#define ORIGIN_ERROR(name, sent, status, type, text)                           \
    [ORIGIN_ERROR_##name] = {sent, status, #name, type, text},
#include "nearside/origin/error.def"
#undef ORIGIN_ERROR
};

static_assert(ARRAY_LEN(rows) == ORIGIN_ERROR_COUNT, "a row for each error");

static const struct error_row *
row_of(enum origin_error error)
{
    MUST(error < ORIGIN_ERROR_COUNT);
    return &rows[error];
}

bool
origin_error_was_sent(enum origin_error error)
{
    return row_of(error)->was_sent;
}

unsigned
origin_error_status(enum origin_error error)
{
    return row_of(error)->status;
}

const char *
origin_error_type(enum origin_error error)
{
    return row_of(error)->type;
}

const char *
origin_error_text(enum origin_error error)
{
    return row_of(error)->text;
}

const char *
origin_error_name(enum origin_error error)
{
    return row_of(error)->name;
}

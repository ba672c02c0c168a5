/* What can go wrong with an exchange, as a table: error.def says it once. */
#include "nearside/origin/exchange.h"

#include "nearside/base/check.h"

static const struct origin_failure rows[] = {
    [ORIGIN_ERROR_NONE] = {"NONE", true, 0, "", "no error"},
#define ORIGIN_ERROR(name, sent, status, type, text)                           \
    [ORIGIN_ERROR_##name] = {#name, sent, status, type, text},
#include "nearside/origin/error.def"
#undef ORIGIN_ERROR
};

static_assert(ARRAY_LEN(rows) == ORIGIN_ERROR_COUNT, "a row for each error");

const struct origin_failure *
origin_failure(enum origin_error error)
{
    MUST(error < ORIGIN_ERROR_COUNT);
    return &rows[error];
}

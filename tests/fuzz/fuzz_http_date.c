/* Dates: what is read from 1970 on is written and read back the same. */
#include "fuzz.h"
#include "nearside/http/date.h"

#define NOW_S INT64_C(1767225600)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    char text[DATE_LEN];
    int64_t seconds, back;

    if (date_parse(slice_of(copy, size), NOW_S, &seconds) == RC_OK &&
        seconds >= 0 && seconds < INT64_C(253402300800)) {
        date_write(text, seconds);
        MUST(date_parse(slice_of(text, DATE_LEN), NOW_S, &back) == RC_OK);
        MUST(back == seconds);
    }
    free(copy);
    return 0;
}

/*
 * libFuzzer: the reader of the conf file, on any text. Whatever comes, it
 * ends; a conf is given exactly when no mistake was told, and every mistake
 * is told with a place.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nearside/app/conf.h"
#include "nearside/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An include would read whatever file the fuzzer thinks of. */
static int
has_include(const uint8_t *data, size_t size)
{
    return size > 0 && memmem(data, size, "include", 7) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_errors errors;
    struct conf *conf = NULL;
    enum rc rc;

    if (has_include(data, size)) {
        return -1;
    }
    conf_errors_init(&errors);
    rc = conf_load_text(
        slice_of((const char *)data, size), "fuzz.conf", &errors, &conf);
    MUST((rc == RC_OK) == (conf != NULL));
    MUST((rc == RC_OK) == (errors.mistakes == 0));
    for (size_t i = 0; i < errors.count; i++) {
        MUST(strncmp(errors.items[i].text, "fuzz.conf:", 10) == 0);
    }
    conf_free(&conf);
    MUST(conf == NULL);
    conf_errors_fini(&errors);
    return 0;
}

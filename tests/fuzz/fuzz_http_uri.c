/* Authorities, targets and addresses of servers. */
#include "fuzz.h"
#include "nearside/http/uri.h"

/* A normal form is an authority, and its own normal form. */
static void
try_authority(struct slice s)
{
    static const struct slice schemes[] = {{"http", 4}, {"https", 5}};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        char *once = fuzz_copy(s), *twice = fuzz_copy(s);
        size_t len = uri_authority_normalise(s, schemes[i], once);
        MUST(len <= s.len);
        if (uri_is_authority(s)) {
            struct slice normal = {once, len};
            MUST(uri_is_authority(normal));
            for (size_t k = 0; k < len; k++) {
                MUST(once[k] == ascii_lower(s.ptr[k]));
            }
            MUST(uri_authority_normalise(normal, schemes[i], twice) == len);
            MUST(slice_eq(normal, slice_of(twice, len)));
            MUST(uri_is_same_authority(s, normal, schemes[i]));
            MUST(uri_is_same_authority(normal, s, schemes[i]));
        }
        free(once);
        free(twice);
    }
}

static void
try_target(struct slice s)
{
    struct slice path = uri_path(s), query = uri_query(s);

    MUST(path.len + query.len + (query.ptr != NULL) == s.len);
    MUST(slice_find(path, '?') < 0);
    MUST(uri_is_ambiguous(path) == uri_is_ambiguous(s));
}

static void
try_server(struct slice s)
{
    struct uri_server server;

    if (uri_parse_server(s, &server) != RC_OK) {
        return;
    }
    MUST(server.host.len > 0);
    MUST(server.is_unix == (server.port == 0));
    MUST(fuzz_is_within(server.host, s));
    MUST(server.is_unix || fuzz_is_within(server.authority, s));
    MUST(uri_is_authority(server.authority));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice s = {copy, size};

    try_authority(s);
    try_target(s);
    try_server(s);
    free(copy);
    return 0;
}

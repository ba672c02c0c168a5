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
            MUST(!uri_is_absolute_name(normal));
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

/* A normal form is its own, never longer, and no more ambiguous than any
   spelling of it. */
static void
try_spelling(struct slice s)
{
    char *once = fuzz_copy(s), *twice = fuzz_copy(s);
    struct slice normal = {once, uri_normalise(s, once)};

    MUST(normal.len <= s.len);
    MUST(uri_normalise(normal, twice) == normal.len);
    MUST(slice_eq(normal, slice_of(twice, normal.len)));
    MUST(!uri_is_ambiguous(normal) || uri_is_ambiguous(s));
    MUST((uri_query(normal).ptr == NULL) == (uri_query(s).ptr == NULL));
    /* Encoded whole, every unreserved byte comes back. */
    for (size_t i = 0; i < normal.len && slice_find(s, '%') < 0; i++) {
        char text[] = {'%', "0123456789abcdef"[(once[i] >> 4) & 15],
            "0123456789abcdef"[once[i] & 15]};
        size_t len = uri_normalise(slice_of(text, sizeof(text)), text);
        MUST(len == 3 || (len == 1 && text[0] == once[i]));
    }
    free(once);
    free(twice);
}

static void
try_server(struct slice s)
{
    struct uri_server server;
    struct slice rest = s, scheme;

    if (uri_parse_server(s, &server) != RC_OK) {
        return;
    }
    MUST(server.host.len > 0);
    MUST(server.is_unix == (server.port == 0));
    MUST(fuzz_is_within(server.host, s));
    MUST(server.is_unix ||
         (uri_take_scheme(&rest, &scheme) && uri_is_authority(rest)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice s = {copy, size};

    try_authority(s);
    try_target(s);
    try_spelling(s);
    try_server(s);
    free(copy);
    return 0;
}

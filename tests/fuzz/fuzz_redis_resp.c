/*
 * Replies from a hostile server. The first byte says how the rest is cut;
 * cut or whole, the same replies must come out, or the same refusal.
 */
#include "fuzz.h"
#include "nearside/redis/resp.h"

/* Every byte of a reply and its shape, folded into one number. */
static uint64_t
digest(uint64_t h, const struct redis_reply *reply)
{
    h = (h ^ (uint64_t)reply->type) * UINT64_C(0x100000001b3);
    h = (h ^ (uint64_t)reply->integer) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < reply->len; i++) {
        h = (h ^ (unsigned char)reply->str[i]) * UINT64_C(0x100000001b3);
    }
    for (size_t i = 0; i < reply->elements_len; i++) {
        h = digest(h, reply->elements[i]);
    }
    return (h ^ reply->elements_len) * UINT64_C(0x100000001b3);
}

static uint64_t
decode(struct slice in, size_t step, enum rc *out_rc)
{
    struct resp *resp = resp_new(65536);
    char scratch[RESP_SCRATCH];
    struct redis_reply *reply;
    enum rc rc = RC_AGAIN;
    uint64_t h = 1;

    MUST(resp != NULL);
    while (in.len > 0 && rc == RC_AGAIN) {
        struct resp_space to = resp_space(resp, scratch, sizeof(scratch));
        size_t n = step < in.len ? step : in.len;

        n = n < to.cap ? n : to.cap;
        memcpy(to.ptr, in.ptr, n);
        in = slice_skip(in, n);
        resp_put(resp, n);
        while ((rc = resp_next(resp, &reply)) == RC_OK) {
            size_t len;

            h = digest(h, reply);
            free(redis_reply_take(reply, &len));
        }
    }
    resp_free(&resp);
    *out_rc = rc;
    return h;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in;
    enum rc whole_rc;
    enum rc cut_rc;
    uint64_t whole;
    uint64_t cut;

    if (size < 2) {
        return 0;
    }
    in = slice_of((const char *)data + 1, size - 1);
    whole = decode(in, in.len, &whole_rc);
    cut = decode(in, 1 + (size_t)data[0] % 97, &cut_rc);
    /* Cut short, a length beyond the limit may still be awaited. */
    if (whole_rc == cut_rc) {
        MUST(whole == cut);
    } else {
        MUST(whole_rc != RC_AGAIN || cut_rc == RC_LIMIT);
    }
    return 0;
}

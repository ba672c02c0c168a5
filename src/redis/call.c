/*
 * Commands as words and as bytes. A script is asked for by the SHA-1 of its
 * body (EVALSHA) or brings its body along (EVAL); that is not a matter of
 * security. A command's size is known before a byte of it is written, so
 * that it is queued whole or not at all.
 */
#include "redis/call.h"

#include <sha1.h>

#include <assert.h>
#include <sys/types.h>

enum {
    /* Of REDIS_ARGS_MAX: EVALSHA, the hash, the number of keys. */
    SCRIPT_WORDS = 3,
    END_LEN = 2, /* CR LF */
};

static size_t
digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10) {
        digits++;
    }
    return digits;
}

void
redis_script_init(struct redis_script *script, const char *body)
{
    SHA1_CTX sha1;

    static_assert(
        sizeof(script->sha1) == SHA1_DIGEST_STRING_LENGTH, "hex and NUL");
    MUST(script != NULL);
    MUST(body != NULL);
    script->body = body;
    SHA1Init(&sha1);
    SHA1Update(&sha1, (const uint8_t *)body, strlen(body));
    (void)SHA1End(&sha1, script->sha1);
}

void
call_init(struct redis_call *call)
{
    MUST(call_state(call) == CALL_IDLE);
    call->was_sent = false;
    call->was_asked = false;
    call->impl.magic = CALL_MAGIC;
    call->impl.wire = NULL;
    call->impl.script = NULL;
    call->impl.form = NULL;
    call->impl.argc = 0;
    call->impl.hops = 0;
    call->impl.attempts = 0;
    call->impl.is_asking = false;
    call->impl.is_script = false;
    call->impl.is_moving = false;
    list_init(&call->impl.link);
}

/* Anew whenever its command is another. */
static void
count_bytes(struct redis_call *call)
{
    const struct redis_form *form = call->impl.form;
    const struct slice *argv = call->impl.argv;

    MUST(call->impl.argc > 0);
    call->impl.len = form == NULL
                         ? command_len(call->impl.argc, argv)
                         : form->before.len + digits_of(argv[0].len) + END_LEN +
                               argv[0].len + form->behind.len;
}

void
call_set_words(struct redis_call *call, unsigned argc, const struct slice *argv)
{
    MUST(call->impl.magic == CALL_MAGIC);
    MUST(argc > 0);
    MUST(argc <= REDIS_ARGS_MAX);
    call->impl.argc = (uint8_t)argc;
    memcpy(call->impl.argv, argv, argc * sizeof(argv[0]));
    count_bytes(call);
}

void
call_set_form(
    struct redis_call *call, const struct redis_form *form, struct slice key)
{
    MUST(call->impl.magic == CALL_MAGIC);
    MUST(form->before.len > 0);
    call->impl.argc = 1;
    call->impl.argv[0] = key;
    call->impl.form = form;
    count_bytes(call);
}

void
call_set_script(struct redis_call *call, const struct redis_script *script,
    const struct slice *words, unsigned keys, unsigned count)
{
    static const char digits[] = "0123456789";

    static_assert(REDIS_SCRIPT_ARGS_MAX == REDIS_ARGS_MAX - SCRIPT_WORDS,
        "all of them fit");
    static_assert(
        REDIS_SCRIPT_ARGS_MAX < sizeof(digits), "one digit is enough");
    MUST(call->impl.magic == CALL_MAGIC);
    MUST(keys > 0);
    MUST(keys <= count);
    MUST(count <= REDIS_SCRIPT_ARGS_MAX);
    call->impl.script = script;
    call->impl.is_script = true;
    call->impl.argv[0] = SLICE("EVALSHA");
    call->impl.argv[1] = slice_of(script->sha1, sizeof(script->sha1) - 1);
    call->impl.argv[2] = slice_of(&digits[keys], 1);
    memcpy(&call->impl.argv[SCRIPT_WORDS], words, count * sizeof(words[0]));
    call->impl.argc = (uint8_t)(SCRIPT_WORDS + count);
    count_bytes(call);
}

bool
call_use_body(struct redis_call *call)
{
    if (call->impl.script == NULL) {
        return false;
    }
    MUST(call->impl.argc > SCRIPT_WORDS);
    call->impl.argv[0] = SLICE("EVAL");
    call->impl.argv[1] = slice_of_str(call->impl.script->body);
    call->impl.script = NULL;
    count_bytes(call);
    return true;
}

bool
redis_call_is_active(const struct redis_call *call)
{
    return call_state(call) != CALL_IDLE;
}

/* ---- bytes -------------------------------------------------------------- */

size_t
command_len(unsigned argc, const struct slice *argv)
{
    size_t len = 1 + digits_of(argc) + 2;

    for (unsigned i = 0; i < argc; i++) {
        len += 1 + digits_of(argv[i].len) + 2 + argv[i].len + 2;
    }
    return len;
}

/* "12\r\n"; the place behind it. */
static char *
put_number(char *at, size_t n)
{
    size_t digits = digits_of(n);

    for (size_t i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    at += digits;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

char *
command_put(char *at, unsigned argc, const struct slice *argv)
{
    MUST(argc > 0);
    *at++ = '*';
    at = put_number(at, argc);
    for (unsigned i = 0; i < argc; i++) {
        *at++ = '$';
        at = put_number(at, argv[i].len);
        at = slice_put(at, argv[i]);
        *at++ = '\r';
        *at++ = '\n';
    }
    return at;
}

char *
call_put(char *at, const struct redis_call *call)
{
    const struct redis_form *form = call->impl.form;
    struct slice key = call->impl.argv[0];

    MUST(call->impl.magic == CALL_MAGIC);
    if (form == NULL) {
        return command_put(at, call->impl.argc, call->impl.argv);
    }
    at = slice_put(at, form->before);
    at = put_number(at, key.len);
    at = slice_put(at, key);
    return slice_put(at, form->behind);
}

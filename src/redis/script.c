/* Lua scripts and their names: the SHA-1 of the body, which is what EVALSHA
   asks for. Not a matter of security. */
#include "nearside/base/check.h"
#include "nearside/redis/redis.h"

#include <sha1.h>

#include <assert.h>
#include <sys/types.h>

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

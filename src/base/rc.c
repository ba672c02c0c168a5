/* The phrases of rc.def. */
#include "nearside/base/rc.h"

const char *
rc_text(enum rc rc)
{
    static const char *const texts[] = {
#define RC(name, text) [RC_##name] = text,
#include "nearside/base/rc.def"
#undef RC
    };

    if ((unsigned)rc >= sizeof(texts) / sizeof(texts[0])) {
        return "unknown";
    }
    return texts[rc];
}

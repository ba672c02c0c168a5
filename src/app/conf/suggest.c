/* Which option or section was meant by a name that is not known. */
#include "app/conf/table.h"
#include "nearside/app/conf/value/guess.h"

struct slice
conf_suggest(enum conf_section section, struct slice name)
{
    struct conf_guess guess = {.name = name};

    /* First the section's options, then those of all. */
    for (unsigned round = 0; round < 2 && guess.found.len == 0; round++) {
        for (size_t i = 0; i < conf_options_count; i++) {
            const struct conf_option *o = &conf_options[i];

            if (round == 1 || o->section == conf_sections[section].options) {
                conf_guess_at(&guess, slice_of_str(o->name));
            }
        }
        for (unsigned i = CONF_TOP + 1;
             section == CONF_TOP && i < CONF_SECTION_COUNT; i++) {
            conf_guess_at(&guess, slice_of_str(conf_sections[i].name));
        }
    }
    return guess.found;
}

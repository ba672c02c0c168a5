#!/bin/sh
# conf_reference.sh SOURCE_DIR
#
# Holds conf/nearside.conf and src/app/nearside.conf.5 against the table of
# options, src/app/conf/conf.def: both name every option in its section with its
# default, and no other.
set -eu

root=${1:?usage: conf_reference.sh SOURCE_DIR}
table=$(mktemp)
trap 'rm -f "$table"' EXIT

# One row a line: SECTION name default; "(none)" where there is none.
awk '
    /^\/\*/ { in_comment = 1 }
    in_comment { if (/\*\//) in_comment = 0; next }
    { row = row $0 }
    /\)$/ {
        # A MS row has no kind.
        before = row ~ /^MS/ ? 3 : 4
        sub(/^(OPTION|LIST|SAME|MS)\( */, "", row)
        n = split(row, part, /, */)
        rest = row
        for (i = 1; i <= before; i++) sub(/^[^,]*, */, "", rest)
        value = "(none)"
        if (rest ~ /^"/) {
            rest = substr(rest, 2)
            gsub(/\\"/, "\001", rest)
            sub(/".*/, "", rest)
            gsub(/\001/, "\"", rest)
            value = rest
        }
        print part[1] "\t" part[2] "\t" value
        row = ""
    }
' "$root/src/app/conf/conf.def" >"$table"

# Fewer would mean that the table is no longer understood.
rows=$(wc -l <"$table")
if [ "$rows" -lt 60 ]; then
    echo "conf.def: only $rows options were found" >&2
    exit 1
fi

status=0

awk -F '\t' '
    BEGIN {
        section = "TOP"
        # Their defaults are empty; an example says more.
        is_example["REDIS/seeds"] = is_example["ORIGIN/servers"] = 1
        kinds["access_log"] = "ACCESS_LOG"; kinds["error_log"] = "ERROR_LOG"
        kinds["memory"] = "MEMORY"; kinds["redis"] = "REDIS"
        kinds["limits"] = "LIMITS"; kinds["origin"] = "ORIGIN"
        kinds["defaults"] = "ROUTE"; kinds["route"] = "EXAMPLE"
    }
    NR == FNR { wanted[$1 "/" $2] = $3; next }
    /^[a-z_]+( [^ ]+)? \{$/ { split($0, word, " "); section = kinds[word[1]] }
    /^}/ { section = "TOP" }
    /^ *(# )?[a-z_]+ = / {
        line = $0
        is_comment = line ~ /^ *# /
        sub(/^ *(# )?/, "", line)
        name = line
        sub(/ .*/, "", name)
        sub(/^[a-z_]+ = /, "", line)
        sub(/  +#.*/, "", line)
        key = section "/" name
        if (section == "EXAMPLE") next
        if (!(key in wanted)) {
            if (is_comment) next
            print "conf/nearside.conf:" FNR ": " key " is no option"
            bad = 1
        } else if (is_comment != (wanted[key] == "(none)")) {
            print "conf/nearside.conf:" FNR ": " key \
                ": only what has no default stands in a comment"
            bad = 1
        } else if (!is_comment && line != wanted[key] &&
            !(key in is_example)) {
            print "conf/nearside.conf:" FNR ": " key " is " line \
                ", its default is " wanted[key]
            bad = 1
        }
        seen[key] = 1
    }
    END {
        for (key in wanted) {
            if (!(key in seen)) {
                print "conf/nearside.conf: " key " is missing"
                bad = 1
            }
        }
        exit bad
    }
' "$table" "$root/conf/nearside.conf" >&2 || status=1

awk -F '\t' '
    BEGIN {
        kinds["Outside"] = "TOP"; kinds["access_log"] = "ACCESS_LOG"
        kinds["error_log"] = "ERROR_LOG"; kinds["memory"] = "MEMORY"
        kinds["redis"] = "REDIS"; kinds["limits"] = "LIMITS"
        kinds["origin"] = "ORIGIN"; kinds["defaults,"] = "ROUTE"
    }
    NR == FNR { wanted[$1 "/" $2] = $3; next }
    /^\.Ss / { split($0, word, " "); section = kinds[word[2]] }
    /^\.It Ic / {
        split($0, word, " ")
        key = section "/" word[3]
        value = $0
        sub(/^\.It Ic [a-z_]+ No (= )?/, "", value)
        gsub(/\\\(dq/, "\"", value)
        if (!(key in wanted)) {
            print "nearside.conf.5:" FNR ": " key " is no option"
            bad = 1
        } else if (value != wanted[key]) {
            print "nearside.conf.5:" FNR ": " key " is " value \
                ", its default is " wanted[key]
            bad = 1
        }
        seen[key] = 1
    }
    END {
        for (key in wanted) {
            if (!(key in seen)) {
                print "nearside.conf.5: " key " is missing"
                bad = 1
            }
        }
        exit bad
    }
' "$table" "$root/src/app/nearside.conf.5" >&2 || status=1

[ "$status" -ne 0 ] || echo "$rows options, each in the reference and the manual"
exit "$status"

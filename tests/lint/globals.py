#!/usr/bin/env python3
"""No room has mutable state of its own: a test can make two of anything.

globals.py LIBRARY...
"""

import re
import subprocess
import sys

import tree

# Flags and type, then section, size, name. Constant tables with addresses
# lie in .data.rel.ro; the loader makes it read-only.
OBJECT = re.compile(
    r"^[0-9a-f]+ .{6}O (\.(?:bss|data|tbss|tdata)\S*)\s+[0-9a-f]+ +(\S+)$",
    re.M)
# What a failed MUST prints, of one thread (base/check.c).
ALLOWED = ("check_scopes",)
# Made by compilers and sanitizers.
FOREIGN = re.compile(r"__|\.L|completed\.")


def judge(library):
    table = subprocess.run(["objdump", "-t", library], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    for section, name in OBJECT.findall(table):
        if section.startswith(".data.rel.ro") or FOREIGN.match(name) \
                or name in ALLOWED:
            continue
        yield f"{library}: {name} is mutable and global ({section})"


def main():
    libraries = sys.argv[1:]
    tree.finish([m for library in libraries for m in judge(library)],
                len(libraries))


if __name__ == "__main__":
    main()

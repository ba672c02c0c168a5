#!/usr/bin/env python3
"""Each header compiles alone: it includes what it names.

headers.py COMPILER [FLAG...]
"""

import os
import subprocess
import sys

import tree

FLAGS = ("-std=c11", "-D_GNU_SOURCE", '-DNEARSIDE_VERSION="0"', "-Wall",
         "-Wextra", "-Wstrict-prototypes", "-fsyntax-only", "-x", "c",
         "-Wno-unused-function", "-Iinclude", "-Isrc")


def judge(command, path):
    # Twice: it guards itself.
    name = path.split(os.sep, 1)[1]
    source = f'#include "{name}"\n#include "{name}"\nextern int done;\n'
    done = subprocess.run(
        [*command, *FLAGS, "-"], input=source, cwd=tree.ROOT,
        stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        yield f"{path} does not stand alone:\n{done.stderr}"


def main():
    command = sys.argv[1:]
    paths = tree.files("include", "src", ends=(".h",))
    tree.finish([m for path in paths for m in judge(command, path)],
                len(paths))


if __name__ == "__main__":
    main()

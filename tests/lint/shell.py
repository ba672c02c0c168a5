#!/usr/bin/env python3
"""Shell scripts are read by bash and by shellcheck."""

import os
import shutil
import subprocess
import sys

import tree


def is_shell(path):
    if path.endswith(".sh"):
        return True
    with open(os.path.join(tree.ROOT, path), "rb") as f:
        line = f.readline(64)
    return line.startswith(b"#!") and line.split()[-1].rsplit(b"/", 1)[-1] in (
        b"sh", b"bash")


def judge(path):
    for argv in (["bash", "-n", path],
                 ["shellcheck", "-x", "-s", "bash", path]):
        done = subprocess.run(argv, cwd=tree.ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            yield f"{path}: {argv[0]}:\n{done.stdout}"


def main():
    if shutil.which("shellcheck") is None:
        sys.exit("shellcheck is missing: apt-get install shellcheck")
    paths = [path for path in tree.files() if is_shell(path)]
    tree.finish([m for path in paths for m in judge(path)], len(paths))


if __name__ == "__main__":
    main()

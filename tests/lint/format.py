#!/usr/bin/env python3
"""Every .c and .h is as clang-format would write it."""

import shutil
import subprocess
import sys

import tree


def main():
    tool = next(filter(None, map(shutil.which, (
        "clang-format-14", "clang-format"))), None)
    if tool is None:
        sys.exit("clang-format is missing: apt-get install clang-format")
    paths = tree.files("src", "include", "tests", ends=(".c", ".h"))
    done = subprocess.run(
        [tool, "--dry-run", "--style=file", *paths], cwd=tree.ROOT,
        stderr=subprocess.PIPE, text=True, check=False)
    wrong = sorted({line.split(": warning")[0].rsplit(":", 2)[0]
                    for line in done.stderr.splitlines()
                    if "-Wclang-format-violations" in line})
    if done.returncode != 0:
        wrong.append(done.stderr)
    tree.finish([f"{path}: run clang-format -i on it" for path in wrong],
                len(paths))


if __name__ == "__main__":
    main()

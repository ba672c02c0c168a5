#!/usr/bin/env python3
"""Every .c and .h is as clang-format 14 would write it. Versions disagree in
a few places; with another one the differences are shown and do not count."""

import re
import shutil
import subprocess
import sys

import tree

VERSION = "14"


def version_of(tool):
    said = subprocess.run([tool, "--version"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"version (\d+)", said)[1]


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
    if version_of(tool) != VERSION and done.returncode == 0:
        print(f"clang-format {version_of(tool)}, not {VERSION}, differs on:",
              *wrong)
        wrong = []
    tree.finish([f"{path}: run clang-format -i on it" for path in wrong],
                len(paths))


if __name__ == "__main__":
    main()

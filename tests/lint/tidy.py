#!/usr/bin/env python3
"""clang-tidy finds nothing in the rooms of house.TIDY (.clang-tidy says what it
is asked). Versions disagree; what another one than 14 finds is shown and does
not count.

tidy.py BUILD-DIRECTORY [ROOM...]: with rooms, in those.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

import house
import tree

VERSION = "14"
FOUND = re.compile(r"^\S+:\d+:\d+: (?:error|warning): .*$", re.M)


def version_of(tool):
    said = subprocess.run([tool, "--version"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"version (\d+)", said)[1]


def judge(tool, build, path):
    done = subprocess.run([tool, "-p", build, "--quiet", path], cwd=tree.ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    found = FOUND.findall(done.stdout)
    if done.returncode != 0 and not found:
        found = [f"{path}: {done.stdout}{done.stderr}"]
    return found


def main():
    tool = next(filter(None, map(shutil.which, (
        "clang-tidy-14", "clang-tidy"))), None)
    if tool is None:
        sys.exit("clang-tidy is missing: apt-get install clang-tidy")
    build = os.path.abspath(sys.argv[1])
    paths = house.sources(*(sys.argv[2:] or house.TIDY), ends=(".c",))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = sorted({one for some in pool.map(
            lambda path: judge(tool, build, path), paths) for one in some})
    if version_of(tool) != VERSION:
        print(f"clang-tidy {version_of(tool)}, not {VERSION}, finds:", *found,
              sep="\n")
        found = []
    tree.finish(found, len(paths))


if __name__ == "__main__":
    main()

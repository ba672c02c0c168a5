#!/usr/bin/env python3
"""No function of src/ has a body above 70 lines. Prints the median and the
90th percentile (the aims are 15 and 45), and what else is large: functions
with more than 5 arguments, files with more than 900 lines."""

import re
import statistics

import tree

LINES_MAX = 70
ARGUMENTS_MAX = 5
FILE_LINES_MAX = 900
# By the house style a name at column 1 opens a definition.
NAME = re.compile(r"^([A-Za-z_]\w*)\(")


def argument_count(signature):
    inside = signature[signature.index("(") + 1:signature.rindex(")")]
    if inside.strip() in ("", "void"):
        return 0
    depth = 0
    count = 1
    for c in inside:
        depth += (c == "(") - (c == ")")
        count += c == "," and depth == 0
    return count


def functions(lines):
    """(line number, name, lines of the body with braces, arguments)"""
    opened = None
    for i, line in enumerate(lines):
        if line.startswith("{"):
            opened = i
        elif line.startswith("}") and opened is not None:
            start = opened - 1
            while start > 0 and not NAME.match(lines[start]):
                start -= 1
            signature = " ".join(lines[start:opened])
            name = NAME.match(lines[start])
            if name is not None:
                yield (start + 1, name[1], i - opened + 1,
                       argument_count(signature))
            opened = None


def main():
    sizes = []
    mistakes = []
    large = []
    for path in tree.files("src", "include", ends=(".c", ".h")):
        lines = tree.read(path).split("\n")
        if len(lines) > FILE_LINES_MAX:
            large.append(f"{path}: {len(lines)} lines")
        for at, name, size, arguments in functions(lines):
            sizes.append(size)
            if size > LINES_MAX:
                mistakes.append(f"{path}:{at}: {name} has {size} lines,"
                                f" {LINES_MAX} at most")
            if arguments > ARGUMENTS_MAX:
                large.append(
                    f"{path}:{at}: {name} takes {arguments} arguments")
    if sizes:
        sizes.sort()
        print(f"{len(sizes)} functions: median {statistics.median(sizes):g}"
              f" lines, 90th percentile {sizes[len(sizes) * 9 // 10]},"
              f" longest {sizes[-1]}")
    for one in large:
        print("large: " + one)
    tree.finish(mistakes, len(sizes))


if __name__ == "__main__":
    main()

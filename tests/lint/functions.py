#!/usr/bin/env python3
"""Sizes: no function of src/ has a body above 70 lines, no file has more than
600, no room more than 3,500 (house.py names those that are still to be
divided). Prints the median and the 90th percentile (the aims are 15 and 45),
the rooms, and functions with more than 5 arguments.

Besides, no switch casts an enum to int: the compiler would no longer say
which arms are missing."""

import collections
import statistics

import house
import tree

LINES_MAX = 70
ARGUMENTS_MAX = 5
FILE_LINES_MAX = 600
ROOM_LINES_MAX = 3500
# In the code, so that a comment may name it.
CAST = "switch ((int)"


def judge_function(path, function):
    if function.size > LINES_MAX:
        yield (f"{path}:{function.line}: {function.name} has"
               f" {function.size} lines, {LINES_MAX} at most")


def judge_file(path, text):
    count = text.count("\n")
    if count > FILE_LINES_MAX and path not in house.LARGE_FILES:
        yield f"{path} has {count} lines, {FILE_LINES_MAX} at most"
    if house.room_of(path) not in house.CASTING_ROOMS:
        for number, line in enumerate(house.code_of(text).split("\n"), 1):
            if CAST in line:
                yield f"{path}:{number}: {CAST}: list the enum's arms"


def judge_rooms(lines):
    for room, count in lines.items():
        if count > ROOM_LINES_MAX and room not in house.LARGE_ROOMS:
            yield f"{room} has {count} lines, {ROOM_LINES_MAX} at most"


def main():
    sizes = []
    mistakes = []
    lines = collections.Counter()
    lines_of = {}
    for path in house.sources():
        text = tree.read(path)
        lines_of[path] = text.count("\n")
        lines[house.room_of(path)] += lines_of[path]
        mistakes += judge_file(path, text)
        for function in house.functions(text):
            sizes.append(function.size)
            mistakes += judge_function(path, function)
            if function.argument_count() > ARGUMENTS_MAX:
                print(f"large: {path}:{function.line}: {function.name} takes"
                      f" {function.argument_count()} arguments")
    mistakes += judge_rooms(lines)
    for path in house.LARGE_FILES:
        if lines_of.get(path, 0) <= FILE_LINES_MAX:
            print(f"{path} is large no more: take it off house.LARGE_FILES")
    if sizes:
        sizes.sort()
        print(f"{len(sizes)} functions: median {statistics.median(sizes):g}"
              f" lines, 90th percentile {sizes[len(sizes) * 9 // 10]},"
              f" longest {sizes[-1]}")
    print(f"{sum(lines.values())} lines:",
          ", ".join(f"{room} {count}" for room, count in lines.items()))
    tree.finish(mistakes, len(sizes))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How many checks of our own mistakes (MUST, MUST_OBJ, OBJ_OF) a room's
functions hold, and how many of its source files a unit test is about. A room
of house.CHECKED has one check a function or more, on average.

Only what stands in .c files counts: a header's inline functions are too small
for a check more often than not, and each file that uses one would count it
again. A unit test is about a file when it is named after it
(test_<room>_<file>.c), includes its header, or names it in its opening
comment.

checks.py [ROOM]: with a room, lists its files: checks, functions, and whether
there is a unit test.
"""

import re
import sys

import house
import tree

CHECK = re.compile(r"\b(?:MUST|MUST_OBJ|OBJ_OF)\(")
CHECKS_MIN = 1.0
OPENING = re.compile(r"\A/\*.*?\*/", re.S)
INCLUDED = re.compile(r'#[ \t]*include[ \t]*"([^"]+)"')
SOURCE_NAME = re.compile(r"\b(\w+)\.c\b")


def tested(room):
    """Stems of a room's files that its unit tests are about."""
    found = set()
    start = f"test_{room}_"
    for path in tree.files("tests/unit", ends=(".c",)):
        if not house.stem(path).startswith(start):
            continue
        text = tree.read(path)
        opening = OPENING.match(text)
        found.add(house.stem(path)[len(start):])
        found.update(SOURCE_NAME.findall(opening[0] if opening else ""))
        found.update(
            house.stem(target) for target in INCLUDED.findall(text)
            if room in (house.room_of("src/" + target),
                        house.room_of("include/" + target)))
    return found


class Room:
    def __init__(self, name):
        self.name = name
        self.tested = tested(name)
        self.files = {}
        for path in house.sources(name, ends=(".c",)):
            code = house.code_of(tree.read(path))
            self.files[path] = (len(CHECK.findall(code)),
                                len(list(house.functions(code))))
        self.checks = sum(c for c, _ in self.files.values())
        self.functions = sum(f for _, f in self.files.values())

    def has_test(self, path):
        return house.stem(path) in self.tested

    def ratio(self):
        return self.checks / max(self.functions, 1)

    def say(self):
        with_test = sum(map(self.has_test, self.files))
        print(f"{self.name}: {self.checks} checks in {self.functions}"
              f" functions ({self.ratio():.2f}); {with_test} of"
              f" {len(self.files)} files with a unit test"
              f"{' *' if self.name in house.CHECKED else ''}")

    def say_files(self):
        for path, (checks, functions) in self.files.items():
            print(f"{path}: {checks} checks, {functions} functions"
                  f"{'' if self.has_test(path) else ', no unit test'}")


def main():
    rooms = [Room(name) for name in house.built()]
    for room in rooms:
        room.say()
        if room.name in sys.argv[1:]:
            room.say_files()
    print(f"*: must have {CHECKS_MIN}")
    tree.finish([f"{room.name}: {room.ratio():.2f} checks a function,"
                 f" {CHECKS_MIN} at least" for room in rooms
                 if room.name in house.CHECKED and room.ratio() < CHECKS_MIN],
                sum(room.functions for room in rooms))


if __name__ == "__main__":
    main()

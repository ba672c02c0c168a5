#!/usr/bin/env python3
"""A room includes lower floors only, never sideways, never upward; and a
library is named only in the room that it belongs to. The rooms of
CMakeLists.txt are those of house.py, linked with lower floors only."""

import os
import re

import house
import tree

FLOORS = house.FLOORS
SOCKETS = ("sys/socket.h", "netinet/", "poll.h", "sys/epoll.h", "netdb.h",
           "sys/un.h")
SYSTEM = re.compile(
    r"(assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale"
    r"|malloc|math|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint"
    r"|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype"
    r"|dirent|fcntl|fnmatch|getopt|glob|grp|libgen|netdb|poll|pthread|pwd"
    r"|sched|strings|syslog|unistd|endian|semaphore|[a-z]*intrin)\.h\Z"
    r"|(sys|netinet|arpa|net|linux|bits)/\S+\.h\Z")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def judge_floor(room, other):
    if other == room or FLOORS[other] < FLOORS[room]:
        return None
    way = "sideways" if FLOORS[other] == FLOORS[room] else "upward"
    return f"{room} (floor {FLOORS[room]}) looks {way} at {other}"


def judge_inside(path, room, target):
    """What is wrong with an #include "target" of src, or None."""
    if path.startswith("include"):
        return "a public header includes nothing private"
    if "/" not in target:
        target = os.path.join(os.path.dirname(path), target)[len("src/"):]
    other = house.room_of("src/" + target)
    # A room in a room's folder has its doors in that folder.
    is_nested = other is not None and house.FOLDERS[other].startswith(
        house.FOLDERS[room] + "/")
    if other != room and not is_nested:
        return f"{room} looks into another room"
    if not os.path.exists(os.path.join(tree.ROOT, "src", target)):
        return f"there is no src/{target}"
    return None


def judge_own(path, room, target):
    """What is wrong with #include "target", or None."""
    if not target.startswith("nearside/"):
        return judge_inside(path, room, target)
    other = house.room_of("include/" + target)
    if other is None:
        return f"{target} lies in no room"
    if not os.path.exists(os.path.join(tree.ROOT, "include", target)):
        return f"there is no include/{target}"
    return judge_floor(room, other)


def judge_foreign(room, target):
    """What is wrong with #include <target>, or None."""
    if target.startswith(house.LIBRARIES.get(room, ("/",))):
        return None
    if not SYSTEM.match(target):
        return f"not a library of {room}"
    if room in house.PURE and target.startswith(SOCKETS):
        return f"{room} is pure: it knows no sockets"
    return None


def judge(path):
    room = house.room_of(path)
    text = tree.read(path)
    if room is None:
        yield f"{path} lies in no room of house.py"
        return
    for match in INCLUDE.finditer(text):
        if match[1] == '"':
            wrong = judge_own(path, room, match[2])
        else:
            wrong = judge_foreign(room, match[2])
        if wrong is not None:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match[2]}: {wrong}"


def judge_cmake():
    """What is wrong with the rooms that CMake builds."""
    rooms = house.cmake_rooms()
    for room, uses in rooms.items():
        if room not in FLOORS:
            yield f"CMakeLists.txt: house.py has no room {room}"
            continue
        for other in sorted(uses):
            wrong = (judge_floor(room, other) if other in FLOORS
                     else f"house.py has no room {other}")
            if wrong is not None:
                yield f"CMakeLists.txt: room({room}): {wrong}"
    for room in house.built():
        if room not in rooms:
            yield f"CMakeLists.txt builds no room {room}"


def main():
    paths = [path for path in tree.files("src", "include", ends=house.SOURCES)
             if path.count(os.sep) > 1]
    mistakes = [m for path in paths for m in judge(path)]
    tree.finish([*mistakes, *judge_cmake()], len(paths))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A room includes lower floors only, never sideways, never upward; and a
library is named only in the room that it belongs to."""

import os
import re

import tree

FLOORS = {"base": 0, "http": 1, "memory": 1, "net": 2, "rules": 2, "origin": 3,
          "redis": 3, "work": 3,
          "proxy": 4, "app": 5}
LIBRARIES = {"memory": ("xxhash.h", "zstd.h", "sha2.h"),
             "net": ("event2/", "openssl/"),
             "redis": ("hiredis/", "sha1.h"),
             "app": ("confuse.h", "jansson.h")}
# Rooms that touch no socket: bytes and `now` in, results out.
PURE = ("http", "memory")
SOCKETS = ("sys/socket.h", "netinet/", "poll.h", "sys/epoll.h", "netdb.h",
           "sys/un.h")
SYSTEM = re.compile(
    r"(assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale"
    r"|math|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint"
    r"|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype"
    r"|dirent|fcntl|fnmatch|getopt|glob|grp|libgen|netdb|poll|pthread|pwd"
    r"|sched|strings|syslog|unistd|endian|semaphore|[a-z]*intrin)\.h\Z"
    r"|(sys|netinet|arpa|net|linux|bits)/\S+\.h\Z")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    part = path.split(os.sep)
    return part[1] if part[0] == "src" else part[2]


def judge_own(path, room, target):
    """What is wrong with #include "target", or None."""
    if not target.startswith("nearside/"):
        if path.startswith("include"):
            return "a public header includes nothing private"
        if "/" not in target:
            target = f"{room}/{target}"
        if not target.startswith(room + "/"):
            return f"{room} looks into another room"
        inside = os.path.join(tree.ROOT, "src", target)
        return None if os.path.exists(inside) else f"not in src/{room}"
    other = target.split("/")[1]
    if other not in FLOORS:
        return f"there is no room {other}"
    if other == room or FLOORS[other] < FLOORS[room]:
        return None
    way = "sideways" if FLOORS[other] == FLOORS[room] else "upward"
    return f"{room} (floor {FLOORS[room]}) looks {way} at {other}"


def judge_foreign(room, target):
    """What is wrong with #include <target>, or None."""
    if target.startswith(LIBRARIES.get(room, ("/",))):
        return None
    if not SYSTEM.match(target):
        return f"not a library of {room}"
    if room in PURE and target.startswith(SOCKETS):
        return f"{room} is pure: it knows no sockets"
    return None


def judge(path):
    room = room_of(path)
    text = tree.read(path)
    if room not in FLOORS:
        yield f"{path}: there is no room {room}"
        return
    for match in INCLUDE.finditer(text):
        if match[1] == '"':
            wrong = judge_own(path, room, match[2])
        else:
            wrong = judge_foreign(room, match[2])
        if wrong is not None:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match[2]}: {wrong}"


def main():
    paths = [p for p in tree.files("src", "include", ends=(".c", ".h", ".def"))
             if len(p.split(os.sep)) > 2]
    tree.finish([m for path in paths for m in judge(path)], len(paths))


if __name__ == "__main__":
    main()

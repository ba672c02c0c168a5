"""The house, said once: its rooms and their floors, what each may name, and
which rooms already keep the stricter laws. The lints read it from here, and
lint.floors checks it against the rooms of CMakeLists.txt.

A room's folder is src/<room> with all folders below it, unless one of those
is a room of its own (`app/conf` is). A room that is not built yet does no
harm: src/README.md draws the house, this table only allows it."""

import os
import re

import tree

# A room names lower floors only. Floors have gaps for rooms to come.
FLOORS = {
    "base": 0,
    "net": 10, "http": 10, "cache": 10,
    "server": 15,
    "origin": 20, "redis": 20, "rules": 20,
    "work": 25,
    "body": 30,
    "lease": 35,
    "tier": 40,
    "collapse": 50, "write": 50,
    "request": 60,
    "known": 65,
    "front": 70,
    "proxy": 80,
    "app_conf_text": 83,
    "app_conf_value": 84,
    "app_conf": 85,
    "app": 90,
}
FOLDERS = {room: room for room in FLOORS} | {
    "app_conf": "app/conf", "app_conf_text": "app/conf/text",
    "app_conf_value": "app/conf/value"}

# Libraries beyond libc, each in the one room that it belongs to.
LIBRARIES = {
    "cache": ("xxhash.h", "zstd.h", "sha2.h"),
    "net": ("event2/", "openssl/"),
    "redis": ("hiredis/", "sha1.h"),
    "front": ("nghttp2/",),
    "app": ("jansson.h", "ncurses.h"),
}

# Rooms that touch no socket: bytes and `now` in, results out.
PURE = ("http", "cache", "rules")

# Rooms in which clang-tidy finds nothing (lint.tidy).
TIDY = ("base", "net", "http", "server", "origin")

# Rooms with one MUST a function or more, on average (lint.checks).
CHECKED = ("cache", "server", "origin", "redis", "body", "request", "lease", "tier", "collapse", "write", "known", "front")

# Larger than a room may be: protocols whose rules are many.
LARGE_ROOMS = ("http", "redis")

# Files that are still to be divided; nothing is to be added here.
LARGE_FILES = ()

# Rooms where a switch still casts its enum to int.
CASTING_ROOMS = ()

SOURCES = (".c", ".h", ".def")


def room_of(path):
    """The room of a path of the tree, or None: src/app/conf/x.c lies in
    app_conf, include/nearside/http/x.h in http."""
    for start in ("src/", "include/nearside/"):
        if path.startswith(start) and "/" in path[len(start):]:
            inside = path[len(start):]
            within = [room for room, folder in FOLDERS.items()
                      if inside.startswith(folder + "/")]
            return max(within, key=lambda r: len(FOLDERS[r]), default=None)
    return None


def sources(*rooms, ends=SOURCES):
    """Paths of the named rooms, or of all."""
    return [path for path in tree.files("src", "include", ends=ends)
            if not rooms or room_of(path) in rooms]


def built():
    """The rooms that have a file."""
    return [room for room in FLOORS if sources(room, ends=(".c",))]


def cmake_rooms():
    """{room: rooms it is linked with}, as CMakeLists.txt declares them."""
    text = tree.read("CMakeLists.txt")
    return {name: set(re.findall(r"\bns_(\w+)", uses)) for name, uses in
            re.findall(r"^room\((\w+) USES ([^)]*)\)", text, re.M)}


# --- C, as far as a lint reads it ---------------------------------------------

# By the house style a name at column 1 opens a definition.
NAME = re.compile(r"^([A-Za-z_]\w*)\(")
NOT_CODE = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def code_of(text):
    """The text without comments, strings and characters; lines stay."""
    return NOT_CODE.sub(lambda m: "\n" * m[0].count("\n") or " ", text)


class Function:
    """One definition: where it begins, what it says."""

    def __init__(self, lines, start, opened, closed):
        self.line = start + 1
        self.name = NAME.match(lines[start])[1]
        self.is_static = start > 0 and "static" in lines[start - 1]
        self.signature = " ".join(lines[start:opened])
        self.size = closed - opened + 1
        self.body = "\n".join(lines[opened:closed + 1])

    def argument_count(self):
        inside = self.signature[self.signature.index("(") + 1:
                                self.signature.rindex(")")]
        if inside.strip() in ("", "void"):
            return 0
        depth = 0
        count = 1
        for c in inside:
            depth += (c == "(") - (c == ")")
            count += c == "," and depth == 0
        return count


def functions(text):
    """All definitions in a file's text (comments may be left in)."""
    lines = text.split("\n")
    opened = None
    for i, line in enumerate(lines):
        if line.startswith("{"):
            opened = i
        elif line.startswith("}") and opened is not None:
            start = opened - 1
            while start > 0 and not NAME.match(lines[start]):
                start -= 1
            if NAME.match(lines[start]):
                yield Function(lines, start, opened, i)
            opened = None


def stem(path):
    return os.path.splitext(os.path.basename(path))[0]

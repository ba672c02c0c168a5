#!/usr/bin/env python3
"""Who depends on whom: no room on one of its own floor or above, and no
circle, neither of rooms nor of a room's files.

A source file depends on another when it names one of its functions that are
not static, be it in a call or in a table; what an inline function of a header
names, whoever uses it names too. A room depends on another when one of its
source files does, or one of its files includes a header of it. Headers are no
part of a file's circle: two files that share one do not know each other by
that, but by what they call.

calls.py [ROOM]: with a room, prints what its files depend on.
"""

import collections
import re
import sys

import house
import tree

WORD = re.compile(r"[A-Za-z_]\w*")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


class Source:
    """One .c file: what it defines and which names it uses."""

    def __init__(self, path, inline):
        self.path = path
        self.room = house.room_of(path)
        code = house.code_of(tree.read(path))
        functions = list(house.functions(code))
        self.defined = {f.name for f in functions if not f.is_static}
        self.used = set(WORD.findall(code)) - {
            f.name for f in functions if f.is_static}
        # What the inline functions that it uses use, and so on.
        new = self.used & inline.keys()
        while new:
            named = set().union(*(inline[name] for name in new))
            new = (named & inline.keys()) - self.used
            self.used |= named


def inline_functions():
    """{name: names in its body} of the functions in headers."""
    found = {}
    for path in house.sources(ends=(".h",)):
        for function in house.functions(house.code_of(tree.read(path))):
            found[function.name] = set(WORD.findall(function.body))
    return found


def depends(sources):
    """{path: {path it uses: a function by which}}"""
    home = {name: s for s in sources for name in s.defined if name != "main"}
    uses = {}
    for s in sources:
        of = uses[s.path] = {}
        for name in sorted(s.used & home.keys()):
            if home[name] is not s and name not in s.defined:
                of.setdefault(home[name].path, name)
    return uses


def circles(uses):
    """Groups of which each reaches each (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in uses.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(group) > 1:
                found.append(sorted(group))

    for node in uses:
        if node not in index:
            visit(node)
    return found


def room_uses(uses):
    """{room: {room: why}} by calls and by includes."""
    found = collections.defaultdict(dict)
    for path, others in uses.items():
        for other, name in others.items():
            found[house.room_of(path)].setdefault(
                house.room_of(other), f"{path}: {name}")
    for path in house.sources():
        for target in INCLUDE.findall(tree.read(path)):
            folder = "include/" if target.startswith("nearside/") else "src/"
            room = house.room_of(folder + target)
            if room is not None:
                found[house.room_of(path)].setdefault(
                    room, f"{path}: {target}")
    return {room: {o: why for o, why in others.items() if o != room}
            for room, others in found.items()}


def judge_rooms(uses):
    rooms = room_uses(uses)
    for room, others in rooms.items():
        for other, why in others.items():
            if house.FLOORS[other] >= house.FLOORS[room]:
                yield f"{why}: {room} does not stand above {other}"
    for circle in circles(rooms):
        yield "a circle of rooms: " + ", ".join(circle)


def judge_room(room, uses):
    """Prints a room's circles; yields what each is made of."""
    inside = {path: {o: n for o, n in of.items() if house.room_of(o) == room}
              for path, of in uses.items() if house.room_of(path) == room}
    for circle in circles(inside):
        names = [house.stem(path) for path in circle]
        print(f"{room}: a circle of {len(circle)} files:", *names)
        for path in circle:
            for other, name in inside[path].items():
                if other in circle:
                    yield f"{path} uses {name} of {other}, in a circle"


def show(room, uses):
    for path, of in uses.items():
        if house.room_of(path) == room:
            print(path)
            for other, name in of.items():
                print(f"    {other}: {name}")


def main():
    inline = inline_functions()
    sources = [Source(path, inline) for path in house.sources(ends=(".c",))]
    uses = depends(sources)
    if len(sys.argv) > 1:
        show(sys.argv[1], uses)
        return
    mistakes = list(judge_rooms(uses))
    for room in house.built():
        mistakes += judge_room(room, uses)
    tree.finish(mistakes, sum(len(of) for of in uses.values()))


if __name__ == "__main__":
    main()

"""What the tables of tests/ claim. tests/rfc9111.md names a test for each
requirement: each must exist, and every requirement must have one or say why
there is no code for it. tests/limits.md has a row for each limit of a
limit.def, and each of its rows names tests that exist. tests/promises.md has
README's rows of failures, and what it says of stale answers."""

import os
import re

from tree import ROOT, files, finish, read

UNIT = re.compile(r"^([a-z_0-9]+)\(void \*\*state\)$", re.M)
FLOW = re.compile(r"^    def test_([a-z_0-9]+)\(self", re.M)
LIMIT = re.compile(r'^LIMIT\(\w+, "(\w+)"\)', re.M)
BY_DESIGN = "by design"


def names_of(path):
    if not os.path.exists(os.path.join(ROOT, path)):
        return set()
    return set((UNIT if path.endswith(".c") else FLOW).findall(read(path)))


def rows_of(table, width):
    """(number, cells) of each line that is a row, without its head."""
    for number, line in enumerate(read(table).split("\n"), 1):
        line = line.replace("| |", "|  |")  # an empty cell is one too
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) >= width \
                and not set(line) <= set("|- "):
            yield number, cells


def look_for(table, number, path, name):
    if name not in names_of(path):
        mistakes.append(
            f"{table}:{number}: there is no test {name} in {path}")


def check_requirements(table):
    named_in = re.compile(r"(flow )?([a-z_0-9]+): ([a-z_0-9]{8,})")
    rows = 0
    for number, cells in rows_of(table, 4):
        if cells[0] == "§" or cells[0].startswith("RFC"):
            continue
        rows += 1
        shown = cells[-1]
        named = named_in.findall(shown)
        if not named and not shown.startswith(BY_DESIGN) \
                and "the rows below" not in shown:
            mistakes.append(f"{table}:{number}: names no test: {shown}")
        for kind, part, name in named:
            look_for(table, number,
                     f"tests/flow/test_{part}.py" if kind
                     else f"tests/unit/test_http_{part}.c", name)
    return rows


def check_shown(table, number, shown):
    """The last cell of a row: tests, with what is between them."""
    for claim in shown.split("; "):
        named = re.match(r"(unit )?([a-z_0-9]+): ([a-z_0-9]+)\Z", claim)
        if named is None:
            mistakes.append(f"{table}:{number}: names no test: {claim}")
            continue
        kind, part, name = named.groups()
        look_for(table, number,
                 f"tests/unit/test_{part}.c" if kind
                 else f"tests/flow/test_{part}.py", name)


def check_limits(table):
    counters = set()
    rows = 0
    for number, cells in rows_of(table, 5):
        if cells[0] == "what":
            continue
        rows += 1
        # What follows "origin" or "Redis" is a counter of theirs.
        own = re.sub(r"(?:origin|Redis) [^;]*", "", cells[3])
        counters.update(re.findall(r"`(\w+)`", own))
        check_shown(table, number, cells[4])
    limits = {name for path in files("include", ends=("limit.def",))
              for name in LIMIT.findall(read(path))}
    for name in sorted(limits - counters):
        mistakes.append(f"{table}: no row has the limit {name}")
    for name in sorted(counters - limits):
        mistakes.append(f"{table}: there is no limit {name}")
    return rows if limits else 0


def promises_of(section):
    """How each row, each paragraph and each item of the section begins."""
    text = re.search(rf"^## {section}$(.*?)^## ", read("README.md"),
                     re.M | re.S)
    for piece in re.split(r"\n\n|\n(?=[|] |- )", text[1] if text else ""):
        piece = " ".join(piece.split())
        if piece.startswith("| "):
            piece = piece[2:].split(" | ")[0]
        if piece and piece != "what" and not piece.startswith("|---"):
            yield piece.removeprefix("- ")


def check_promises(table, section):
    promised = list(promises_of(section))
    rows = [row for row in rows_of(table, 2) if row[1][0] != "README"]
    for number, (said, shown) in rows:
        check_shown(table, number, shown)
        if not any(promise.startswith(said) for promise in promised):
            mistakes.append(
                f"{table}:{number}: README does not say so: {said}")
    for promise in promised:
        if not any(promise.startswith(said) for _, (said, _) in rows):
            mistakes.append(f"{table}: no row has README's '{promise[:60]}'")
    return len(rows) if promised else 0


mistakes = []
looked_at = [check_requirements("tests/rfc9111.md"),
             check_limits("tests/limits.md"),
             check_promises("tests/promises.md", "When it breaks")]
finish(mistakes, sum(looked_at) if all(looked_at) else 0)

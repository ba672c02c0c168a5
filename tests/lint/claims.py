"""tests/rfc9111.md names a test for each requirement: each must exist, and
every requirement must have one or say why there is no code for it."""

import os
import re

from tree import ROOT, finish, read

TABLE = "tests/rfc9111.md"
UNIT = re.compile(r"^([a-z_0-9]+)\(void \*\*state\)$", re.M)
FLOW = re.compile(r"^    def test_([a-z_0-9]+)\(self", re.M)
NAMED = re.compile(r"(flow )?([a-z_0-9]+): ([a-z_0-9]{8,})")
BY_DESIGN = "by design"


def names_of(kind, part):
    path = (f"tests/flow/test_{part}.py" if kind
            else f"tests/unit/test_http_{part}.c")
    if not os.path.exists(os.path.join(ROOT, path)):
        return set()
    return set((FLOW if kind else UNIT).findall(read(path)))


mistakes = []
rows = 0
for number, line in enumerate(read(TABLE).split("\n"), 1):
    cells = [cell.strip() for cell in line.strip("|").split(" | ")]
    if not line.startswith("| ") or len(cells) < 4 or cells[0] == "§":
        continue
    if cells[0].startswith("RFC") or set(line) <= set("|- "):
        continue
    rows += 1
    shown = cells[-1]
    named = NAMED.findall(shown)
    if not named and not shown.startswith(BY_DESIGN) \
            and "the rows below" not in shown:
        mistakes.append(f"{TABLE}:{number}: names no test: {shown}")
    for kind, part, name in named:
        if name not in names_of(kind, part):
            mistakes.append(
                f"{TABLE}:{number}: there is no test {kind}{part}: {name}")

finish(mistakes, rows)

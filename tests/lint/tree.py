"""The files of the tree, and how a lint says what it found."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
NOT_OURS = (".git", "__pycache__")
MAN = "src/app/nearside.8"


def files(*folders, ends=()):
    """Paths from the root, sorted; all folders when none is named."""
    found = []
    for folder in folders or (".",):
        for where, dirs, names in os.walk(os.path.join(ROOT, folder)):
            dirs[:] = [d for d in dirs if d not in NOT_OURS
                       and not (where == os.path.join(ROOT, ".")
                                and d.startswith("build"))]
            for name in names:
                if not ends or name.endswith(tuple(ends)):
                    path = os.path.join(where, name)
                    found.append(os.path.relpath(path, ROOT))
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def rows_of_manual(section):
    """What each row of a section's lists explains, in one line."""
    text = re.search(rf"^\.Sh {section}$(.*?)^\.Sh ", read(MAN), re.M | re.S)
    rows = re.findall(r"^\.It ((?:.*\\\n)*.*)$", text[1], re.M) if text else []
    return [row.replace("\\\n", "") for row in rows]


def finish(mistakes, looked_at):
    """Lists the mistakes and exits; a lint that saw nothing is broken."""
    for mistake in mistakes:
        print(mistake)
    print(f"{looked_at} looked at, {len(mistakes)} mistakes")
    sys.exit(1 if mistakes or looked_at == 0 else 0)

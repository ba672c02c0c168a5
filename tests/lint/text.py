#!/usr/bin/env python3
"""Nothing is left to do in the text, and lines end as .editorconfig says.
Python files compile."""

import os
import re

import tree

# Spelt so that this file does not find itself.
LEFT = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3,
                                     "HA" + "CK")) + r")\b")
TEXT = (".c", ".h", ".def", ".py", ".sh", ".cmake", ".txt", ".md", ".conf",
        ".yaml", ".yml", ".lua", ".js", ".8", ".5")
TABS_OK = (".8", ".5")
# A quotation of mdoc lasts to the end of its line: with another one behind it
# both are in the quotes.
QUOTES = re.compile(r"\bQl (?:\S+ )*(?:No|Ql|Cm|Ic|Xr|Pa|Pq|Dv|Fl)\b"
                    r"|\bQl .*\S ,\s+\S")


def is_text(path):
    if path.endswith((*TEXT, "/Dockerfile")):
        return True
    with open(os.path.join(tree.ROOT, path), "rb") as f:
        return f.read(2) == b"#!"


def judge(path):
    try:
        text = tree.read(path)
    except UnicodeDecodeError:
        yield f"{path}: not UTF-8"
        return
    for number, line in enumerate(text.split("\n"), 1):
        if LEFT.search(line):
            yield f"{path}:{number}: left to do: {line.strip()}"
        if line != line.rstrip():
            yield f"{path}:{number}: blanks at the end of the line"
        if path.endswith(TABS_OK) and QUOTES.search(line):
            yield f"{path}:{number}: quotes something twice: {line}"
        if "\t" in line and not path.endswith(TABS_OK):
            yield f"{path}:{number}: a tab"
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        yield f"{path}: ends with other than one newline"
    if path.endswith(".py"):
        try:
            compile(text, path, "exec")
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}"


def main():
    paths = [p for p in tree.files() if is_text(p)]
    tree.finish([m for path in paths for m in judge(path)], len(paths))


if __name__ == "__main__":
    main()

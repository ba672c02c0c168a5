"""The events of the log: src/app/nearside.8 says what each that the source has
means and what to do about it, and has no other."""

import re

from tree import MAN, files, finish, read, rows_of_manual

CALL = re.compile(r"\b(?:log_event|log_event_last|write_event)(?=\()")
NAME = re.compile(r"[a-z]+(?:_[a-z]+)*\Z")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# The note about lines that were left out has the name of their event.
HANDED_ON = ("const char *event", "slot.name")


def arguments(text):
    """Those of the call or declaration whose parenthesis is the first."""
    depth = 0
    found = [""]
    for piece in re.findall(r'"(?:[^"\\]|\\.)*"|.', text, re.S):
        depth += (piece in "([{") - (piece in ")]}") if len(piece) == 1 else 0
        if depth == 0:
            return found
        if depth == 1 and piece == ",":
            found.append("")
        else:
            found[-1] += piece
    return found


def names_in(call):
    """The third argument's: one, or two of which a condition takes one."""
    event = arguments(call)[2].strip()
    names = [text[1:-1] for text in STRING.findall(event)]
    if names and all(NAME.match(name) for name in names):
        return names
    return [] if event in HANDED_ON else [f"? {event}"]


def names_of_source():
    """{name: a file that has it}"""
    return {name: path
            for path in files("src", "include", ends=(".c", ".h"))
            for text in [re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)]
            for call in CALL.finditer(text)
            for name in names_in(text[call.end():])}


source = names_of_source()
manual = [name for row in rows_of_manual("LOG")
          for name in re.findall(r"[a-z_]+", row.removeprefix("Cm "))]
mistakes = [f"{path}: {MAN} does not explain the event '{name}'"
            for name, path in sorted(source.items()) if name not in manual]
mistakes += [f"{MAN}: nothing logs '{name}'"
             for name in sorted(set(manual) - set(source))]
mistakes += [f"{MAN}: '{name}' stands twice"
             for name in sorted({n for n in manual if manual.count(n) > 1})]
finish(mistakes, len(source) if manual else 0)

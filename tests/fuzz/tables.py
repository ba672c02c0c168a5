"""What the tables of the source hand to the fuzzers: words, and heads that
name what must not be named. No fuzzer guesses some 250 names by itself."""

import os
import re

FUZZ = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FUZZ))
ROWS = {"app": ["src/app/conf/conf.def"],
        "http": ["include/nearside/http/field.def",
                 "include/nearside/http/forwarding.def"]}
ROW = re.compile(r'^(?:(?:OPTION|SAME|MS|LIST)\(\s*\w+, (\w+),'
                 r'|(?:FIELD|FORWARDING)\(\w+, "(.+)"\))', re.MULTILINE)
STATUSES = "src/http/status.def"
STATUS = re.compile(r"^STATUS\((\d{3}),", re.MULTILINE)
# Connection may name none of a long list. A head is refused at the first, so
# nothing that is tried leads on to the next.
NAMING = {
    "http_answers": b"\0HTTP/1.1 204 A\r\nConnection: %s\r\n\r\n",
    "http_request": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n",
    "http_response": b"HTTP/1.1 204 A\r\nConnection: %s\r\n\r\n",
    "http_storable": b"\0\0HTTP/1.1 204 A\r\nConnection: %s\r\n\r\n",
    "http_stream": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n",
    "http_update": b"\0HTTP/1.1 204 A\r\nConnection: %s\r\n\r\n",
}


def names_in_tables(room):
    for table in ROWS.get(room, []):
        with open(os.path.join(ROOT, table), encoding="ascii") as file:
            for option, name in ROW.findall(file.read()):
                yield option or name


def statuses():
    with open(os.path.join(ROOT, STATUSES), encoding="ascii") as file:
        return STATUS.findall(file.read())


def write_dictionary(path, room):
    """The room's words, and what its tables name; no file without any."""
    words = [f'"{name}"\n' for name in names_in_tables(room)]
    if room in ROWS:
        words += [f'"{status}"\n' for status in statuses()]
    by_hand = os.path.join(FUZZ, room + ".dict")
    if os.path.exists(by_hand):
        with open(by_hand, encoding="ascii") as file:
            words += file.readlines()
    if words:
        with open(path, "w", encoding="ascii") as file:
            file.writelines(words)


def near(name):
    """The name, the same in capitals, and some that are wrong in one place."""
    yield name
    yield name.upper()
    for at in (0, 1, len(name) - 1):
        for other in "~0Q":
            yield name[:at] + other + name[at + 1:]


def write_naming(folder, fuzzer):
    """Heads whose Connection names one of the tables' names, or nearly; no
    folder for a fuzzer that reads none."""
    if fuzzer not in NAMING:
        return
    os.makedirs(folder, exist_ok=True)
    for name in names_in_tables("http"):
        for text in near(name):
            with open(os.path.join(folder, text), "wb") as file:
                file.write(NAMING[fuzzer] % text.encode())

"""The words of Cache-Status' `detail` and of the log: src/app/nearside.8 has a
table of them, in which each word that the source has must stand, and no other.

A word is a string in one of the places below. tests/flow/lib/wire.py looks at
each Cache-Status that any flow test sees, so that a word which has found a
place of its own is noticed too."""

import re

from tree import MAN, files, finish, read, rows_of_manual

TEXT = re.compile(r'(?<!SLICE\()"([^"\n]*)"')
WORD = re.compile(r"[a-z][a-z_-]*\Z")
# In an assignment or initialiser, behind a return of whoever answers such a
# word, or as an argument of those who take one.
PLACES = (
    re.compile(r"\b(?:detail|bypass|credential) = ([^;{}]*?)[;}]", re.S),
    re.compile(r"\b(?:request_fail|request_refuse|session_refuse|refuse|"
               r"read_credential|request_deliver_stale)\(([^;]*?)\)[;\s]",
               re.S),
    re.compile(r"^#define \w*DETAIL\w* +(.*)$", re.M),
    re.compile(r"^#define QUESTION_NO_ROUTE +(.*)$", re.M),
)
# All their strings are such words.
WHOLE = ("src/rules/policy.c", "src/redis/near.c", "src/redis/node.c",
         "src/redis/trust.c")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def words_of_source():
    """{word: a file that has it}"""
    found = {}
    for path in files("src", "include", ends=(".c", ".h")):
        if ("/redis/" in path or "/app/" in path) and path not in WHOLE:
            continue  # their logs have details of their own
        text = without_comments(read(path))
        text = re.sub(r"^#include .*$", "", text, flags=re.M)
        pieces = [text] if path in WHOLE else [
            piece for place in PLACES for piece in place.findall(text)]
        for piece in pieces:
            for word in TEXT.findall(piece):
                if WORD.match(word):
                    found[word] = path
    path = "include/nearside/http/storable.def"
    for word in TEXT.findall(without_comments(read(path))):
        found[word] = path
    return found


def words_of_manual():
    return [word.rstrip(",") for row in rows_of_manual("CACHE-STATUS")
            for word in row.split()
            if word not in ("Cm", ",")]


source, manual = words_of_source(), words_of_manual()
mistakes = [f"{path}: '{word}' does not stand in the table of {MAN}"
            for word, path in sorted(source.items()) if word not in manual]
mistakes += [f"{MAN}: the source does not have '{word}'"
             for word in manual if word not in source]
mistakes += [f"{MAN}: '{word}' stands twice"
             for word in sorted(set(manual)) if manual.count(word) > 1]
finish(mistakes, len(source) if manual else 0)

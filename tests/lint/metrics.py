"""src/app/nearside.8 explains each metric that the source has, and no other."""

import re

from tree import MAN, files, finish, read, rows_of_manual

NAME = re.compile(r'"(?:# HELP )?((?:nearside|process)_[a-z0-9_]+)')


def names_of_source():
    """{name: a file that has it}"""
    return {name: path for path in files("src", "include",
                                         ends=(".c", ".h", ".def"))
            for name in NAME.findall(read(path))}


def names_of_manual():
    return [name for row in rows_of_manual("METRICS")
            for name in re.findall(r"(?:nearside|process)_[a-z0-9_]+", row)]


source = names_of_source()
manual = names_of_manual()
mistakes = [f"{path}: {MAN} does not explain {name}"
            for name, path in sorted(source.items()) if name not in manual]
mistakes += [f"{MAN}: nothing counts {name}"
             for name in sorted(set(manual) - set(source))]
mistakes += [f"{MAN}: {name} stands twice"
             for name in sorted({n for n in manual if manual.count(n) > 1})]
finish(mistakes, len(source))

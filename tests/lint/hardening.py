#!/usr/bin/env python3
"""The built daemon is hardened: position independent, bound at start, its
relocations read-only, its stack guarded and not executable.

hardening.py PROGRAM
"""

import re
import subprocess
import sys

import tree


def readelf(program, *what):
    return subprocess.run(["readelf", "-W", *what, program], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def judge(program):
    header = readelf(program, "-h")
    segments = readelf(program, "-l")
    dynamic = readelf(program, "-d")
    symbols = readelf(program, "--dyn-syms")
    if not re.search(r"Type:\s+DYN", header):
        yield "not position independent (-pie)"
    if "GNU_RELRO" not in segments:
        yield "no RELRO (-z relro)"
    if not re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", dynamic):
        yield "not bound at start (-z now)"
    stack = re.search(r"GNU_STACK\s.*?\s([RWE ]{2,3})\s+0x\w+$", segments, re.M)
    if stack is None or "E" in stack[1]:
        yield "an executable stack (-z noexecstack)"
    if re.search(r"^\s*LOAD\s.*\sRWE\s", segments, re.M):
        yield "a segment both writable and executable"
    if "TEXTREL" in dynamic:
        yield "relocations in the code"
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        yield "a run path to where it was built"
    if "__stack_chk_fail" not in symbols:
        yield "no stack protector (-fstack-protector-strong)"
    if not re.search(r"__\w+_chk\b(?<!__stack_chk)", symbols.replace(
            "__stack_chk_fail", "")):
        yield "no fortified call (-D_FORTIFY_SOURCE)"


def main():
    program = sys.argv[1]
    tree.finish([f"{program}: {wrong}" for wrong in judge(program)], 1)


if __name__ == "__main__":
    main()

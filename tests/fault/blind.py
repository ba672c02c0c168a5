#!/usr/bin/env python3
"""Shows that the coherence oracle sees: builds daemons in each of which one
check of coherence is left out (base/blind.h), in build-blind, and demands that
the oracle finds a wrong read with each of them within some minutes."""

import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build-blind")
SKIPPED = 77

# Faults that the check is there for, so that minutes are enough.
FAULTS = {
    "lease": ["writes_are_paused", "primary_is_short_of_replicas"],
    "epoch": ["link_is_cut"],
    "dirty": ["data_is_delayed"],
}


def build(check, jobs):
    folder = os.path.join(BUILD, check)
    configure = ["cmake", "-S", ROOT, "-B", folder, "--log-level=NOTICE",
                 "-DNEARSIDE_TESTS=OFF", "-DNEARSIDE_LTO=OFF",
                 f"-DNEARSIDE_BLIND={check}"]
    if shutil.which("ninja") is not None and not os.path.exists(
            os.path.join(folder, "CMakeCache.txt")):
        configure += ["-G", "Ninja"]
    for command in (configure, ["cmake", "--build", folder, "--parallel", jobs,
                                "--target", "nearside"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            sys.stderr.write(done.stdout[-8000:])
            sys.exit(2)
    return os.path.join(folder, "nearside")


def main():
    parser = argparse.ArgumentParser(prog="tests/fault/blind.py",
                                     description=__doc__)
    parser.add_argument("--seconds", default="300", metavar="N",
                        help="how long the oracle may take for each; 300")
    parser.add_argument("--jobs", default="2", metavar="N",
                        help="processes that build; 2")
    parser.add_argument("check", nargs="*", metavar="CHECK",
                        help=f"{', '.join(FAULTS)}; all of them")
    args = parser.parse_args()
    unseen = []
    for check in args.check or FAULTS:
        program = build(check, args.jobs)
        print(f"== without {check}", flush=True)
        faults = [word for name in FAULTS[check]
                  for word in ("--fault", name)]
        status = subprocess.run(
            [sys.executable, "-B", os.path.join(HERE, "coherence"), "--blind",
             "--program", program, "--seconds", args.seconds, *faults],
            check=False).returncode
        if status == SKIPPED:
            return SKIPPED
        if status != 0:
            unseen.append(check)
    for check in unseen:
        print(f"without {check} nothing wrong was seen")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())

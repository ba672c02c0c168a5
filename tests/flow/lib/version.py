"""A daemon of an earlier version, built from this repository's own history."""

import os
import subprocess
import tarfile
import unittest

ROOT = os.path.dirname(os.path.abspath(__file__)) + "/../../.."

# The last commit of version 0.1.
VERSION_0_1 = "fa640df202b54b0cab7f9be52844f857b19ceafe"


def earlier(commit=VERSION_0_1):
    """The path of its program: that of NEARSIDE_BIN_BESIDE, or else built in
    the build directory and kept there. Skips the test where neither can be."""
    named = os.environ.get("NEARSIDE_BIN_BESIDE")
    if named:
        return named
    place = os.path.join(os.path.dirname(os.environ["NEARSIDE_BIN"]),
                         "earlier-" + commit[:7])
    program = os.path.join(place, "build", "nearside")
    if not os.path.exists(program):
        _build(commit, place)
    return program


def _build(commit, place):
    os.makedirs(place, exist_ok=True)
    archive = os.path.join(place, "source.tar")
    _run("git", "-C", ROOT, "archive", "-o", archive, commit)
    with tarfile.open(archive) as tar:
        tar.extractall(place)
    _run("cmake", "-S", place, "-B", place + "/build",
         "-DNEARSIDE_TESTS=OFF", "-DNEARSIDE_WERROR=OFF")
    _run("cmake", "--build", place + "/build", "--target", "nearside",
         "--parallel", str(os.cpu_count()))


def _run(*argv):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT, timeout=600)
    except OSError as error:
        raise unittest.SkipTest(f"no earlier version: {error}")
    if done.returncode != 0:
        raise unittest.SkipTest(
            f"no earlier version: {' '.join(argv)}: {done.stdout[-300:]}")

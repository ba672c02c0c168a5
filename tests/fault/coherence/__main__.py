"""The coherence oracle: no daemon serves a value that is older than the bound,
whatever breaks.

    python3 -B tests/fault/coherence --seconds 60

Three daemons stand before a real cluster of three primaries and three
replicas. Two of them write; all of them are read. Faults come at random while
every read and every acknowledged write is logged, and each read is judged.
NEARSIDE_BIN and SET_CLOCK_LIB name what is tested and what sets its clock.
"""

import argparse
import os
import random
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, os.pardir, "flow")]

from faults import FAULTS  # noqa: E402  pylint: disable=wrong-import-position
from fleet import Fleet  # noqa: E402  pylint: disable=wrong-import-position
from ring import Ring  # noqa: E402  pylint: disable=wrong-import-position

SKIPPED = 77
READERS = 6  # of each daemon
READS_A_SECOND = 240
WRITES_A_SECOND = 12
LOG_LINES = 150


def arguments():
    parser = argparse.ArgumentParser(
        prog="tests/fault/coherence", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, metavar="N",
                        help="about how long it takes in all; 60")
    parser.add_argument("--seed", metavar="SEED",
                        default=os.environ.get("NEARSIDE_SEED"),
                        help="of an earlier run, to get its faults again;"
                        " NEARSIDE_SEED says it too")
    parser.add_argument("--fault", action="append", default=[],
                        choices=sorted(FAULTS), metavar="NAME",
                        help="only this one; may be said more than once: "
                        + ", ".join(FAULTS))
    parser.add_argument("--program", metavar="PATH",
                        help="the daemon, in place of NEARSIDE_BIN")
    parser.add_argument("--logs", action="store_true",
                        help="print the daemons' logs when a read was wrong")
    parser.add_argument("--blind", action="store_true",
                        help="the daemon is known to be wrong: end when it has"
                        " been seen, and fail when it has not")
    return parser.parse_args()


def say(line):
    print(line, flush=True)


def run(args, seed):
    end = time.monotonic() + args.seconds
    with Fleet(args.program, seed) as fleet:
        ring = Ring(fleet, seed, end, args.fault, say)
        fleet.begin_load(READERS, READS_A_SECOND, WRITES_A_SECOND)
        ring.run(until_wrong=args.blind)
        total = ring.report()
        if args.logs and ring.wrong and not args.blind:
            for daemon in fleet.daemons:
                say(f"--- {daemon.name}")
                say("\n".join(daemon.log().splitlines()[-LOG_LINES:]))
    return ring, total


def judge(ring, total):
    """What is wrong with the run, in words."""
    if ring.wrong:
        yield f"{len(ring.wrong)} reads were older than the bound allows"
    answered = [one for one in ring.failed if one[5] != 0]
    if answered:
        yield f"{len(answered)} answers were no 200, such as {answered[0]}"
    if total.hits * 2 < total.reads:
        yield f"{total.hits} hits of {total.reads} reads are not half of them"
    if total.writes == 0:
        yield "nothing was written"


def main():
    args = arguments()
    for needed in ("redis-server", "redis-cli"):
        if shutil.which(needed) is None:
            say(f"skipped: no {needed}")
            return SKIPPED
    seed = args.seed or str(random.randrange(10 ** 6))
    say(f"NEARSIDE_SEED={seed}")
    ring, total = run(args, seed)
    if args.blind:
        say("seen" if ring.wrong else "the oracle has seen nothing")
        return 0 if ring.wrong else 1
    wrong = list(judge(ring, total))
    for line in wrong:
        say(f"{line}; NEARSIDE_SEED={seed} has the same faults")
    say(f"{total.reads} reads, {total.hits / max(1, total.reads):.0%} hits")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

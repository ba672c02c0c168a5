"""Fault after fault under load, each judged when it is over.

Which faults come, in which order, and how they go, hangs from the seed alone.
When they come hangs from the machine: a fault ends when it has been mended and
the cluster is whole again.
"""

import contextlib
import math
import random
import time

import clients
from faults import FAULTS
from fleet import DAEMONS, TARGETS, WRITING
from judge import BOUND_S, Count, Excuse, Judge, Kind, Read, Written
from lib import wait_until

EXCUSED_FOR_S = 1.0   # after a cut has ended
# As long may what a lost primary has been told be known to nobody else.
UNREPLICATED_S = 1.0
LONG_S = 300
FAULT_S = 11          # what a fault takes, more or less, until it is judged
WARM_S = 60
MENDED_S = 60
HALF_S = 60
SHOWN = 10


class Ring:
    """end: when the run is to be over. It is long when it has the time for
    faults that take half a minute."""

    def __init__(self, fleet, seed, end, only=(), say=print):
        self.fleet = fleet
        self.seed = seed
        self.only = list(only) or list(FAULTS)
        self.say = say
        self.judge = Judge()
        self.counts = {}
        self.wrong = []     # findings that are violations
        self.failed = []    # requests that were not answered with 200
        self._began = time.monotonic()
        self._end = end
        self.is_long = end - self._began >= LONG_S
        self._told = []
        self._wires = 0

    # --- What faults ask for ----------------------------------------------

    @contextlib.contextmanager
    def rule(self, rule, rng):
        drops = rng.random() < 0.5
        count = self.fleet.wires.ask("set_rule", "fault", rule)
        self._told.append(
            f"{rule.mode} {rule.seconds:.2f} s" if rule.seconds
            else f"{rule.mode}{', what waits is lost' if drops else ''}")
        self._told.append(f"{count} wires of {rule.who or 'all'}"
                          + ("" if rule.node is None else
                             f" to node {rule.node}"))
        self._wires += count
        try:
            yield
        finally:
            self.fleet.wires.ask("end_rule", "fault", drops)

    @contextlib.contextmanager
    def excuse(self, who, why):
        """who: a daemon, or None for all. Only those that write need it."""
        began = time.monotonic()
        try:
            yield
        finally:
            end = time.monotonic() + EXCUSED_FOR_S
            self.judge.add_excuses(
                Excuse(DAEMONS[n], began, end, why) for n in WRITING
                if who in (None, DAEMONS[n]))

    def excuse_for_good(self, who, why):
        now = time.monotonic()
        # What it has been told and not yet answered is not acknowledged.
        self.judge.add_excuses(
            [Excuse(who, now - UNREPLICATED_S, math.inf, why)])

    # --- The run ----------------------------------------------------------

    def run(self, until_wrong=False):
        self._warm_up()
        for number, name in enumerate(self._deck(), 1):
            if time.monotonic() + FAULT_S >= self._end or (
                    until_wrong and self.wrong):
                break
            self._try(name, FAULTS[name], number)
        if not until_wrong:
            self._come_to_half()

    def _come_to_half(self):
        """A starved machine misses more than it hits while things break. What
        the run is to show needs hits: they come when nothing breaks."""
        def is_half():
            self._judge_part("nothing")
            counts = self.counts.values()
            return sum(c.hits for c in counts) * 2 >= sum(
                c.reads for c in counts)
        wait_until(is_half, HALF_S, "half of all reads are hits", 0.5)

    def _warm_up(self):
        """Until there is something to hit, which takes a while: what may have
        been in Redis before is not believed."""
        def is_warm():
            part = self._judge_part("nothing")
            return part.reads > 0 and part.hits * 3 > part.reads * 2
        wait_until(is_warm, WARM_S, "two thirds of the reads are hits", 0.5)
        self.say(f"{time.monotonic() - self._began:6.1f} s: warm")

    def _deck(self):
        """The faults in an order by the seed, each before any comes again."""
        rng = random.Random(self.seed)
        while True:
            yield from rng.sample(self.only, len(self.only))

    def _try(self, name, fault, number):
        self._told, self._wires = [], 0
        began = time.monotonic()
        try:
            for seconds in fault(self, random.Random(f"{self.seed}:{number}")):
                time.sleep(seconds)  # time under load is what is under test
                self._told.append(f"{seconds:.1f} s")
            self.fleet.cluster.wait_ok(MENDED_S)
        except BaseException:
            self.say(f"{name} did not end well: {', '.join(self._told)}")
            for node in self.fleet.cluster.nodes:
                self.say(f"--- {node.process.name}, announced as"
                         f" {node.announced}\n"
                         + "\n".join(node.log().splitlines()[-30:]))
            raise
        mended = time.monotonic()
        # Whatever is wrong from now on is older than the bound soon.
        time.sleep(BOUND_S + EXCUSED_FOR_S + 0.5)
        count = self._judge_part(name)
        self.say(f"{began - self._began:6.1f} s  {number:3} {name}:"
                 f" {', '.join(self._told)}; whole after {mended - began:.1f} s;"
                 f" {count.reads} reads, {count.violations} wrong")

    def _judge_part(self, name):
        log = self.fleet.clients.ask("collect")
        self.judge.add_sent(log.sent)
        self.judge.add_written(
            Written(when, target, value, DAEMONS[at])
            for when, target, value, at in log.written)
        part = Count()
        total = self.counts.setdefault(name, Count())
        for start, end, target, value, at, tier in log.reads():
            finding = self.judge.judge(
                Read(start, end, target, value, DAEMONS[at],
                     clients.TIERS[tier]))
            part.add(finding)
            total.add(finding)
            if finding.kind in (Kind.STALE, Kind.INVENTED):
                self._note_wrong(name, finding)
        total.failed += len(log.failed)
        total.writes += len(log.written)
        self.failed += [(name, *one) for one in log.failed]
        return part

    def _note_wrong(self, name, finding):
        self.wrong.append(finding)
        if len(self.wrong) <= SHOWN:
            self.say("WRONG " + self._describe(name, finding))

    def _describe(self, name, finding):
        read, written = finding.read, finding.written
        told = (f"{name}: {read.at} answered {TARGETS[read.target]} with"
                f" {read.value} from {read.tier},"
                f" asked at {read.start - self._began:.3f} s,"
                f" answered at {read.end - self._began:.3f} s")
        if written is None:
            return told + "; nobody has written that"
        return told + (f"; {written.value} was acknowledged by {written.at} at"
                       f" {written.time - self._began:.3f} s,"
                       f" {finding.age:.2f} s before")

    # --- The report -------------------------------------------------------

    def report(self):
        self.say(f"{'fault':34} {'reads':>7} {'memory':>7} {'shared':>7}"
                 f" {'origin':>7} {'writes':>6} {'failed':>6} {'behind':>6}"
                 f" {'age':>5} {'excused':>7} {'age':>5} {'wrong':>5}")
        total = Count()
        for name, count in self.counts.items():
            self._say_row(name, count)
            total.merge(count)
        self._say_row("in all", total)
        return total

    def _say_row(self, name, count):
        self.say(f"{name:34} {count.reads:7} {count.tiers['memory']:7}"
                 f" {count.tiers['shared']:7} {count.tiers['origin']:7}"
                 f" {count.writes:6} {count.failed:6}"
                 f" {count.kinds[Kind.BEHIND]:6} {count.age_max:5.2f}"
                 f" {count.kinds[Kind.EXCUSED]:7} {count.excused_max:5.2f}"
                 f" {count.violations:5}")

"""What a read may be: a pure judgement of logged reads and writes.

Each counter only grows, at the origin too. So a read must show at least the
newest value that was acknowledged more than `bound` seconds before the read
began. All times are of one monotonic clock, in seconds.

There is one exception, which DESIGN.md states: an instance that alone has lost
a primary cannot tell the others what it writes. What it acknowledges meanwhile
counts from the end of the cut and a second more. A read that would be wrong
without the exception is counted as excused.
"""

import bisect
import collections
import enum

BOUND_S = 2.0

# A read: when it began and ended, and what it showed. `tier` is "memory",
# "shared" or "origin".
Read = collections.namedtuple("Read", "start end target value at tier")
# The acknowledgement of a write through the instance `at`.
Written = collections.namedtuple("Written", "time target value at")
# What `at` acknowledges from `begin` to `end` counts from `end` on. An `end`
# that is infinite says that it never counts.
Excuse = collections.namedtuple("Excuse", "at begin end why")
Finding = collections.namedtuple("Finding", "kind age read written why")


class Kind(enum.Enum):
    FINE = "fine"        # no value was acknowledged that the read lacks
    BEHIND = "behind"    # older than the newest, by less than the bound
    EXCUSED = "excused"  # by the exception alone
    STALE = "stale"      # a violation
    INVENTED = "invented"  # a violation: nobody has written that value


class _History:
    """The acknowledgements of one target, in the order of the times from which
    they count."""

    def __init__(self, acks):
        self.times = []
        self.newest = []  # the highest value up to that time, with its writer
        self.values = []
        for time, written in sorted(acks, key=lambda ack: ack[0]):
            if self.values and written.value <= self.values[-1]:
                continue  # a newer value was acknowledged before
            self.times.append(time)
            self.newest.append(written)
            self.values.append(written.value)

    def age(self, read):
        """(seconds, acknowledgement): for how long the read's value had been
        out of date when the read began; (0, None) if it was not."""
        at = bisect.bisect_right(self.values, read.value)
        if at == len(self.times) or self.times[at] >= read.start:
            return 0.0, None
        return read.start - self.times[at], self.newest[at]


class Judge:
    """Takes writes and excuses as they come to be known, and judges reads.
    Whoever hands over a read has handed over all that was acknowledged before
    the read began, and each excuse that has begun by then."""

    def __init__(self, bound=BOUND_S):
        self.bound = bound
        self._written = collections.defaultdict(list)
        self._sent = collections.defaultdict(set)
        self._excuses = []
        self._plain = {}
        self._excused = {}

    def add_written(self, written):
        for one in written:
            self._written[one.target].append(one)
        self._forget()

    def add_sent(self, sent):
        """(target, value) of each write that was tried, whatever became of
        it."""
        for target, value in sent:
            self._sent[target].add(value)

    def add_excuses(self, excuses):
        self._excuses += excuses
        self._forget()

    def _forget(self):
        self._plain.clear()
        self._excused.clear()

    def judge(self, read):
        if read.value != 0 and read.value not in self._sent[read.target]:
            return Finding(Kind.INVENTED, 0.0, read, None, None)
        plain, written = self._history(read.target, False).age(read)
        if plain <= self.bound:
            kind = Kind.BEHIND if plain > 0 else Kind.FINE
            return Finding(kind, plain, read, written, None)
        age, late = self._history(read.target, True).age(read)
        if age > self.bound:
            return Finding(Kind.STALE, age, read, late, None)
        return Finding(Kind.EXCUSED, plain, read, written,
                       self._excuse_of(written).why)

    def _history(self, target, with_excuses):
        kept = self._excused if with_excuses else self._plain
        if target not in kept:
            kept[target] = _History(
                (self._counts_from(one) if with_excuses else one.time, one)
                for one in self._written[target])
        return kept[target]

    def _excuse_of(self, written):
        """The excuse that puts this acknowledgement off for longest."""
        return max((e for e in self._excuses if e.at == written.at and
                    e.begin <= written.time <= e.end),
                   key=lambda e: e.end, default=None)

    def _counts_from(self, written):
        excuse = self._excuse_of(written)
        return written.time if excuse is None else excuse.end


class Count:
    """What is said of the reads during one fault."""

    def __init__(self):
        self.reads = 0
        self.writes = 0
        self.failed = 0
        self.tiers = collections.Counter()
        self.kinds = collections.Counter()
        self.age_max = 0.0      # of what was neither excused nor fine
        self.excused_max = 0.0

    def add(self, finding):
        self.reads += 1
        self.tiers[finding.read.tier] += 1
        self.kinds[finding.kind] += 1
        if finding.kind is Kind.EXCUSED:
            self.excused_max = max(self.excused_max, finding.age)
        else:
            self.age_max = max(self.age_max, finding.age)

    def merge(self, other):
        self.reads += other.reads
        self.writes += other.writes
        self.failed += other.failed
        self.tiers += other.tiers
        self.kinds += other.kinds
        self.age_max = max(self.age_max, other.age_max)
        self.excused_max = max(self.excused_max, other.excused_max)

    @property
    def hits(self):
        return self.tiers["memory"] + self.tiers["shared"]

    @property
    def violations(self):
        return self.kinds[Kind.STALE] + self.kinds[Kind.INVENTED]

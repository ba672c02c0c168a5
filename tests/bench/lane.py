"""What is compared with what, and the samples of each."""

import statistics

import load

PATHS = 3000   # products asked for in the Redis rows, one after another
BEST = "best"  # a base: whichever contender that is not ours costs least


class Group:
    """Contenders that do the same work, and what they are held against: the
    floor of that work, or the best of the others.

    kinds: the requests that are sent; judged: those that the limit is for.
    body_len: of the answers; none is that of the products."""

    def __init__(self, key, number, title, base, limit, *,
                 kinds=tuple(load.FIELDS), judged=("wrk",), paths=0,
                 body_len=0):
        self.key = key
        self.number = number
        self.title = title
        self.base = base
        self.limit = limit
        self.kinds = kinds
        self.judged = judged
        self.paths = paths
        self.path = f"/bytes/{body_len}" if body_len else "/products/1"
        self.body = load.body_of(body_len or load.BODY_LEN)

    @property
    def has_floor(self):
        """Is a floor's answer as large as those of this group?"""
        return len(self.body) == load.BODY_LEN


GROUPS = [
    Group("memory", "P1", "Hit in memory", "floor", 1.15),
    Group("shared", "P3", "Hit in Redis, memory off", "redis-relay", 1.15,
          paths=PATHS),
    Group("pass", "P4", "Uncached pass to the origin", "relay", 1.10,
          judged=tuple(load.FIELDS)),
    Group("100k", "P5", "Hit of 100 KiB in memory", BEST, 1.0,
          kinds=("wrk",), body_len=100 << 10),
    Group("1m", "P5", "Hit of 1 MiB in memory", BEST, 1.0,
          kinds=("wrk",), body_len=1 << 20),
]


class Lane:
    """One contender in one group: what is run, round after round. port_key
    names the contender's port, and with it where its answers come from."""

    def __init__(self, group, contender, port_key):
        self.group = group
        self.contender = contender
        self.port_key = port_key
        self.reason = ""
        self.samples = {kind: [] for kind in group.kinds}
        self.complaints = []

    @property
    def name(self):
        return self.contender.name

    @property
    def port(self):
        return self.contender.ports[self.port_key]

    def median(self, kind, what):
        values = [s[what] for s in self.samples.get(kind, []) if s]
        return statistics.median(values) if values else None

    def spread(self, kind):
        values = [s["cpu_us"] for s in self.samples.get(kind, []) if s]
        return ((max(values) - min(values)) / statistics.median(values)
                if values else None)

    def ratio(self, kind, base):
        """The median of the rounds' ratios: noise that lasts longer than a
        round falls on both."""
        pairs = zip(self.samples.get(kind, []),
                    base.samples.get(kind, []) if base else [])
        ratios = [a["cpu_us"] / b["cpu_us"] for a, b in pairs if a and b]
        return statistics.median(ratios) if ratios else None


def base_of(lanes, lane):
    """The lane that this one is held against; None when it has none."""
    group = [other for other in lanes if other.group is lane.group]
    if lane.group.base != BEST:
        return next((x for x in group if x.name == lane.group.base), None)
    rivals = [x for x in group if not x.contender.is_ours
              and x.median("wrk", "cpu_us") is not None]
    return min(rivals, key=lambda x: x.median("wrk", "cpu_us"), default=None)

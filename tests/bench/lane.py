"""What is compared with what, and the samples of each."""

import statistics

import load

PATHS = 3000  # products asked for in the Redis rows, one after another


class Group:
    """Contenders that do the same work, and the floor of that work."""

    def __init__(self, key, number, title, base, limit):
        self.key = key
        self.number = number
        self.title = title
        self.base = base
        self.limit = limit


GROUPS = [
    Group("memory", "P1", "Hit in memory", "floor", 1.15),
    Group("shared", "P3", "Hit in Redis, memory off", "redis-relay", 1.25),
    Group("pass", "P4", "Uncached pass to the origin", "relay", 1.15),
]


class Lane:
    """One contender in one group: what is run, round after round."""

    def __init__(self, group, contender, port_key):
        self.group = group
        self.contender = contender
        self.port_key = port_key
        self.reason = ""
        self.samples = {kind: [] for kind in load.FIELDS}
        self.complaints = []

    @property
    def name(self):
        return self.contender.name

    @property
    def port(self):
        return self.contender.ports[self.port_key]

    @property
    def paths(self):
        return PATHS if self.group.key == "shared" else 0

    def median(self, kind, what):
        values = [sample[what] for sample in self.samples[kind] if sample]
        return statistics.median(values) if values else None

    def spread(self, kind):
        values = [s["cpu_us"] for s in self.samples[kind] if s]
        return ((max(values) - min(values)) / statistics.median(values)
                if values else None)

    def ratio(self, kind, base):
        """The median of the rounds' ratios: noise that lasts longer than a
        round falls on both."""
        pairs = zip(self.samples[kind], base.samples[kind] if base else [])
        ratios = [a["cpu_us"] / b["cpu_us"] for a, b in pairs if a and b]
        return statistics.median(ratios) if ratios else None

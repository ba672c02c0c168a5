"""What breaks. Each fault breaks something, lets the load go on, and mends it.

A fault is a generator function of (ring, random): it yields the seconds for
which the load goes on as things are, and has mended all when it ends. `ring`
knows the fleet and takes excuses.
"""

import shutil

from fleet import DAEMONS, NODE_TIMEOUT_MS, WRITING
from lib.process import temp_dir
from wires import Rule

FAULTS = {}
NODE_TIMEOUT_S = NODE_TIMEOUT_MS / 1000


def fault(function):
    FAULTS[function.__name__] = function
    return function


# --- Wires ----------------------------------------------------------------

def _a_daemon(random):
    return random.choice(DAEMONS)


def _a_primary(ring, random):
    """One of them, or None for all."""
    primaries = ring.fleet.cluster.primaries()
    return random.choice([None] + primaries)


def _number(ring, node):
    return None if node is None else ring.fleet.number_of(node)


def _a_break(random):
    return random.choice(("stall", "refuse"))


@fault
def link_is_cut(ring, random):
    """A daemon's tracking links alone: the data connections go on, so that it
    can tell what it writes."""
    node = _number(ring, _a_primary(ring, random))
    with ring.rule(Rule(_a_break(random), _a_daemon(random), node, "link"),
                   random):
        yield random.uniform(0.3, 5)


@fault
def link_is_delayed(ring, random):
    with ring.rule(Rule("delay", _a_daemon(random), kind="link",
                        seconds=random.uniform(0.1, 1.9)), random):
        yield random.uniform(2, 5)


@fault
def data_is_delayed(ring, random):
    """So that invalidations overtake the values that they are about."""
    with ring.rule(Rule("delay", _a_daemon(random), kind="data",
                        seconds=random.uniform(0.01, 0.12)), random):
        yield random.uniform(2, 5)


@fault
def wires_are_delayed(ring, random):
    """By more than a command may take: no deletion is answered in time, no
    connection lasts, and so a daemon has lost the primaries."""
    who = random.choice((None, *DAEMONS))
    with ring.excuse(who, "its commands come too late"):
        with ring.rule(Rule("delay", who, seconds=random.uniform(0.02, 0.8)),
                       random):
            yield random.uniform(2, 5)


@fault
def one_daemon_loses_a_primary(ring, random):
    node = random.choice(ring.fleet.cluster.primaries())
    who = _a_daemon(random)
    with ring.excuse(who, "it alone has lost a primary"):
        with ring.rule(Rule(_a_break(random), who, _number(ring, node)),
                       random):
            yield random.uniform(1, 6)


@fault
def one_daemon_loses_all_nodes(ring, random):
    who = _a_daemon(random)
    with ring.excuse(who, "it alone has lost all primaries"):
        with ring.rule(Rule(_a_break(random), who), random):
            yield random.uniform(1, 6)


@fault
def all_daemons_lose_a_primary(ring, random):
    node = random.choice(ring.fleet.cluster.primaries())
    with ring.rule(Rule(_a_break(random), None, _number(ring, node)), random):
        yield random.uniform(1, 6)


@fault
def connections_are_killed(ring, random):
    """By the server, one after the other."""
    for _ in range(random.randrange(2, 8)):
        for node in ring.fleet.cluster.primaries():
            kind = random.choice(("normal", "pubsub"))
            node("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        yield random.uniform(0.1, 1)


# --- Nodes ----------------------------------------------------------------

@fault
def primary_is_stopped(ring, random):
    """SIGSTOP, for less than it takes to be replaced, or for more."""
    node = random.choice(ring.fleet.cluster.primaries())
    node.pause()
    try:
        yield random.uniform(0.5, 3 * NODE_TIMEOUT_S)
    finally:
        node.resume()


@fault
def primary_is_killed(ring, random):
    cluster = ring.fleet.cluster
    node = random.choice(cluster.primaries())
    replicas = cluster.replicas_of(node)
    cluster.kill(node)
    try:
        ring.fleet.wait_promoted(replicas)
        yield random.uniform(0.5, 4)
    finally:
        cluster.restart(node)


@fault
def replica_takes_over(ring, random):
    """As an operator asks it to: together with its primary, or without."""
    cluster = ring.fleet.cluster
    replicas = [n for n in cluster.running()
                if n.info("replication")["role"] == "slave"]
    replica = random.choice(replicas)
    words = random.choice(([], ["FORCE"]))
    replica("CLUSTER", "FAILOVER", *words)
    ring.fleet.wait_promoted([replica])
    yield random.uniform(1, 3)


@fault
def slots_move(ring, random):
    """Those that have the targets' entries."""
    cluster = ring.fleet.cluster
    source, to = random.sample(cluster.primaries(), 2)
    slots = ring.fleet.slots_of_targets(source)
    some = random.sample(slots, min(len(slots), random.randrange(3, 12)))
    for slot in some:
        cluster.move_slot(slot, to)
        yield random.uniform(0, 0.5)
    # Back, so that each primary keeps targets of its own.
    for slot in some:
        cluster.move_slot(slot, source)
    yield 0.5


@fault
def nodes_are_flushed(ring, random):
    for _ in range(random.randrange(1, 5)):
        for node in random.sample(ring.fleet.cluster.primaries(),
                                  random.randrange(1, 4)):
            node("FLUSHALL")
        yield random.uniform(0.3, 1.5)


@fault
def writes_are_paused(ring, random):
    node = random.choice(ring.fleet.cluster.primaries())
    seconds = random.uniform(0.5, 6)
    node("CLIENT", "PAUSE", int(seconds * 1000), "WRITE")
    try:
        yield seconds
    finally:
        node("CLIENT", "UNPAUSE")


@fault
def primary_cannot_save(ring, random):
    """MISCONF: it answers reads, and refuses all that writes."""
    node = random.choice(ring.fleet.cluster.primaries())
    kept = node("CONFIG", "GET", "dir")[1]
    folder = temp_dir("rdb")
    node("CONFIG", "SET", "dir", folder)
    node("CONFIG", "SET", "save", "3600 100000")
    shutil.rmtree(folder)
    try:
        node("BGSAVE")
        yield random.uniform(1, 6)
    finally:
        node("CONFIG", "SET", "save", "")
        node("CONFIG", "SET", "dir", kept)


@fault
def primary_is_short_of_replicas(ring, random):
    node = random.choice(ring.fleet.cluster.primaries())
    node("CONFIG", "SET", "min-replicas-to-write", 5)
    try:
        yield random.uniform(1, 6)
    finally:
        node("CONFIG", "SET", "min-replicas-to-write", 0)


@fault
def primary_restarts_from_a_snapshot(ring, random):
    """With what it had a while before, and before it is replaced."""
    cluster = ring.fleet.cluster
    node = random.choice(cluster.primaries())
    node("SAVE")
    yield random.uniform(0.5, 3)
    cluster.kill(node)
    cluster.restart(node)
    yield 1


# --- Daemons --------------------------------------------------------------

@fault
def daemon_is_stopped(ring, random):
    """And continued when all that it has is old."""
    number = random.randrange(len(DAEMONS))
    daemon = ring.fleet.daemons[number]
    daemon.pause()
    try:
        yield 30 if ring.is_long else random.uniform(3, 6)
    finally:
        daemon.resume()


@fault
def clock_is_stepped(ring, random):
    number = random.randrange(len(DAEMONS))
    clock = ring.fleet.clocks[number]
    for _ in range(3):
        clock.set(random.choice((-3600, -30, -2, 2, 30, 3600)))
        yield random.uniform(0.5, 2)
    clock.set(0)


@fault
def primary_and_writer_are_lost(ring, random):
    """In the same moment: what the writer acknowledged just before, and the
    primary had not passed on, may be lost."""
    cluster = ring.fleet.cluster
    number = random.choice(WRITING)
    daemon = ring.fleet.daemons[number]
    node = random.choice(cluster.primaries())
    replicas = cluster.replicas_of(node)
    ring.excuse_for_good(DAEMONS[number], "its writer and the primary are lost")
    cluster.kill(node)
    daemon.kill()
    try:
        ring.fleet.wait_promoted(replicas)
        yield random.uniform(0.5, 2)
    finally:
        daemon.start()
        ring.fleet.tell_pids()
        cluster.restart(node)

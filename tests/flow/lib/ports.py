"""Ports that are free now.

Where a program can, it listens on port 0 and says which it got; this is for
those that cannot. A Redis Cluster node needs port + 10000 too. All ports
taken here, and those 10000 above, lie below the range from which the kernel
takes the ports of outgoing connections (32768 and up), so that no client of
another test sits on them. What one test has taken no other one takes, whether
it listens there already or not. tests/unit/redis_fixture.h takes the same
names.
"""

import random
import socket

FIRST = 10100
LAST = 20099
BUS = 10000  # above them, so that none is one of those

_given = {}  # what holds each port for this process, until it ends


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_ours(port):
    """No other test has taken it: a name that dies with its process."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0nearside-test-port-{port}")
    except OSError:
        name.close()
        return False
    _given[port] = name
    return True


def free_ports(count, bus=False):
    """`count` different ports; with `bus`, the ones 10000 above are free too."""
    ports = []
    for _ in range(10000):
        if len(ports) == count:
            return ports
        port = random.randrange(FIRST, LAST)
        if not _is_free(port) or (bus and not _is_free(port + BUS)):
            continue
        if _is_ours(port):
            ports.append(port)
    raise RuntimeError(f"no {count} free ports from {FIRST} to {LAST}")


def free_port():
    return free_ports(1)[0]

"""Ports that are free now.

Where a program can, it listens on port 0 and says which it got; this is for
those that cannot. A Redis Cluster node needs port + 10000 too. All ports
taken here, and those 10000 above, lie below the range from which the kernel
takes the ports of outgoing connections (32768 and up), so that no client of
another test sits on them.
"""

import random
import socket

FIRST = 10100
LAST = 22700
BUS = 10000

_given = set()


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count, bus=False):
    """`count` different ports; with `bus`, the ones 10000 above are free too."""
    ports = []
    for _ in range(10000):
        if len(ports) == count:
            return ports
        port = random.randrange(FIRST, LAST)
        if port in _given or not _is_free(port):
            continue
        if bus and not _is_free(port + BUS):
            continue
        _given.add(port)
        ports.append(port)
    raise RuntimeError(f"no {count} free ports from {FIRST} to {LAST}")


def free_port():
    return free_ports(1)[0]

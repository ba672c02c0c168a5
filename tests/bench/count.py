"""User instructions per request, by callgrind.

callgrind's total over a life with LONG requests less one with SHORT, over the
difference. The server stands still while 64 requests are sent, so that it
finds the same batches every time.
"""

import re

import load
from proc import BenchError

SHORT, LONG = 640, 7040
PATIENCE_S = (60, 60)  # for its end: it runs fifty times slower


def per_request(site, make, port_key, paths, check):
    """make(): a contender that was not started. check(requests, before): are
    those answers from where they should be? before: what check(0, None)
    gave."""
    short = _life(site, make(), port_key, paths, SHORT, check)
    long = _life(site, make(), port_key, paths, LONG, check)
    return (long - short) / (LONG - SHORT)


def _life(site, contender, port_key, paths, requests, check):
    site.prefix = ["valgrind", "--tool=callgrind",
                   "--callgrind-out-file=/dev/null"]
    try:
        contender.start(site)
    finally:
        site.prefix = []
    child = contender.child
    load.lockstep(contender.ports[port_key], 1, 1)  # fills a memory
    contender.await_warm("/products/1")
    before = check(0, None)
    load.lockstep(contender.ports[port_key], requests, paths,
                  child.popen.pid)
    check(requests, before)
    child.end(PATIENCE_S)
    found = re.search(r"Collected : (\d+)", child.log())
    if not found:
        raise BenchError(f"callgrind: {child.last_words()}")
    return int(found.group(1))

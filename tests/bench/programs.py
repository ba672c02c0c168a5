"""What the built programs print: bytes of an entry (P8), hit ratios (P9)."""

import json
import re
import subprocess

from proc import BenchError

ENTRY_BYTES = 96          # at most, above key, field lines, body and tags
TRACE = "zipf+scan 1%"
RIVALS = ("lru", "sieve", "s3fifo")
PATIENCE_S = 600

# How a line of theirs reads in the table; the first two come of bench-sizes.
ENTRY_LINES = {
    "entry_overhead_max": "one entry, at most",
    "entry_overhead": "one entry, mean",
    "memory_overhead": "100,000 small ones, with tables",
}


def measure(site, seeds):
    """({"rows": rows of P8}, what P9 found); a "reason" where there is
    none."""
    try:
        sizes = _say(site, "bench-sizes")
        ratios = _say(site, "bench-hit-ratio", "--trace", TRACE,
                      "--seeds", seeds)
        return ({"limit": ENTRY_BYTES, "rows": _entries(sizes + ratios)},
                _ratios(ratios))
    except BenchError as error:
        return {"reason": str(error)}, {"reason": str(error)}


def _say(site, name, *words):
    argv = [site.program(name), *(str(word) for word in words)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True,
                              timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name}: not done in {PATIENCE_S} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise BenchError(f"{name}: status {done.returncode}: {last}")
    return done.stdout


def _entries(said):
    rows = []
    for name, title in ENTRY_LINES.items():
        found = re.search(rf"^{name} ([\d.]+)$", said, re.M)
        if not found:
            raise BenchError(f"{name} was not printed")
        rows.append({"name": name, "title": title,
                     "bytes": float(found.group(1))})
    return rows


def _ratios(said):
    """Means over the seeds, in percent; ahead: ours less each rival's."""
    lines = [line for line in said.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise BenchError(f"{len(lines)} rows of the trace {TRACE}")
    seeds = json.loads(lines[0])
    columns = (*RIVALS, "ours", "bound")
    means = {name: sum(seeds[name]) / len(seeds[name]) for name in columns}
    is_reached = (means["ours"] > means["lru"]
                  and means["ours"] > means["sieve"]
                  and means["ours"] >= means["s3fifo"])
    return {"trace": TRACE, "seeds": len(seeds["ours"]), "means": means,
            "each_seed": {name: seeds[name] for name in columns},
            "reached": is_reached}

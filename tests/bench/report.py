"""What the benchmark leaves: a table, results.json, results.svg."""

import json
import os
import platform
import re
import subprocess

import chart
import contend
import load
import programs
from lane import BEST, GROUPS
from proc import BenchError


def number(value, form):
    return "" if value is None else format(value, form)


def verdict(ratio, limit):
    if ratio is None:
        return ""
    return "reached" if ratio <= limit else "missed"


def print_table(bench):
    floor = bench.lanes[0]
    for group in GROUPS:
        print(f"\n{group.number}  {group.title}, against "
              f"{base_words(group)}: at most {group.limit:.2f}")
        print(f"  {'':<17}{'fields':<9}{'CPU us':>8}{'spread':>8}"
              f"{'requests/s':>12}{'x ' + group.base:>15}"
              f"{'x floor' if group.has_floor else '':>9}".rstrip())
        for lane in [x for x in bench.lanes if x.group is group]:
            print_lane(bench, lane, floor)
    if bench.idle is not None:
        print_idle(bench.idle)
    if bench.instructions is not None:
        print_instructions(bench.instructions)
    if bench.workers is not None:
        print_workers(bench.workers)
    print_entries(bench.entries)
    print_hit_ratio(bench.hit_ratio)


def base_words(group):
    return "the best contender" if group.base == BEST else group.base


def print_lane(bench, lane, floor):
    if lane.reason:
        print(f"  {lane.name:<17}{lane.reason}")
        return
    base = bench.base_of(lane)
    for kind in lane.group.kinds:
        name = lane.name if kind == lane.group.kinds[0] else ""
        cpu = lane.median(kind, "cpu_us")
        if cpu is None:
            print(f"  {name:<17}{kind:<9}{lane.complaints[-1]}")
            continue
        ratio = lane.ratio(kind, base)
        is_judged = lane.contender.is_ours and kind in lane.group.judged
        to_floor = lane.ratio(kind, floor) if lane.group.has_floor else None
        print(f"  {name:<17}{kind:<9}"
              f"{cpu:>8.2f}{lane.spread(kind):>8.0%}"
              f"{lane.median(kind, 'per_second'):>12,.0f}"
              f"{number(ratio, '.2f'):>15}"
              f"{number(to_floor, '.2f'):>9}"
              f"  {verdict(ratio, lane.group.limit) if is_judged else ''}"
              .rstrip())


def print_idle(rows):
    print("\nP7  Bytes per idle keep-alive connection: at most 512")
    for row in rows:
        said = row.get("reason") or f"{row['bytes']:>8,.0f}"
        if row["name"] == "nearside" and "bytes" in row:
            said += f"  {verdict(row['bytes'], 512)}"
        print(f"  {row['name']:<17}{said}")


def print_instructions(rows):
    print("\nP2  User instructions per request "
          "(a hit in memory: at most 4,000)")
    for row in rows:
        said = row.get("reason") or f"{row['instructions']:>8,.0f}"
        if row.get("limit") and "instructions" in row:
            said += f"  {verdict(row['instructions'], row['limit'])}"
        print(f"  {row['name']:<26}{said}")


TIERS = {"alone": "hit in memory", "memory": "in memory, beside Redis",
         "shared": "hit in Redis"}


def print_workers(rows):
    print("\nP6  Two workers against one, requests per CPU second: "
          "at least 0.95 of the floor's own")
    for row in rows:
        name = TIERS.get(row["tier"], row["tier"])
        if row.get("reason"):
            print(f"  {name:<26}{row['reason']}")
            continue
        said = "reached" if row["relative"] >= 0.95 else "missed"
        print(f"  {name:<26}floor {row['floor']:.2f}, "
              f"nearside {row['nearside']:.2f}: "
              f"relative {row['relative']:.2f}  {said}")


def print_entries(entries):
    print("\nP8  Bytes of an entry above key, field lines, body and tags: "
          f"at most {programs.ENTRY_BYTES}")
    if "reason" in entries:
        print(f"  {entries['reason']}")
        return
    for row in entries["rows"]:
        print(f"  {row['title']:<34}{row['bytes']:>6.1f}"
              f"  {verdict(row['bytes'], entries['limit'])}")


def print_hit_ratio(row):
    print(f"\nP9  Hit ratio in memory, trace {programs.TRACE}: "
          "above LRU and SIEVE, at least S3-FIFO")
    if "reason" in row:
        print(f"  {row['reason']}")
        return
    for name, mean in row["means"].items():
        is_ours = name == "ours"
        said = "reached" if row["reached"] else "missed"
        print(f"  {'nearside' if is_ours else name:<17}{mean:>6.2f} %"
              f"{'  ' + said if is_ours else ''}")


def write_results(bench, path):
    floor = bench.lanes[0]
    rows = []
    for lane in bench.lanes:
        for kind in lane.group.kinds:
            base = bench.base_of(lane)
            rows.append({
                "target": lane.group.number, "work": lane.group.key,
                "contender": lane.name, "fields": kind,
                "reason": lane.reason or None,
                "cpu_us": lane.median(kind, "cpu_us"),
                "spread": lane.spread(kind),
                "requests_per_second": lane.median(kind, "per_second"),
                "body_bytes": len(lane.group.body),
                "base": base.name if base else lane.group.base,
                "ratio": lane.ratio(kind, base),
                "limit": (lane.group.limit if lane.contender.is_ours
                          and kind in lane.group.judged else None),
                "ratio_to_floor": (lane.ratio(kind, floor)
                                   if lane.group.has_floor else None),
                "invalid_runs": lane.complaints,
                "samples": lane.samples[kind],
            })
    with open(path, "w") as file:
        json.dump({
            "machine": machine(),
            "rounds": bench.options.rounds,
            "seconds": bench.options.seconds,
            "connections": load.CONNECTIONS,
            "redis": ("three primaries" if bench.site.cluster
                      else bench.site.no_redis),
            "rows": rows, "idle": bench.idle,
            "instructions": bench.instructions, "workers": bench.workers,
            "entries": bench.entries, "hit_ratio": bench.hit_ratio,
        }, file, indent=1)
        file.write("\n")


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as info:
        found = re.search(r"model name\s*: (.*)", info.read())
        if found:
            model = found.group(1)
    return {"processor": model, "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "versions": {name: version(name, flag) for name, flag in (
                ("nginx", "-v"), ("haproxy", "-v"), ("varnishd", "-V"),
                ("redis-server", "--version"), ("node", "--version"))}}


def version(name, flag):
    try:
        done = subprocess.run([contend.installed(name), flag],
                              capture_output=True, text=True, timeout=10)
    except (BenchError, OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout + done.stderr).split("\n")[0][:100]


def draw(bench, path):
    panels = [draw_group(bench, group) for group in GROUPS]
    if bench.idle:
        panels.append(draw_idle(bench.idle))
    text = chart.bar_chart(
        "What a request costs the server",
        "CPU time per request in microseconds, less is better. "
        "Server on one core, load on the other, 64 connections, 200 bytes "
        "where no size is named.",
        panels, [
            "Thick bar: wrk's own request. Thin bar: the thirteen fields of "
            "a browser. Each panel has its own scale; cut bars are longer.",
            f"Medians over rounds ({bench.options.rounds} of "
            f"{bench.options.seconds} s), contenders in turn; ratios are "
            "taken within a round. "
            f"{machine()['processor']}, {os.cpu_count()} cores.",
        ])
    with open(path, "w") as file:
        file.write(text)


def color_of(name, is_floor):
    if name.startswith("nearside"):
        return chart.OURS
    return chart.FLOOR if is_floor else chart.OTHER


def draw_group(bench, group):
    bars, base_cpu = [], None
    for lane in [x for x in bench.lanes if x.group is group]:
        base = bench.base_of(lane)
        cpu = lane.median("wrk", "cpu_us")
        is_base = lane is base
        if is_base:
            base_cpu = cpu
        ratio = lane.ratio("wrk", base)
        bars.append(chart.Bar(
            lane.name, color_of(lane.name, is_base and group.has_floor), cpu,
            "" if cpu is None else f"{cpu:.1f} µs",
            "" if ratio is None or is_base else f"{ratio:.2f} ×",
            lane.median("browser", "cpu_us"), lane.reason))
    return chart.Panel(
        group.title, f"{group.number}: at most {group.limit} × "
        + ("the best contender" if group.base == BEST else "the floor"),
        bars, base_cpu * group.limit if base_cpu else None,
        f"{group.limit} ×", base_cpu * 5 if base_cpu else None)


def draw_idle(idle):
    bars = []
    for row in idle:
        size = row.get("bytes")
        bars.append(chart.Bar(
            row["name"], color_of(row["name"], False), size,
            "" if size is None else f"{size:,.0f} bytes",
            reason=row.get("reason", "")))
    return chart.Panel("Memory of an idle connection", "P7: at most 512 bytes",
                       bars, 512, "512", 512 * 10)

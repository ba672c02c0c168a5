"""The servers that are compared: how each is configured and started.

A contender's start() gives a dict of ports by what they serve:
    floor    a fixed answer
    memory   a hit in the server's own memory (or its disk cache, warm);
             nearside has a Redis beside it, and its coherence is live
    alone    the same, of a nearside without Redis
    shared   a hit in Redis, memory off
    pass     uncached, each request reaches the origin
What cannot be started raises BenchError, whose words become its row.
"""

import os
import shutil
import subprocess
import time

from load import HERE, get
from proc import BenchError, Child, free_port

MANY = 100000000
WARM_S = 10     # until a hit comes from memory: the leases have to be there
NPM_S = 180     # for the packages of the Express service


class Site:
    """What all contenders of one run share."""

    def __init__(self, stack, directory, build, nearside):
        self.stack = stack
        self.directory = directory
        self.build = build
        self.nearside = nearside
        self.server_core = None
        self.origin_port = 0
        self.cluster = None
        self.no_redis = "no Redis"  # why there is no cluster
        self.keys = []
        self.prefix = []  # words before a floor's or the daemon's command

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def start(self, name, argv):
        """A child on the server's core that ends with the run."""
        return self.stack.enter_context(
            Child(name, argv, self.directory, self.server_core))

    def program(self, name):
        program = os.path.join(self.build, "bench", name)
        if not os.access(program, os.X_OK):
            raise BenchError(f"not built: {name}")
        return program


def installed(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise BenchError("not installed")
    return path


class Contender:
    name = ""
    is_ours = False

    def __init__(self):
        self.child = None
        self.ports = {}

    def start(self, site):
        raise NotImplementedError

    def await_warm(self, path):
        """Returns when the next request for this path is answered from where
        it should be."""


class Floor(Contender):
    name = "floor"

    def __init__(self, processes=1):
        super().__init__()
        self.processes = processes

    def start(self, site):
        self.child = site.start(f"floor-{self.processes}", site.prefix + [
            site.program("bench-floor"), "--processes", self.processes])
        self.ports = {"floor": self.child.await_ready(60)}


class Relay(Contender):
    name = "relay"

    def start(self, site):
        self.child = site.start("relay", site.prefix + [
            site.program("bench-relay"),
            "--origin", f"127.0.0.1:{site.origin_port}"])
        self.ports = {"pass": self.child.await_ready(60)}


class RedisRelay(Contender):
    name = "redis-relay"

    def start(self, site):
        keys = [word for key in site.keys for word in ("--key", key)]
        if not keys:
            raise BenchError(site.no_redis)
        self.child = site.start("redis-relay", site.prefix + [
            site.program("bench-redis-relay")] + keys)
        self.ports = {"shared": self.child.await_ready(60)}


class Nearside(Contender):
    """The daemon with one of its tiers: memory, alone (memory without
    Redis), shared or pass."""

    is_ours = True

    def __init__(self, tier, workers=1, ttl="1h"):
        super().__init__()
        self.name = "nearside+redis" if tier == "memory" else "nearside"
        self.tier = tier
        self.workers = workers
        self.ttl = ttl

    def conf(self, site):
        seeds = ""
        if self.tier in ("memory", "shared"):
            if site.cluster is None:
                raise BenchError(site.no_redis)
            quoted = ", ".join(f'"{seed}"' for seed in site.cluster.seeds())
            # Fifty times slower, it would miss the deadlines it keeps.
            patient = ("    command_timeout = 10s\n    hang = 20s\n"
                       if site.prefix else "")
            seeds = (f"redis {{\n    seeds = {{ {quoted} }}\n"
                     f"{patient}}}\n")
        memory = "64MB" if self.tier in ("memory", "alone") else "0"
        read = "pass" if self.tier == "pass" else "cache-aside"
        return f"""listen = {{ "127.0.0.1:0" }}
metrics = "127.0.0.1:0"
admin = "unix:{site.path(f"{self.label()}-{id(self)}.sock")}"
workers = {self.workers}
memory {{ size = {memory} }}
limits {{
    connections_per_ip      = 100000
    requests_per_connection = 1000000000
    idle_timeout            = 60s
    new_keys_max            = 0     # before-after warms at full speed
}}
{seeds}
origin bench {{
    servers  = {{ "http://127.0.0.1:{site.origin_port}" }}
    idle_max = 128
}}
route "/products/:id" {{
    origin = bench
    read   = {read}
    ttl    = {self.ttl}
}}
route "/bytes/:size" {{
    origin = bench
    read   = {read}
    ttl    = {self.ttl}
}}
"""

    def label(self):
        return f"nearside-{self.tier}-{self.workers}"

    def start(self, site):
        if not os.access(site.nearside, os.X_OK):
            raise BenchError("not built")
        conf = site.write(self.label() + ".conf", self.conf(site))
        self.child = site.start(self.label(), site.prefix + [
            site.nearside, "-c", conf])
        self.ports = {self.tier: self.child.await_ready(60)}

    def await_warm(self, path):
        """Of a memory: asks until a hit names no Redis."""
        if self.tier not in ("memory", "alone"):
            return
        deadline = time.monotonic() + WARM_S
        while True:
            said = get(self.ports[self.tier], path).fields.get(
                "cache-status", "")
            if "hit" in said and "detail=shared" not in said:
                return
            if time.monotonic() > deadline:
                raise BenchError(f"no hit in memory: {said}")
            time.sleep(0.02)


class Express(Contender):
    """The service in express/. It knows Redis alone, so that its hits are
    Redis's wherever it is compared."""

    name = "express+ioredis"

    def start(self, site):
        if site.cluster is None:
            raise BenchError(site.no_redis)
        node = installed("node")
        service = os.path.join(install_express(site.build), "service.js")
        seeds = [f"--seed={seed}" for seed in site.cluster.seeds()]
        self.child = site.start("express", [
            "env", "NODE_ENV=production", node, service,
            f"--origin=127.0.0.1:{site.origin_port}", *seeds])
        self.ports = {"shared": self.child.await_ready(60)}


def install_express(build):
    """The folder with the service and its packages, made when there is none
    or another; in the build directory, never in the source."""
    source = os.path.join(HERE, "express")
    target = os.path.join(build, "bench", "express")
    lock = "package-lock.json"
    mark = os.path.join(target, "installed")
    os.makedirs(target, exist_ok=True)
    shutil.copy(os.path.join(source, "service.js"), target)
    wanted = text_of(os.path.join(source, lock))
    if os.path.exists(mark) and text_of(mark) == wanted:
        return target
    for name in ("package.json", lock):
        shutil.copy(os.path.join(source, name), target)
    run_npm(target)
    with open(mark, "w") as file:
        file.write(wanted)
    return target


def run_npm(directory):
    """Installs what the lock file names."""
    argv = [installed("npm"), "ci", "--omit=dev", "--ignore-scripts",
            "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        done = subprocess.run(argv, cwd=directory, capture_output=True,
                              text=True, timeout=NPM_S)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"npm is not done in {NPM_S} s") from error
    if done.returncode != 0:
        code = [line for line in done.stderr.splitlines() if "code" in line]
        raise BenchError("npm: " + (code or ["failed"])[0][:80])


def text_of(path):
    with open(path) as file:
        return file.read()


class Nginx(Contender):
    name = "nginx"

    def start(self, site):
        ports = {"memory": free_port(), "pass": free_port()}
        user = "user root;" if os.geteuid() == 0 else ""
        temp = "\n    ".join(
            f"{kind}_temp_path {site.path('nginx-' + kind)};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = site.write("nginx.conf", f"""{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
error_log stderr crit;
pid {site.path(f"nginx-{ports['pass']}.pid")};
events {{ worker_connections 8192; }}
http {{
    access_log off;
    {temp}
    keepalive_requests {MANY};
    tcp_nodelay on;
    open_file_cache max=1000;
    proxy_cache_path {site.path(f"nginx-{ports['pass']}")}
        keys_zone=bench:10m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream origin {{
        server 127.0.0.1:{site.origin_port};
        keepalive 128;
        keepalive_requests {MANY};
    }}
    server {{
        listen 127.0.0.1:{ports["memory"]};
        proxy_cache bench;
        location / {{ proxy_pass http://origin; }}
        location /bytes/ {{
            proxy_pass http://origin;
            sendfile on;
            tcp_nopush on;
        }}
    }}
    server {{
        listen 127.0.0.1:{ports["pass"]};
        location / {{ proxy_pass http://origin; }}
    }}
}}
""")
        self.child = site.start("nginx", [installed("nginx"), "-c", conf])
        self.child.await_port(ports["pass"])
        self.ports = ports


class Haproxy(Contender):
    name = "haproxy"

    def start(self, site):
        ports = {"memory": free_port(), "pass": free_port()}
        conf = site.write("haproxy.cfg", f"""global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
cache bench
    total-max-size 64
    max-object-size 4194304
    max-age 3600
frontend hits
    bind 127.0.0.1:{ports["memory"]}
    default_backend kept
frontend passes
    bind 127.0.0.1:{ports["pass"]}
    default_backend plain
backend kept
    http-request cache-use bench
    http-response cache-store bench
    server origin 127.0.0.1:{site.origin_port}
backend plain
    server origin 127.0.0.1:{site.origin_port}
""")
        self.child = site.start("haproxy",
                                [installed("haproxy"), "-db", "-f", conf])
        self.child.await_port(ports["pass"])
        self.ports = ports


class Varnish(Contender):
    name = "varnish"

    def start(self, site):
        ports = {"memory": free_port(), "pass": free_port()}
        vcl = site.write("bench.vcl", f"""vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{site.origin_port}"; }}
sub vcl_recv {{
    if (local.socket == "pass") {{ return (pass); }}
    return (hash);
}}
""")
        self.child = site.start("varnish", [
            installed("varnishd"), "-F", "-j", "none",
            "-n", site.path(f"varnish-{ports['pass']}"), "-f", vcl,
            "-s", "malloc,64m",
            "-a", f"memory=127.0.0.1:{ports['memory']}",
            "-a", f"pass=127.0.0.1:{ports['pass']}",
            "-p", "thread_pools=1", "-p", "thread_pool_min=200",
            "-p", "timeout_idle=60"])
        self.child.await_port(ports["pass"], 30)
        self.ports = ports

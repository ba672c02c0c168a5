#!/usr/bin/env python3
"""What can be known of the containers without an engine: the Dockerfile's
packages exist, its build commands run in a clean directory and find all they
copy; compose's files, services, ports and health checks match the confs; the
Redis conf starts; the workflow runs scripts that exist.

docker.py [NEARSIDE]: with the program, its --check reads the confs.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time

import tree
import yaml

DOCKERFILE = "docker/Dockerfile"
COMPOSE = ("docker/compose.yaml", "docker/compose.existing.yaml")
WORKFLOW = ".github/workflows/ci.yml"
CONFINED = {"read_only": True, "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"]}
# Ports that an image serves, by the option or conf line that sets them.
CONF_PORT = re.compile(r'^(listen|metrics)\s*=.*?:(\d+)"', re.M)
SEED = re.compile(r'"([a-z0-9-]+):(\d+)"')
SERVER = re.compile(r'servers = \{ "http://([a-z0-9-]+):(\d+)" \}')


class Dockerfile:
    """Stages, each a list of (instruction, text)."""

    def __init__(self, path):
        self.stages = {}
        text = re.sub(r"(?m)^#.*\n", "", tree.read(path))
        stage = None
        for line in text.replace("\\\n", " ").splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "FROM":
                stage = rest.rsplit(" ", 1)[-1]
                self.stages[stage] = []
            if word:
                self.stages[stage].append((word, rest.strip()))

    def all(self, instruction, stage=None):
        return [rest for name, lines in self.stages.items()
                for word, rest in lines
                if word == instruction and stage in (None, name)]

    def packages(self):
        """Those named in the file; others it takes from lists."""
        found = set()
        for run in self.all("RUN"):
            for part in re.findall(r"apt-get install ([^&|;<]*)", run):
                found.update(w for w in part.split() if not w.startswith("-"))
        return found


def sh(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False, **more)


# --- Packages -----------------------------------------------------------------


def packages_of_cmake():
    return set(re.findall(r"^ *need\(\S+ \S+ (\S+)\)",
                          tree.read("CMakeLists.txt"), re.M))


def packages_of_scripts():
    return set(re.findall(r"^    ([a-z0-9.+-]+):\S+$",
                          tree.read("tests/support/packages.sh"), re.M))


def without_candidate(names):
    """Those that apt does not offer here; none if it has no lists."""
    said = sh(["apt-cache", "policy", "hello", *names]).stdout
    offered = set(re.findall(
        r"^(\S+):\n  Installed: .*\n  Candidate: (?!\(none\))", said, re.M))
    if "hello" not in offered:
        print("no package lists here (apt-get update): names not looked up")
        return []
    return sorted(set(names) - offered)


def judge_packages(dockerfile):
    named = dockerfile.packages()
    for name in sorted(packages_of_cmake() - named):
        yield f"{DOCKERFILE} does not install {name}, which CMake needs"
    for name in sorted(packages_of_cmake() - packages_of_scripts()):
        yield f"tests/support/packages.sh lacks {name}, which CMake needs"
    for name in without_candidate(named | packages_of_scripts()):
        yield f"there is no package {name}"


# --- The build ----------------------------------------------------------------


def copies(dockerfile, stage):
    """(source in the tree, target) of COPY lines that read the tree."""
    for line in dockerfile.all("COPY", stage):
        words = shlex.split(line)
        if not words[0].startswith("--from"):
            for source in words[:-1]:
                yield source, words[-1]


def is_ignored(source):
    """Whether the .dockerignore file keeps it from the build."""
    kept = [line[1:] for line in tree.read(DOCKERFILE + ".dockerignore")
            .splitlines() if line.startswith("!")]
    return not any(source == k or source.startswith(k + "/") for k in kept)


def judge_copies(dockerfile):
    for stage in dockerfile.stages:
        for source, _ in copies(dockerfile, stage):
            if not os.path.exists(os.path.join(tree.ROOT, source)):
                yield f"{DOCKERFILE}: COPY {source}: there is none"
            elif is_ignored(source):
                yield f"{DOCKERFILE}: COPY {source}: .dockerignore hides it"
        for line in dockerfile.all("COPY", stage):
            match = re.match(r"--from=(\S+)", line)
            if match and match[1] not in dockerfile.stages:
                yield f"{DOCKERFILE}: there is no stage {match[1]}"


def judge_build(dockerfile):
    """Runs the build stages' commands, each on a copy of what it copies. A
    debug build is made: it is quicker, and finds the same files."""
    for stage, program in (("build", "nearside"),
                           ("build-sample-origin", "sample-origin")):
        with tempfile.TemporaryDirectory(prefix="nearside-lint-") as clean:
            yield from judge_stage(dockerfile, stage, clean)
            yield from judge_runtime(os.path.join(clean, "build", program))


def judge_stage(dockerfile, stage, clean):
    source = os.path.join(clean, "source")
    os.mkdir(source)
    for name, _ in copies(dockerfile, stage):
        path = os.path.join(tree.ROOT, name)
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(source, name))
        else:
            shutil.copy(path, source)
    path = os.path.join(tree.ROOT, "docker") + os.pathsep + os.environ["PATH"]
    for run in dockerfile.all("RUN", stage):
        if "apt-get" in run:
            continue
        run = re.sub(r"/(source|build)\b", clean + r"/\1", run)
        run = run.replace("cmake -S", "cmake -DCMAKE_BUILD_TYPE=Debug -S")
        done = sh(["sh", "-ec", run], cwd=source, env=dict(os.environ, PATH=path))
        if done.returncode != 0:
            yield f"{DOCKERFILE}: RUN {run}\n{done.stdout[-4000:]}"
            return


def judge_runtime(program):
    """The list of packages that a built program's image will install."""
    if not os.path.exists(program + ".packages"):
        return  # the build failed, which has been told
    with open(program + ".packages", encoding="utf-8") as f:
        names = f.read().split()
    if "libc6" not in names or len(names) < 2:
        yield f"{program}: linked with the packages {names} alone?"
    for name in without_candidate(names):
        yield f"{program}: there is no package {name}"


# --- Compose ------------------------------------------------------------------


def conf_of(service, folder):
    """The conf that is mounted for the daemon, or the image's own."""
    for volume in service.get("volumes", ()):
        source, target = volume.split(":")[:2]
        if target == "/etc/nearside/nearside.conf":
            return os.path.normpath(os.path.join(folder, source))
    return "docker/nearside.conf"


def judge_service(path, name, service, services, dockerfile):
    folder = os.path.dirname(path)
    for volume in service.get("volumes", ()):
        if ":" not in volume:
            continue  # one that the engine makes
        source = os.path.join(folder, volume.split(":")[0])
        if not os.path.exists(os.path.join(tree.ROOT, source)):
            yield f"{path}: {name}: there is no {source}"
    for key, value in CONFINED.items():
        if service.get(key) != value:
            yield f"{path}: {name}: {key} is {service.get(key)}"
    for other in service.get("depends_on", {}):
        if other not in services:
            yield f"{path}: {name} depends on {other}, which is none"
    build = service.get("build")
    if build is None:
        return
    if build["target"] not in dockerfile.stages:
        yield f"{path}: {name}: {DOCKERFILE} has no {build['target']}"
    where = os.path.normpath(os.path.join(folder, build["context"]))
    if where != "." or build["dockerfile"] != DOCKERFILE:
        yield f"{path}: {name}: builds {build}"


def ports_inside(service):
    return {int(str(port).rsplit(":", 1)[1]) for port in
            service.get("ports", ())}


def judge_daemon(path, name, service, services):
    conf_path = conf_of(service, os.path.dirname(path))
    conf = tree.read(conf_path)
    served = {int(port) for _, port in CONF_PORT.findall(conf)}
    for port in ports_inside(service) ^ served:
        yield f"{path}: {name}: port {port}: {conf_path} serves {served}"
    seeds = SEED.findall(conf)
    if "${" in conf:
        for variable in set(re.findall(r"\$\{(\w+)", conf)) ^ set(
                service.get("environment", {})):
            yield f"{path}: {name}: {variable} is not set, or not used"
        return
    redis_port = re.search(r"^port (\d+)$", tree.read("docker/redis.conf"),
                           re.M)[1]
    for host, port in seeds:
        if host not in services or port != redis_port:
            yield f"{conf_path}: the seed {host}:{port} is no service"
    for host, port in SERVER.findall(conf):
        command = services.get(host, {}).get("command", [])
        if "--port" not in command or \
                command[command.index("--port") + 1] != port:
            yield f"{conf_path}: {host}:{port} is no service"
    if not seeds or not SERVER.findall(conf):
        yield f"{conf_path}: names no seeds or no origin"


def judge_compose(path, dockerfile):
    services = yaml.safe_load(tree.read(path))["services"]
    for name, service in services.items():
        yield from judge_service(path, name, service, services, dockerfile)
        if service.get("image") == "nearside":
            yield from judge_daemon(path, name, service, services)
        images = [s["image"] for s in services.values()
                  if "build" in s and "image" in s]
        if service.get("image") in images and "build" not in service and \
                service.get("pull_policy") != "never":
            yield f"{path}: {name}: its image is built here, and not pulled"
    if path == COMPOSE[0]:
        yield from judge_nodes(path, services)


def judge_nodes(path, services):
    """Six, each at an address of its own that it keeps."""
    nodes = [s for n, s in services.items() if re.fullmatch(r"redis-\d", n)]
    fixed = {s["networks"]["default"]["ipv4_address"] for s in nodes}
    if len(nodes) != 6 or len(fixed) != 6:
        yield f"{path}: {len(nodes)} Redis nodes at {len(fixed)} addresses"


def judge_health(dockerfile):
    """Each image's health check asks a port that the image serves."""
    for stage, lines in dockerfile.stages.items():
        check = [rest for word, rest in lines if word == "HEALTHCHECK"]
        exposed = {p for word, rest in lines if word == "EXPOSE"
                   for p in rest.split()}
        if not exposed:
            continue
        argv = json.loads(check[0][check[0].index("["):])
        port = re.search(r"127\.0\.0\.1[:/](\d+)", argv[-1])[1]
        if port not in exposed:
            yield f"{DOCKERFILE}: {stage}: the health check asks {port}"
        user = [rest for word, rest in lines if word == "USER"]
        if not user or not re.fullmatch(r"[1-9]\d*:0", user[-1]):
            yield f"{DOCKERFILE}: {stage}: USER is not a number in group 0"


# --- Confs --------------------------------------------------------------------


def judge_redis():
    """docker/redis.conf starts a cluster node that can evict."""
    with tempfile.TemporaryDirectory(prefix="nearside-lint-") as where:
        # The cluster's own port is 10000 above.
        port = 12000 + os.getpid() % 10000
        with subprocess.Popen(
                ["redis-server", os.path.join(tree.ROOT, "docker/redis.conf"),
                 "--port", str(port), "--bind", "127.0.0.1", "--dir", where],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as redis:
            try:
                said = ask_redis(port, "INFO")
            finally:
                redis.kill()
    for wanted in (r"cluster_enabled:1", r"maxmemory:[1-9]",
                   r"maxmemory_policy:(?!noeviction)"):
        if not re.search(wanted, said):
            yield f"docker/redis.conf: no {wanted} in its INFO: {said[:300]}"


def ask_redis(port, command):
    end = time.monotonic() + 10
    while True:
        done = sh(["redis-cli", "-p", str(port), command])
        if done.returncode == 0 or time.monotonic() > end:
            return done.stdout
        time.sleep(0.05)


def judge_confs(nearside):
    env = dict(os.environ, NEARSIDE_REDIS="redis:6379",
               NEARSIDE_ORIGIN="http://api:3000")
    for path in tree.files("docker", ends=(".conf",)):
        if "nearside" in path:
            done = sh([nearside, "--check", path], cwd=tree.ROOT, env=env)
            if done.returncode != 0:
                yield f"{path}: nearside --check:\n{done.stdout}"


def judge_workflow():
    jobs = yaml.safe_load(tree.read(WORKFLOW))["jobs"]
    for name, job in jobs.items():
        for step in job["steps"]:
            for word in step.get("run", "").split():
                is_path = re.match(r"\.?[a-z]+/", word) is not None
                if is_path and not os.path.exists(
                        os.path.join(tree.ROOT, word)):
                    yield f"{WORKFLOW}: {name}: there is no {word}"


def readme_block(first):
    """The indented block of README.md that begins with this line."""
    block = re.search(rf"(?m)^    {re.escape(first)}\n(?:(?:    .*)?\n)+",
                      tree.read("README.md"))
    return textwrap.dedent(block[0])


def judge_kubernetes(dockerfile):
    """The Deployment that README.md shows fits the image and its conf."""
    pod = yaml.safe_load(readme_block("apiVersion: apps/v1"))[
        "spec"]["template"]["spec"]
    box = pod["containers"][0]
    ports = {p["name"]: p["containerPort"] for p in box["ports"]}
    served = {int(p) for line in dockerfile.all("EXPOSE", "nearside")
              for p in line.split()}
    if set(ports.values()) != served:
        yield f"README.md: the pod's ports are {ports}, the image's {served}"
    for probe in ("readinessProbe", "livenessProbe"):
        if box[probe]["httpGet"]["port"] != "metrics":
            yield f"README.md: {probe} asks {box[probe]}"
    mounts = {m["name"]: m["mountPath"] for m in box["volumeMounts"]}
    if set(mounts) != {v["name"] for v in pod["volumes"]}:
        yield f"README.md: {mounts} are not the pod's volumes"
    if not box["securityContext"]["readOnlyRootFilesystem"] or \
            box["securityContext"]["capabilities"] != {"drop": ["ALL"]}:
        yield "README.md: the pod may do more than it needs"


def judge_unit():
    """systemd takes the unit that README.md shows."""
    if shutil.which("systemd-analyze") is None:
        print("no systemd-analyze here: README.md's unit not looked at")
        return
    with tempfile.TemporaryDirectory(prefix="nearside-lint-") as where:
        path = os.path.join(where, "nearside.service")
        with open(path, "w", encoding="utf-8") as f:
            # Any program that is there: it is not started.
            f.write(re.sub(r"(?m)^(Exec\w+)=/usr/local/sbin/nearside",
                           r"\1=/bin/true", readme_block("[Unit]")))
        done = sh(["systemd-analyze", "verify", "--man=no", path])
    for line in done.stdout.splitlines():
        if "nearside.service" in line:
            yield f"README.md: {line}"


def main():
    dockerfile = Dockerfile(DOCKERFILE)
    mistakes = [*judge_packages(dockerfile), *judge_copies(dockerfile),
                *judge_health(dockerfile), *judge_redis(), *judge_workflow(),
                *judge_kubernetes(dockerfile), *judge_unit()]
    for path in COMPOSE:
        mistakes += judge_compose(path, dockerfile)
    if len(sys.argv) > 1:
        mistakes += judge_confs(sys.argv[1])
        mistakes += judge_build(dockerfile)
    tree.finish(mistakes, len(dockerfile.stages) + len(COMPOSE))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway between network namespaces, with kidod in it, for tests that are scripts.

The caller runs in network and mount namespaces of its own (enter()), so all of it goes with the process.
"""
import contextlib
import ctypes
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import zlib

CLONE_NEWNET = 0x40000000

passed = failed = 0


def check(claim, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
    print(("ok    " if holds else "FAIL  ") + claim + (f": {detail}" if detail and not holds else ""), flush=True)
    return holds


def finish():
    """Prints the sum; the exit code."""
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def wait_until(condition, seconds=10.0, pause=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause)
    return bool(condition())


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)


def must(line):
    answer = run(*line.split())
    if answer.returncode != 0:
        raise RuntimeError(f"{line}: {answer.stderr}")


def enter(lacking=None):
    """Starts the script again in namespaces of its own, with --inside as its last argument, and ends with its code.
    Returns when it is inside already. lacking: why this machine cannot, or None."""
    if sys.argv[-1] == "--inside":
        sys.argv.pop()
        return
    if os.geteuid() != 0:
        lacking = "needs root"
    elif not lacking and run("unshare", "-n", "-m", "nft", "list", "ruleset").returncode != 0:
        lacking = "needs unshare -n and nft"
    if lacking:
        print(f"skipped: {lacking}")
        sys.exit(77)
    sys.exit(subprocess.run(["unshare", "-n", "-m", sys.executable, *sys.argv, "--inside"]).returncode)


# ---- network namespaces ----

libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def within(namespace):
    """What is opened in here belongs to the namespace for ever."""
    with open("/proc/self/ns/net", "rb") as home, open(f"/run/netns/{namespace}", "rb") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def set_kernel(namespace, path, value):
    with within(namespace):
        pathlib.Path("/proc/sys", path).write_text(value)


def add_namespaces(*names):
    """Without IPv6, whose addresses come and go by themselves."""
    os.makedirs("/run/netns", exist_ok=True)
    must("mount -t tmpfs netns /run/netns")
    for name in names:
        must(f"ip netns add {name}")
        set_kernel(name, "net/ipv6/conf/all/disable_ipv6", "1")
        set_kernel(name, "net/ipv6/conf/default/disable_ipv6", "1")
        must(f"ip -n {name} link set lo up")


# ---- policies ----

def papers(document="d"):
    """What a flow must have, with dates that hold today."""
    today = datetime.date.today()
    return ('method = "ops"; purpose = "p"; owner = "o"; approval = { by = "b"; role = "ciso"; document = '
            f'"{document}"; date = "{today - datetime.timedelta(days=7)}"; author = "a"; }}; '
            f'review = "{today + datetime.timedelta(days=60)}";')


def flow_text(name, source, destination, services):
    """Another meaning has another approval."""
    document = f"{zlib.crc32(repr((source, destination, services)).encode()):08x}"
    quoted = ", ".join(f'"{service}"' for service in services)
    return f'  {name} = {{ from = "{source}"; to = "{destination}"; services = [ {quoted} ]; {papers(document)} }};\n'


def policy_text(zones, hosts, flows, number="1"):
    return (f'policy = {{ name = "field"; number = "{number}"; basis = "b"; effective = "2026-04-01"; model = "alpha"; '
            'timezone = "Asia/Tokyo"; language = "en"; };\n'
            f'zones = {{\n{zones}}};\nhosts = {{\n{hosts}}};\nservices = {{ }};\nflows = {{\n{flows}}};\n')


# ---- kidod ----

class Gateway:
    """kidod in the namespace "gw"."""

    def __init__(self, programs, directory, text):
        self.programs, self.directory = programs, directory
        self.policy, self.log = directory / "policy.conf", directory / "kidod.log"
        self.state = directory / "state"
        self.options = ["--state-directory", self.state, "--run-directory", directory / "run"]
        self.policy.write_text(text)
        self.process = None
        self.start()

    def start(self):
        with within("gw"), open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in (self.programs / "kidod", "--policy", self.policy, "--language", "en",
                                        *self.options)], stdout=log, stderr=log)
        if not wait_until(lambda: self.settled(), 30, 0.01):
            raise RuntimeError(self.log.read_text())

    def kido(self, *words, **options):
        return run(self.programs / "kido", *words, *self.options, "--language", "en", **options)

    def status(self):
        """None when kidod does not answer."""
        answer = self.kido("status", "--json")
        return json.loads(answer.stdout) if answer.returncode == 0 and answer.stdout else None

    def settled(self):
        status = self.status()
        return status is not None and not status["kidod"]["loading"]

    def apply(self, text, *options):
        self.policy.write_text(text)
        answer = self.kido("apply", self.policy, *options)
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr)

    def flow(self, name):
        flows = json.loads(self.kido("flows", "--json").stdout)["flows"]
        return next(line for line in flows if line["flow"] == name)

    def denied(self):
        answer = json.loads(self.kido("flows", "--json").stdout)["denied"]
        return {(line["from_zone"], line["reason"]): line["packets"] for line in answer if line["packets"]}

    def events(self):
        path = self.state / "kidod-events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def nft(self, *words, text=None):
        with within("gw"):
            return run("nft", *words, input=text)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait(20)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

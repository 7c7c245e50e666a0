# SPDX-License-Identifier: GPL-2.0-or-later
"""The real programs on three wires: kidod, kidoban and kido with directories of their own, and what a test asks of them."""
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zlib

from wires import Stream, Wire, udp

LEFT, RIGHT, MANAGER = "10.1.0.9", "10.2.0.9", "10.3.0.9"
PERMITTED, DENIED = 53, 99  # UDP ports from left to right
GENEROUS = 30.0  # seconds for what must come, on a machine that does much else; what is limited is timed by its event

HEAD = """policy = {{ name = "acceptance"; number = "{number}"; basis = "b"; effective = "2026-04-01"; model = "alpha";
  timezone = "Asia/Tokyo"; language = "en"; {more} }};
zones = {{
  left = {{ class = "lgwan"; interfaces = [ "left0" ]; networks = [ "10.1.0.0/24" ]; }};
  right = {{ class = "ot"; interfaces = [ "right0" ]; networks = [ "10.2.0.0/24" ]; }};
  mgmt = {{ class = "management"; interfaces = [ "mgmt0" ]; networks = [ "10.3.0.0/24" ]; }};
}};
hosts = {{
  l = {{ zone = "left"; address = "10.1.0.9"; }};
  r = {{ zone = "right"; address = "10.2.0.9"; }};
  m = {{ zone = "mgmt"; address = "10.3.0.9"; }};
}};
flows = {{
{flows}
}};
"""
FLOW = ('  {name} = {{ from = "{source}"; to = "{to}"; services = [ {services} ]; method = "ops"; purpose = "p"; '
        'owner = "o"; approval = {{ by = "b"; role = "ciso"; document = "{document}"; date = "2026-04-01"; author = "a"; }}; '
        'review = "2027-01-01"; {more} }};')
WAY_IN = {"F-way-in": ("m", "gateway", '"tcp/22"', "")}
BASE = {**WAY_IN, "F-1": ("l", "r", f'"udp/{PERMITTED}", "tcp/80"', "")}


def digest(*words):
    return f"{zlib.crc32(repr(words).encode()):08x}"


def policy(flows=None, number=None, more=""):
    """What differs has another approval and another number, unless one is given."""
    flows = BASE if flows is None else flows
    lines = [FLOW.format(name=name, source=source, to=to, services=services, more=details, document=digest(*flow))
             for name, flow in flows.items() for source, to, services, details in [flow]]
    own = "1" if flows == BASE and not more else digest(flows, more)
    return HEAD.format(number=number or own, more=more, flows="\n".join(lines))


def flow_word(services, more=""):
    return ("l", "r", services, more)


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, claim, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        print(("ok    " if holds else "FAIL  ") + claim + (f": {detail}" if detail != "" and not holds else ""),
              flush=True)


def wait_until(condition, seconds=GENEROUS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def moment(event):
    """When it was, as time.time() counts: not when somebody found the time to read of it."""
    return datetime.datetime.fromisoformat(event["time"]).timestamp()


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)


def rules():
    """The whole ruleset without counters: what traffic cannot change."""
    return run("nft", "-s", "list", "ruleset").stdout


def content():
    """The same without its order and lengths of timeouts, which depend on the moment of creation: elements too."""
    text = re.sub(r"timeout \S+", "timeout", rules()).replace("elements =", "")
    words = (word.strip(" \t{}") for word in re.split(r"[,\n]", text))
    return sorted(word for word in words if word and "limit rate 1/day" not in word)  # the slots that packets take


def setting(path, value=None):
    file = pathlib.Path("/proc/sys", path)
    if value is not None:
        file.write_text(value)
    return file.read_text().strip()


def open_wires():
    return {name: Wire(name, address) for name, address in
            (("left0", "10.1.0.1/24"), ("right0", "10.2.0.1/24"), ("mgmt0", "10.3.0.1/24"))}


class Gateway:
    """kidod and kidoban with their directories; each test gets a gateway without state and without rules."""

    def __init__(self, programs, wires, tally):
        self.programs, self.wires, self.check = programs, wires, tally.check
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kido-test."))
        self.directory.chmod(0o755)
        self.state, self.runtime = self.directory / "state", self.directory / "run"
        self.file = self.directory / "policy.conf"
        self.daemon = self.watchman = None

    def close(self):
        for process in (self.daemon, self.watchman):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        run("nft", "flush", "ruleset")
        run("umount", self.state)
        run("rm", "-r", self.directory)

    def directories(self):
        return ["--state-directory", self.state, "--run-directory", self.runtime]

    def spawn(self, name, *options):
        log = open(self.directory / f"{name}.log", "ab")
        return subprocess.Popen([str(word) for word in (self.programs / name, *self.directories(), *options)],
                                stdout=log, stderr=log)

    def start(self, *options):
        self.daemon = self.spawn("kidod", "--policy", self.file, "--language", "en", *options)
        if not wait_until(lambda: self.daemon.poll() is not None or self.kido("status").returncode == 0):
            raise RuntimeError((self.directory / "kidod.log").read_text())

    def begin(self, text=None, *options):
        """Running, with that policy confirmed."""
        self.start(*options)
        answer = self.apply(text if text is not None else policy())
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr)

    def end(self, number=signal.SIGTERM):
        self.daemon.send_signal(number)
        return self.daemon.wait(30)

    def watch(self, *options):
        self.watchman = self.spawn("kidoban", *options)
        wait_until(lambda: self.status()["watch"]["state"] == "watching")

    def kido(self, *arguments):
        return run(self.programs / "kido", *arguments, *self.directories(), "--language", "en")

    def apply(self, text, *options):
        self.file.write_text(text)
        return self.kido("apply", self.file, *options)

    def answer(self, *arguments):
        return json.loads(self.kido(*arguments, "--json").stdout)

    def status(self):
        return self.answer("status")

    def events(self, kind=None, name="kidod"):
        path = self.state / f"{name}-events.jsonl"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""  # the last line may be half written
        lines = [json.loads(line) for line in whole.splitlines()]
        return [event for event in lines if kind in (None, event["kind"])]

    def confirmed(self):
        return wait_until(lambda: self.status()["policy"]["state"] == "confirmed")

    # ---- packets ----

    def stream(self, ports=(PERMITTED, DENIED), rate=1000):
        return Stream(self.wires["left0"], self.wires["right0"],
                      [udp(LEFT, 40000 + port % 10000, RIGHT, port) for port in ports], rate)

    def passes(self, data, wire="left0", out="right0"):
        self.wires[out].drain()
        self.wires[wire].send(data)
        time.sleep(0.005)
        return len(self.wires[out].read()) > 0

    def permitted_passes(self):
        return self.passes(udp(LEFT, 41000, RIGHT, PERMITTED))

    def denied_passes(self):
        return self.passes(udp(LEFT, 41000, RIGHT, DENIED))


def run_all(programs, tests, wanted):
    """Each test with a gateway of its own. Returns the exit code."""
    tally = Tally()
    wires = open_wires()
    run("ip", "link", "set", "lo", "up")
    time.sleep(2.2)  # IPv6 addresses settle, so that rules compared byte for byte do not follow them
    for test in tests:
        if wanted and not any(word in test.__name__ for word in wanted):
            continue
        print(f"# {test.__name__}", flush=True)
        setting("net/ipv4/ip_forward", "0")
        gateway, before = Gateway(programs, wires, tally), tally.failed
        try:
            test(gateway)
        except Exception:  # the other tests are still worth running
            traceback.print_exc(file=sys.stdout)
            tally.check(f"{test.__name__} ends", False)
        finally:
            if tally.failed > before:
                for log in sorted(gateway.directory.glob("*.log")):
                    print(f"--- {log.name}\n{log.read_text()[-3000:]}")
            gateway.close()
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


def main(path, tests):
    programs = pathlib.Path(sys.argv[1]).resolve()
    if "--inside" in sys.argv:
        return run_all(programs, tests, [word for word in sys.argv[2:] if not word.startswith("--")])
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun") or run("unshare", "-n", "nft", "list",
                                                                       "ruleset").returncode != 0:
        print("skipped: needs root, /dev/net/tun, unshare -n and nft")
        return 77
    return subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
                           sys.executable, path, *sys.argv[1:], "--inside"]).returncode

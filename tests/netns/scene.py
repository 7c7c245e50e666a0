# SPDX-License-Identifier: GPL-2.0-or-later
"""The sample town on learning switches, for tests that look at what the watchman sees of a leak.

Every wire of a zone is a switch of its own between the gateway and the hosts, so that the gateway's interface sees what
a switch port sees. The vantage says where the watchman listens:

    port    on the gateway's own interface: broadcast, flooding, and what the gateway sends and gets
    hub     the same, but the switches flood every frame: what a tap sees
    mirror  on one more interface per wire ("span0" ...), a mirror of all ports of its switch

A test is a function of a Scene; main() runs each against a watchman of its own, all in one town, in namespaces that go
with the process. Frames are sent as bytes from any socket of a switch (support/frames.py makes them); connections are
opened by the agents of the town (tools/lab).
"""
import ctypes
import datetime
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tools/lab"), str(ROOT / "tests/support"), str(ROOT / "tests/leaks"), str(ROOT / "tests/quiet")]
sys.dont_write_bytecode = True
from cases import write_policy  # noqa: E402
from town import Town, wait_until as seconds_until  # noqa: E402

GENEROUS = 30.0  # seconds for what must come; what is limited is timed by its event
DEADLINE = 1.0   # seconds from the frame to the event: the contract of the watchman
CLONE_NEWNET = 0x40000000
QUIET = ("notice", "info")
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)


def within(namespace, make):
    """What make() returns, made by a thread inside that namespace."""
    result = []

    def work():
        with open(f"/run/netns/{namespace}") as handle:
            if LIBC.setns(handle.fileno(), CLONE_NEWNET) != 0:
                result.append(OSError(ctypes.get_errno(), f"setns {namespace}"))
                return
        try:
            result.append(make())
        except OSError as error:
            result.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def packet_socket(interface):
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    made.bind((interface, 0))
    made.setblocking(False)
    return made


class Socket:
    """One more machine in a socket of a switch: sends frames as they are, and sees what the switch sends it."""

    def __init__(self, town, bridge, number):
        self.town, name, far = town, f"m{number}", f"{bridge}m{number}"
        for words in (("link", "add", name, "type", "veth", "peer", "name", far),
                      ("link", "set", far, "master", bridge, "up"), ("link", "set", name, "up")):
            town.run_in("wire", "ip", *words)
        town.wait_forwarding(far)
        self.packets = within(town.namespace("wire"), lambda: packet_socket(name))

    def send(self, *frames):
        """Returns when the first of them went."""
        first = time.time()
        for frame in frames:
            self.packets.send(frame)
        return first

    def received(self):
        seen = []
        while True:
            try:
                frame, address = self.packets.recvfrom(65536)
            except BlockingIOError:
                return seen
            if address[2] != socket.PACKET_OUTGOING:
                seen.append(frame)


class GatewaySocket(Socket):
    def __init__(self, packets):
        self.packets = packets


class SwitchedTown(Town):
    def run_in(self, name, *command):
        answer = run("ip", "netns", "exec", self.namespace(name), *command)
        if answer.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {answer.stderr}")
        return answer.stdout

    def wait_forwarding(self, port):
        """A switch takes a port into use when it has heard of its cable, which is not at once."""
        def forwards():
            rows = json.loads(self.run_in("wire", "bridge", "-j", "link", "show", "dev", port))
            return rows and rows[0]["state"] == "forwarding"
        if seconds_until(forwards, GENEROUS, 0.01) is None:
            raise RuntimeError(f"{port} does not forward")

    def bridge_of(self, interface):
        return next(bridge for bridge, _, name, _ in self.segments if name == interface)

    def gateway_mac(self, interface):
        return json.loads(self.run_in("gate", "ip", "-j", "link", "show", interface))[0]["address"]

    def ports_of(self, bridge):
        rows = json.loads(self.run_in("wire", "ip", "-j", "link", "show", "master", bridge))
        return [row["ifname"] for row in rows]

    def flood(self):
        for bridge, *_ in self.segments:
            for port in self.ports_of(bridge):
                self.run_in("wire", "bridge", "link", "set", "dev", port, "learning", "off", "flood", "on")
            self.run_in("wire", "ip", "link", "set", bridge, "type", "bridge", "ageing_time", "0")

    def mirror(self):
        """Each switch sends a copy of every frame that comes into one of its ports to the interface span<N> of the
        gateway. Returns those names by the interface they mirror."""
        names = {}
        for number, (bridge, _, interface, _) in enumerate(self.segments):
            name, far = f"span{number}", f"{bridge}x"
            self._batch(None, f"link add name {name} netns {self.namespace('gate')} type veth peer name {far} "
                              f"netns {self.namespace('wire')}")
            self._batch("gate", f"link set {name} arp off up")
            self._batch("wire", f"link set {far} arp off up")
            names[interface] = name
        self.spans = {self.bridge_of(interface): f"{self.bridge_of(interface)}x" for interface in names}
        for bridge, *_ in self.segments:
            for port in self.ports_of(bridge):
                self.mirror_port(bridge, port)
        return names

    def mirror_port(self, bridge, port):
        self.run_in("wire", "tc", "qdisc", "replace", "dev", port, "clsact")
        self.run_in("wire", "tc", "filter", "replace", "dev", port, "ingress", "protocol", "all", "prio", "1", "u32",
                    "match", "u32", "0", "0", "action", "mirred", "egress", "mirror", "dev", self.spans[bridge])


class Scene:
    """A town with its gateway forwarding everything (or by kidod, see enforce()), and a watchman."""

    def __init__(self, programs, vantage, tally):
        self.programs, self.vantage, self.check = pathlib.Path(programs), vantage, tally.check
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="kido-scene."))
        self.base.chmod(0o755)
        self.policy = self.base / "town.conf"
        with (self.base / "sample.conf").open("wb") as target:
            subprocess.run([ROOT / "tools/derive-town", ROOT / "config/examples/town.conf"], stdout=target, check=True)
        write_policy(self.policy, self.base / "sample.conf")
        self.town = SwitchedTown(str(self.programs / "kido"), str(self.policy), "kido-scene")
        self.town.raise_()
        self.gateway("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.spans = {}
        if vantage == "hub":
            self.town.flood()
        elif vantage == "mirror":
            self.spans = self.town.mirror()
        self.town.start_agents()
        self.sockets, self.cables, self.processes, self.extra = 0, 0, {}, []
        self.reset()

    def reset(self):
        """For the next test: new directories, no programs, no rules, no cables."""
        for name in list(self.processes):
            self.end(name)
        self.gateway("nft", "flush", "ruleset")
        self.gateway("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for words in self.extra:
            run("ip", "netns", "exec", *words)
        self.extra = []
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=self.base))
        self.directory.chmod(0o755)
        self.events_file = self.directory / "events.jsonl"

    def close(self):
        self.reset()
        self.town.remove()
        run("rm", "-r", self.base)

    # ---- the gateway ----

    def gateway(self, *command):
        """Runs a command there; its output."""
        return self.town.run_in("gate", *command)

    def directories(self):
        return ["--state-directory", self.directory / "state", "--run-directory", self.directory / "run"]

    def spawn(self, name, *options):
        log = open(self.directory / f"{name}.log", "ab")
        command = ["ip", "netns", "exec", self.town.namespace("gate"), "setpriv", "--regid", KIDO_GROUP, "--clear-groups", self.programs / name,
                   *self.directories(), "--language", "en", *options]
        self.processes[name] = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)

    def end(self, name, number=signal.SIGTERM):
        process = self.processes.pop(name, None)
        if process is not None:
            process.send_signal(number)
            try:
                process.wait(GENEROUS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kido(self, *arguments):
        return run("ip", "netns", "exec", self.town.namespace("gate"), self.programs / "kido", *arguments,
                   *self.directories(), "--language", "en")

    def kido_beside(self, *arguments):
        """The same while something else goes on."""
        return subprocess.Popen(["ip", "netns", "exec", self.town.namespace("gate"), self.programs / "kido", *arguments,
                                 *self.directories()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def enforce(self, *options):
        """kidod with the policy confirmed; --no-repair when the test makes a hole."""
        self.spawn("kidod", "--policy", self.policy, *options)
        if seconds_until(lambda: self.kido("status").returncode == 0, GENEROUS, 0.05) is None:
            raise RuntimeError((self.directory / "kidod.log").read_text())
        answer = self.kido("apply", self.policy)
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr)

    def watch(self, *options):
        """kidoban: follows kidod if that runs, else by the policy file. Returns when it watches."""
        policy = () if "kidod" in self.processes else ("--policy", self.policy)
        self.spawn("kidoban", "--events", self.events_file, "--buffer", "4", *policy, *self.vantage_options(), *options)

        def watching():
            answer = self.kido("status", "--json")
            return answer.stdout and json.loads(answer.stdout)["watch"]["state"] == "watching"
        if seconds_until(watching, GENEROUS, 0.05) is None:
            raise RuntimeError("kidoban does not watch: " + (self.directory / "kidoban.log").read_text())

    def wait_watched(self, interface):
        """Until the watchman sees that wire again."""
        def watched():
            rows = json.loads(self.kido("status", "--json").stdout)["watch"]["interfaces"]
            return all(row["state"] == "watched" for row in rows if row["name"] == interface)
        if seconds_until(watched, GENEROUS, 0.05) is None:
            raise RuntimeError(f"{interface} is not watched")

    def vantage_options(self):
        """Settings that say from where each wire is seen."""
        rows = []
        for _, zone, interface, _ in self.town.segments:
            vantage = {"port": "port", "hub": "tap", "mirror": "port"}[self.vantage]
            rows.append(f'{{ interface = "{interface}"; vantage = "{vantage}"; }}')
            if interface in self.spans:
                rows.append(f'{{ interface = "{self.spans[interface]}"; zone = "{zone}"; vantage = "mirror"; '
                            f'gateway_macs = [ "{self.gateway_mac(interface)}" ]; }}')
        settings = self.directory / "kidoban.conf"
        settings.write_text(f"wires = (\n  {', '.join(rows)}\n);\n")
        return "--settings", settings

    # ---- the wires ----

    def socket(self, interface):
        """A new machine on the switch of that interface of the gateway."""
        self.sockets += 1
        bridge = self.town.bridge_of(interface)
        made = Socket(self.town, bridge, self.sockets)
        port = f"{bridge}m{self.sockets}"
        if self.vantage == "hub":
            self.town.run_in("wire", "bridge", "link", "set", "dev", port, "learning", "off", "flood", "on")
        elif self.vantage == "mirror":
            self.town.mirror_port(bridge, port)
        return made

    def gateway_socket(self, interface):
        """Sends frames out of the gateway itself: what no rule of it sees."""
        return GatewaySocket(within(self.town.namespace("gate"), lambda: packet_socket(interface)))

    def patch(self, left, right):
        """Lays a cable between the switches of two interfaces, round the gateway. Returns what unpatch() takes."""
        self.cables += 1
        names = f"p{self.cables}a", f"p{self.cables}b"
        self.town.run_in("wire", "ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1])
        for name, interface in zip(names, (left, right)):
            bridge = self.town.bridge_of(interface)
            self.town.run_in("wire", "ip", "link", "set", name, "master", bridge, "up")
            if self.vantage == "hub":
                self.town.run_in("wire", "bridge", "link", "set", "dev", name, "learning", "off", "flood", "on")
            elif self.vantage == "mirror":
                self.town.mirror_port(bridge, name)
        for name in names:
            self.town.wait_forwarding(name)
        self.extra.append((self.town.namespace("wire"), "ip", "link", "del", names[0]))
        return names[0]

    def unpatch(self, cable):
        self.town.run_in("wire", "ip", "link", "del", cable)
        self.extra = [words for words in self.extra if words[-1] != cable]

    def gateway_mac(self, interface):
        return self.town.gateway_mac(interface)

    def gateway_address(self, interface):
        """Its first address of IPv4 there."""
        links = json.loads(self.gateway("ip", "-j", "-4", "addr", "show", interface))
        return links[0]["addr_info"][0]["local"]

    def mac_of(self, host):
        """The MAC that the host of that name has here."""
        row = self.town.host_rows[host]
        links = json.loads(self.town.run_in(row["zone"], "ip", "-j", "addr", "show"))
        return next(link["address"] for link in links for entry in link["addr_info"]
                    if entry.get("local") == self.town.hosts[host])

    def opens(self, source, destination, protocol="tcp", port=443, seconds=2.0, size=5):
        """Whether a connection between two hosts, by name, is answered with all that it sent."""
        agent = self.town.agents[self.town.host_rows[source]["zone"] if source != "gateway" else "gateway"]
        number = agent.ask(do="open", protocol=protocol, source=self.town.hosts[source],
                           destination=self.town.hosts[destination], port=port, seconds=seconds,
                           size=size)
        return agent.answer(number, seconds + 30)["answered"]

    # ---- what the watchman says ----

    def events(self):
        """All records so far."""
        whole = self.events_file.read_text().rpartition("\n")[0] if self.events_file.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def expect(self, claim, since, kind, zone=None, other_zone=None, earliest=None, **values):
        """That this kind stands in the log within the second from `since` (time.time()); or before it, from `earliest`
        on, when machines may have said by themselves what tells it. Returns the record."""
        earliest = since if earliest is None else earliest
        wanted = {"kind": kind, **values}
        if zone is not None:
            wanted["zone"] = zone
        if other_zone is not None:
            wanted["other_zone"] = other_zone

        def found():
            return next((event for event in self.events() if moment(event, "time") >= earliest - 0.001 and
                         all(event.get(key) == value for key, value in wanted.items())), None)
        waited = self.processor_wait()
        at_once = found() is not None
        seconds_until(lambda: found() is not None, GENEROUS, 0.02)
        seen, event = time.time(), found()
        self.check(f"{claim} ({self.vantage}): {kind}", event is not None, self.summary())
        if event is not None:
            told = moment(event, "time") if at_once else seen
            took, waited = told - since, self.processor_wait() - waited
            self.check(f"{claim} ({self.vantage}): within a second, besides what others took of the processor",
                       took - waited <= DEADLINE, f"{took:.3f} s, of which {waited:.3f} s waiting")
        return event

    def processor_wait(self):
        """Seconds for which the watchman, or we who look for what he says, wanted to run and others did."""
        def of(process):
            return int(pathlib.Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
        try:
            return of(self.processes["kidoban"].pid) + of("self")
        except (KeyError, OSError):
            return 0.0  # there is none, or this kernel does not tell

    def expect_nothing_else(self, claim, *kinds):
        """That nothing above a notice was told but those kinds; waits for what is held."""
        time.sleep(0.5)
        other = [event for event in self.events() if event["severity"] not in QUIET and event["kind"] not in kinds and
                 not is_of_the_machine(event)]
        self.check(f"{claim} ({self.vantage}): nothing else", not other, [event["message"] for event in other[:5]])

    def summary(self):
        return [(event["kind"], event["zone"], event["other_zone"], event["src"], event["reason"])
                for event in self.events()[-12:]]


def is_of_the_machine(event):
    """That the machine of the test had no time for us for a moment is no alarm about the town."""
    return event["kind"] == "blind" and event["reason"] in ("stalled", "behind")


def moment(event, key="time"):
    return datetime.datetime.fromisoformat(event[key]).timestamp()


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


KIDO_GROUP = "64991"
ACCOUNTS = {"passwd": ["kidoban:x:64990:64990::/nonexistent:/usr/sbin/nologin"],
            "group": ["kidoban:x:64990:", f"kido:x:{KIDO_GROUP}:kidoban"]}


def add_accounts():
    """The accounts of an installed Kido, in this mount namespace alone."""
    for name, lines in ACCOUNTS.items():
        there = pathlib.Path("/etc", name).read_text().splitlines()
        names = {line.split(":")[0] for line in there}
        with tempfile.NamedTemporaryFile("w", prefix="kido-scene.") as own:
            own.write("\n".join(there + [line for line in lines if line.split(":")[0] not in names]) + "\n")
            own.flush()
            os.chmod(own.name, 0o644)
            subprocess.run(["mount", "--bind", own.name, f"/etc/{name}"], check=True)


def run_all(programs, tests, vantages, wanted):
    tally = Tally()
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
    add_accounts()
    for vantage in vantages:
        scene = Scene(programs, vantage, tally)
        try:
            for test in tests:
                if wanted and not any(word in test.__name__ for word in wanted):
                    continue
                print(f"# {test.__name__} ({vantage})", flush=True)
                before = tally.failed
                try:
                    test(scene)
                except Exception:  # the other tests are still worth running
                    traceback.print_exc(file=sys.stdout)
                    tally.check(f"{test.__name__} ends", False)
                if tally.failed > before:
                    for log in sorted(scene.directory.glob("*.log")):
                        print(f"--- {log.name}\n{log.read_text()[-3000:]}")
                scene.reset()
        finally:
            scene.close()
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


def main(path, tests, vantages=("port", "hub", "mirror")):
    """Runs tests, each at each vantage. Arguments: the directory of the programs, words to choose tests and vantages."""
    programs = pathlib.Path(sys.argv[1]).resolve()
    words = [word for word in sys.argv[2:] if word != "--inside"]
    if "--inside" in sys.argv:
        chosen = [word for word in words if word in ("port", "hub", "mirror")]
        return run_all(programs, tests, chosen or vantages, [word for word in words if word not in chosen])
    if os.geteuid() != 0 or run("unshare", "-n", "nft", "list", "ruleset").returncode != 0:
        print("skipped: needs root, unshare -n and nft")
        return 77
    os.makedirs("/run/netns", exist_ok=True)
    return subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
                           sys.executable, path, *sys.argv[1:], "--inside"]).returncode

# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench watch: the watchman beside what others have for looking at packets."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

import leaks
from common import fail, make_policy, run, table

RING = 16  # megabytes, for all that can be told
FLOOD, STORM = 2000000, 320000
PEERS = ["tcpdump", "softflowd", "argus", "ndpiReader", "tshark", "suricata"]
SLOW = {"tshark": 60000}  # packets that it is given of the capture
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


# ---- over files ----


PATIENCE = 120  # seconds of processor time


def set_limit():
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
    signal.alarm(2 * PATIENCE)  # outlives exec


def usage_of(command, output=None, directory=None):
    """Processor seconds, megabytes and exit status of a command."""
    with open(output or os.devnull, "w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=stream,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=directory,
            preexec_fn=set_limit,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode


def pair_filter(facts):
    here = next(network for own, network in facts["networks"] if own)
    others = " or ".join(f"net {network}" for own, network in facts["networks"] if not own)
    return f"net {here} and ({others})"


def suricata_rules(facts, path):
    here = next(network for own, network in facts["networks"] if own)
    others = ",".join(network for own, network in facts["networks"] if not own)
    path.write_text(
        f'alert ip [{others}] any -> {here} any (msg:"in"; sid:1;)\n'
        f'alert ip {here} any -> [{others}] any (msg:"out"; sid:2;)\n',
        encoding="utf-8",
    )


class Files:
    """Commands over one capture, as each tool wants it."""

    def __init__(self, bench, policy, capture, facts, directory):
        programs = pathlib.Path(bench).parent
        zone, mac = facts["zone"], facts["gateway_mac"]
        rules = pathlib.Path(directory, "zone.rules")
        suricata_rules(facts, rules)
        softflowd = ["softflowd", "-r", capture, "-d", "-t", "maxlife=3600", "-c", "none", "-p", "none"]
        suricata = ["suricata", "-r", capture, "-S", rules, "-l", directory, "--runmode", "single", "-k", "none"]
        self.capture = capture
        self.commands = {
            "empty loop": [programs / "kido-bench-replay", "loop", capture],
            "kido replay": [programs / "kido", "replay", "--json", "--policy", policy]
            + ["--gateway-mac", f"{zone}={mac}", f"{zone}={capture}"],
            "tcpdump -w": ["tcpdump", "-r", capture, "-w", "/dev/null"],
            "tcpdump -w, filter of the zones": ["tcpdump", "-r", capture, "-w", "/dev/null", pair_filter(facts)],
            "softflowd": softflowd,
            "argus": ["argus", "-r", capture, "-w", "/dev/null"],
            "suricata, 2 rules": suricata,
            "ndpiReader": ["ndpiReader", "-i", capture, "-q"],
            "tshark -z conv,ip": ["tshark", "-n", "-q", "-z", "conv,ip", "-c", SLOW["tshark"], "-r", capture],
        }


def installed(command):
    return shutil.which(str(command[0])) is not None


def write_capture(bench, policy, packets, kind, path):
    return run(pathlib.Path(bench).with_name("kido-bench-replay"), "write", policy, packets, kind, path)[0]


def offline_rounds(commands, starts, packets, rounds, directory):
    """Packets a processor second; what the same command takes over a capture of one packet is not counted."""
    rates = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            if not installed(command):
                continue
            start, _, _ = usage_of(starts[name], directory=directory)
            seconds, _, status = usage_of(command, directory=directory)
            given = min(packets, SLOW.get(name.split()[0], packets))
            if status in (0, 1) and seconds > start:
                rates[name].append(given / (seconds - start))
    return {name: statistics.median(values) if values else None for name, values in rates.items()}


def bench_offline(bench, arguments, directory):
    packets, sizes = 600000, arguments.flows or [10, 1000, 10000]
    print(f"## Over files\n\nThousands of packets a processor second; medians of {arguments.rounds} interleaved rounds. What the")
    print("same command takes over a capture of one packet (its start, the policy read) is not counted.\n")
    rows = []
    for kind, label in (("mix", "62 to 1514 bytes"), ("small", "62 bytes")):
        for flows in sizes:
            policy = make_policy(directory, flows)
            capture, tiny = f"/dev/shm/kido-bench-{os.getpid()}.pcap", f"/dev/shm/kido-bench-{os.getpid()}.one.pcap"
            try:
                facts = write_capture(bench, policy, packets, kind, capture)
                write_capture(bench, policy, 1, kind, tiny)
                commands = Files(bench, policy, capture, facts, directory).commands
                starts = Files(bench, policy, tiny, facts, directory).commands
                if flows != sizes[0]:
                    commands = {name: commands[name] for name in ("empty loop", "kido replay")}
                rates = offline_rounds(commands, starts, packets, arguments.rounds, directory)
            finally:
                pathlib.Path(capture).unlink(missing_ok=True)
                pathlib.Path(tiny).unlink(missing_ok=True)
            for name, rate in rates.items():
                shown = ["not installed", "-"] if rate is None else [number(rate / 1000), f"{rate / rates['empty loop']:.3f}"]
                rows.append([label, flows, name, *shown])
    table(["packets", "flows", "what", "thousand a second", ": empty loop"], rows)


def count_lines(path, word):
    with open(path, encoding="utf-8", errors="replace") as stream:
        return sum(word in line for line in stream)


def memory_available():
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"MemAvailable:\s+(\d+)", text)[1]) / 1024


def bench_flood(bench, _, directory):
    print(f"## Flood and storm\n\nA flood of {FLOOD:,} packets, each of a connection of its own; one run.\n")
    policy, capture = make_policy(directory, 10), f"/dev/shm/kido-bench-{os.getpid()}.pcap"
    rows = []
    try:
        facts = write_capture(bench, policy, FLOOD, "flood", capture)
        for name, command in Files(bench, policy, capture, facts, directory).commands.items():
            if name.startswith(("tcpdump", "tshark")):
                continue
            if not installed(command):
                rows.append([name, "not installed", "-"])
            elif name == "ndpiReader" and memory_available() < 16000:
                rows.append([name, "not run: it takes more memory than is free", "-"])
            else:
                seconds, megabytes, _ = usage_of(command, directory=directory)
                rows.append([name, number(megabytes), number(FLOOD / seconds / 1000)])
        table(["what", "MB at most", "thousand packets a processor second"], rows)
        facts = write_capture(bench, policy, STORM, "storm", capture)
        bench_storm(Files(bench, policy, capture, facts, directory), directory)
    finally:
        pathlib.Path(capture).unlink(missing_ok=True)


def bench_storm(files, directory):
    print(f"A storm of {STORM:,} packets that no flow allows, of {5 * 50 * 12 * 20:,} possible tuples.\n")
    output, eve = f"{directory}/out", pathlib.Path(directory, "eve.json")
    usage_of(files.commands["kido replay"], output=output, directory=directory)
    rows = [["kido replay", count_lines(output, '"kind"')]]
    eve.unlink(missing_ok=True)
    if installed(files.commands["suricata, 2 rules"]):
        usage_of(files.commands["suricata, 2 rules"], directory=directory)
        rows.append(["suricata, 2 rules", count_lines(eve, '"event_type":"alert"')])
    table(["what", "lines"], rows)


# ---- on wires ----


class Wires:
    """A gateway in a namespace of its own that forwards everything, with a wire for each interface."""

    def __init__(self, bench, policy):
        self.live = pathlib.Path(bench).with_name("kido-bench-live")
        self.kidoban = pathlib.Path(bench).with_name("kidoban")
        self.policy = policy
        self.name = f"kido-bench-{os.getpid()}"
        self.facts = run(self.live, "describe", policy)[0]
        self.ends = {self.facts["from"]: "in", self.facts["to"]: "out"}
        self.interfaces = {}

    def __enter__(self):
        self.command("ip", "netns", "add", self.name)
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], **QUIET, check=False)

    @staticmethod
    def command(*words):
        if subprocess.run([str(word) for word in words], **QUIET, check=False).returncode != 0:
            fail(f"'{' '.join(map(str, words))}' failed")

    def inside(self, *words):
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def build(self):
        self.command(*self.inside("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.disable_ipv6=1"))
        for index, zone in enumerate(self.facts["zones"]):
            for which, interface in enumerate(zone["interfaces"]):
                end = self.ends.get(index) if which == 0 else None
                far = f"{end}-far" if end else f"far-{index}-{which}"
                self.command(*self.inside("ip", "link", "add", interface, "type", "veth", "peer", "name", far))
                self.command(*self.inside("ip", "link", "set", interface, "up"))
                self.command(*self.inside("ip", "link", "set", far, "arp", "off", "up"))
                if end:
                    self.attach(interface, zone["network"], end)
        self.command(*self.inside("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0"))

    def attach(self, interface, network, end):
        self.interfaces[end] = interface
        self.command(*self.inside("sysctl", "-qw", f"net.ipv4.conf.{interface.replace('.', '/')}.rp_filter=0"))
        self.command(*self.inside("ip", "address", "add", f"{network.rsplit('.', 1)[0]}.1/15", "dev", interface))
        host = self.facts["source" if end == "in" else "destination"]
        mac = "02:11:00:00:00:01" if end == "in" else "02:11:00:00:00:02"
        self.command(*self.inside("ip", "neigh", "add", host, "lladdr", mac, "dev", interface))

    def mac(self, end):
        done = subprocess.run(
            self.inside("cat", f"/sys/class/net/{self.interfaces[end]}/address"), stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.strip()

    def send(self, port, rate, seconds, *alerts):
        facts = self.facts
        return run(
            *self.inside(self.live, "send", "in-far", "out-far", self.mac("in"), self.mac("out")),
            facts["source"],
            port,
            facts["destination"],
            facts["port"],
            rate,
            seconds,
            *alerts,
        )[0]


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def with_children(pid):
    found = [pid]
    for task in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(task.read_text(encoding="ascii").rsplit(")", 1)[1].split()[1]) == pid:
                found += with_children(int(task.parent.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


class Watcher:
    """One tool at work on both wires."""

    def __init__(self, wires, directory):
        self.wires, self.directory, self.processes = wires, directory, []
        self.early = False  # it ended by itself

    def start(self, *commands):
        for index, command in enumerate(commands):
            with open(f"{self.directory}/said.{index}", "w", encoding="utf-8") as said:
                self.processes.append(
                    subprocess.Popen(self.wires.inside(*command), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
                )
        time.sleep(1.5)

    def seconds(self):
        total = 0
        for process in self.processes:
            for pid in with_children(process.pid):
                try:
                    total += processor_seconds(pid)
                except OSError:
                    pass
        return total

    def end(self):
        self.early = any(process.poll() is not None for process in self.processes)
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        said = [pathlib.Path(f"{self.directory}/said.{i}").read_text("utf-8", "replace") for i in range(len(self.processes))]
        self.processes = []
        return "\n".join(said)

    def both(self, *command):
        return [[part.replace("WIRE", self.wires.interfaces[end]) for part in command] for end in ("in", "out")]


class Kidoban(Watcher):
    def __init__(self, wires, directory, prefilter):
        super().__init__(wires, directory)
        self.prefilter = prefilter
        self.events = f"{directory}/events.jsonl"

    def begin(self):
        settings = pathlib.Path(self.directory, "kidoban.conf")
        settings.write_text(f"prefilter = {'true' if self.prefilter else 'false'};\n", encoding="utf-8")
        pathlib.Path(self.events).write_text("", encoding="utf-8")
        for path in pathlib.Path(self.directory).glob("kidoban*"):
            if path != settings:
                path.unlink() if not path.is_dir() else shutil.rmtree(path)
        self.start(
            [self.wires.kidoban, "--policy", self.wires.policy, "--settings", settings, "--events", self.events]
            + ["--state-directory", self.directory, "--run-directory", self.directory, "--buffer", RING]
        )

    def drops(self):
        """What it told itself; one alert is told several times, with its count so far."""
        counts = {}
        for line in pathlib.Path(self.events).read_text("utf-8", "replace").splitlines():
            if '"kernel-drops"' in line:
                event = json.loads(line)
                counts[event["id"]] = max(counts.get(event["id"], 0), event["count"])
        return sum(counts.values())

    def finish(self):
        self.end()
        return self.drops()


class Other(Watcher):
    def __init__(self, wires, directory, dropped, *command):
        super().__init__(wires, directory)
        self.command, self.dropped = command, dropped

    def begin(self):
        self.start(*self.both(*map(str, self.command)))

    def finish(self):
        said = self.end()
        return sum(map(int, re.findall(self.dropped, said))) if self.dropped else None


class Suricata(Watcher):
    def begin(self):
        rules = pathlib.Path(self.directory, "empty.rules")
        rules.write_text('alert ip 192.0.2.1 any -> 192.0.2.2 any (msg:"none"; sid:1;)\n', encoding="utf-8")
        wires = [word for end in ("in", "out") for word in ("-i", self.wires.interfaces[end])]
        self.start(["suricata", *wires, "-S", rules, "-l", self.directory, "-k", "none"])
        time.sleep(4)

    def finish(self):
        self.end()


def live_tools(wires, directory):
    def own(name):
        path = pathlib.Path(directory, name)
        path.mkdir(exist_ok=True)
        return path

    return {
        "kidoban": Kidoban(wires, own("kidoban"), True),
        "kidoban without prefilter": Kidoban(wires, own("plain"), False),
        "empty loop": Other(wires, own("loop"), r'"dropped": (\d+)', wires.live, "loop", "WIRE", RING),
        "tcpdump -w /dev/null": Other(
            wires, own("tcpdump"), r"(\d+) packets dropped by kernel", *["tcpdump", "-i", "WIRE", "-B", RING * 1024]
            + ["-s", 384, "-w", "/dev/null"]
        ),
        "softflowd": Other(wires, own("softflowd"), None, *["softflowd", "-i", "WIRE", "-d", "-c", "none", "-p", "none"]),
        "argus": Other(wires, own("argus"), None, "argus", "-i", "WIRE", "-w", "/dev/null"),
        "ndpiReader": Other(wires, own("ndpi"), None, "ndpiReader", "-i", "WIRE", "-q"),
        "tshark": Other(wires, own("tshark"), None, "tshark", "-i", "WIRE", "-n", "-q", "-z", "conv,ip"),
        "suricata": Suricata(wires, own("suricata")),
    }


def has(tool, name):
    program = {"tcpdump -w /dev/null": "tcpdump"}.get(name, name)
    return program not in PEERS or shutil.which(program) is not None


def live_run(tool, wires, port, rate, seconds):
    """Processor seconds of the tool a second, packets sent a second, frames it lost (None: it does not say)."""
    tool.begin()
    try:
        wires.send(port, 2000, 2)  # what is there to be learned is learned
        before = tool.seconds()
        sent = wires.send(port, rate, seconds)
        time.sleep(0.3)
        used = tool.seconds() - before
    finally:
        lost = tool.finish()
    if tool.early:
        return None
    return used / sent["seconds"], sent["sent"] / sent["seconds"], lost


def bench_cost(wires, directory, arguments):
    print(f"## Live\n\nOne lawful connection through a gateway that forwards it, {arguments.rate:,} packets a second, 254 bytes, on two")
    print(f"wires of veth; what a tool takes to watch both, in percent of a processor. Medians of {arguments.rounds} rounds.\n")
    rows, tools = [], live_tools(wires, directory)
    samples = {name: [] for name in tools}
    for index in range(arguments.rounds):
        for name, tool in tools.items():
            answer = live_run(tool, wires, 41000 + index, arguments.rate, 4) if has(tool, name) else None
            if answer is not None:
                samples[name].append(answer)
    for name, runs in samples.items():
        if not runs:
            rows.append([name, "ended by itself" if has(tools[name], name) else "not installed", "-", "-"])
            continue
        lost = [run[2] for run in runs if run[2] is not None]
        share = statistics.median(run[0] for run in runs)
        rows.append([name, f"{100 * share:.2f}", number(statistics.median(run[1] for run in runs)), sum(lost) if lost else "-"])
    table(["what", "% of a processor", "packets a second", "frames lost"], rows)


def bench_rate(wires, directory, arguments):
    print("The highest rate without loss (4 s each; the last one is as fast as the sender can).\n")
    rows, tools = [], live_tools(wires, directory)
    for name in ("kidoban", "kidoban without prefilter", "empty loop", "tcpdump -w /dev/null"):
        best, at_most = 0, 0
        for rate in (50000, 100000, 200000, 0):
            _, sent, lost = live_run(tools[name], wires, 42000, rate, 4) or fail(f"{name} ended by itself")
            at_most = max(at_most, sent)
            best = max(best, sent) if lost == 0 else best
        rows.append([name, number(best), number(at_most)])
    table(["what", "packets a second without loss", "tried"], rows)


class LatencyLoop(Watcher):
    """The least that any alert takes: a loop that each frame wakes, and that writes a line."""

    def __init__(self, wires, directory):
        super().__init__(wires, directory)
        self.events = f"{directory}/events.jsonl"

    def begin(self):
        pathlib.Path(self.events).write_text("", encoding="utf-8")
        self.start([self.wires.live, "loop", self.wires.interfaces["out"], RING, self.events])

    def finish(self):
        self.end()


def latency_run(tool, wires, rate, strangers):
    tool.begin()
    try:
        wires.send(43000, 2000, 2)
        return wires.send(43000, rate, 3, tool.events, *strangers)
    finally:
        tool.finish()


def bench_latency(wires, directory, arguments):
    print("From the frame on the wire to the line in the file of events, microseconds: frames of other zones beside the")
    print("gateway while one lawful connection goes on. The watchman starts anew every 20 alerts. *empty loop*: woken by")
    print("each frame, it writes a line for the same frames.\n")
    zones = enumerate(wires.facts["zones"])
    strangers = [zone["network"].rsplit(".", 1)[0] + ".99" for index, zone in zones if index != wires.facts["to"]]
    rows = []
    for rate in (1000, 100000, 0):
        samples = {name: ([], []) for name in ("kidoban", "kidoban without prefilter", "empty loop")}
        for _ in range(arguments.rounds * 2):
            for name, (took, sent) in samples.items():
                path = pathlib.Path(directory, name.replace(" ", "-"))
                path.mkdir(exist_ok=True)
                tool = LatencyLoop(wires, path) if name == "empty loop" else Kidoban(wires, path, name == "kidoban")
                answer = latency_run(tool, wires, rate, strangers)
                took += answer["microseconds"]
                sent.append(answer["sent"] / answer["seconds"])
        for name, (took, sent) in samples.items():
            took.sort()
            at = [took[int((len(took) - 1) * part)] for part in (0.5, 0.99, 1)] if took else []
            rows.append([name, number(statistics.median(sent)), len(took), *map(number, at)])
    table(["what", "packets a second beside", "alerts", "p50", "p99", "most"], rows)


def bench_live(bench, arguments, directory):
    with Wires(bench, make_policy(directory, 10, "tcp/")) as wires:
        bench_cost(wires, directory, arguments)
        bench_rate(wires, directory, arguments)
        bench_latency(wires, directory, arguments)


def bench_leaks(bench, _, directory):
    leaks.bench_leaks(pathlib.Path(bench).with_name("kido"), directory, installed)


PARTS = {"leaks": bench_leaks, "offline": bench_offline, "flood": bench_flood, "live": bench_live}


def run_all(bench, arguments):
    missing = [name for name in PEERS if shutil.which(name) is None]
    if missing:
        print(f"Not installed: {', '.join(missing)}.\n")
    for name in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="kido-bench.") as directory:
            PARTS[name](bench, arguments, directory)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration of Kido: the sample town with its gateway and watchman, lawful traffic, leaks, the zone matrix."""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unicodedata

from town import Town, run, wait_until

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEADLINE = 1.0  # seconds from the frame to the alarm: the contract of the watchman

TEXT = {
    "raise": ("架空町を立ち上げています（領域 {zones}、機器 {hosts}）", "Raising the town ({zones} zones, {hosts} hosts)"),
    "closed": ("方針がまだない関門は閉じている", "The gate is closed before any policy is loaded"),
    "apply": ("方針を適用: kido apply", "Loading the policy: kido apply"),
    "watch": ("木戸番が全領域の配線を監視開始", "The watchman watches every zone's wire"),
    "lawful": ("許可された通信", "Lawful traffic"),
    "passes": ("通る", "passes"),
    "blocked": ("通らない", "does not pass"),
    "silent": ("警報なし", "no alarm"),
    "leak1": ("漏えい 1: LGWAN端末がセキュリティクラウドへ直接接続を試みる",
              "Leak 1: an LGWAN terminal tries the security cloud directly"),
    "leak2": ("漏えい 2: 第三者が nft で規則を差し込み、LGWAN端末がインターネット側へ届く（自動修復は停止中）",
              "Leak 2: a third party slips a rule into our table with nft; LGWAN reaches the Internet side (repair is off)"),
    "leak2end": ("差し込まれた規則を取り除く", "The slipped-in rule is taken out"),
    "leak3": ("漏えい 3: LGWANのスイッチとインターネット側のスイッチを、関門を通さない配線がつなぐ",
              "Leak 3: a cable from the LGWAN switch to the Internet switch goes round the gateway"),
    "matrix": ("領域表: 期待と実測", "The zone matrix: expected against seen"),
    "legend": ("○ 許可どおり全て通る  ・ 何も通らない（期待どおり）  ✗ 期待と違う  — 対象外\n  行が開始側、列が相手側",
               "○ all that is authorised passes  ・ nothing passes, as expected  ✗ not as expected  — not applicable\n"
               "  rows open towards columns"),
    "stop": ("kidod を停止: 関門は閉じる", "Stopping kidod: the gate closes"),
    "clean": ("後片付け完了", "Everything is removed again"),
    "late": ("警報が {seconds} 秒以内に出なかった", "no alarm within {seconds} s"),
    "after": ("{seconds:.2f} 秒後に検知", "alarmed after {seconds:.2f} s"),
    "first": ("まず", "First"),
    "good": ("結果: すべて期待どおり", "Result: all as it should be"),
    "bad": ("結果: 期待と違う点が {count} 件", "Result: {count} things were not as they should be"),
    "wrong": ("期待と違う", "Not as expected"),
    "probes": ("{count} 本の通信を試行、{wrong} 本が期待と違う", "{count} communications tried, {wrong} not as expected"),
}
SEVERITY = {"critical": ("緊急", 31), "warning": ("警告", 33), "notice": ("注意", 36), "info": ("情報", 37)}


class Demo:
    def __init__(self, options):
        self.language = 0 if options.language == "ja" else 1
        self.programs = pathlib.Path(options.programs).resolve()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kido-demo."))
        self.directory.chmod(0o755)  # the watchman gives root up, and its store lies in there
        try:
            self.policy = self._policy(options.policy)
            self.town = Town(str(self.programs / "kido"), str(self.policy))
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        self.processes = {}
        self.events_read = 0
        self.events = []
        self.problems = []
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def _policy(self, given):
        """The sample, its dates moved to now, since the real clock goes on."""
        path = self.directory / "town.conf"
        if given:
            shutil.copy(given, path)
        else:
            with path.open("wb") as target:
                run(ROOT / "tools/derive-town", ROOT / "config/examples/town.conf", stdout=target)
        return path

    # ---- the screen ----

    def text(self, key, **values):
        return TEXT[key][self.language].format(**values)

    def paint(self, colour, text):
        return f"\033[{colour}m{text}\033[0m" if self.colour else text

    def say(self, key, **values):
        print(f"\n{self.paint('1', '■ ' + self.text(key, **values))}", flush=True)

    def item(self, good, text):
        mark = self.paint(32, "✓") if good else self.paint(31, "✗")
        print(f"  {mark} {text}", flush=True)
        if not good:
            self.problems.append(text)

    def show_alarm(self, event, seconds):
        word, colour = SEVERITY[event["severity"]]
        word = word if self.language == 0 else event["severity"].upper()
        time = datetime.datetime.fromisoformat(event["time"]).strftime("%H:%M:%S")
        print(f"  {self.paint(colour, '▌')} {time} {self.paint(colour, word)} [{event['kind']}] {event['message']}")
        if event.get("what_to_do"):
            print(f"  {self.paint(colour, '▌')}   {self.text('first')}: {event['what_to_do']}")
        self.item(seconds <= DEADLINE, self.text("after", seconds=seconds))

    # ---- programs in the gateway ----

    def gate(self, *command, **options):
        return subprocess.run(["ip", "netns", "exec", self.town.namespace("gate"), *map(str, command)], **options)

    def directories(self):
        return ["--state-directory", self.directory / "state", "--run-directory", self.directory / "run"]

    def start(self, name, *arguments):
        log = (self.directory / f"{name}.log").open("wb")
        command = ["ip", "netns", "exec", self.town.namespace("gate"), str(self.programs / name),
                   *map(str, self.directories()), "--language", ("ja", "en")[self.language], *map(str, arguments)]
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self, name, seconds=10):
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kido(self, *arguments, **options):
        return self.gate(self.programs / "kido", *arguments, *self.directories(), "--language",
                         ("ja", "en")[self.language], **options)

    def wait_running(self, name):
        def ready():
            return self.kido("status", "--json", capture_output=True).returncode == 0
        if wait_until(ready, 15, 0.1) is None:
            raise RuntimeError(f"{name} did not come up:\n{(self.directory / (name + '.log')).read_text()}")

    # ---- what the watchman says ----

    def read_events(self):
        path = self.directory / "events.jsonl"
        if path.exists():
            with path.open("rb") as stream:
                stream.seek(self.events_read)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    self.events_read += len(line)
                    self.events.append(json.loads(line))
        return self.events

    def expect_alarm(self, kind, zone, other_zone, source, do):
        """Does something and waits for an alarm of that kind, those zones and that source address."""
        seen = len(self.read_events())

        def alarm():
            for event in self.read_events()[seen:]:
                if (event["kind"], event["zone"], event["other_zone"], event["src"]) == (kind, zone, other_zone, source):
                    return event
            return None

        do()
        seconds = wait_until(lambda: alarm() is not None, 5)
        if seconds is None:
            self.item(False, f"{kind}: {self.text('late', seconds=5)}")
        else:
            self.show_alarm(alarm(), seconds)

    # ---- communications ----

    def ask_open(self, source_zone, protocol, source, destination, port, seconds=1.0):
        agent = self.town.agents[source_zone]
        return agent, agent.ask(do="open", protocol=protocol, source=source, destination=destination, port=port,
                                seconds=seconds)

    def opens(self, *arguments, **options):
        agent, number = self.ask_open(*arguments, **options)
        return agent.answer(number)["answered"]

    def ends_of(self, flow):
        """(zone, address) of the host that stands for each end of a flow."""
        zones = (flow["from_zone"], flow["to_zone"])
        ends = []
        for names, zone, peer in ((flow["from"], zones[0], zones[1]), (flow["to"], zones[1], zones[0])):
            ends.append((zone, self.address_of(names[0], zone, peer)))
        return ends

    def address_of(self, name, zone, peer):
        if zone == "gateway":
            return self.town.gateway_address[self.town.zones[peer]["networks"][0]]
        if name in self.town.hosts:
            return self.town.hosts[name]
        return self.representative(zone)

    def representative(self, zone):
        for name, address in self.town.hosts.items():
            if self.town.host_rows[name]["zone"] == zone:
                return address
        network = self.town.zones[zone]["networks"][0]
        return str(network).split("/")[0].rsplit(".", 1)[0] + ".5"

    # ---- the acts ----

    def act_raise(self):
        self.say("raise", zones=len(self.town.zones), hosts=len(self.town.host_rows))
        self.town.raise_()
        self.town.start_agents()
        self.start("kidod", "--policy", self.policy, "--no-repair")
        self.wait_running("kidod")
        flow = next(flow for flow in self.town.flows if flow["name"] == "F-301")
        (zone, source), (_, destination) = self.ends_of(flow)
        passed = self.opens(zone, "tcp", source, destination, 443)
        self.item(not passed, f"{self.text('closed')}: {source} → {destination} tcp/443 "
                              f"{self.text('passes' if passed else 'blocked')}")

    def act_apply(self):
        self.say("apply")
        answer = self.kido("apply", self.policy, capture_output=True, text=True)
        last = (answer.stdout.strip().splitlines() or answer.stderr.strip().splitlines() or [""])[-1]
        self.item(answer.returncode == 0, last)
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr)
        self.say("watch")
        self.start("kidoban", "--events", self.directory / "events.jsonl")
        def watching():
            answer = self.kido("status", "--json", capture_output=True, text=True)
            return answer.returncode == 0 and json.loads(answer.stdout)["watch"]["state"] == "watching"
        self.item(wait_until(watching, 15, 0.1) is not None, self.text("watch"))

    def act_lawful(self):
        self.say("lawful")
        for name in ("F-301", "F-101", "F-105", "F-203", "F-303", "F-304", "F-401", "F-402", "F-501", "F-701"):
            flow = next(flow for flow in self.town.flows if flow["name"] == name)
            (zone, source), (peer, destination) = self.ends_of(flow)
            protocol, port = flow["services"][-1]
            passed = self.opens(zone, protocol, source, destination, port)
            self.item(passed, f"{name} {zone} → {peer} {protocol}/{port} {flow['purpose']}: "
                              f"{self.text('passes' if passed else 'blocked')}")
        alarms = [event for event in self.read_events() if event["severity"] in ("critical", "warning")]
        self.item(not alarms, self.text("silent") + "".join(f"\n    {event['message']}" for event in alarms))

    def act_attempt(self):
        self.say("leak1")
        source, destination = self.town.hosts["lg-term"], self.town.hosts["s-proxy"]
        self.expect_alarm("attempt", "lgwan", "seccloud", source,
                          lambda: self.ask_open("lgwan", "tcp", source, destination, 443))
        passed = self.opens("lgwan", "tcp", source, destination, 443)
        self.item(not passed, f"{source} → {destination} tcp/443: {self.text('passes' if passed else 'blocked')}")

    def act_crossing(self):
        self.say("leak2")
        source, destination = self.town.hosts["lg-term"], self.town.hosts["i-cms"]
        rule = ["nft", "-e", "-a", "insert", "rule", "inet", "kido", "forward",
                "ip", "saddr", source, "ip", "daddr", destination, "accept"]
        print("  $ " + " ".join(rule[:1] + rule[3:]))
        answer = self.gate(*rule, capture_output=True, text=True, check=True)
        handle = answer.stdout.rsplit("handle", 1)[1].split()[0]
        self.expect_alarm("crossing", "lgwan", "internet", source,
                          lambda: self.ask_open("lgwan", "tcp", source, destination, 443))
        self.say("leak2end")
        self.gate("nft", "delete", "rule", "inet", "kido", "forward", "handle", handle, check=True)
        agent, number = self.ask_open("lgwan", "udp", source, destination, 4444)
        agent.answer(number)
        question = dict(do="arrived", protocol="udp", source=source, destination=destination, port=4444)
        target = self.town.agents["internet"]
        arrived = target.answer(target.ask(**question))["arrived"]
        self.item(not arrived, f"{source} → {destination} udp/4444: {self.text('passes' if arrived else 'blocked')}")

    def act_bypass(self):
        self.say("leak3")
        source, destination = self.town.hosts["lg-term"], self.town.hosts["i-term"]
        namespace = self.town.namespace("lgwan")
        interfaces = json.loads(run("ip", "-j", "-n", namespace, "addr", "show", capture_output=True).stdout)
        device = next(row["ifname"] for row in interfaces
                      for entry in row["addr_info"] if entry.get("local") == source)
        network = next(str(segment[3]) for segment in self.town.segments if segment[2] == "ens2f0.411")
        self.town.join("ens1f1.211", "ens2f0.411")
        run("ip", "-n", namespace, "route", "add", network, "dev", device, "src", source, "table",
            str(100 + int(device[1:])))
        self.expect_alarm("bridged", "internet", "lgwan", source,
                          lambda: self.ask_open("lgwan", "udp", source, destination, 4444))
        self.town.part()
        run("ip", "-n", namespace, "route", "del", network, "dev", device, "table", str(100 + int(device[1:])))

    # ---- the matrix ----

    def cell_probes(self, row, column):
        """(expected to pass, protocol, source, destination, port) of one cell."""
        flows = [flow for flow in self.town.flows if flow["from_zone"] == row and flow["to_zone"] == column]
        probes = []
        for flow in flows:
            (_, source), (_, destination) = self.ends_of(flow)
            for protocol, port in flow["services"]:
                probes.append((flow["in_force"], protocol, source, destination, port))
                if protocol != "icmp":
                    probes.append((False, protocol, source, destination, 4444))
        if not flows:
            source = self.address_of("", row, column)
            destination = self.address_of("", column, row)
            probes += [(False, "tcp", source, destination, 443), (False, "udp", source, destination, 4444),
                       (False, "icmp", source, destination, 0)]
        return probes

    def act_matrix(self):
        self.say("matrix")
        names = list(self.town.zones) + ["gateway"]
        for agent in self.town.agents.values():
            agent.answer(agent.ask(do="forget"))
        asked = []
        for row in self.town.routed + ["gateway"]:
            for column in names:
                if row == column or (row == "gateway" and column not in self.town.routed):
                    continue
                for probe in self.cell_probes(row, column):
                    asked.append((row, column, probe, self.ask_open(row, *probe[1:], seconds=2.0)))
        wrong = {}
        for row, column, (expected, protocol, source, destination, port), (agent, number) in asked:
            passed = agent.answer(number)["answered"]
            target = self.town.agents.get(column) if column != "gateway" else None
            if target and not passed and not expected:
                question = dict(do="arrived", protocol=protocol, source=source, destination=destination, port=port)
                passed = target.answer(target.ask(**question))["arrived"]
            if passed != expected:
                wrong.setdefault((row, column), []).append(
                    f"{source} → {destination} {protocol}/{port}: {self.text('passes' if passed else 'blocked')}")
        self.print_matrix(names, {(row, column) for row, column, _, _ in asked},
                          {(row, column) for row, column, probe, _ in asked if probe[0]}, wrong)
        count = sum(map(len, wrong.values()))
        self.item(count == 0, self.text("probes", count=len(asked), wrong=count))

    def print_matrix(self, names, asked, open_cells, wrong):
        def width(text):
            return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)

        def pad(text, size):
            return text + " " * (size - width(text))

        column = max(map(len, names)) + 2
        print("  " + pad("", column) + "".join(pad(name, column) for name in names))
        for row in names:
            cells = []
            for name in names:
                key = (row, name)
                if key not in asked:
                    cells.append(pad("—", column))
                elif key in wrong:
                    cells.append(self.paint(31, "✗") + " " * (column - 1))
                elif key in open_cells:
                    cells.append(self.paint(32, "○") + " " * (column - width("○")))
                else:
                    cells.append(pad("・", column))
            print("  " + pad(row, column) + "".join(cells))
        print("  " + self.text("legend"))
        for (row, name), lines in wrong.items():
            for line in lines:
                print(f"  ✗ {row} → {name}: {line}")

    def act_stop(self):
        self.say("stop")
        alarms = [event for event in self.read_events() if event["kind"] == "crossing" and event["other_zone"] not in
                  ("lgwan", "internet")]
        self.item(not alarms, self.text("silent"))
        self.stop("kidoban")
        self.stop("kidod")
        flow = next(flow for flow in self.town.flows if flow["name"] == "F-301")
        (zone, source), (_, destination) = self.ends_of(flow)
        passed = self.opens(zone, "tcp", source, destination, 443)
        self.item(not passed, f"{source} → {destination} tcp/443: {self.text('passes' if passed else 'blocked')}")

    def play(self):
        try:
            self.act_raise()
            self.act_apply()
            self.act_lawful()
            self.act_attempt()
            self.act_crossing()
            self.act_bypass()
            self.act_matrix()
            self.act_stop()
        except (RuntimeError, TimeoutError, subprocess.CalledProcessError, StopIteration) as error:
            self.item(False, f"{type(error).__name__}: {error}")
        finally:
            self.clean()
        self.say("good") if not self.problems else self.say("bad", count=len(self.problems))
        for problem in self.problems:
            print(f"  {self.text('wrong')}: {problem}")
        return 1 if self.problems else 0

    def clean(self):
        for name in list(self.processes):
            self.stop(name)
        self.town.remove()
        if self.problems:
            for log in self.directory.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text()[-3000:]}")
        shutil.rmtree(self.directory)
        self.item(not any(name in run("ip", "netns", "list", capture_output=True, text=True).stdout
                          for name in [self.town.prefix + "-"]), self.text("clean"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", required=True, help="directory of kido, kidod and kidoban")
    parser.add_argument("--policy", help="another town; default: the sample, its dates moved to now")
    parser.add_argument("--language", choices=("ja", "en"), default="ja")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return Demo(options).play()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

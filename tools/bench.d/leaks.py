# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench watch leaks: the captures of tests/leaks, each of one leak, before the watchman and before others.

A peer has found a leak when a message of it names what is wrong, by the words below; whatever else it says is counted
beside. Each gets the wires' captures one by one, as a mirror port of each wire would give them."""
import json
import pathlib
import re
import subprocess
import sys

from common import ROOT, table

sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/leaks")]
from captures import GATEWAY, Case  # noqa: E402
from cases import LEAKS, write_policy  # noqa: E402
from frames import write_pcap  # noqa: E402

PATIENCE = 60  # seconds for one capture

# Words that would name the kind, generously.
WORDS = {
    "crossing": r"unauthori[sz]ed|not allowed|forbidden|policy|zone|segment",
    "disguised-crossing": r"unauthori[sz]ed|not allowed|forbidden|policy|zone|rewrit|translat",
    "bypass": r"duplicate (ip |use)|second path|bypass|spoof",
    "bridged": r"duplicate (ip|frame)|bridge|loop|spoof",
    "dual-homed": r"duplicate (ip|address)|dual|multi-?home",
    "spoofed": r"spoof|bogon|martian",
    "attempt": r"unauthori[sz]ed|not allowed|forbidden|policy",
    "rogue-router": r"rogue|unexpected (router|server)|router",
    "rogue-uplink": r"rogue|uplink|tether",
    "tunnel": r"tunnel|encapsulat|teredo|gre\b|vxlan|geneve|l2tp|wireguard|ipsec|ip-in-ip|6in4",
    "protocol-mismatch": r"mismatch|non.?std|unexpected protocol|wrong protocol|unsafe protocol",
    "wrong-shape": r"upload|volume|exfil|wrong direction",
    "unknown-segment": r"unknown|unsupported|vlan|ethertype",
    "identity-theft": r"duplicate (ip|address|use)|spoof|poison",
    "malformed": r"malformed|bogus|invalid|overlap|truncat|length|too (short|long|large)",
}


def output_of(command, directory):
    try:
        done = subprocess.run([str(part) for part in command], cwd=directory, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", timeout=PATIENCE)
        return done.stdout
    except subprocess.TimeoutExpired:
        return ""


def ask_tshark(capture, directory):
    said = output_of(["tshark", "-n", "-q", "-r", capture, "-z", "expert,warn"], directory)
    return re.findall(r"^ +\d+ +\S.*$", said, re.MULTILINE)


def ask_suricata(capture, directory):
    log = directory / "fast.log"
    log.unlink(missing_ok=True)
    rules = directory / "packaged.rules"
    if not rules.exists():
        shipped = sorted(pathlib.Path("/etc/suricata/rules").glob("*.rules"))
        rules.write_text("\n".join(path.read_text("utf-8") for path in shipped), encoding="utf-8")
    output_of(["suricata", "-r", capture, "-S", rules, "-l", directory, "--runmode", "single", "-k", "none"], directory)
    said = log.read_text("utf-8", "replace") if log.exists() else ""
    return re.findall(r"\[\*\*\] \[[\d:]+\] (.*?) \[\*\*\]", said)


def ask_ndpi(capture, directory):
    return re.findall(r"\*\* (.+?) \*\*", output_of(["ndpiReader", "-i", capture, "-v", "2"], directory))


# None: it reports flows, and has no word for what is wrong.
PEERS = {
    "tshark, expert information": ("tshark", ask_tshark),
    "suricata, rules of its package": ("suricata", ask_suricata),
    "ndpiReader, risks": ("ndpiReader", ask_ndpi),
    "argus": ("argus", None),
    "softflowd": ("softflowd", None),
    "tcpdump": ("tcpdump", None),
}
NOT_PACKAGED = ["zeek", "snort 3", "ntopng"]


def kinds_of(leak):
    return {kind for kind, *_ in [*leak.found, *leak.notices]}


def names(kinds, messages):
    return any(re.search(WORDS[kind], message, re.IGNORECASE) for kind in kinds for message in messages)


def replay(kido, policy, leak, captures, directory):
    """Whether the watchman tells all that is labelled, and nothing else above a notice."""
    files = [f"{zone}={path}" for zone, path in captures.items()]
    macs = [word for zone in captures for word in ("--gateway-mac", f"{zone}={GATEWAY[zone]}")]
    said = output_of([kido, "replay", "--policy", policy, "--language", "en", *macs, *leak.options, *files], directory)
    records = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    told = {(record["kind"], record["zone"], record["other_zone"]) for record in records}
    alarms = {(record["kind"], record["zone"], record["other_zone"]) for record in records
              if record["severity"] not in ("notice", "info")}
    return bool(records), leak.found | leak.notices <= told and alarms <= leak.found


def write_captures(leak, directory):
    case = Case(leak.number, leak.title)
    leak.build(case)
    captures = {}
    for zone, frames in case.frames.items():
        captures[zone] = directory / f"{leak.number}-{zone}.pcap"
        with open(captures[zone], "wb") as out:
            write_pcap(out, sorted(frames, key=lambda item: item[0]))
    return captures


def count(leaks, answers):
    """By the number of the leak: all its captures must be found."""
    numbers = {leak.number.rstrip("abcdefgh") for leak in leaks}
    lacking = {leak.number.rstrip("abcdefgh") for leak, answer in zip(leaks, answers) if not answer}
    return len(numbers - lacking)


def bench_leaks(kido, directory, installed):
    directory = pathlib.Path(directory)
    policy = directory / "town.conf"
    write_policy(policy, ROOT / "config/examples/town.conf")
    # A case without a label is lawful, or for the watchman's silence: nobody can find anything in it.
    leaks = [leak for leak in LEAKS if kinds_of(leak)]
    captures = [write_captures(leak, directory) for leak in leaks]
    ours = [replay(kido, policy, leak, paths, directory) for leak, paths in zip(leaks, captures)]
    rows = [["kido replay", count(leaks, [found for _, found in ours]), count(leaks, [said for said, _ in ours])]]
    for name, (program, ask) in PEERS.items():
        if not installed([program]):
            rows.append([name, "not installed", "-"])
        elif ask is None:
            rows.append([name, 0, "0: flows or packets, without a judgement"])
        else:
            said = [[line for path in paths.values() for line in ask(path, directory)] for paths in captures]
            named = [names(kinds_of(leak), lines) for leak, lines in zip(leaks, said)]
            rows.append([name, count(leaks, named), count(leaks, said)])
    rows += [[name, "not in Debian 12: not measured", "-"] for name in NOT_PACKAGED]
    print(f"## Labelled leaks\n\n{count(leaks, [True] * len(leaks))} leaks in {len(leaks)} sets of captures of one wire each; "
          "the watchman has the policy, nobody else could be given it.\nFound: for the watchman, exactly the kinds and "
          "zones of the label; for others, any message with a word for the kind.\n")
    table(["what", "leaks found", "leaks of which it says anything"], rows)

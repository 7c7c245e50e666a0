# SPDX-License-Identifier: GPL-2.0-or-later
"""What every measurement of tools/bench needs: to build, to run, to take medians, to print tables."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ["kido-bench", "kido-bench-replay", "kido-bench-live", "kido-bench-diagram"]
RULESETS = ["none", "minimum", "kido"]
KINDS = {
    "established_one": "established, one connection",
    "established_many": "established, 50,000 connections",
    "new": "each packet a new connection",
    "spoofed": "denied: spoofed source",
    "pair": "denied: no flow joins the zones",
    "port": "denied: no flow has the port",
}


def fail(message):
    sys.exit(f"tools/bench: {message}")


def build():
    directory = os.environ.get("BUILD", str(ROOT / "build-release"))
    for command in (
        ["cmake", "--preset", "release", "-B", directory],
        ["cmake", "--build", directory, "--target", "kido", "kidod", "kidoban", *PROGRAMS],
    ):
        if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode != 0:
            fail(f"'{' '.join(command)}' failed")
    return f"{directory}/bin/kido-bench"


def run(*command):
    """Lines of JSON that the command prints."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"'{' '.join(map(str, command))}' failed")
    return [json.loads(line) for line in done.stdout.splitlines()]


def generate(flows, seed, *options):
    command = [str(ROOT / "tools/generate-policy"), "--flows", str(flows), "--seed", str(seed), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail("tools/generate-policy failed")
    return done.stdout


def make_policy(directory, flows, word=""):
    """The first of a series of policies of that size in whose text the word stands."""
    text = next((text for text in (generate(flows, seed) for seed in range(1, 30)) if word in text), None)
    if text is None:
        fail(f"no generated policy of {flows} flows has {word}")
    path = pathlib.Path(directory, f"{flows}.conf")
    path.write_text(text, encoding="utf-8")
    return path


def median(items, key):
    return statistics.median(item[key] for item in items)


def table(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |")
    print()


def measured(bench, *command):
    """What a command took, and the lines it printed before."""
    *lines, usage = run(bench, "measure", *command)
    if usage["status"] != 0:
        fail(f"'{' '.join(map(str, command))}' failed")
    usage["processor"] = usage["user"] + usage["system"]
    return usage, lines


def load_round(bench, policy, timed, text, samples):
    usage, _ = measured(bench, "nft", "-f", text)
    samples["nft"].append(usage)
    usage, lines = measured(bench, bench, "load", policy)
    samples["whole"].append(usage)
    samples["ours"].append(lines[0])
    _, lines = measured(bench, bench, "change", policy)
    samples["change"].append(lines[0])
    _, lines = measured(bench, bench, "window", timed)
    samples["window"].append(lines[0])


def load_samples(bench, flows, rounds):
    samples = {"nft": [], "whole": [], "ours": [], "change": [], "window": []}
    with tempfile.TemporaryDirectory(prefix="kido-bench.") as directory:
        policy = make_policy(directory, flows)
        timed = pathlib.Path(directory, f"{flows}-timed.conf")
        timed.write_text(generate(flows, 1, "--timed"), encoding="utf-8")
        text = pathlib.Path(directory, f"{flows}.nft")
        with open(text, "w", encoding="utf-8") as stream:
            subprocess.run([bench, "text", policy], stdout=stream, check=True)
        for _ in range(rounds):
            load_round(bench, policy, timed, text, samples)
    return samples


def forward_rounds(bench, sizes, rounds):
    """For each size what was measured in each round."""
    with tempfile.TemporaryDirectory(prefix="kido-bench.") as directory:
        policies = {flows: make_policy(directory, flows, "udp/") for flows in sizes}
        lines = {flows: [] for flows in sizes}
        for _ in range(rounds):
            for flows in sizes:
                lines[flows] += run(bench, "forward", policies[flows], 1)
    return lines

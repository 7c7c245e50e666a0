# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/bench enforce: each goal for speed beside what was reached, and one policy under several firewalls."""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import peers
from common import KINDS, forward_rounds, load_samples, median, table
from tables import print_forward, print_load

# A peer's daemons, mounts, processes and rules end with this, however it ends.
SHELTER = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
           "sh", "-c", "mount -t tmpfs tmpfs /run && mkdir -p /run/lock /var/lib/shorewall && "
           "mount -t tmpfs tmpfs /var/lib/shorewall && exec \"$@\"", "sh"]


def note(text):
    print(f"tools/bench: {text}", file=sys.stderr, flush=True)


# ---- other firewalls ----

def shelter(*command):
    """Lines of JSON, or the last line of what went wrong."""
    done = subprocess.run([*SHELTER, *(str(part) for part in command)], capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or ["failed"])[-1]
    return [json.loads(line) for line in done.stdout.splitlines()], None


def prepare(peer, parent, flows):
    directory = pathlib.Path(parent, f"{peer.name.split()[0]}-{flows}")
    directory.mkdir(mode=0o755)
    peer.write(directory, flows)
    policy = directory / "policy.conf"
    policy.write_text(peers.kido_policy(peers.policies(flows)["b"]), encoding="utf-8")
    return directory, policy


def measure_peer(bench, peer, flows, place, result):
    """One round of rates. Kido is loaded by the measurement itself."""
    directory, policy = place
    script = [] if peer.name == "kido" else [directory / "start.sh"]
    lines, error = shelter(bench, "forward", policy, 1, *script)
    if error:
        result["error"] = error
        return
    line = lines[0]
    line["peer"] = line.pop("kido" if peer.name == "kido" else "file")
    result["rates"].append(line)


def measure_peers(bench, arguments, programs):
    results = []
    with tempfile.TemporaryDirectory(prefix="kido-bench.") as parent:
        pathlib.Path(parent).chmod(0o755)
        chosen = [peer for peer in peers.all_peers(programs) if not arguments.peers or peer.name in arguments.peers]
        for flows in arguments.peer_flows:
            entries = []
            for peer in chosen:
                result = {"peer": peer.name, "flows": flows, "rates": [], "error": peer.missing()}
                results.append(result)
                if not result["error"]:
                    entries.append((peer, prepare(peer, parent, flows), result))
            for number in range(arguments.rounds):
                note(f"{flows} flows, rates of each firewall, round {number + 1} of {arguments.rounds}")
                for peer, place, result in entries:
                    if not result["error"]:
                        measure_peer(bench, peer, flows, place, result)
            for peer, (directory, policy), result in entries:
                note(f"{flows} flows, reloads of {peer.name}")
                lines, error = shelter(bench, "exchange", policy, directory, arguments.reloads, arguments.rate)
                result["exchange"], result["error"] = lines[0] if lines else None, result["error"] or error
    return results


def rate(lines, kind, of="peer", to="minimum"):
    return statistics.median(line[to][kind] / line[of][kind] for line in lines)


def lost_and_leaked(exchange):
    lost = sum(exchange[kind]["sent"] - exchange[kind]["came"] for kind in ("established", "answer", "new"))
    leaked = sum(exchange[kind]["came"] for kind in ("forbidden_port", "forbidden_reverse"))
    return lost / len(exchange["reloads"]), leaked / len(exchange["reloads"])


def peer_row(result):
    head = [result["flows"], result["peer"]]
    if result["error"]:
        return [*head, "not measured", *[""] * 9]
    rates, exchange = result["rates"], result["exchange"]
    lost, leaked = lost_and_leaked(exchange)
    live = [name for name in ("tcp", "udp") if exchange[f"revoked_{name}"]]
    return [*head, *(f"{rate(rates, kind):.2f}" for kind in KINDS), f"{statistics.median(exchange['reloads']):.0f}",
            f"{lost:.1f}", f"{leaked:.1f}", " and ".join(word.upper() for word in live) or "none"]


def print_peers(results, arguments):
    print(f"Packets a second : those of the minimum in the same rounds ({arguments.rounds} interleaved rounds, medians); "
          f"up to {arguments.reloads} reloads in 40 s with {arguments.rate} packets a second, three in five permitted.\n")
    table(["flows", "firewall", *KINDS.values(), "reload, ms", "permitted packets lost per reload",
           "forbidden packets passed per reload", "revoked connections that live on"],
          [peer_row(result) for result in results])
    for result in results:
        if result["error"]:
            print(f"Not measured: {result['peer']} with {result['flows']} flows: {result['error']}\n")


# ---- the goals ----

def rate_goals(forward):
    first = min(forward)
    for kind, goal, word in (("established_one", 0.9, "established, one connection"),
                             ("established_many", 0.9, "established, 50,000 connections"),
                             ("new", 0.85, "new connection"), ("spoofed", 2, "denied: spoofed source"),
                             ("pair", 2, "denied: no flow joins the zones")):
        ratios = {flows: rate(lines, kind, "kido") for flows, lines in forward.items()}
        yield (f"{word}: packets a second : minimum", f"at least {goal}",
               ", ".join(f"{ratio:.2f} at {flows}" for flows, ratio in ratios.items()), min(ratios.values()) >= goal)
        if kind in ("established_one", "new"):
            cost = {flows: statistics.median(line["kido"][kind] for line in lines) for flows, lines in forward.items()}
            worst = max(value / cost[first] for value in cost.values())
            yield (f"{word}: time at any number of flows : at {first}", "1 (flat)", f"at most {worst:.2f}", worst < 1.1)


def load_goals(load):
    for flows, samples in load.items():
        nft, ours, whole, change = (samples[key] for key in ("nft", "ours", "whole", "change"))
        speed = median(nft, "processor") / median(ours, "send")
        yield f"load from empty, {flows}: time of `nft -f` : ours", "8", f"{speed:.1f}", speed >= 8
        memory = median(nft, "peak") / median(whole, "peak")
        yield (f"policy file to loaded and read back, {flows}: memory of `nft -f` : ours", "5", f"{memory:.1f}", memory >= 5)
        if flows == 100000:
            yield (f"load from empty, {flows}", "1000 ms", f"{median(ours, 'send'):.0f} ms", median(ours, "send") < 1000)
        if flows in (1000, 100000):
            limit = 1 if flows == 1000 else 5
            sent, known = median(change, "send"), median(change, "known")
            yield (f"one flow changed, {flows}: difference, transactions, read back", f"{limit} ms",
                   f"{known:.2f} ms, of which transactions {sent:.2f}", known < limit)
        if flows in (10000, 100000):
            limit = 300 if flows == 10000 else 3000
            time = median(whole, "processor")
            yield f"policy file to loaded and read back, {flows}", f"{limit} ms", f"{time:.0f} ms", time < limit


def print_goals(forward, load):
    print("Goals. Rates are packets a second beside those of the minimum in the same round; times are processor time, that of a "
          "change by the clock.\n")
    rows = [[what, goal, now, "yes" if met else "**no**"] for what, goal, now, met in
            [*rate_goals(forward), *load_goals(load)]]
    table(["what", "goal", "measured", "met"], rows)


def run_all(bench, arguments):
    programs = pathlib.Path(bench).resolve().parent
    sizes = arguments.flows or [10, 1000, 100000]
    note("rates of the compiled policy")
    forward = forward_rounds(bench, sizes, arguments.rounds)
    load = {}
    for flows in sorted({*sizes, *([] if arguments.flows else [10000])}):
        note(f"loading {flows} flows")
        load[flows] = load_samples(bench, flows, arguments.rounds)
    results = measure_peers(bench, arguments, programs)
    if arguments.json:
        json.dump({"schema": "kido.bench.enforce/1", "rounds": arguments.rounds, "forward": forward, "load": load,
                   "peers": results}, sys.stdout, indent=1)
        return
    print_goals(forward, load)
    print_forward(forward, arguments.rounds)
    print_load(load, arguments.rounds)
    print_peers(results, arguments)

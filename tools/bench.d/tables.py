# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of loading and forwarding."""
import statistics

from common import KINDS, RULESETS, median, table


def load_rows(flows, samples):
    nft, ours, change = samples["nft"], samples["ours"], samples["change"]
    cost = median(nft, "processor")
    send = median(ours, "send")
    whole = median(samples["whole"], "processor")
    return [
        flows,
        ours[0]["elements"],
        f"{cost:.0f}",
        f"{send:.0f}",
        f"{cost / send:.1f}",
        f"{median(ours, 'confirm'):.0f}",
        f"{whole:.0f}",
        f"{median(nft, 'peak') / 1024:.0f}",
        f"{median(samples['whole'], 'peak') / 1024:.0f}",
        *(f"{median(change, key):.2f}" for key in ("send", "difference", "known", "no_op")),
        f"{median(samples['window'], 'window'):.2f}",
    ]


def forward_rows(flows, rounds):
    rows = []
    for kind, label in KINDS.items():
        times = {name: statistics.median(line[name][kind] for line in rounds) for name in RULESETS}
        ratio = statistics.median(line["minimum"][kind] / line["kido"][kind] for line in rounds)
        rows.append(
            [
                flows,
                label,
                *(f"{times[name]:.0f}" for name in RULESETS),
                f"{ratio:.2f}",
                f"{times['kido'] - times['minimum']:+.0f}",
            ]
        )
    return rows


def print_load(samples, rounds):
    print("Processor time in ms, that of a change by the clock; peak memory in MiB; medians of "
          f"{rounds} interleaved rounds.\n")
    table(["flows", "elements", "`nft -f`", "send", "nft : send", "read back and compare", "file to read back", "MiB nft",
           "MiB file to read back", "one flow changed: transactions", "difference", "all, read back", "nothing changed",
           "a window closes or opens"],
          [load_rows(flows, one) for flows, one in samples.items()])


def print_forward(rounds, count):
    print(f"Nanoseconds a packet on one processor; medians of {count} interleaved rounds.\n")
    table(["flows", "packets", "no ruleset", "minimum", "kido", "kido : minimum (packets a second)", "ns more"],
          [row for flows, lines in rounds.items() for row in forward_rows(flows, lines)])

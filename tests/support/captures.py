# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures of the sample town: who its gateway and hosts are, and what they send."""
import ipaddress
import os
import struct

from frames import ACK, FIN, PSH, SYN, ether, ipv4, tcp, udp, write_pcap, write_pcapng

START = 1795482000  # 2026-11-24T01:00:00Z, ten in the morning of a Tuesday in Tokyo

GATEWAY = {  # the gateway's MAC on each wire
    "mynumber": "02:00:5e:00:01:01", "lgwan": "02:00:5e:00:02:01", "lgwan_ext": "02:00:5e:00:03:01",
    "relay": "02:00:5e:00:04:01", "internet": "02:00:5e:00:05:01", "seccloud": "02:00:5e:00:06:01",
    "mgmt": "02:00:5e:00:07:01", "maint": "02:00:5e:00:08:01", "water": "02:00:5e:00:09:01",
}
PINNED = {
    "10.110.0.11": "02:00:5e:10:01:11", "10.110.0.21": "02:00:5e:10:01:21", "10.110.0.22": "02:00:5e:10:01:22",
    "10.110.0.31": "02:00:5e:10:01:31", "10.110.0.41": "02:00:5e:10:01:41", "10.210.0.12": "02:00:5e:10:02:12",
    "10.210.0.17": "02:00:5e:10:02:17", "10.210.0.18": "02:00:5e:10:02:18", "10.210.0.21": "02:00:5e:10:02:21",
    "10.130.10.4": "02:00:5e:10:03:04", "10.130.10.5": "02:00:5e:10:03:05", "10.151.0.10": "02:00:5e:10:05:10",
    "10.162.0.10": "02:00:5e:10:06:10",
}
ROUTERS = {"lgwan_ext": "02:00:5e:aa:03:01", "seccloud": "02:00:5e:aa:06:01"}  # of the far networks


def host_mac(zone, address):
    """Pinned, else made from the address; far hosts speak through the router of their wire."""
    if address in PINNED:
        return PINNED[address]
    if zone in ROUTERS and not address.startswith("172.31."):
        return ROUTERS[zone]
    packed = ipaddress.ip_address(address).packed
    return "02:11:" + ":".join("%02x" % byte for byte in packed[-4:])


class Case:
    """One directory of tests/pcap: captures by zone, a command line, and why the case is there."""

    def __init__(self, name, why, start=START):
        self.name, self.why, self.now = name, why, start * 1000000
        self.frames = {}
        self.identification = 100

    def put(self, zone, frame, microseconds=0):
        self.frames.setdefault(zone, []).append((self.now + microseconds, frame))

    def wait(self, seconds):
        self.now += int(seconds * 1000000)

    def enter(self, zone, source, destination, protocol, payload, mac=None, **more):
        """From a host of the wire to the gateway."""
        frame = ipv4(source, destination, protocol, payload, ttl=64, identification=self.identification, **more)
        self.put(zone, ether(mac or host_mac(zone, source), GATEWAY[zone], 0x0800, frame))

    def leave(self, zone, source, destination, protocol, payload, ttl=63, **more):
        """From the gateway to a host of the wire."""
        frame = ipv4(source, destination, protocol, payload, ttl=ttl, identification=self.identification, **more)
        self.put(zone, ether(GATEWAY[zone], host_mac(zone, destination), 0x0800, frame), 80)

    def forward(self, source_zone, zone, source, destination, protocol, payload, **more):
        """Through the gateway: both sightings of one packet."""
        self.enter(source_zone, source, destination, protocol, payload, **more)
        self.leave(zone, source, destination, protocol, payload, **more)
        self.identification += 1
        self.wait(0.001)

    def connection(self, from_zone, to_zone, client, server, dport, sport=50000, exchanges=2):
        """A whole TCP connection with data, a retransmission and its end."""
        there = lambda flags, data=b"": self.forward(from_zone, to_zone, client, server, 6, tcp(sport, dport, flags, data))
        back = lambda flags, data=b"": self.forward(to_zone, from_zone, server, client, 6, tcp(dport, sport, flags, data))
        there(SYN)
        back(SYN | ACK)
        there(ACK)
        for _ in range(exchanges):
            there(ACK | PSH, b"q" * 200)
            back(ACK, b"a" * 1000)
            back(ACK | PSH, b"a" * 300)
            there(ACK)
        there(ACK | PSH, b"q" * 200)
        there(ACK | PSH, b"q" * 200)
        there(FIN | ACK)
        back(FIN | ACK)
        there(ACK)

    def exchange(self, from_zone, to_zone, client, server, dport, sport=40000):
        self.forward(from_zone, to_zone, client, server, 17, udp(sport, dport, b"question"))
        self.forward(to_zone, from_zone, server, client, 17, udp(dport, sport, b"answer" * 20))

    def write(self, directory, options, macs=True):
        path = os.path.join(directory, self.name)
        os.makedirs(path, exist_ok=True)
        files = []
        for zone, frames in sorted(self.frames.items()):
            suffix = "pcapng" if self.name.endswith("-pcapng") else "pcap"
            with open(os.path.join(path, "%s.%s" % (zone, suffix)), "wb") as out:
                write_capture = write_pcapng if suffix == "pcapng" else write_pcap
                write_capture(out, sorted(frames, key=lambda item: item[0]))
            files.append("%s=%s.%s" % (zone, zone, suffix))
        gateway = ["--gateway-mac %s=%s" % (zone, GATEWAY[zone]) for zone in sorted(self.frames)] if macs else []
        with open(os.path.join(path, "command"), "w") as out:
            out.write(" ".join(["replay"] + options + gateway + files) + "\n")
        with open(os.path.join(path, "why"), "w") as out:
            out.write(self.why + "\n")


    def write_corpus(self, directory):
        """The first frames as fuzz_frame.c takes them: wire, link layer, bytes missing, length, bytes."""
        os.makedirs(directory, exist_ok=True)
        frames = [(time, wire, frame) for wire, zone in enumerate(sorted(self.frames)) for time, frame in self.frames[zone]]
        with open(os.path.join(directory, self.name), "wb") as out:
            for _, wire, frame in sorted(frames)[:24]:
                out.write(struct.pack("!BBBH", wire % 3, 0, 0, len(frame)) + frame)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames from their parts, and capture files from frames. Checksums of TCP and UDP are left out: nothing here reads
them."""
import ipaddress
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def mac_bytes(text):
    return bytes(int(part, 16) for part in text.split(":"))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ether(source, destination, ethertype, payload, tags=()):
    header = mac_bytes(destination) + mac_bytes(source)
    for tag in tags:
        header += struct.pack("!HH", 0x8100, tag)
    return (header + struct.pack("!H", ethertype) + payload).ljust(60, b"\0")


def ipv4(source, destination, protocol, payload, ttl=64, identification=0, flags=0, options=b"", length=None):
    words = 5 + len(options) // 4
    total = words * 4 + len(payload) if length is None else length
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, total, identification, flags, ttl, protocol, 0,
                         ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, destination, protocol, payload, hops=64):
    return struct.pack("!IHBB16s16s", 0x60000000, len(payload), protocol, hops, ipaddress.ip_address(source).packed,
                       ipaddress.ip_address(destination).packed) + payload


def tcp(sport, dport, flags, payload=b"", sequence=1, acknowledgement=0):
    return struct.pack("!HHIIBBHHH", sport, dport, sequence, acknowledgement, 0x50, flags, 8192, 0, 0) + payload


def udp(sport, dport, payload=b""):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def icmp(kind, code, rest=b"\0\0\0\0", payload=b""):
    body = struct.pack("!BBH", kind, code, 0) + rest + payload
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mac_bytes(sender_mac),
                       ipaddress.ip_address(sender).packed, mac_bytes(target_mac),
                       ipaddress.ip_address(target).packed)


def write_pcap(out, frames):
    out.write(struct.pack("!IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for time, frame in frames:
        out.write(struct.pack("!IIII", time // 1000000, time % 1000000, len(frame), len(frame)) + frame)


class Pcapng:
    """A pcapng file, block by block."""

    def __init__(self, out, order="<"):
        self.out, self.order = out, order
        self.block(0x0a0d0d0a, self.pack("IHHq", 0x1a2b3c4d, 1, 0, -1))

    def pack(self, form, *values):
        return struct.pack(self.order + form, *values)

    def block(self, kind, body):
        body += b"\0" * (-len(body) % 4)
        length = self.pack("I", len(body) + 12)
        self.out.write(self.pack("I", kind) + length + body + length)

    def option(self, code, value):
        return self.pack("HH", code, len(value)) + value + b"\0" * (-len(value) % 4)

    def interface(self, name=None, link=1):
        self.block(1, self.pack("HHI", link, 0, 65535) + (self.option(2, name.encode()) if name else b""))

    def packet(self, time, frame, interface=0, flags=None):
        """flags: 1 came in, 2 went out."""
        head = self.pack("IIIII", interface, time >> 32, time & 0xffffffff, len(frame), len(frame))
        options = self.option(2, self.pack("I", flags)) if flags else b""
        self.block(6, head + frame + b"\0" * (-len(frame) % 4) + options)

    def losses(self, interface, dropped):
        self.block(5, self.pack("III", interface, 0, 0) + self.option(5, self.pack("Q", dropped)))


def write_pcapng(out, frames):
    """Little-endian, as it comes from most machines."""
    file = Pcapng(out)
    file.interface()
    for time, frame in frames:
        file.packet(time, frame)

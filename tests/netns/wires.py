# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway in the network namespace that this process is in, with a TAP device in place of every wire.

A frame that is written to a TAP arrives at the gateway on that interface; what the gateway sends there is read back.
Interfaces need no neighbours: every destination on a wire counts as reachable.
"""
import fcntl
import os
import socket
import struct
import subprocess
import threading
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
GATEWAY = bytes.fromhex("020000000001")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(source, destination, protocol, transport, mac="02:00:00:00:00:09"):
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(transport), 1, 0x4000, 64, protocol, 0) + addresses
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return GATEWAY + bytes.fromhex(mac.replace(":", "")) + b"\x08\x00" + head + transport


def udp(source, sport, destination, dport, payload=b"kido", **options):
    transport = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    return frame(source, destination, 17, transport, **options)


SYN, ACK, FIN, RST, PSH = 2, 16, 1, 4, 8


def tcp(source, sport, destination, dport, flags, sequence, acknowledgement=0, payload=b"", **options):
    transport = struct.pack("!HHIIBBHHH", sport, dport, sequence, acknowledgement, 0x50, flags, 8192, 0, 0) + payload
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!HH", 6, len(transport))
    transport = transport[:16] + struct.pack("!H", checksum(pseudo + transport)) + transport[18:]
    return frame(source, destination, 6, transport, **options)


def arp_answer(address, mac):
    """Somebody says, unasked, that an address is his."""
    hardware, protocol = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(address)
    return b"\xff" * 6 + hardware + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2) + hardware + protocol + (
        GATEWAY + protocol)


class Wire:
    def __init__(self, name, address):
        self.name = name
        self.descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self.descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        for words in (("link", "set", name, "address", "02:00:00:00:00:01"),
                      ("link", "set", name, "arp", "off", "txqueuelen", "8192", "up"),
                      ("address", "add", address, "dev", name)):
            subprocess.run(["ip", *words], check=True)

    def send(self, data):
        os.write(self.descriptor, data)

    def frames(self):
        """What the gateway has sent since."""
        seen = []
        while True:
            try:
                seen.append(os.read(self.descriptor, 4096))
            except BlockingIOError:
                return seen

    def read(self):
        """IPv4 packets of it as (protocol, source, sport, destination, dport)."""
        seen = []
        for data in self.frames():
            if data[12:14] == b"\x08\x00" and data[23] in (6, 17):
                ports = struct.unpack("!HH", data[34:38])
                seen.append((data[23], socket.inet_ntoa(data[26:30]), ports[0], socket.inet_ntoa(data[30:34]), ports[1]))
        return seen

    def drain(self):
        self.read()


class Stream:
    """A steady stream from one wire: of each frame a packet in turn. Notes which kind came out, and when its turn
    began: before that it was not sent, and the gateway forwards within the very call that sends."""

    def __init__(self, wire, out, frames, rate=1000):
        self.wire, self.out, self.frames, self.pause = wire, out, frames, len(frames) / rate
        self.sent = 0
        self.arrivals = []  # (time, destination port, how many of its kind were sent until then)
        self.thread = threading.Thread(target=self.run)
        self.ended = False

    def __enter__(self):
        self.out.drain()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ended = True
        if self.thread.is_alive():
            self.thread.join()

    def run(self):
        while not self.ended:
            now = time.monotonic()
            for data in self.frames:
                self.wire.send(data)
            self.sent += 1
            self.arrivals += [(now, packet[4], self.sent) for packet in self.out.read()]
            time.sleep(self.pause)

    def came(self, port, since=0.0):
        return sum(1 for when, number, _ in self.arrivals if number == port and when >= since)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The machines of one zone: answers on the ports of the town, opens connections on request, and notes what arrives.

Runs inside one namespace of the laboratory. Requests come as JSON lines on stdin, answers go as JSON lines to stdout:

    {"id": 1, "do": "open", "protocol": "tcp", "source": "10.0.0.1", "destination": "10.0.0.2", "port": 443, "seconds": 1,
     "size": 5}
        -> {"id": 1, "answered": true}
    {"id": 2, "do": "arrived", "protocol": "tcp", "source": "10.0.0.1", "destination": "10.0.0.2", "port": 443}
        -> {"id": 2, "arrived": true}
    {"id": 3, "do": "forget"} -> {"id": 3}

`arrived` tells whether any such packet reached this zone's wire side at all, answered or not.
"""
import asyncio
import json
import os
import socket
import struct
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}


class Sightings:
    """What came in from the wire: (protocol, source, destination, port)."""

    def __init__(self, loop):
        self.seen = set()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setblocking(False)
        loop.add_reader(self.socket, self.read)

    def read(self):
        for _ in range(256):
            try:
                frame, address = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            if address[2] == PACKET_OUTGOING or len(frame) < 34 or frame[12:14] != b"\x08\x00":
                continue
            header = 14 + (frame[14] & 0x0F) * 4
            protocol = frame[23]
            port = 0
            if protocol in (6, 17) and len(frame) >= header + 4:
                port = struct.unpack_from("!H", frame, header + 2)[0]
            source, destination = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
            self.seen.add((protocol, source, destination, port))


async def echo(reader, writer):
    try:
        writer.write(await asyncio.wait_for(reader.read(4096), 30))
        await writer.drain()
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except (OSError, asyncio.TimeoutError):
        pass
    finally:
        writer.close()


class EchoDatagram(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


class AwaitDatagram(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def datagram_received(self, data, address):
        if not self.answer.done():
            self.answer.set_result(True)

    def error_received(self, error):
        pass


async def open_tcp(request):
    reader, writer = await asyncio.open_connection(
        request["destination"], request["port"], local_addr=(request["source"], 0)
    )
    try:
        size = request.get("size", 5)
        writer.write(b"kido\n".ljust(size, b"\n"))
        received = 0
        while received < size and (data := await reader.read(65536)):
            received += len(data)
        return received == size
    finally:
        writer.close()


async def open_udp(request):
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: AwaitDatagram(answer),
        local_addr=(request["source"], 0),
        remote_addr=(request["destination"], request["port"]),
    )
    try:
        transport.sendto(b"kido\n".ljust(request.get("size", 5), b"\n"))
        return await answer
    finally:
        transport.close()


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


async def open_icmp(request):
    identifier = (os.getpid() + request["id"]) & 0xFFFF
    body = struct.pack("!BBHHH", 8, 0, 0, identifier, 1) + b"kidokido"
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.setblocking(False)
        raw.bind((request["source"], 0))
        raw.connect((request["destination"], 0))
        await loop.sock_sendall(raw, body)
        while True:
            answer = await loop.sock_recv(raw, 2048)
            start = (answer[0] & 0x0F) * 4
            if answer[start] == 0 and answer[start + 4 : start + 6] == struct.pack("!H", identifier):
                return True


OPENERS = {"tcp": open_tcp, "udp": open_udp, "icmp": open_icmp}


async def handle(request, sightings):
    answer = {"id": request["id"]}
    if request["do"] == "open":
        try:
            answer["answered"] = await asyncio.wait_for(OPENERS[request["protocol"]](request), request["seconds"])
        except (OSError, asyncio.TimeoutError):
            answer["answered"] = False
    elif request["do"] == "arrived":
        key = (PROTOCOLS[request["protocol"]], request["source"], request["destination"], request.get("port", 0))
        answer["arrived"] = key in sightings.seen
    elif request["do"] == "forget":
        sightings.seen.clear()
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main():
    tcp, udp = (list(map(int, filter(None, text.split(",")))) for text in sys.argv[1:3])
    loop = asyncio.get_running_loop()
    sightings = Sightings(loop)
    for port in tcp:
        await asyncio.start_server(echo, "0.0.0.0", port)
    for port in udp:
        # One socket per own address, so that an answer carries the address that was asked.
        for address in sys.argv[3:]:
            await loop.create_datagram_endpoint(EchoDatagram, local_addr=(address, port))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sys.stdout.write('{"id": 0, "ready": true}\n')
    sys.stdout.flush()
    tasks = set()
    while line := await reader.readline():
        task = asyncio.create_task(handle(json.loads(line), sightings))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())

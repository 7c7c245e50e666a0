# SPDX-License-Identifier: GPL-2.0-or-later
"""A log server for tests: RFC 5424 in TCP with counted octets, plain or in TLS, that can be killed and started again."""
import json
import re
import socket
import ssl
import struct
import threading

HEADER = re.compile(rb"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|\[.*?\]) (.*)", re.S)


class LogServer:
    def __init__(self, port, certificate=None, key=None, greedy=True):
        self.port, self.messages, self.lock = port, [], threading.Lock()
        self.greedy = greedy  # else it accepts and never reads
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate, key)
        self.listener, self.connections = None, []

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    def kill(self):
        """As a machine that loses power: what was not read is gone, and the other side gets a reset at best."""
        listener, self.listener = self.listener, None
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with self.lock:
            connections, self.connections = self.connections, []
        for connection in connections:
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            except OSError:
                pass

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            stream = self.context.wrap_socket(connection, server_side=True) if self.context else connection
            data = b""
            while self.greedy:
                block = stream.recv(65536)
                if not block:
                    return
                data = self.take(data + block)
        except (OSError, ValueError):
            return

    def take(self, data):
        while b" " in data[:8]:
            count, _, rest = data.partition(b" ")
            if len(rest) < int(count):
                break
            with self.lock:
                self.messages.append(rest[:int(count)])
            data = rest[int(count):]
        return data

    # ---- what it has received ----

    def parsed(self):
        with self.lock:
            messages = list(self.messages)
        found = [HEADER.fullmatch(message) for message in messages]
        return [{"priority": int(match[1]), "time": match[2].decode(), "host": match[3].decode(),
                 "program": match[4].decode(), "process": match[5].decode(), "kind": match[6].decode(),
                 "data": match[7].decode(), "body": json.loads(match[8])} for match in found if match]

    def events(self):
        return [message["body"] for message in self.parsed() if message["body"]["schema"] == "kido.event/1"]

    def heartbeats(self):
        return [message["body"] for message in self.parsed() if message["body"]["schema"] == "kido.heartbeat/1"]

    def sequences(self):
        return [event["sequence"] for event in self.events()]

    def write(self, path):
        with self.lock:
            path.write_bytes(b"".join(message + b"\n" for message in self.messages))


def first_arrivals(sequences):
    """Without what came again."""
    return list(dict.fromkeys(sequences))

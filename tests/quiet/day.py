# SPDX-License-Identifier: GPL-2.0-or-later
"""A lawful day of the sample town as capture files, one for each interface of the gateway: every flow of the policy with
conversations as its protocol has them, and what the wires of an office say all day. A seed gives the same day again."""
import ipaddress
import random
import struct

from frames import ACK, BROADCAST, FIN, PSH, RST, SYN, arp, ether, icmp, ipv4, ipv6, mac_bytes, tcp, udp, write_pcap

JST = 9 * 3600
SEGMENT = 1448
OWN = {  # gateway on each interface: address and network
    "ens1f0.110": ("mynumber", "10.110.0.1/24"), "ens1f0.111": ("mynumber", "10.111.0.1/24"),
    "ens1f1.210": ("lgwan", "10.210.0.1/24"), "ens1f1.211": ("lgwan", "10.211.0.1/22"),
    "ens1f2": ("lgwan_ext", "172.31.210.1/29"), "ens1f3.310": ("relay", "10.130.10.1/28"),
    "ens2f0.410": ("internet", "10.140.0.1/24"), "ens2f0.411": ("internet", "10.141.0.1/24"),
    "ens2f1": ("seccloud", "172.31.250.1/29"), "eno1.990": ("mgmt", "10.199.0.1/27"),
    "ens2f2.510": ("maint", "10.151.0.1/28"), "ens2f3.620": ("water", "10.162.0.1/26"),
}
ROUTERS = {"lgwan_ext": "172.31.210.2", "seccloud": "172.31.250.2"}
SERVERS = {"ens1f1.210": "10.210.0.14", "ens2f0.410": "10.140.0.14"}  # of DHCP, as the policy names them
SWITCHES = {"lgwan": "02:00:5e:ff:02:01", "internet": "02:00:5e:ff:04:01"}


# ---- what programs say ----

def tls_record(kind, body):
    return struct.pack("!BHH", kind, 0x0303, len(body)) + body


def client_hello(name):
    host = name.encode()
    server_name = struct.pack("!HHHBH", 0, len(host) + 5, len(host) + 3, 0, len(host)) + host
    more = server_name + struct.pack("!HHBHH", 43, 5, 4, 0x0304, 0x0303) + struct.pack("!HHHHH", 13, 6, 4, 0x0403, 0x0804)
    body = b"\3\3" + b"r" * 32 + b"\x20" + b"s" * 32 + struct.pack("!HHHH", 6, 0x1301, 0x1302, 0xc02f) + b"\1\0"
    body += struct.pack("!H", len(more)) + more
    return tls_record(22, b"\1" + struct.pack("!I", len(body))[1:] + body)


def server_hello():
    body = b"\3\3" + b"R" * 32 + b"\x20" + b"s" * 32 + struct.pack("!HB", 0x1301, 0) + struct.pack("!HHHH", 6, 43, 2, 0x0304)
    return tls_record(22, b"\2" + struct.pack("!I", len(body))[1:] + body) + tls_record(20, b"\1")


def tls(dice, down=20000, up=300):
    yield "up", client_hello("service.lg.jp")
    yield "down", server_hello() + tls_record(23, bytes(2000))
    yield "up", tls_record(20, b"\1") + tls_record(23, bytes(60))
    for _ in range(dice.randint(1, 4)):
        yield "up", tls_record(23, bytes(dice.randint(60, up)))
        yield "down", tls_record(23, bytes(min(dice.randint(200, down), 16000)))


def smtp(dice):
    yield "down", b"220 mail.example.lg.jp ESMTP\r\n"
    for up, down in ((b"EHLO relay.example.lg.jp\r\n", b"250-mail.example.lg.jp\r\n250 8BITMIME\r\n"),
                     (b"MAIL FROM:<a@example.lg.jp>\r\n", b"250 2.1.0 Ok\r\n"),
                     (b"RCPT TO:<b@example.lg.jp>\r\n", b"250 2.1.5 Ok\r\n"),
                     (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"),
                     (b"Subject: x\r\n\r\n" + b"text of the letter\r\n" * dice.randint(5, 900) + b".\r\n", b"250 2.0.0 Ok: queued\r\n"),
                     (b"QUIT\r\n", b"221 2.0.0 Bye\r\n")):
        yield "up", up
        yield "down", down


def ssh(dice):
    yield "down", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
    yield "up", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
    names = b"curve25519-sha256,ecdh-sha2-nistp256"
    packet = b"\x14" + b"c" * 16 + struct.pack("!I", len(names)) + names + bytes(600)
    for way in ("up", "down"):
        yield way, struct.pack("!IB", len(packet) + 5, 4) + packet + bytes(4)
    for _ in range(dice.randint(2, 20)):
        yield "up", bytes(dice.randint(36, 200))
        yield "down", bytes(dice.randint(36, 1500))


def rdp(dice):
    yield "up", b"\3\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=user\r\n\1\0\x08\0\3\0\0\0"
    yield "down", b"\3\0\0\x13\x0e\xd0\0\0\x12\x34\0\2\x0f\x08\0\2\0\0\0"
    yield from tls(dice, down=16000, up=150)


def proxy(dice):
    yield "up", b"CONNECT www.example.jp:443 HTTP/1.1\r\nHost: www.example.jp:443\r\n\r\n"
    yield "down", b"HTTP/1.1 200 Connection established\r\n\r\n"
    yield from tls(dice)


def dns_over_tcp(dice):
    question, answer = dns(dice)
    yield "up", struct.pack("!H", len(question)) + question
    yield "down", struct.pack("!H", len(answer)) + answer


def dns(dice):
    if dice.randrange(8) == 0:
        return dns_like_openvpn(dice)
    name = b"\3www\7example\2lg\2jp\0" + struct.pack("!HH", 1, 1)
    number = dice.randrange(65536)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + b"\xc6\x33\x64\x46"
    return (struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + name,
            struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + name + answer)


def dns_like_openvpn(dice):
    """By its number, its length, and its first label of one letter."""
    name = b"\1a\3nel\x0acloudflare\3com\0" + struct.pack("!HH", 1, 1)
    number = dice.choice((0x38, 0x50)) << 8 | dice.randrange(256)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + b"\xc6\x33\x64\x46"
    return (struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + name,
            struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + name + answer)


def ntp(dice):
    return (b"\xe3\0\6\xec" + bytes(36) + struct.pack("!Q", dice.getrandbits(63)),
            b"\x24\2\6\xe8" + bytes(36) + struct.pack("!Q", dice.getrandbits(63)))


STREAMS = {25: smtp, 22: ssh, 3389: rdp, 8080: proxy, 53: dns_over_tcp}
EXCHANGES = {53: dns, 123: ntp}


# ---- the town ----

class Day:
    """Frames by interface. hosts and flows: as `kido show --json` tells them."""

    def __init__(self, hosts, flows, seed, start, one_mac=False):
        self.dice = random.Random(seed)
        self.hosts = {host["name"]: host for host in hosts}
        self.flows = flows
        self.start, self.now = start, start * 1000000
        self.one_mac = one_mac
        self.frames = {interface: [] for interface in OWN}
        self.macs = {address: host["macs"][0] for host in hosts if host["macs"] for address in host["addresses"]}
        self.count, self.last = 0, {}

    # -- places --

    def interface_of(self, zone, address):
        for interface, (name, own) in OWN.items():
            if name == zone and ipaddress.ip_address(address) in ipaddress.ip_interface(own).network:
                return interface
        return next(interface for interface, (name, _) in OWN.items() if name == zone)

    def gateway_mac(self, interface):
        number = 1 if self.one_mac else 1 + sorted({name.split(".")[0] for name in OWN}).index(interface.split(".")[0])
        return f"02:00:5e:00:{number:02x}:01"

    def mac_of(self, zone, address):
        if address in self.macs:
            return self.macs[address]
        if zone in ROUTERS and ipaddress.ip_address(address) not in ipaddress.ip_interface(
                OWN[self.interface_of(zone, address)][1]).network:
            return self.mac_of(zone, ROUTERS[zone])
        return "02:11:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed)

    def address_of(self, name):
        """One of the host's addresses: a server has one, of terminals there are many."""
        text = self.dice.choice(self.hosts[name]["addresses"])
        if "-" in text:
            return text.split("-")[0]
        network = ipaddress.ip_network(text)
        if network.num_addresses == 1:
            return str(network[0])
        taken = {own.split("/")[0] for _, own in OWN.values()}
        while True:
            address = str(network[self.dice.randrange(1, network.num_addresses - 1)] if network.num_addresses > 4 else
                          network[self.dice.randrange(network.num_addresses)])
            if address not in taken and not address.endswith((".0", ".255")):
                return address

    # -- frames --

    def put(self, interface, frame, microseconds=0):
        self.frames[interface].append((self.now + microseconds, frame))

    def wait(self, seconds):
        self.now += int(seconds * 1000000)

    def pass_on(self, ends, packet):
        """Through the gateway: packet(hop limit) gives the bytes. ends: (zone, address) of source and destination."""
        (from_zone, source), (to_zone, destination) = ends
        there, here = self.interface_of(from_zone, source), self.interface_of(to_zone, destination)
        self.put(there, ether(self.mac_of(from_zone, source), self.gateway_mac(there), 0x0800, packet(64)))
        self.put(here, ether(self.gateway_mac(here), self.mac_of(to_zone, destination), 0x0800, packet(63)), 60)
        self.wait(0.0004)

    def own_send(self, zone, source, destination, packet):
        here = self.interface_of(zone, destination)
        self.put(here, ether(self.gateway_mac(here), self.mac_of(zone, destination), 0x0800, packet(64)))
        self.wait(0.0003)

    def own_receive(self, zone, source, destination, packet):
        there = self.interface_of(zone, source)
        self.put(there, ether(self.mac_of(zone, source), self.gateway_mac(there), 0x0800, packet(64)))
        self.wait(0.0003)

    def send(self, ends, protocol, payload, flags=0x4000, identification=None, **more):
        (from_zone, source), (to_zone, destination) = ends
        self.count += 1
        number = self.count & 0xffff if identification is None else identification

        def packet(hops):
            return ipv4(source, destination, protocol, payload, ttl=hops, identification=number, flags=flags, **more)
        if from_zone == "gateway":
            self.own_send(to_zone, source, destination, packet)
        elif to_zone == "gateway":
            self.own_receive(from_zone, source, destination, packet)
        else:
            self.pass_on(ends, packet)

    # -- conversations --

    def stream(self, ends, port, script, quirk=None):
        """A TCP connection. quirk: what happens to it on the way."""
        sport = self.dice.randint(32768, 60999)
        back = (ends[1], ends[0])
        numbers = {"up": self.dice.getrandbits(31), "down": self.dice.getrandbits(31)}

        def segment(way, flags, data=b""):
            mine, other = numbers[way], numbers["down" if way == "up" else "up"]
            ports = (sport, port) if way == "up" else (port, sport)
            whole = tcp(*ports, flags, data, sequence=mine & 0xffffffff,
                        acknowledgement=other & 0xffffffff if flags & ACK else 0)
            self.send(ends if way == "up" else back, 6, whole)
            numbers[way] += len(data) + bool(flags & (SYN | FIN))
            return whole

        opening = segment("up", SYN)
        if quirk == "late":
            self.wait(1)
            self.send(ends, 6, opening)
        if quirk == "refused":
            segment("down", RST | ACK)
            return
        if quirk == "unanswered":
            for pause in (1, 2, 4):
                self.wait(pause)
                self.send(ends, 6, opening)
            return
        segment("down", SYN | ACK)
        segment("up", ACK)
        largest = 60000 if quirk == "merged" else SEGMENT
        for way, data in script:
            for start in range(0, len(data), largest):
                last = segment(way, ACK | PSH, data[start:start + largest])
                if quirk == "retransmitted" and self.dice.random() < 0.2:
                    self.wait(0.2)
                    self.send(ends if way == "up" else back, 6, last)
            segment("down" if way == "up" else "up", ACK)
            self.wait(self.dice.random() * 0.05)
        if quirk == "idle":
            for _ in range(3):
                self.wait(300)
                segment("up", ACK)
                segment("down", ACK)
        if quirk == "reset":
            segment("up", RST | ACK)
            return
        segment("up", FIN | ACK)
        segment("down", FIN | ACK)
        segment("up", ACK)
        if quirk == "retransmitted":
            self.wait(0.2)
            numbers["up"] -= 1
            segment("up", FIN | ACK)
            segment("down", ACK)

    def exchange(self, ends, port, pair, quirk=None):
        sport = 123 if port == 123 else self.dice.randint(32768, 60999)
        question, answer = pair
        self.send(ends, 17, udp(sport, port, question))
        if quirk == "unanswered":
            self.wait(5)
            self.send(ends, 17, udp(sport, port, question))
            return
        if quirk == "fragmented":
            self.fragments((ends[1], ends[0]), udp(port, sport, answer + bytes(3500)))
            return
        self.send((ends[1], ends[0]), 17, udp(port, sport, answer))

    def fragments(self, ends, datagram):
        self.count += 1
        number = self.count & 0xffff
        for offset in range(0, len(datagram), 1480):
            more = 0x2000 if offset + 1480 < len(datagram) else 0
            self.send(ends, 17, datagram[offset:offset + 1480], flags=more | offset // 8, identification=number)

    def path_error(self, ends, port):
        """A router behind the far end says that a packet was too long; the gateway says so too."""
        (from_zone, source), (to_zone, destination) = ends
        sport = self.dice.randint(32768, 60999)
        self.send(ends, 6, tcp(sport, port, SYN, sequence=1))
        self.send((ends[1], ends[0]), 6, tcp(port, sport, SYN | ACK, sequence=1, acknowledgement=2))
        self.send(ends, 6, tcp(sport, port, ACK | PSH, bytes(1400), sequence=2, acknowledgement=2))
        quoted = ipv4(source, destination, 6, tcp(sport, port, ACK | PSH, bytes(1400), sequence=2, acknowledgement=2))[:28]
        if to_zone in ROUTERS:
            self.send(((to_zone, ROUTERS[to_zone]), ends[0]), 1, icmp(3, 4, b"\0\0\5\x78", quoted))
        here = self.interface_of(from_zone, source)
        own = OWN[here][1].split("/")[0]
        for kind, code in ((3, 4), (11, 0)):
            self.send((("gateway", own), (from_zone, source)), 1, icmp(kind, code, b"\0\0\5\x78", quoted), flags=0)

    def flow(self, flow, quirk):
        ends = []
        for zone, name in ((flow["from_zone"], self.dice.choice(flow["from"])), (flow["to_zone"], self.dice.choice(flow["to"]))):
            ends.append((zone, None if zone == "gateway" else self.address_of(name)))
        for number in (0, 1):
            if ends[number][0] == "gateway":
                zone, other = ends[1 - number]
                ends[number] = ("gateway", OWN[self.interface_of(zone, other)][1].split("/")[0])
        ends = tuple(ends)
        for service in flow["services"]:
            protocols, _, port = service.partition("/")
            for protocol in protocols.split("+"):
                if protocol == "tcp":
                    script = STREAMS.get(int(port), tls)(self.dice)
                    self.stream(ends, int(port), script, quirk)
                elif protocol == "udp":
                    self.exchange(ends, int(port), EXCHANGES[int(port)](self.dice), quirk)
        service = flow["services"][0]
        if quirk == "path" and "tcp" in service and "gateway" not in (ends[0][0], ends[1][0]):
            self.path_error(ends, int(service.rpartition("/")[2]))

    # -- what every wire says --

    def noise(self, interface):
        zone, own = OWN[interface]
        network = ipaddress.ip_interface(own).network
        if network.num_addresses < 16:
            return
        gateway, mac = own.split("/")[0], self.gateway_mac(interface)
        hosts = [str(network[n]) for n in self.dice.sample(range(2, network.num_addresses - 1), 2)]
        for address in hosts:
            if address == gateway:
                return
        (a, b), (mac_a, mac_b) = hosts, [self.mac_of(zone, address) for address in hosts]
        everybody = str(network.broadcast_address)

        def say(source, destination, ethertype, payload):
            self.put(interface, ether(source, destination, ethertype, payload))
            self.wait(0.01)

        def group(address, *arguments, source=a, mac=mac_a, **more):
            packed = ipaddress.ip_address(address).packed
            say(mac, "01:00:5e:%02x:%02x:%02x" % (packed[1] & 127, packed[2], packed[3]), 0x0800,
                ipv4(source, address, *arguments, ttl=1, **more))

        nobody = "00:00:00:00:00:00"
        say(mac_a, BROADCAST, 0x0806, arp(1, mac_a, a, nobody, b))
        say(mac_b, mac_a, 0x0806, arp(2, mac_b, b, mac_a, a))
        say(mac_a, BROADCAST, 0x0806, arp(1, mac_a, "0.0.0.0", nobody, a))
        say(mac_a, BROADCAST, 0x0806, arp(1, mac_a, a, nobody, a))
        say(mac, BROADCAST, 0x0806, arp(1, mac, gateway, nobody, a))
        say(mac_a, mac, 0x0806, arp(2, mac_a, a, mac, gateway))
        say(mac_a, BROADCAST, 0x0806, arp(1, mac_a, a, nobody, gateway))
        say(mac, mac_a, 0x0806, arp(2, mac, gateway, mac_a, a))
        for port, size in ((137, 50), (138, 200), (1947, 40), (9, 102), (161, 60)):
            say(mac_b, BROADCAST, 0x0800, ipv4(b, everybody, 17, udp(port, port, bytes(size))))
        say(mac_b, BROADCAST, 0x0800, ipv4(b, "255.255.255.255", 17, udp(17500, 17500, bytes(60))))
        group("224.0.0.251", 17, udp(5353, 5353, dns(self.dice)[0]))
        group("224.0.0.252", 17, udp(50000, 5355, dns(self.dice)[0]))
        group("239.255.255.250", 17, udp(50000, 1900, b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n"))
        group("239.255.255.250", 17, udp(50000, 3702, b"<?xml version='1.0'?><Probe/>"))
        group("239.255.255.253", 17, udp(427, 427, b"\2\1\0\0\x31\0\0\0" + bytes(40)))
        group("224.0.0.22", 2, b"\x22\0\0\0\0\0\0\1\4\0\0\0\xe0\0\0\xfb", options=b"\x94\4\0\0")
        group("224.0.0.1", 2, b"\x11\x64\0\0\0\0\0\0", source="0.0.0.0")
        say(mac_a, BROADCAST, 0x0800, ipv4("169.254.7.7", "169.254.255.255", 17, udp(138, 138, bytes(50))))
        say(mac_a, BROADCAST, 0x0806, arp(1, mac_a, "0.0.0.0", nobody, "169.254.7.7"))
        say(mac_a, mac_b, 0x0800, ipv4(a, b, 6, tcp(50100, 445, SYN)))
        self.six(say, mac_a)
        self.switches(interface, zone, say, mac_a)
        if interface in SERVERS:
            self.lease(say, zone, SERVERS[interface], gateway, a, mac_a)

    def six(self, say, mac_a):
        linklocal, group_of_a = "fe80::211:aff:fe00:11", "ff02::1:ff00:11"
        solicit = icmp(135, 0, payload=ipaddress.ip_address(linklocal).packed)
        say(mac_a, "33:33:ff:00:00:11", 0x86dd, ipv6("::", group_of_a, 58, solicit, hops=255))
        say(mac_a, "33:33:00:00:00:02", 0x86dd, ipv6(linklocal, "ff02::2", 58, icmp(133, 0), hops=255))
        report = b"\x3a\0\5\2\0\0\1\0" + icmp(143, 0, b"\0\0\0\1", b"\4\0\0\0" + ipaddress.ip_address(group_of_a).packed)
        say(mac_a, "33:33:00:00:00:16", 0x86dd, ipv6(linklocal, "ff02::16", 0, report, hops=1))
        say(mac_a, "33:33:00:01:00:02", 0x86dd, ipv6(linklocal, "ff02::1:2", 17, udp(546, 547, b"\1\0\0\7" + bytes(60))))
        say(mac_a, "33:33:00:00:00:fb", 0x86dd, ipv6(linklocal, "ff02::fb", 17, udp(5353, 5353, dns(self.dice)[0])))
        say(mac_a, "33:33:00:01:00:03", 0x86dd, ipv6(linklocal, "ff02::1:3", 17, udp(50000, 5355, dns(self.dice)[0])))
        say(mac_a, "33:33:00:00:00:0c", 0x86dd, ipv6(linklocal, "ff02::c", 17, udp(50000, 1900, b"M-SEARCH * HTTP/1.1\r\n\r\n")))

    def switches(self, interface, zone, say, mac_a):
        root = SWITCHES.get(zone, "02:00:5e:ff:0f:01")
        port = root[:-2] + "f1"
        body = b"\x42\x42\x03\0\0\2\2\x3c" + (b"\x80\0" + mac_bytes(root)) + bytes(4) + (b"\x80\0" + mac_bytes(root)) + (
            b"\x80\1\0\0\x14\0\2\0\x0f\0\0")
        self.put(interface, (mac_bytes("01:80:c2:00:00:00") + mac_bytes(port) + struct.pack("!H", len(body)) + body).ljust(60, b"\0"))
        elsewhere = b"" if zone in SWITCHES else (  # undeclared, a bridge, and managed from another zone
            b"\x0e\4\0\x14\0\4\x10\x0c\5\1" + ipaddress.ip_address("10.210.0.250").packed + b"\2\0\0\0\1\0")
        say(port, "01:80:c2:00:00:0e", 0x88cc,
            b"\2\7\4" + mac_bytes(root) + b"\4\3\7p1\6\2\0\x78" + elsewhere + b"\0\0")
        pvst = b"\xaa\xaa\x03\0\0\x0c\1\x0b" + body[3:]
        self.put(interface, (mac_bytes("01:00:0c:cc:cc:cd") + mac_bytes(port) + struct.pack("!H", len(pvst)) + pvst).ljust(60, b"\0"))
        say(port, "01:80:c2:00:00:02", 0x8809, b"\1\1\1\x14" + bytes(106))
        say(port, port, 0x9000, bytes(46))
        say(mac_a, "01:80:c2:00:00:03", 0x888e, b"\1\1\0\0")
        say(mac_a, BROADCAST, 0x0842, b"\xff" * 6 + mac_bytes(mac_a) * 16)
        say(mac_a, BROADCAST, 0x88d9, b"\1\0\0\0" + bytes(32))
        say(mac_a, BROADCAST, 0x8899, b"\1" + bytes(45))
        say(mac_a, BROADCAST, 0x88e1, bytes(46))
        say(mac_a, BROADCAST, 0x8912, bytes(46))

    def lease(self, say, zone, server, gateway, client, client_mac):
        server_mac = self.mac_of(zone, server)

        def message(operation, kind, given, options):
            addresses = b"".join(ipaddress.ip_address(text).packed for text in ("0.0.0.0", given, server, "0.0.0.0"))
            return (struct.pack("!BBBBIHH", operation, 1, 6, 0, 9, 0, 0x8000) + addresses + mac_bytes(client_mac).ljust(16, b"\0") +
                    bytes(192) + b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + options + b"\xff").ljust(300, b"\0")

        def address(code, text):
            return bytes([code, 4]) + ipaddress.ip_address(text).packed
        name = b"PC-" + client_mac[-5:].replace(":", "").upper().encode() + zone[:2].encode()
        name = b"\x0c" + bytes([len(name)]) + name
        terms = address(54, server) + address(3, gateway) + address(6, server) + b"\x33\4\0\1\x51\x80"
        asked = address(50, client) + address(54, server) + name
        for kind, given, options in ((1, "0.0.0.0", name), (2, client, terms), (3, "0.0.0.0", asked), (5, client, terms)):
            if kind in (2, 5):
                say(server_mac, BROADCAST, 0x0800, ipv4(server, "255.255.255.255", 17, udp(67, 68, message(2, kind, given, options))))
            else:
                say(client_mac, BROADCAST, 0x0800, ipv4("0.0.0.0", "255.255.255.255", 17, udp(68, 67, message(1, kind, given, options))))

    def within(self):
        """Between two networks of one zone, through the gateway."""
        for zone, client, server in (("lgwan", "10.211.2.7", "10.210.0.11"), ("internet", "10.141.0.77", "10.140.0.20"),
                                     ("mynumber", "10.111.0.40", "10.110.0.11")):
            self.stream(((zone, client), (zone, server)), 8080 if zone == "internet" else 443,
                        proxy(self.dice) if zone == "internet" else tls(self.dice))

    # -- the day --

    def open_at(self, flow, seconds):
        """F-601 has a window; the others are in force."""
        return flow["state"] == "in-force" or (flow["name"] == "F-601" and self.start <= 1795597200 <= seconds < 1795608000 - 600)

    def play(self, hours, rounds=1):
        quirks = [None, "late", "retransmitted", "merged", "idle", "reset", "refused", "unanswered", "fragmented", "path"]
        for hour in range(hours):
            begin = self.start + hour * 3600
            for turn in range(rounds):
                for number, flow in enumerate(self.flows):
                    self.now = int((begin + turn * 3600 / rounds + number * 3000 / rounds / len(self.flows)) * 1000000)
                    if self.open_at(flow, self.now // 1000000):
                        self.flow(flow, quirks[(hour + turn + number) % len(quirks)])
                self.now = int((begin + turn * 3600 / rounds + 3100 / rounds) * 1000000)
                self.within()
                for interface in OWN:
                    self.noise(interface)

    def write(self, directory):
        """The files as arguments of kido replay, and the number of frames."""
        arguments, count = [], 0
        for interface, frames in self.frames.items():
            path = directory / f"{interface}.pcap"
            with open(path, "wb") as out:
                write_pcap(out, sorted(frames, key=lambda item: item[0]))
            arguments.append(f"{interface}={path}")
            count += len(frames)
        return arguments, count

    def known(self):
        """Options that tell the gateway's MACs and addresses."""
        options = []
        for interface, (_, own) in OWN.items():
            options += ["--gateway-mac", f"{interface}={self.gateway_mac(interface)}",
                        "--gateway-address", f"{interface}={own.split('/')[0]}"]
        return options

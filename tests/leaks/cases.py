# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way a zone leaks, one after the other: what is on the wires, and what must be found, no less and no more.

    @leak("11", "IP in IP", {TUNNEL}, ...)       found above a notice, at a tap or mirror port: (kind, zone, other_zone)
    port={...}                                   the same from a switch port, where that is not the same
    notices={...}                                notices that must be there too; others may be
    @shown_by("63", "...", "netns.leaks ...")    needs more than capture files

Most frames lie on the wire of the Internet zone. L is a host of LGWAN, I one of the Internet zone, STRANGER a machine
that is not the gateway: the second path itself.
"""
import ipaddress
import struct

from captures import GATEWAY, PINNED, host_mac
from frames import ACK, BROADCAST, PSH, SYN, arp, ether, icmp, ipv4, ipv6, mac_bytes, tcp, udp

L, I, M = "10.211.0.5", "10.141.0.9", "10.110.0.11"
PROXY, CLOUD = "10.140.0.20", "203.0.113.10"  # F-401 joins them by tcp/8080
L6, I6, X6 = "2001:500:211::5", "2001:500:141::9", "2001:500:141::20"
STRANGER, ANOTHER = "02:66:66:66:66:66", "02:66:66:66:66:67"
MAC_L, MAC_I = host_mac("lgwan", L), host_mac("internet", I)
LGWAN_SWITCH, INTERNET_SWITCH = "02:00:5e:ff:02:01", "02:00:5e:ff:04:01"
STP_GROUP, LLDP_GROUP, CDP_GROUP = "01:80:c2:00:00:00", "01:80:c2:00:00:0e", "01:00:0c:cc:cc:cc"

CROSSING = ("crossing", "lgwan", "internet")
BYPASS = ("bypass", "internet", "lgwan")
BRIDGED = ("bridged", "internet", "lgwan")
TUNNEL = ("tunnel", "internet", "lgwan")
UNKNOWN = ("unknown-segment", "internet", None)
ATTEMPT = ("attempt", "internet", "seccloud")
MALFORMED = ("malformed", "internet", None)

ZONES = {  # what the sample town does not say
    "10.211.0.0/22": '"2001:500:211::/64" ]; switches = [ "%s" ]; dhcp_servers = [ "lg-dns" ' % LGWAN_SWITCH,
    "10.141.0.0/24": '"2001:500:141::/64" ]; switches = [ "%s" ]; dhcp_servers = [ "i-dns" ' % INTERNET_SWITCH,
}

LEAKS, ELSEWHERE = [], []


class Leak:
    def __init__(self, number, title, found, build, port, notices, options):
        self.number, self.title, self.found, self.build = number, title, found, build
        self.port, self.notices, self.options = found if port is None else port, notices, list(options)


def leak(number, title, found, port=None, notices=frozenset(), options=()):
    def register(build):
        LEAKS.append(Leak(number, title, set(found), build, port, set(notices), options))
        return build
    return register


def shown_by(number, title, test):
    ELSEWHERE.append((number, title, test))


def write_policy(path, sample):
    text = open(sample, encoding="utf-8").read()
    for network, more in ZONES.items():
        if text.count(f'"{network}" ];') != 1:
            raise ValueError(f"{network} is not where it was")
        text = text.replace(f'"{network}" ];', f'"{network}", {more}];')
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


# ---- what lies on the wire of the Internet zone ----

def passing(c, ethertype, payload, source=STRANGER, destination=MAC_I, tags=(), zone="internet"):
    """From a second path to a host."""
    c.put(zone, ether(source, destination, ethertype, payload, tags=tags))
    c.wait(0.1)


def plain(**more):
    """The packet that must not be there."""
    return ipv4(L, I, 17, udp(40000, 514, b"x" * 40), **more)


def entering(c, protocol, payload, source=I, destination=CLOUD, **more):
    """From a host to the gateway."""
    c.enter("internet", source, destination, protocol, payload, **more)
    c.wait(0.5)


def inner():
    return ipv4(L, CLOUD, 6, tcp(50000, 443, SYN))


def inner_frame():
    return ether(STRANGER, ANOTHER, 0x0800, inner())


def ipv6_chain(source, destination, headers, protocol, payload):
    """headers: (number, what follows its first byte) from the outside in."""
    numbers = [number for number, _ in headers] + [protocol]
    for (_, content), following in zip(reversed(headers), reversed(numbers[1:])):
        payload = bytes([following]) + content + payload
    return ipv6(source, destination, numbers[0], payload)


# ---- one frame ----

@leak("1", "an LGWAN host reaches the outside: a hole in routing or rules", {("crossing", "lgwan", "seccloud")})
def _(c):
    c.connection("lgwan", "seccloud", L, CLOUD, 443)


@leak("2", "only replies are seen", {BYPASS})
def _(c):
    passing(c, 0x0800, ipv4(I, L, 6, tcp(443, 50000, SYN | ACK)), source=MAC_I, destination=STRANGER)


@leak("3", "a single datagram", {BYPASS}, port=set())
def _(c):
    passing(c, 0x0800, plain())


@leak("4", "ICMP echo", {BYPASS}, port=set())
def _(c):
    passing(c, 0x0800, ipv4(L, I, 1, icmp(8, 0, b"\0\7\0\1")))


@leak("5", "only a later fragment", {BYPASS}, port=set())
def _(c):
    passing(c, 0x0800, ipv4(L, I, 17, b"f" * 400, flags=185))


@leak("6", "a first fragment of eight bytes", {BYPASS}, port=set())
def _(c):
    passing(c, 0x0800, ipv4(L, I, 6, tcp(50000, 80, SYN)[:8], flags=0x2000))


@leak("7", "an 802.1Q tag of nobody", {BYPASS, UNKNOWN}, port=set())
def _(c):
    passing(c, 0x0800, plain(), tags=[777])


@leak("8", "QinQ", {BYPASS, UNKNOWN}, port=set())
def _(c):
    passing(c, 0x0800, plain(), tags=[777, 778])


@leak("9", "a priority tag", {BYPASS}, port=set())
def _(c):
    passing(c, 0x0800, plain(), tags=[0xe000])


@leak("10", "three tags", {BYPASS, UNKNOWN}, port=set())
def _(c):
    passing(c, 0x0800, plain(), tags=[1, 2, 3])


@leak("11", "IP in IP", {TUNNEL})
def _(c):
    entering(c, 4, inner())


@leak("12", "GRE", {TUNNEL})
def _(c):
    entering(c, 47, b"\0\0\x08\0" + inner())


@leak("13", "Ethernet in GRE", {TUNNEL})
def _(c):
    entering(c, 47, b"\0\0\x65\x58" + inner_frame())


@leak("14", "GRE in IP in IP", {TUNNEL})
def _(c):
    entering(c, 4, ipv4("192.168.9.1", "192.168.9.2", 47, b"\0\0\x08\0" + inner()))


@leak("15", "IPv6 in IPv4", {TUNNEL})
def _(c):
    entering(c, 41, ipv6(L6, "2400:1234::1", 17, udp(1, 2)))


@leak("16", "IPv4 in IPv6", {TUNNEL})
def _(c):
    c.put("internet", ether(MAC_I, GATEWAY["internet"], 0x86dd, ipv6(I6, "2400:1234::1", 4, inner())))


@leak("17", "VXLAN", {TUNNEL})
def _(c):
    entering(c, 17, udp(50000, 4789, b"\x08\0\0\0\0\0\7\0" + inner_frame()))


@leak("18", "Geneve", {TUNNEL})
def _(c):
    entering(c, 17, udp(50000, 6081, b"\0\0\x65\x58\0\0\7\0" + inner_frame()))


@leak("19", "VXLAN on another port", {TUNNEL})
def _(c):
    entering(c, 17, udp(50000, 8472, b"\x08\0\0\0\0\0\7\0" + inner_frame()))


@leak("20", "Teredo", {TUNNEL})
def _(c):
    entering(c, 17, udp(50000, 3544, ipv6(L6, "2001:0:4136:e378:8000:63bf:3fff:fdd2", 17, udp(1, 2))))


@leak("21", "IPv6", {BYPASS}, port=set())
def _(c):
    passing(c, 0x86dd, ipv6(L6, I6, 17, udp(1, 2, b"x")))


@leak("22", "IPv6 behind options", {BYPASS}, port=set())
def _(c):
    options = b"\0\x01\4\0\0\0\0"
    passing(c, 0x86dd, ipv6_chain(L6, I6, [(0, options), (60, options)], 17, udp(1, 2, b"x")))


@leak("23", "a later fragment of IPv6", {BYPASS}, port=set())
def _(c):
    passing(c, 0x86dd, ipv6_chain(L6, I6, [(44, b"\0" + struct.pack("!HI", 1448, 7))], 17, b"f" * 64))


@leak("24", "an LGWAN host asks by ARP: a cable in the wrong socket", {BYPASS})
def _(c):
    passing(c, 0x0806, arp(1, STRANGER, L, "00:00:00:00:00:00", "10.211.0.1"), destination=BROADCAST)


@leak("25", "a host of the core systems announces itself by ARP", {("bypass", "internet", "mynumber")})
def _(c):
    passing(c, 0x0806, arp(1, STRANGER, "10.110.0.99", "00:00:00:00:00:00", "10.110.0.99"), destination=BROADCAST)


def solicitation(source, target):
    return ipv6(source, "ff02::1:ff00:5", 58, icmp(135, 0, payload=ipaddress.ip_address(target).packed), hops=255)


@leak("26", "neighbour solicitation from an LGWAN address", {BYPASS})
def _(c):
    passing(c, 0x86dd, solicitation(L6, "2001:500:211::1"), destination="33:33:ff:00:00:05")


@leak("27", "duplicate address detection for an LGWAN address", {("unknown-segment", "internet", "lgwan")})
def _(c):
    passing(c, 0x86dd, solicitation("::", L6), destination="33:33:ff:00:00:05")


@leak("28", "a router advertisement of an LGWAN prefix", {("rogue-router", "internet", None)})
def _(c):
    prefix = b"\x03\x04\x40\xc0" + struct.pack("!III", 86400, 86400, 0) + ipaddress.ip_address("2001:500:211::").packed
    advertisement = icmp(134, 0, rest=b"\x40\0\x07\x08", payload=b"\0" * 8 + prefix)
    passing(c, 0x86dd, ipv6("fe80::66", "ff02::1", 58, advertisement, hops=255), destination="33:33:00:00:00:01")


def dhcp(operation, kind, mac, client="0.0.0.0", given="0.0.0.0", options=b""):
    head = struct.pack("!BBBBIHH", operation, 1, 6, 0, 7, 0, 0)
    addresses = b"".join(ipaddress.ip_address(text).packed for text in (client, given, "0.0.0.0", "0.0.0.0"))
    return (head + addresses + mac_bytes(mac).ljust(16, b"\0") + b"\0" * 192 + b"\x63\x82\x53\x63" +
            bytes([53, 1, kind]) + options + b"\xff").ljust(300, b"\0")


def address_option(code, text):
    return bytes([code, 4]) + ipaddress.ip_address(text).packed


@leak("29a", "DHCP asked by a pinned machine of LGWAN", {("bypass", "internet", "lgwan")})
def _(c):
    mac = PINNED["10.210.0.12"]
    passing(c, 0x0800, ipv4("0.0.0.0", "255.255.255.255", 17, udp(68, 67, dhcp(1, 1, mac))), source=mac,
            destination=BROADCAST)


@leak("29b", "DHCP asked for an LGWAN address", {("unknown-segment", "internet", "lgwan")})
def _(c):
    question = dhcp(1, 3, STRANGER, options=address_option(50, L))
    passing(c, 0x0800, ipv4("0.0.0.0", "255.255.255.255", 17, udp(68, 67, question)), destination=BROADCAST)


@leak("30", "DHCP offered by a server that nobody declared", {("rogue-router", "internet", None)})
def _(c):
    offer = dhcp(2, 2, MAC_I, given="10.141.0.77", options=address_option(54, "10.141.0.66") + address_option(3, "10.141.0.66"))
    passing(c, 0x0800, ipv4("10.141.0.66", "255.255.255.255", 17, udp(67, 68, offer)), destination=BROADCAST)


@leak("31", "an ICMP error about a packet that must have crossed", {BYPASS}, port=set())
def _(c):
    error = icmp(3, 3, payload=ipv4(I, L, 17, udp(514, 40000))[:28])
    passing(c, 0x0800, ipv4("10.141.0.66", I, 1, error))


@leak("32", "MPLS", {TUNNEL}, port=set())
def _(c):
    passing(c, 0x8847, b"\0\0\x11\x40" + plain())


@leak("33", "PPPoE", {TUNNEL}, port=set())
def _(c):
    packet = plain()
    passing(c, 0x8864, b"\x11\0\0\1" + struct.pack("!H", len(packet) + 2) + b"\0\x21" + packet)


@leak("34", "NSH", {TUNNEL}, port=set())
def _(c):
    passing(c, 0x894f, b"\x0f\xc2\x02\x01\0\0\7\xff" + plain())


@leak("35", "IP behind LLC and SNAP", {BYPASS}, port=set())
def _(c):
    packet = b"\xaa\xaa\x03\0\0\0\x08\0" + plain()
    c.put("internet", mac_bytes(MAC_I) + mac_bytes(STRANGER) + struct.pack("!H", len(packet)) + packet)


@leak("36", "a source route by way of LGWAN", set(), notices={("attempt", "internet", "lgwan")})
def _(c):
    entering(c, 6, tcp(50000, 8080, SYN), source=PROXY,
             options=b"\x83\x07\x04" + ipaddress.ip_address(L).packed + b"\0")


@leak("37", "a broadcast into an LGWAN network", {BYPASS})
def _(c):
    passing(c, 0x0800, ipv4(I, "10.211.3.255", 17, udp(137, 137, b"n" * 50)), source=MAC_I, destination=STRANGER)


@leak("38", "multicast from an LGWAN host", {BYPASS})
def _(c):
    passing(c, 0x0800, ipv4(L, "224.0.0.251", 17, udp(5353, 5353, b"m" * 40)), destination="01:00:5e:00:00:fb")


@leak("39", "an LGWAN address within an IPv6 one", set(), notices={("attempt", "internet", "lgwan")})
def _(c):
    for prefix in ("64:ff9b::", "::ffff:"):
        packet = ipv6(I6, prefix + L, 6, tcp(50000, 443, SYN))
        c.put("internet", ether(MAC_I, GATEWAY["internet"], 0x86dd, packet))
        c.wait(1)


def lldp(chassis, address):
    text = ipaddress.ip_address(address).packed
    return (struct.pack("!HB", 1 << 9 | 7, 4) + mac_bytes(chassis) + struct.pack("!HB", 2 << 9 | 3, 7) + b"p1" +
            struct.pack("!HH", 3 << 9 | 2, 120) + struct.pack("!HBB", 8 << 9 | 12, 5, 1) + text + b"\2\0\0\0\1\0" + b"\0\0")


@leak("40", "LLDP from a switch of LGWAN", {BRIDGED})
def _(c):
    passing(c, 0x88cc, lldp(LGWAN_SWITCH, "10.210.0.250"), source="02:00:5e:ff:02:f1", destination=LLDP_GROUP)


def bridge_message(root, bridge):
    identity = lambda mac: b"\x80\0" + mac_bytes(mac)  # noqa: E731
    body = b"\x42\x42\x03\0\0\0\0\0" + identity(root) + struct.pack("!I", 4) + identity(bridge) + b"\x80\1" + b"\0\1\x14\0\2\0\x0f\0"
    return struct.pack("!H", len(body)) + body


@leak("41", "a spanning tree whose root is a switch of LGWAN", {BRIDGED})
def _(c):
    c.put("internet", (mac_bytes(STP_GROUP) + mac_bytes("02:00:5e:ff:04:f1") +
                       bridge_message(LGWAN_SWITCH, INTERNET_SWITCH)).ljust(60, b"\0"))


@leak("42", "an LGWAN machine with an address of the Internet zone", {BYPASS})
def _(c):
    mac = PINNED["10.210.0.12"]
    passing(c, 0x0800, ipv4("10.141.0.50", "10.141.0.255", 17, udp(137, 137, b"n" * 50)), source=mac, destination=BROADCAST)


@leak("43", "ESP to an LGWAN host", {TUNNEL})
def _(c):
    passing(c, 0x0800, ipv4(I, L, 50, b"\0\0\x10\1\0\0\0\1" + b"e" * 80), source=MAC_I, destination=STRANGER)


@leak("44a", "WireGuard out of LGWAN, stopped by the gateway", set(), notices={("attempt", "lgwan", "seccloud")})
def _(c):
    c.enter("lgwan", L, CLOUD, 17, udp(51820, 51820, b"\1\0\0\0" + b"w" * 144))


@leak("44b", "OpenVPN out of LGWAN, stopped by the gateway", set(), notices={("attempt", "lgwan", "seccloud")})
def _(c):
    c.enter("lgwan", L, CLOUD, 17, udp(50000, 1194, b"\x38" + b"s" * 8 + b"\0\0\0\0\0"))


@leak("44c", "IPsec out of LGWAN, stopped by the gateway", set(), notices={("attempt", "lgwan", "seccloud")})
def _(c):
    c.enter("lgwan", L, CLOUD, 17, udp(500, 500, b"i" * 8 + b"\0" * 8 + b"\x21\x20\x22\x08" + struct.pack("!II", 0, 64) + b"\0" * 36))


@leak("44d", "WireGuard out of LGWAN through a hole", {("tunnel", "lgwan", "seccloud")})
def _(c):
    c.forward("lgwan", "seccloud", L, CLOUD, 17, udp(51820, 51820, b"\1\0\0\0" + b"w" * 144))


@leak("45", "a source of no zone", {UNKNOWN})
def _(c):
    entering(c, 6, tcp(50000, 443, SYN), source="192.168.7.7", mac=STRANGER)


@leak("46", "IPX, NetBEUI, AppleTalk", {UNKNOWN})
def _(c):
    passing(c, 0x8137, b"\xff\xff\0\x28" + b"\0" * 36, destination=BROADCAST)
    netbeui = b"\xf0\xf0\x03" + b"\x2c\0\xff\xef\x08" + b"\0" * 36
    c.put("internet", (mac_bytes("03:00:00:00:00:01") + mac_bytes(STRANGER) + struct.pack("!H", len(netbeui)) + netbeui).ljust(60, b"\0"))
    c.wait(0.1)
    passing(c, 0x809b, b"\0" * 40, destination=BROADCAST)


@leak("47", "IPv4 cut short", set(), port=set(), notices={MALFORMED})
def _(c):
    c.put("internet", ether(MAC_I, GATEWAY["internet"], 0x0800, ipv4(I, CLOUD, 17, udp(1, 2)))[:30])


@leak("48", "IPv4 with an impossible header", set(), notices={MALFORMED})
def _(c):
    c.put("internet", ether(MAC_I, GATEWAY["internet"], 0x0800, b"\x43" + ipv4(I, CLOUD, 17, udp(1, 2))[1:]))


@leak("49", "fragments that overlap", {BYPASS}, port=set(), notices={MALFORMED})
def _(c):
    passing(c, 0x0800, ipv4(L, I, 17, udp(40000, 514, b"x" * 56), flags=0x2000, identification=9))
    passing(c, 0x0800, ipv4(L, I, 17, b"y" * 64, flags=0x2000 | 4, identification=9))


# ---- what takes several frames or wires ----

@leak("50", "forwarded without a flow", {CROSSING})
def _(c):
    c.connection("lgwan", "internet", L, I, 443)


@leak("51", "stopped by the gateway", set(), notices={("attempt", "lgwan", "internet")})
def _(c):
    for sport in range(50000, 50010):
        c.enter("lgwan", L, I, 6, tcp(sport, 443, SYN))
        c.wait(0.1)


@leak("52", "forwarded with a rewritten source", {("disguised-crossing", "lgwan", "seccloud")})
def _(c):
    segment = tcp(50000, 8080, SYN, sequence=0x12345678)
    c.enter("lgwan", L, CLOUD, 6, segment)
    c.leave("seccloud", PROXY, CLOUD, 6, segment)  # lawful by its addresses: F-401
    c.wait(0.5)


@leak("53", "leaves, but never came in", {CROSSING})
def _(c):
    c.leave("internet", L, I, 17, udp(40000, 514, b"x"))


@leak("54", "a cable between two switches", {BRIDGED})
def _(c):
    for n in range(3):
        frame = ether(MAC_L, BROADCAST, 0x0806, arp(1, MAC_L, L, "00:00:00:00:00:00", f"10.211.0.{20 + n}"))
        c.put("lgwan", frame)
        c.put("internet", frame, 5)
        c.wait(1)


@leak("55", "a laptop carried from one zone to the other", {("dual-homed", "internet", "lgwan")})
def _(c):
    laptop = "02:55:55:55:55:55"
    for zone, address, router in (("lgwan", "10.211.0.55", "10.211.0.1"), ("internet", "10.141.0.55", "10.141.0.1")):
        for _ in range(3):
            c.put(zone, ether(laptop, BROADCAST, 0x0806, arp(1, laptop, address, "00:00:00:00:00:00", router)))
            c.wait(5)
        c.wait(60)


@leak("56", "the gateway hears its own voice on another wire", {BRIDGED})
def _(c):
    mac = GATEWAY["lgwan"]
    frame = ether(mac, BROADCAST, 0x0806, arp(1, mac, "10.211.0.1", "00:00:00:00:00:00", L))
    c.put("lgwan", frame)
    c.put("internet", frame, 5)


@leak("57", "a permitted pair, opened from its wrong side", {("crossing", "internet", "lgwan")})
def _(c):
    c.connection("internet", "lgwan", "10.140.0.33", "10.211.2.5", 50000, sport=443)


@leak("58", "a permitted pair, another service", {CROSSING})
def _(c):
    c.connection("lgwan", "internet", "10.211.2.5", "10.140.0.33", 445)


@leak("59a", "VRRP of a stranger", {("rogue-router", "internet", None)})
def _(c):
    passing(c, 0x0800, ipv4("10.141.0.66", "224.0.0.18", 112, b"\x21\1\x64\1\0\1\0\0" + ipaddress.ip_address("10.141.0.1").packed, ttl=255),
            destination="01:00:5e:00:00:12")


@leak("59b", "HSRP of a stranger", {("rogue-router", "internet", None)})
def _(c):
    hello = b"\0\0\x10\3\x0a\x78\1\0cisco\0\0\0" + ipaddress.ip_address("10.141.0.1").packed
    passing(c, 0x0800, ipv4("10.141.0.66", "224.0.0.2", 17, udp(1985, 1985, hello), ttl=1), destination="01:00:5e:00:00:02")


@leak("59c", "OSPF of a stranger", {("rogue-router", "internet", None)})
def _(c):
    hello = b"\2\1\0\x2c" + b"\x0a\x8d\0\x42" + b"\0" * 36
    passing(c, 0x0800, ipv4("10.141.0.66", "224.0.0.5", 89, hello, ttl=1), destination="01:00:5e:00:00:05")


@leak("59d", "RIP of a stranger that tells of an LGWAN network", {("rogue-router", "internet", None)})
def _(c):
    route = struct.pack("!HH", 2, 0) + ipaddress.ip_address("10.211.0.0").packed + ipaddress.ip_address("255.255.252.0").packed + b"\0" * 7 + b"\1"
    passing(c, 0x0800, ipv4("10.141.0.66", "224.0.0.9", 17, udp(520, 520, b"\2\2\0\0" + route), ttl=1), destination="01:00:5e:00:00:09")


@leak("59e", "an ICMP redirect to a stranger", {("rogue-router", "internet", None)}, port=set())
def _(c):
    redirect = icmp(5, 1, rest=ipaddress.ip_address("10.141.0.66").packed, payload=ipv4(I, CLOUD, 6, tcp(50000, 8080, SYN))[:28])
    passing(c, 0x0800, ipv4("10.141.0.1", I, 1, redirect))


@leak("59f", "a second way out to the Internet, answered", {("rogue-uplink", "lgwan", None)}, port=set())
def _(c):
    outside = "8.8.8.8"
    for n in range(2):
        c.put("lgwan", ether(MAC_L, STRANGER, 0x0800, ipv4(L, outside, 6, tcp(50000, 443, ACK if n else SYN))))
        c.put("lgwan", ether(STRANGER, MAC_L, 0x0800, ipv4(outside, L, 6, tcp(443, 50000, SYN | ACK))), 900)
        c.wait(0.1)


@leak("60", "a permitted conversation within a tunnel that nobody declared", {("tunnel", "internet", "seccloud")})
def _(c):
    c.connection("internet", "seccloud", PROXY, CLOUD, 8080)
    c.forward("internet", "seccloud", PROXY, CLOUD, 47,
              b"\0\0\x08\0" + ipv4(PROXY, CLOUD, 6, tcp(50000, 8080, ACK | PSH, b"x" * 100)))


@leak("61", "one packet an hour within permitted bulk", {CROSSING})
def _(c):
    for hour in range(3):
        for n in range(400):
            c.forward("internet", "seccloud", PROXY, CLOUD, 6, tcp(51000, 8080, SYN if hour + n == 0 else ACK, b"b" * 900, sequence=n))
        c.forward("lgwan", "internet", L, I, 17, udp(40000 + hour, 514, b"x"))
        c.wait(3600)


@leak("62", "a leak within a storm of another kind",
      {("crossing", "lgwan", "seccloud"), ("spoofed", "lgwan", None), ("unknown-segment", "lgwan", None)})
def _(c):
    for n in range(5000):
        c.enter("lgwan", "172.19.%d.%d" % (n // 250, n % 250 + 1), CLOUD, 17, udp(1000 + n, 53), mac=STRANGER)
        c.enter("lgwan", "127.0.%d.%d" % (n // 250, n % 250 + 1), CLOUD, 17, udp(1000 + n, 53), mac=STRANGER)
        if n == 2500:
            c.forward("lgwan", "seccloud", L, CLOUD, 6, tcp(50000, 443, SYN))
        c.wait(0.0005)


shown_by("63", "a leak during a reload, while an interface flaps, while the capture stands still", "netns.leaks, AC_L_63_...")

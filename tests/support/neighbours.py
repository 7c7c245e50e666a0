# SPDX-License-Identifier: GPL-2.0-or-later
"""What machines of a wire say about themselves, as bytes: DHCP, router advertisements, spanning tree, LLDP, CDP ..."""
import ipaddress
import struct

from frames import BROADCAST, ether, icmp, ipv4, ipv6, mac_bytes, udp

ALL_NODES = "33:33:00:00:00:01"
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5


def packed(address):
    return ipaddress.ip_address(address).packed


def option(number, value):
    return bytes([number, len(value)]) + value


def dhcp(client, message, offered="0.0.0.0", requested=None, server=None, router=None, name=None, identity=None):
    """A DHCP message; the server's are those with an even number, or an acknowledgement."""
    reply = message in (OFFER, ACK)
    boot = struct.pack("!BBBBIHH", 2 if reply else 1, 1, 6, 0, 0x1234, 0, 0) + bytes(4) + packed(offered) + bytes(8)
    boot += mac_bytes(client).ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + option(53, bytes([message]))
    for number, value in ((50, requested), (54, server), (3, router)):
        if value is not None:
            boot += option(number, packed(value))
    if name is not None:
        boot += option(12, name.encode())
    if identity is not None:
        boot += option(61, b"\xff\0\0\0\1" + identity)
    return boot + b"\xff"


def dhcp_client(client, message, source="0.0.0.0", **options):
    payload = udp(68, 67, dhcp(client, message, **options))
    return ether(client, BROADCAST, 0x0800, ipv4(source, "255.255.255.255", 17, payload))


def dhcp_server(mac, address, client, message, **options):
    payload = udp(67, 68, dhcp(client, message, **options))
    return ether(mac, BROADCAST, 0x0800, ipv4(address, "255.255.255.255", 17, payload))


def dhcpv6(message, identity=None, name=None):
    body = bytes([message]) + b"\0\0\1"
    if identity is not None:
        body += struct.pack("!HH", 1, len(identity)) + identity
    if name is not None:
        body += struct.pack("!HHBB", 39, 2 + len(name), 0, len(name)) + name.encode()
    return body


def dhcpv6_frame(mac, source, destination, sport, dport, *arguments, **options):
    payload = udp(sport, dport, dhcpv6(*arguments, **options))
    return ether(mac, "33:33:00:01:00:02", 0x86dd, ipv6(source, destination, 17, payload, hops=1))


def router_advertisement(mac, source, prefix=None, lifetime=1800):
    options = b""
    if prefix is not None:
        network = ipaddress.ip_network(prefix)
        options = struct.pack("!BBBBIII", 3, 4, network.prefixlen, 0xc0, 3600, 1800, 0) + network.network_address.packed
    message = icmp(134, 0, struct.pack("!BBH", 64, 0, lifetime), bytes(8) + options)
    return ether(mac, ALL_NODES, 0x86dd, ipv6(source, "ff02::1", 58, message, hops=255))


def redirect(mac, destination_mac, source, destination, router):
    quoted = ipv4(destination, "192.0.2.1", 17, udp(1, 2))
    return ether(mac, destination_mac, 0x0800, ipv4(source, destination, 1, icmp(5, 1, packed(router), quoted)))


def irdp(mac, source):
    message = icmp(9, 0, struct.pack("!BBH", 1, 2, 1800), packed(source) + bytes(4))
    return ether(mac, "01:00:5e:00:00:01", 0x0800, ipv4(source, "224.0.0.1", 1, message, ttl=1))


def vrrp(mac, source):
    message = bytes([0x31, 7, 100, 1, 0, 100, 0, 0]) + packed(source)
    return ether(mac, "01:00:5e:00:00:12", 0x0800, ipv4(source, "224.0.0.18", 112, message, ttl=255))


def routing(mac, source, protocol=89, destination="224.0.0.5", payload=bytes(24)):
    return ether(mac, "01:00:5e:00:00:05", 0x0800, ipv4(source, destination, protocol, payload, ttl=1))


def llc(mac, destination, payload):
    return (mac_bytes(destination) + mac_bytes(mac) + struct.pack("!H", len(payload)) + payload).ljust(60, b"\0")


def bpdu(root, bridge):
    return (b"\0\0\2\2\x3c" + b"\x80\0" + mac_bytes(root) + bytes(4) + b"\x80\0" + mac_bytes(bridge) +
            b"\x80\1\0\0\x14\0\2\0\x0f\0\0")


def spanning_tree(mac, root, bridge):
    return llc(mac, "01:80:c2:00:00:00", b"\x42\x42\x03" + bpdu(root, bridge))


def spanning_tree_per_vlan(mac, root, bridge):
    return llc(mac, "01:00:0c:cc:cc:cd", b"\xaa\xaa\x03\0\0\x0c\x01\x0b" + bpdu(root, bridge))


def tlv(kind, value):
    return struct.pack("!H", kind << 9 | len(value)) + value


def lldp(mac, chassis, addresses=(), capabilities=None, name=None):
    body = tlv(1, b"\4" + mac_bytes(chassis)) + tlv(2, b"\5ge-0/0/1") + tlv(3, b"\0\x78")
    if name is not None:
        body += tlv(5, name.encode())
    if capabilities is not None:
        body += tlv(7, struct.pack("!HH", capabilities, capabilities))
    for address in addresses:
        number = packed(address)
        body += tlv(8, bytes([1 + len(number), 1 if len(number) == 4 else 2]) + number + b"\2\0\0\0\1\0")
    return ether(mac, "01:80:c2:00:00:0e", 0x88cc, body + tlv(0, b""))


def cdp(mac, addresses=(), capabilities=0x28, name="switch1"):
    body = b"\2\xb4\0\0" + struct.pack("!HH", 1, 4 + len(name)) + name.encode()
    entries = b"".join(b"\1\1\xcc" + struct.pack("!H", 4) + packed(address) for address in addresses)
    body += struct.pack("!HHI", 2, 8 + len(entries), len(addresses)) + entries
    body += struct.pack("!HHI", 4, 8, capabilities)
    return llc(mac, "01:00:0c:cc:cc:cc", b"\xaa\xaa\x03\0\0\x0c\x20\0" + body)

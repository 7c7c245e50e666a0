# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures of machines and neighbours out of their place, for tests/pcap (tools/make-captures)."""
from captures import GATEWAY, host_mac
from frames import BROADCAST, SYN, arp, ether, icmp, ipv4, ipv6, tcp, udp
from neighbours import (ACK, DISCOVER, OFFER, REQUEST, dhcp_client, dhcp_server, dhcpv6_frame, irdp, lldp, packed,
                        redirect, router_advertisement, routing, spanning_tree, vrrp)

STRANGER = "02:66:66:66:66:66"
NOBODY = "00:00:00:00:00:00"
DUID = b"\0\1\0\1\x2a\x2b\x2c\x2d" + bytes.fromhex("02005e123456")


def ask(mac, sender, target):
    return ether(mac, BROADCAST, 0x0806, arp(1, mac, sender, NOBODY, target))


def local(zone, source, destination, payload=b"x"):
    return ether(host_mac(zone, source), host_mac(zone, destination), 0x0800,
                 ipv4(source, destination, 17, udp(40000, 4000, payload)))


def register(case):
    @case("bridged-patch-cable", "every broadcast lies on both wires, whichever copy comes first: one event")
    def _(c):
        for first, second, frame in (
                ("lgwan", "internet", ask(host_mac("lgwan", "10.211.0.5"), "10.211.0.5", "10.211.0.1")),
                ("internet", "lgwan", ask(host_mac("lgwan", "10.211.0.6"), "10.211.0.6", "10.211.0.1")),
                ("internet", "lgwan", ask(host_mac("internet", "10.141.0.9"), "10.141.0.9", "10.141.0.1")),
                ("lgwan", "internet", dhcp_client("02:11:00:00:00:01", DISCOVER, name="pc-042"))):
            c.put(first, frame)
            c.put(second, frame, 40)
            c.wait(0.3)
        frame = ipv4("10.211.0.5", "10.141.0.9", 6, tcp(50000, 445, SYN))
        c.put("internet", ether(host_mac("lgwan", "10.211.0.5"), host_mac("internet", "10.141.0.9"), 0x0800, frame))

    @case("bridged-gateway-mac", "the gateway's own frames of another wire")
    def _(c):
        c.put("lgwan", local("lgwan", "10.211.0.5", "10.211.0.6"))
        c.wait(0.5)
        c.put("internet", ask(GATEWAY["lgwan"], "10.211.0.1", "10.211.0.5"))

    @case("bridged-spanning-tree", "a tree takes the root of another zone's when two switches are joined")
    def _(c):
        for root_of_internet in ("02:00:5e:fe:05:01", "02:00:5e:fe:05:01", "02:00:5e:fe:02:01"):
            c.put("lgwan", spanning_tree("02:00:5e:fe:02:0a", "02:00:5e:fe:02:01", "02:00:5e:fe:02:01"))
            c.put("internet", spanning_tree("02:00:5e:fe:05:0a", root_of_internet, "02:00:5e:fe:05:01"), 10)
            c.wait(2)

    @case("lawful-one-switch", "one switch with the networks of several zones, whose tree gets another root: nothing")
    def _(c):
        for root in ("02:00:5e:fe:02:01", "02:00:5e:fe:02:01", "02:00:5e:ff:01:01", "02:00:5e:ff:01:01"):
            for delay, zone in enumerate(("lgwan", "internet", "mgmt")):
                c.put(zone, spanning_tree("02:00:5e:fe:02:0a", root, "02:00:5e:fe:02:01"), delay)
                c.put(zone, lldp("02:00:5e:fe:02:0a", "02:00:5e:fe:02:01", ["10.199.0.30"], 4, "core"), 100 + delay)
            c.wait(30)

    @case("dual-homed-mac", "one MAC speaks on two wires, each time with an address of the wire")
    def _(c):
        for _ in range(3):
            c.put("lgwan", ask(STRANGER, "10.211.0.50", "10.211.0.1"))
            c.wait(1)
            c.put("internet", ask(STRANGER, "10.141.0.50", "10.141.0.1"))
            c.wait(1)

    @case("dual-homed-carried", "a machine that was carried over, two hours later: told once")
    def _(c):
        c.put("mynumber", ask(STRANGER, "10.111.0.50", "10.111.0.1"))
        c.wait(7200)
        for _ in range(5):
            c.put("internet", ask(STRANGER, "10.141.0.50", "10.141.0.1"))
            c.wait(30)

    @case("dual-homed-name", "two MACs, one name in DHCP")
    def _(c):
        c.put("lgwan", dhcp_client("02:11:00:00:00:01", REQUEST, name="PC-042"))
        c.wait(60)
        c.put("internet", dhcp_client("02:11:00:00:00:02", REQUEST, name="pc-042.home"))

    @case("dual-homed-identity", "two MACs, one identity in DHCP for IPv6")
    def _(c):
        for zone, mac in (("lgwan", "02:11:00:00:00:01"), ("internet", "02:11:00:00:00:02")):
            c.put(zone, dhcpv6_frame(mac, "fe80::" + mac[-2:], "ff02::1:2", 546, 547, 1, identity=DUID))
            c.wait(60)

    @case("dual-homed-lldp", "a machine says by LLDP that it has an address of another zone, too")
    def _(c):
        mac = host_mac("internet", "10.141.0.9")
        c.put("internet", lldp(mac, mac, ["10.141.0.9", "10.211.0.9"], 0x80, "pc-042"))

    @case("unknown-segment-dhcp", "a client asks for the address that it had in another zone; what it had at home is its own affair")
    def _(c):
        c.put("internet", dhcp_client("02:11:00:00:00:01", REQUEST, requested="10.211.0.7"))
        c.put("internet", dhcp_client("02:11:00:00:00:02", REQUEST, requested="192.168.0.7"))

    @case("rogue-router", "whoever calls himself a router, in any dialect: one event for each")
    def _(c):
        router = host_mac("internet", "10.141.0.9")
        for frame in (router_advertisement(router, "fe80::9", "2001:db8:9::/64"),
                      router_advertisement(router, "fe80::9", "2001:db8:9::/64"),
                      redirect(router, host_mac("internet", "10.141.0.10"), "10.141.0.1", "10.141.0.10", "10.141.0.9"),
                      irdp(router, "10.141.0.9"), vrrp("00:00:5e:00:01:07", "10.141.0.9"),
                      routing(router, "10.141.0.9"), routing(router, "10.141.0.9", 88, "224.0.0.10"),
                      routing(router, "10.141.0.9", 17, "224.0.0.9", udp(520, 520, b"\2\2\0\0" + bytes(20)))):
            c.put("internet", frame)
            c.wait(6)

    @case("rogue-router-dhcp", "a DHCP server that nobody named; and on another wire only the client that takes its offer is seen")
    def _(c):
        client = "02:11:00:00:00:01"
        for message in (OFFER, ACK):
            c.put("internet", dhcp_server(STRANGER, "10.141.0.66", client, message, offered="10.141.0.99",
                                          server="10.141.0.66", router="10.141.0.66"))
            c.wait(0.1)
        c.put("lgwan", dhcp_client(client[:-1] + "2", REQUEST, requested="10.211.0.99", server="10.211.0.66"))

    @case("rogue-router-next-hop", "what is for elsewhere is sent to a machine that is not the gateway")
    def _(c):
        frame = ipv4("10.141.0.9", "192.168.7.7", 17, udp(40000, 4000))
        c.put("internet", ether(host_mac("internet", "10.141.0.9"), STRANGER, 0x0800, frame))

    @case("rogue-uplink", "Internet traffic to and from a machine of the LGWAN wire: one event")
    def _(c):
        host = host_mac("lgwan", "10.211.0.5")
        for n in range(5):
            c.put("lgwan", ether(host, STRANGER, 0x0800, ipv4("10.211.0.5", "8.8.%d.8" % n, 17, udp(40000, 443))))
            c.put("lgwan", ether(STRANGER, host, 0x0800, ipv4("8.8.%d.8" % n, "10.211.0.5", 17, udp(443, 40000))), 500)
            c.wait(1)

    @case("rogue-uplink-tethering", "a tethered telephone: its offer, and a machine with an address of such")
    def _(c):
        c.put("lgwan", dhcp_server(STRANGER, "192.168.43.1", "02:11:00:00:00:01", OFFER, offered="192.168.43.17",
                                   server="192.168.43.1", router="192.168.43.1"))
        c.wait(1)
        mac = "02:11:00:00:00:05"
        c.put("internet", ask(mac, "172.20.10.2", "172.20.10.1"))
        c.put("internet", ether(mac, BROADCAST, 0x0800, ipv4("172.20.10.2", "172.20.10.15", 17, udp(137, 137))), 100)

    @case("unknown-segment-ipv6", "a routable IPv6 address where the zone has no IPv6")
    def _(c):
        mac = host_mac("internet", "10.141.0.9")
        c.put("internet", ether(mac, "33:33:00:00:00:fb", 0x86dd,
                                ipv6("2001:500:9::9", "ff02::fb", 17, udp(5353, 5353, b"m" * 20), hops=255)))

    @case("unknown-segment-untagged", "a frame without a tag on a trunk")
    def _(c):
        frame = ipv4("10.211.0.5", "10.211.0.6", 17, udp(1, 2, b"x"))
        for tags in ([211], []):
            c.put("lgwan", ether(host_mac("lgwan", "10.211.0.5"), host_mac("lgwan", "10.211.0.6"), 0x0800, frame,
                                 tags=tags))
            c.wait(0.1)

    @case("lawful-machines", "what office machines say of themselves all day: nothing")
    def _(c):
        for zone, network in (("lgwan", "10.211.0"), ("internet", "10.141.0")):
            for n in (21, 22):
                address, link = "%s.%d" % (network, n), "fe80::%s%d" % (zone[0] == "l" and "a" or "b", n)
                mac = host_mac(zone, address)
                c.put(zone, dhcp_client(mac, DISCOVER, requested=address, name="%s-%d" % (zone, n)))
                c.put(zone, dhcp_client(mac, DISCOVER, name="localhost"), 10)
                c.put(zone, dhcp_client(mac, REQUEST, requested=address, name="%s-%d" % (zone, n)), 20)
                c.put(zone, ask(mac, "0.0.0.0", address), 30)
                c.put(zone, ask(mac, address, network + ".1"), 40)
                c.put(zone, ether(mac, "33:33:00:00:00:02", 0x86dd, ipv6(link, "ff02::2", 58, icmp(133, 0), hops=255)), 50)
                c.put(zone, dhcpv6_frame(mac, link, "ff02::1:2", 546, 547, 1, identity=DUID + mac.encode()[-8:]), 60)
                c.put(zone, ether(mac, "01:00:5e:00:00:02", 0x0800,
                                  ipv4(address, "224.0.0.2", 1, icmp(10, 0), ttl=1)), 70)
                c.put(zone, ether(mac, BROADCAST, 0x88d9, b"\1\0\0\0" + bytes(42)), 80)  # LLTD of Windows
                c.put(zone, ether(mac, "01:80:c2:00:00:03", 0x888e, b"\1\1\0\0"), 90)
                c.put(zone, lldp(mac, mac, [address], 0x80, "%s-%d" % (zone, n)), 100)
                c.put(zone, ether(mac, BROADCAST, 0x0800, ipv4("169.254.9.%d" % n, "255.255.255.255", 17,
                                                               udp(137, 137, b"n" * 50))), 110)
                c.put(zone, ether(mac, "01:00:5e:00:00:fb", 0x0800,
                                  ipv4(address, "224.0.0.251", 17, udp(5353, 5353, b"m" * 50), ttl=255)), 120)
                c.wait(1)
            c.put(zone, spanning_tree("02:00:5e:fe:02:0a", "02:00:5e:fe:02:01", "02:00:5e:fe:02:01"))

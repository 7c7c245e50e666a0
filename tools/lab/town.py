# SPDX-License-Identifier: GPL-2.0-or-later
"""Raises a town of network namespaces from a policy file, as `kido show` reads it.

One namespace is the gateway, one holds the switches (a learning bridge per interface of the gateway), and one stands
for each zone: every host of the policy has an interface of its own there, with the address and MAC of the policy.
Networks behind a router (`remote`) hang on a router in their zone. Nothing is made in the namespace of the caller, and
everything goes with the namespaces.
"""
import ipaddress
import itertools
import json
import os
import select
import subprocess
import threading
import time


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


class Agent:
    """The process that plays the machines of one namespace (agent.py)."""

    def __init__(self, namespace, tcp, udp, addresses):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent.py")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "python3", script, ",".join(map(str, tcp)), ",".join(map(str, udp)),
             *addresses],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers = {}
        self.arrival = threading.Condition()
        self.numbers = itertools.count(1)
        threading.Thread(target=self._read, daemon=True).start()
        self._wait(0, 20)

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self.arrival:
                self.answers[answer["id"]] = answer
                self.arrival.notify_all()
        with self.arrival:
            self.answers["ended"] = True
            self.arrival.notify_all()

    def _wait(self, number, seconds):
        with self.arrival:
            if not self.arrival.wait_for(lambda: number in self.answers or "ended" in self.answers, seconds):
                raise TimeoutError("an agent of the laboratory does not answer")
            if number not in self.answers:
                raise RuntimeError("an agent of the laboratory ended")
            return self.answers.pop(number)

    def ask(self, **request):
        """Sends a request; returns its number, for answer()."""
        request["id"] = next(self.numbers)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return request["id"]

    def answer(self, number, seconds=30):
        return self._wait(number, seconds)

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()


class Town:
    """hosts: name -> address that stands for it; zones: as in the policy."""

    def __init__(self, kido, policy, prefix=None):
        self.prefix = prefix or f"kido-{os.getpid()}"
        self.zones = {zone["name"]: zone for zone in self._show(kido, policy, "zones")}
        self.flows = self._show(kido, policy, "flows")
        for flow in self.flows:
            flow["services"] = [service for text in flow["services"] for service in self._services(text)]
            flow["in_force"] = flow["state"] == "in-force"
        self.host_rows = {host["name"]: host for host in self._show(kido, policy, "hosts")}
        self.routed = [name for name, zone in self.zones.items() if zone["interfaces"]]
        self.gateway_address = {}  # network -> address of the gateway there
        self.hosts = {}
        self.agents = {}
        self.namespaces = []
        self.segments = []  # (bridge, zone, interface, network)
        self._plan()

    @staticmethod
    def _show(kido, policy, what):
        answer = subprocess.run([kido, "show", what, "--json", "--policy", policy], check=True, capture_output=True)
        return json.loads(answer.stdout)[what]

    @staticmethod
    def _services(text):
        """("tcp", 53) and ("udp", 53) of "tcp+udp/53"; ("icmp", 0) of "icmp/echo-request"."""
        protocols, _, port = text.partition("/")
        if protocols not in ("tcp", "udp", "tcp+udp"):
            return [(protocols, 0)]
        return [(protocol, int(port.split("-")[0])) for protocol in protocols.split("+")]

    def namespace(self, name):
        return f"{self.prefix}-{name}"

    def _plan(self):
        fixed = {row["addresses"][0] for row in self.host_rows.values() if len(row["addresses"]) == 1}
        for zone in self.routed:
            row = self.zones[zone]
            for number, interface in enumerate(row["interfaces"]):
                network = ipaddress.ip_network(row["networks"][number])
                own = next(str(address) for address in network.hosts() if str(address) not in fixed)
                self.gateway_address[str(network)] = own
                self.segments.append((f"s{len(self.segments)}", zone, interface, network))
        taken = fixed | set(self.gateway_address.values())
        for name, row in self.host_rows.items():
            if row["zone"] in self.routed:
                self.hosts[name] = self._address_for(row["addresses"][0], taken)
                taken.add(self.hosts[name])

    @staticmethod
    def _address_for(text, taken):
        if "-" in text:
            return text.split("-")[0]
        network = ipaddress.ip_network(text)
        if network.num_addresses == 1:
            return str(network.network_address)
        candidates = itertools.islice(network, 9 if network.num_addresses > 16 else 1, None)
        return next(str(address) for address in candidates if str(address) not in taken)

    def _segment_of(self, zone, address):
        for segment in self.segments:
            if segment[1] == zone and ipaddress.ip_address(address) in segment[3]:
                return segment
        return None

    def raise_(self):
        for name in ["gate", "wire", *self.routed]:
            namespace = self.namespace(name)
            run("ip", "netns", "add", namespace)
            self.namespaces.append(namespace)
            settings = ["net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"]
            if name != "gate":
                settings += ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1",
                             "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"]
            run("ip", "netns", "exec", namespace, "sysctl", "-qw", *settings)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        for bridge, _, interface, network in self.segments:
            self._batch("wire", f"link add {bridge} type bridge forward_delay 0 mcast_snooping 0", f"link set {bridge} up")
            self._cable("gate", interface, "wire", f"{bridge}g", bridge)
            own = self.gateway_address[str(network)]
            self._batch("gate", f"addr add {own}/{network.prefixlen} dev {interface}", f"link set {interface} up")
        for zone in self.routed:
            self._raise_zone(zone)

    def _cable(self, near, near_name, far, far_name, bridge, mac=None):
        address = f"address {mac}" if mac else ""
        self._batch(None, f"link add name {near_name} {address} netns {self.namespace(near)} type veth "
                          f"peer name {far_name} netns {self.namespace(far)}")
        self._batch(far, f"link set {far_name} master {bridge} up")

    def _batch(self, name, *commands):
        where = ["-n", self.namespace(name)] if name else []
        run("ip", *where, "-batch", "-", input="\n".join(commands) + "\n", text=True)

    def _raise_zone(self, zone):
        row = self.zones[zone]
        remote = [ipaddress.ip_network(text) for text in row["remote"]]
        number = itertools.count()
        rules = []
        attached = [name for name in self.hosts if self.host_rows[name]["zone"] == zone]
        router = None
        if remote or row["default_route"]:
            segment = next(entry for entry in self.segments if entry[1] == zone)
            own = ipaddress.ip_address(self.gateway_address[str(segment[3])])
            router = str(own + 1)
            self._host(zone, segment, router, None, next(number), rules)
            routes = [str(network) for network in remote] + (["default"] if row["default_route"] else [])
            self._batch("gate", *(f"route add {network} via {router}" for network in routes))
            rules.append(f"route add default via {own} dev h0 onlink")
        for name in attached:
            segment = self._segment_of(zone, self.hosts[name])
            if segment:
                macs = self.host_rows[name]["macs"]
                self._host(zone, segment, self.hosts[name], macs[0] if macs else None, next(number), rules)
            else:
                rules.append(f"addr add {self.hosts[name]}/32 dev lo")
        self._batch(zone, *rules)

    def _host(self, zone, segment, address, mac, number, rules):
        bridge, _, _, network = segment
        gateway = self.gateway_address[str(network)]
        own = mac or "02:00:5f:%02x:%02x:%02x" % (list(self.zones).index(zone), int(bridge[1:]), number)
        self._cable(zone, f"h{number}", "wire", f"{bridge}h{number}", bridge, own)
        table = 100 + number
        rules += [f"addr add {address}/{network.prefixlen} dev h{number} noprefixroute",
                  f"link set h{number} up",
                  f"route add {network} dev h{number} src {address} table {table}",
                  f"route add default via {gateway} dev h{number} src {address} table {table}",
                  f"rule add from {address} lookup {table}"]

    def start_agents(self):
        ports = {protocol: {4444} for protocol in ("tcp", "udp")}
        for flow in self.flows:
            for protocol, port in flow["services"]:
                ports.get(protocol, set()).add(port)
        tcp, udp = sorted(ports["tcp"] | {443}), sorted(ports["udp"])
        for zone in self.routed:
            addresses = [self.hosts[name] for name in self.hosts if self.host_rows[name]["zone"] == zone]
            self.agents[zone] = Agent(self.namespace(zone), tcp, udp, addresses)
        self.agents["gateway"] = Agent(self.namespace("gate"), tcp, udp, list(self.gateway_address.values()))

    def join(self, left, right):
        """Lays a cable between the switches of two interfaces, round the gateway."""
        bridges = {interface: bridge for bridge, _, interface, _ in self.segments}
        self._batch("wire", "link add name cable0 type veth peer name cable1",
                    f"link set cable0 master {bridges[left]} up", f"link set cable1 master {bridges[right]} up")

    def part(self):
        self._batch("wire", "link del cable0")

    def remove(self):
        for agent in self.agents.values():
            agent.stop()
        self.agents = {}
        for namespace in reversed(self.namespaces):
            subprocess.run(["ip", "netns", "del", namespace], check=False)
        self.namespaces = []


def wait_until(condition, seconds, step=0.01):
    """The time until the condition held, in seconds, or None when it did not within the time given."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        select.select([], [], [], step)
    return None

# SPDX-License-Identifier: GPL-2.0-or-later
"""One policy as each program says it that `tools/bench enforce` compares: three zones, N flows from a /28 to a host.

A peer becomes a directory of files and four shell scripts, run in a network, mount and process namespace:
start.sh loads the policy from nothing and leaves what must run; a.sh and b.sh load it again, without and with its last
flow; revoke.sh loads it without the flows in its middle, that the connections of the measurement use.
"""
import shutil
import subprocess

ZONES = {"lgwan": ("lg0", "10.1.0.0/16"), "inet": ("in0", "10.2.0.0/16"), "mgmt": ("mg0", "10.3.0.0/24")}


class Flow:
    """UDP and TCP in turn."""

    def __init__(self, number):
        block = (number + 16) * 16  # the first addresses are the gateway's
        self.number = number
        self.source = f"10.1.{block >> 8}.{block & 255}/28"
        self.destination = f"10.2.{number // 200}.{number % 200 + 10}"
        self.protocol = ("udp", "tcp")[number % 2]
        self.port = 20000 + number


def policies(count):
    """The flows of each policy, by the script that loads it."""
    flows = [Flow(number) for number in range(count)]
    middle = range(count // 2 - 1, count // 2 + 3)
    return {"b": flows, "a": flows[:-1], "revoke": [flow for flow in flows if flow.number not in middle]}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def kido_policy(flows):
    approval = ('approval = { by = "b"; role = "ciso"; document = "d"; date = "2026-04-01"; author = "a"; }; '
                'purpose = "p"; owner = "o"; review = "2027-02-28"; };')
    classes = {"lgwan": "lgwan", "inet": "internet", "mgmt": "management"}
    text = [f'policy = {{ name = "bench"; number = "{len(flows)}"; basis = "b"; effective = "2026-04-01"; model = "alpha"; '
            'timezone = "Asia/Tokyo"; language = "en"; };', "zones = {"]
    for zone, (interface, network) in ZONES.items():
        text.append(f'  {zone} = {{ class = "{classes[zone]}"; interfaces = [ "{interface}" ]; '
                    f'networks = [ "{network}" ]; }};')
    text += ["};", "hosts = {", '  m = { zone = "mgmt"; address = "10.3.0.9"; };']
    for flow in flows:
        text += [f'  l-{flow.number} = {{ zone = "lgwan"; address = "{flow.source}"; }};',
                 f'  i-{flow.number} = {{ zone = "inet"; address = "{flow.destination}"; }};']
    text += ["};", "flows = {",
             f'  F-gateway = {{ from = "m"; to = "gateway"; services = [ "tcp/22" ]; method = "ops"; {approval}']
    for flow in flows:
        text.append(f'  F-{flow.number} = {{ from = "l-{flow.number}"; to = "i-{flow.number}"; services = '
                    f'[ "{flow.protocol}/{flow.port}" ]; method = "screen"; {approval}')
    return "\n".join(text + ["};", ""])


class Kido:
    name = "kido"

    def __init__(self, programs):
        self.programs = programs

    def missing(self):
        return None if (self.programs / "kidod").exists() else "kidod is not built"

    def write(self, directory, count):
        places = f"--state-directory {directory}/state --run-directory {directory}/run"
        for script, flows in policies(count).items():
            write(directory / f"{script}.conf", kido_policy(flows))
            write(directory / f"{script}.sh", f"exec {self.programs}/kido apply {directory}/{script}.conf {places} >&2\n")
        write(directory / "start.sh", f"""
{self.programs}/kidod --policy {directory}/b.conf {places} >{directory}/log 2>&1 &
for i in $(seq 100); do {self.programs}/kido status {places} >/dev/null 2>&1 && break; sleep 0.1; done
exec {self.programs}/kido apply {directory}/b.conf {places} >&2
""")


class Nft:
    """As a careful person writes it: dispatch by zone pair, one map of flows, everything in one transaction."""
    name = "nft -f"

    def missing(self):
        return None if shutil.which("nft") else "nft is not installed"

    def text(self, flows):
        elements = ",\n".join(f"{flow.destination} . {flow.port} . {flow.source} . {flow.protocol} : accept"
                              for flow in flows)
        return f"""table inet peer
delete table inet peer
table inet peer {{
  map flows {{
    type ipv4_addr . inet_service . ipv4_addr . inet_proto : verdict
    flags interval
    elements = {{ {elements} }}
  }}
  chain pair {{
    ip daddr . th dport . ip saddr . meta l4proto vmap @flows
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state vmap {{ established : accept, related : accept, invalid : drop }}
    iifname . oifname vmap {{ "lg0" . "in0" : jump pair }}
    drop
  }}
  chain input {{
    type filter hook input priority 0; policy drop;
    ct state vmap {{ established : accept, related : accept, invalid : drop }}
    iif "lo" accept
    iifname "mg0" ip saddr 10.3.0.9 tcp dport 22 accept
  }}
}}
"""

    def write(self, directory, count):
        for script, flows in policies(count).items():
            write(directory / f"{script}.nft", self.text(flows))
            write(directory / f"{script}.sh", f"exec nft -f {directory}/{script}.nft\n")
        write(directory / "start.sh", f"exec nft -f {directory}/b.nft\n")


class Ferm:
    name = "ferm"

    def missing(self):
        return None if shutil.which("ferm") else "ferm is not installed (tools/install-packages --bench)"

    def text(self, flows):
        rules = "\n".join(f"saddr {flow.source} daddr {flow.destination} proto {flow.protocol} dport {flow.port} ACCEPT;"
                          for flow in flows)
        return f"""domain ip table filter {{
  chain INPUT {{
    policy DROP;
    mod state state INVALID DROP;
    mod state state (ESTABLISHED RELATED) ACCEPT;
    interface lo ACCEPT;
    interface mg0 saddr 10.3.0.9 proto tcp dport 22 ACCEPT;
  }}
  chain OUTPUT policy ACCEPT;
  chain FORWARD {{
    policy DROP;
    mod state state INVALID DROP;
    mod state state (ESTABLISHED RELATED) ACCEPT;
    interface lg0 outerface in0 jump lgwan_inet;
  }}
  chain lgwan_inet {{
    {rules}
  }}
}}
"""

    def write(self, directory, count):
        for script, flows in policies(count).items():
            write(directory / f"{script}.ferm", self.text(flows))
            write(directory / f"{script}.sh", f"exec ferm {directory}/{script}.ferm\n")
        write(directory / "start.sh", f"exec ferm {directory}/b.ferm\n")


class Shorewall:
    name = "shorewall"

    def missing(self):
        return None if shutil.which("shorewall") else "shorewall is not installed (tools/install-packages --bench)"

    def write_policy(self, directory, flows):
        source = "/usr/share/shorewall/configfiles/shorewall.conf"
        conf = []
        wanted = {"STARTUP_ENABLED": "Yes", "IP_FORWARDING": "Keep", "LOGFORMAT": '"%s:%s:"', "LOG_LEVEL": '""',
                  "BLACKLIST_LOG_LEVEL": "", "SFILTER_LOG_LEVEL": "", "RPFILTER_LOG_LEVEL": "", "SMURF_LOG_LEVEL": "",
                  "TCP_FLAGS_LOG_LEVEL": "", "INVALID_LOG_LEVEL": "", "RELATED_LOG_LEVEL": "", "UNTRACKED_LOG_LEVEL": "",
                  "STARTUP_LOG": "", "ROUTE_FILTER": "No", "TC_ENABLED": "No", "DISABLE_IPV6": "No", "AUTOCOMMENT": "No"}
        with open(source, encoding="utf-8") as stream:
            for line in stream:
                key = line.split("=", 1)[0]
                conf.append(f"{key}={wanted[key]}\n" if key in wanted and "=" in line else line)
        write(directory / "shorewall.conf", "".join(conf))
        write(directory / "zones", "fw firewall\n" + "".join(f"{zone} ipv4\n" for zone in ZONES))
        write(directory / "interfaces", "?FORMAT 2\n" + "".join(
            f"{zone} {interface} -\n" for zone, (interface, _) in ZONES.items()))
        write(directory / "policy", "fw all ACCEPT\nall all DROP\n")
        write(directory / "rules", "?SECTION ALL\n?SECTION ESTABLISHED\n?SECTION RELATED\n?SECTION INVALID\n"
              "?SECTION UNTRACKED\n?SECTION NEW\nACCEPT mgmt:10.3.0.9 fw tcp 22\n" + "".join(
                  f"ACCEPT lgwan:{flow.source} inet:{flow.destination} {flow.protocol} {flow.port}\n" for flow in flows))

    def write(self, directory, count):
        for script, flows in policies(count).items():
            self.write_policy(directory / script, flows)
            write(directory / f"{script}.sh", f"exec shorewall -qq reload {directory}/{script}\n")
        write(directory / "start.sh", f"mkdir -p /run/lock\nexec shorewall -qq start {directory}/b\n")


class Firewalld:
    name = "firewalld"
    BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/>
    <allow receive_type="error"/><allow receive_type="signal"/>
  </policy>
</busconfig>
"""
    CONF = """DefaultZone=drop
CleanupOnExit=yes
IPv6_rpfilter=no
IndividualCalls=no
LogDenied=off
FirewallBackend=nftables
FlushAllOnReload=yes
"""

    def missing(self):
        if not shutil.which("firewalld") or not shutil.which("dbus-daemon"):
            return "firewalld or dbus-daemon is not installed (tools/install-packages --bench)"
        return None

    def policy(self, flows):
        rules = "\n".join(
            f'  <rule family="ipv4"><source address="{flow.source}"/><destination address="{flow.destination}"/>'
            f'<port port="{flow.port}" protocol="{flow.protocol}"/><accept/></rule>' for flow in flows)
        return (f'<?xml version="1.0" encoding="utf-8"?>\n<policy target="DROP">\n  <ingress-zone name="lgwan"/>\n'
                f'  <egress-zone name="inet"/>\n{rules}\n</policy>\n')

    def write(self, directory, count):
        config = directory / "config"
        write(directory / "bus.conf", self.BUS.format(directory=directory))
        write(config / "firewalld.conf", self.CONF)
        for zone, (interface, _) in ZONES.items():
            rule = ('<rule family="ipv4"><source address="10.3.0.9"/><port port="22" protocol="tcp"/><accept/></rule>'
                    if zone == "mgmt" else "")
            write(config / f"zones/{zone}.xml", f'<?xml version="1.0" encoding="utf-8"?>\n<zone target="DROP">'
                  f'<interface name="{interface}"/>{rule}</zone>\n')
        address = f"export DBUS_SYSTEM_BUS_ADDRESS=unix:path={directory}/bus\n"
        for script, flows in policies(count).items():
            write(directory / f"policies-{script}/lgwan-inet.xml", self.policy(flows))
            write(directory / f"{script}.sh", f"{address}ln -sfn {directory}/policies-{script} {config}/policies\n"
                  "exec firewall-cmd --quiet --reload\n")
        write(directory / "start.sh", f"""{address}ln -sfn {directory}/policies-b {config}/policies
dbus-daemon --config-file={directory}/bus.conf --nopidfile --nosyslog --fork </dev/null >/dev/null 2>&1
firewalld --nofork --nopid --system-config={config} --log-file={directory}/log </dev/null >/dev/null 2>&1 &
for i in $(seq 200); do firewall-cmd --quiet --state 2>/dev/null && break; sleep 0.1; done
exec firewall-cmd --quiet --state
""")


def version(command):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", command], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def all_peers(programs):
    return [Kido(programs), Nft(), Ferm(), Shorewall(), Firewalld()]

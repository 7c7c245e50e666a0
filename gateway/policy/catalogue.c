/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/read.h"

/*
 * Names for what a Japanese town's papers ask for, so that an operator may write "https" and a reader sees what is
 * meant. A name stands for the ports that its product uses by default and for nothing that a policy should not open
 * along with it (USB and drive redirection of screen transfer, for instance, have no name here).
 */
static const struct catalogue_entry entries[] = {
    /* web */
    {"http", "tcp/80"},
    {"https", "tcp/443"},
    {"https-alt", "tcp/8443"},
    {"http-proxy", "tcp/8080"},
    {"squid", "tcp/3128"},
    /* mail */
    {"smtp", "tcp/25"},
    {"submission", "tcp/587"},
    {"smtps", "tcp/465"},
    {"pop3", "tcp/110"},
    {"pop3s", "tcp/995"},
    {"imap", "tcp/143"},
    {"imaps", "tcp/993"},
    /* names, time, records, supervision */
    {"dns", "tcp+udp/53"},
    {"dns-tls", "tcp/853"},
    {"ntp", "udp/123"},
    {"nts-ke", "tcp/4460"},
    {"syslog", "udp/514"},
    {"syslog-tcp", "tcp/514"},
    {"syslog-tls", "tcp/6514"},
    {"snmp", "udp/161"},
    {"snmp-trap", "udp/162"},
    {"netflow", "udp/2055"},
    {"ipfix", "udp/4739"},
    {"zabbix-agent", "tcp/10050"},
    {"zabbix-server", "tcp/10051"},
    {"prometheus", "tcp/9090"},
    {"node-exporter", "tcp/9100"},
    {"ping", "icmp/echo-request"},
    {"ping6", "icmpv6/echo-request"},
    {"dhcp", "udp/67"},
    {"tftp", "udp/69"},
    {"radius", "udp/1812-1813"},
    {"radsec", "tcp/2083"},
    {"tacacs", "tcp/49"},
    /* administration */
    {"ssh", "tcp/22"},
    {"telnet", "tcp/23"},
    {"ftp", "tcp/21"},
    {"ipmi", "udp/623"},
    {"winrm", "tcp/5985"},
    {"winrm-https", "tcp/5986"},
    {"netconf-ssh", "tcp/830"},
    /* screen transfer */
    {"rdp", "tcp+udp/3389"},
    {"ica", "tcp+udp/1494 tcp+udp/2598"},
    {"ica-web", "tcp/8008"},
    {"blast", "tcp+udp/22443"},
    {"blast-gateway", "tcp+udp/8443"},
    {"pcoip", "tcp+udp/4172"},
    {"vnc", "tcp/5900"},
    /* directory and files */
    {"kerberos", "tcp+udp/88"},
    {"kpasswd", "tcp+udp/464"},
    {"ldap", "tcp/389"},
    {"ldaps", "tcp/636"},
    {"global-catalog", "tcp/3268-3269"},
    {"rpc", "tcp/135"},
    {"netbios", "udp/137-138 tcp/139"},
    {"smb", "tcp/445"},
    {"nfs", "tcp/2049"},
    {"rsync", "tcp/873"},
    {"icap", "tcp/1344"},
    {"icap-tls", "tcp/11344"},
    /* updates */
    {"wsus", "tcp/8530-8531"},
    {"kms", "tcp/1688"},
    {"delivery-optimization", "tcp/7680"},
    /* databases */
    {"mssql", "tcp/1433"},
    {"oracle", "tcp/1521"},
    {"mysql", "tcp/3306"},
    {"postgresql", "tcp/5432"},
    /* printing, telephony, plants */
    {"ipp", "tcp/631"},
    {"lpd", "tcp/515"},
    {"jetdirect", "tcp/9100"},
    {"sip", "tcp+udp/5060"},
    {"sip-tls", "tcp/5061"},
    {"modbus", "tcp/502"},
    {"opc-ua", "tcp/4840"},
    {"bacnet", "udp/47808"},
    /* tunnels: what they carry needs flows of its own */
    {"gre", "proto/47"},
    {"esp", "proto/50"},
    {"ah", "proto/51"},
    {"ike", "udp/500"},
    {"ipsec-nat", "udp/4500"},
    {"l2tp", "udp/1701"},
    {"openvpn", "udp/1194"},
    {"wireguard", "udp/51820"},
    {"vxlan", "udp/4789"},
    {"geneve", "udp/6081"},
};

const struct catalogue_entry *service_catalogue(size_t *ret_count) {
  *ret_count = sizeof(entries) / sizeof(entries[0]);
  return entries;
}

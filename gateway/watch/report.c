/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of an alert. Read at two in the morning by somebody who has other work by day: who to whom, by which
 * cable, what to pull first, which command shows why.
 */
#include "watch/report.h"

#include <inttypes.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <string.h>

#include "events/community.h"
#include "policy/decide.h"
#include "watch/tables.h"

enum { PART_SIZE = 160, EXPLAIN_SIZE = 480 };

/* The parts from which sentences are put together. */
struct parts {
  char from[PART_SIZE], to[PART_SIZE];       /* zones: label and name */
  char source[PART_SIZE], target[PART_SIZE]; /* addresses, or MACs where there are none */
  char service[PART_SIZE];
  char wire[PART_SIZE], entry[PART_SIZE];
  char explain[EXPLAIN_SIZE];
  char rewritten[PART_SIZE]; /* the tuple with which it left */
  const char *reason, *flow;
  uint64_t count, bytes;
};

struct sentence {
  const char *japanese, *english;
};

/* Arguments of every text, by number: 1 from, 2 to, 3 source, 4 target, 5 service, 6 wire, 7 entry, 8 reason,
 * 9 count. Written with placeholders %1 to %9, %e (the kido explain command), %r (the tuple with which it left), %f
 * (the flow) and %b (bytes). */
static const struct sentence MESSAGES[FINDING_KIND_COUNT_] = {
    [FINDING_CROSSING] = {"許可のない通信が本機を通り抜けた: %1 → %2、%3 → %4 %5。入口 %7、出口 %6（%8、%9件）",
                          "a communication that nothing allows went through: %1 -> %2, %3 -> %4 %5; in by %7, out by "
                          "%6 (%8, frames: %9)"},
    [FINDING_DISGUISED_CROSSING] =
        {"アドレスやポートを書き換えられた通信が本機を通り抜けた: %1 → %2、%3 → %4 %5 が %r となって出た。入口 "
         "%7、出口 "
         "%6（%8、%9件）",
         "a communication that nothing allows went through with rewritten addresses or ports: %1 -> %2, %3 -> %4 %5 "
         "left as %r; in by %7, out by %6 (%8, frames: %9)"},
    [FINDING_BRIDGED] = {"%1 の線 %6 と %2 の線 %7 がつながっている（本機を通らない）: %3 → %4 %5（%8、%9件）",
                         "the wire %6 of %1 and the wire %7 of %2 are joined, round the gateway: %3 -> %4 %5 (%8, "
                         "frames: %9)"},
    [FINDING_DUAL_HOMED] = {"一台の機器が %1 の線 %6 と %2 の線 %7 の両方につながっている: %3（%8、%9件）",
                            "one machine is connected to both %1, on the wire %6, and %2, on the wire %7: %3 (%8, "
                            "frames: %9)"},
    [FINDING_IDENTITY_THEFT] = {"%1 の線 %6 で、他の機器のアドレスを名乗る機器がある: %3 → %4（%8、%9件）",
                                "a machine on the wire %6 of %1 claims an address that belongs to another: %3 -> %4 "
                                "(%8, frames: %9)"},
    [FINDING_ROGUE_ROUTER] = {"%1 の線 %6 で、登録のない機器がルーターまたはDHCPサーバーとして振る舞っている: "
                              "%3 → %4 %5（%8、%9件）",
                              "a machine that the policy does not name acts as a router or DHCP server on the wire %6 "
                              "of %1: %3 -> %4 %5 (%8, frames: %9)"},
    [FINDING_ROGUE_UPLINK] = {"%1 の線 %6 に、本機を通らないインターネットの出口がある: %3 → %4 %5（%8、%9件）",
                              "the wire %6 of %1 has a way to the Internet that is not the gateway's: %3 -> %4 %5 (%8, "
                              "frames: %9)"},
    [FINDING_TUNNEL] = {"許可のないトンネル（通信の中の通信）がある: %1 → %2、%3 → %4 %5。線 %6（%8、%9件）",
                        "a tunnel that nothing allows: %1 -> %2, %3 -> %4 %5, on the wire %6 (%8, frames: %9)"},
    [FINDING_BYPASS] =
        {"%1 の線 %6 に、%2 の機器またはアドレスが現れた（本機を通らない別の経路がある）: %3 → %4 %5（%8、%9件）",
         "an address or device of %2 lies on the wire %6 of %1, by a path round the gateway: %3 -> %4 "
         "%5 (%8, frames: %9)"},
    [FINDING_SPOOFED] = {"%1 の線 %6 から、送信元を偽った通信が本機に届いた: %3 → %4 %5（%8、%9件）",
                         "frames with a false source came in from %1 by %6: %3 -> %4 %5 (%8, frames: %9)"},
    [FINDING_PROTOCOL_MISMATCH] =
        {"許可された通信 %f の中身が、宣言されたプロトコルと違う: %1 → %2、%3 → %4 %5。線 %6（%8、接続 %9件）",
         "the allowed flow %f carries another protocol than it declares: %1 -> %2, %3 -> %4 %5, on the wire %6 (%8, "
         "connections: %9)"},
    [FINDING_WRONG_SHAPE] =
        {"許可された通信 %f の量または向きが、その目的に合わない: %1 → %2、%3 → %4 %5。線 %6（%8、%bバイト）",
         "the amount or direction of the allowed flow %f does not suit its purpose: %1 -> %2, %3 -> "
         "%4 %5, on the wire %6 (%8, bytes: %b)"},
    [FINDING_UNKNOWN_SEGMENT] = {"%1 の線 %6 に、この線にあるはずのないものが現れた: %3 → %4 %5（%8、%9件）",
                                 "something that has no place there lies on the wire %6 of %1: %3 -> %4 %5 (%8, "
                                 "frames: %9)"},
    [FINDING_BLIND] = {"%1 の線 %6 を監視できていない: %8（%9件）。この間の通信は見ていない",
                       "the wire %6 of %1 is not watched: %8 (%9). What passed meanwhile was not seen"},
    [FINDING_ATTEMPT] = {"許可のない通信の試みを本機が止めた: %1 → %2、%3 → %4 %5（%8、%9件）",
                         "an attempt that the gateway stopped: %1 -> %2, %3 -> %4 %5 (%8, frames: %9)"},
    [FINDING_MALFORMED] = {"%1 の線 %6 に、壊れたまたは細工されたフレームがある: %3 → %4（%8、%9件）",
                           "frames that contradict themselves on the wire %6 of %1: %3 -> %4 (%8, frames: %9)"},
};

/* The watchman as a whole, not one wire of his. */
static const struct sentence BLIND_EVERYWHERE = {"木戸番の監視がすべての線で途切れた: %8。この間の通信は見ていない",
                                                 "the watch was interrupted on every wire: %8. What passed meanwhile "
                                                 "was not seen"};
static const struct sentence BLIND_EVERYWHERE_ADVICE = {
    "1. kido status で木戸番が監視に戻ったことを確かめる。戻らなければ systemctl restart kidoban。"
    "2. 見ていなかった時間を記録に残す",
    "1. See in kido status that the watchman is back; if not, systemctl restart kidoban. 2. Note the time that was not "
    "watched"};

/* He saw everything, and had no room for it. */
static const struct sentence CROWDED = {"木戸番の表があふれた: %8（%9件）。通信の一部を十分に調べていない",
                                        "the tables of the watchman are full: %8 (%9). Some conversations were not "
                                        "examined as they should be"};
static const struct sentence CROWDED_ADVICE = {
    "1. kido top と kido events で、大量の接続を始めている機器を探して止める。2. 平常の業務でも続くなら機器を増強する",
    "1. Look with kido top and kido events for a machine that opens connections in masses, and stop it. 2. If it goes "
    "on in ordinary work, the machine is too small"};

/* Behind the message of the last record of an alert. */
static const struct sentence ENDED = {"【終息】", " [ended]"};

static const struct sentence ADVICE[FINDING_KIND_COUNT_] = {
    [FINDING_CROSSING] =
        {"1. %3 の機器のLANケーブルを抜く。2. それでも続くなら本機の %6 側のケーブルを抜く。"
         "3. kido apply で規則を入れ直し、%e で許可の有無を確かめる。4. 統括情報セキュリティ責任者に連絡する",
         "1. Unplug %3 first. 2. If it goes on, unplug the gateway's %6. 3. Load the "
         "rules again with kido apply, and run %e. "
         "4. Call the chief information security officer's deputy"},
    [FINDING_DISGUISED_CROSSING] =
        {"1. 入口側の機器と、%6 側の機器のLANケーブルを抜く。2. kido verify で本機の規則にアドレス変換（NAT）が"
         "入っていないか確かめ、kido apply で規則を入れ直す。3. 統括情報セキュリティ責任者に連絡する",
         "1. Unplug the machine it came from, and the one on %6. 2. See with kido verify whether somebody put address "
         "translation (NAT) into the gateway, and load the rules again with kido apply. 3. Call the chief information "
         "security officer's deputy"},
    [FINDING_BRIDGED] = {"1. 両方の領域のスイッチをつなぐケーブル、ハブ、無線アクセスポイントを探して抜く。%6 の"
                         "スイッチのMACアドレス表で %3 を探すと早い。2. 本機を止めても止まらない。3. 統括情報セキュリ"
                         "ティ責任者に連絡する",
                         "1. Find the cable, hub or access point that joins the switches of both zones and unplug it: "
                         "look for %3 in the MAC table of the switch behind %6. 2. Stopping the gateway does not stop "
                         "this. 3. Call the chief information security officer's deputy"},
    [FINDING_DUAL_HOMED] = {"1. %3 の機器を探し、どちらか一方のケーブル（または無線）を外す。2. 正しい構成なら方針の "
                            "machine に書き加える。3. 統括情報セキュリティ責任者に連絡する",
                            "1. Find the machine %3 and unplug one of its two connections. 2. If it is meant to be so, "
                            "declare it as one machine in the policy. 3. Call the chief information security officer's "
                            "deputy"},
    [FINDING_IDENTITY_THEFT] = {"1. %6 のスイッチのMACアドレス表で送信元の機器を探し、ケーブルを抜く。2. 機器を取り替え"
                                "たのなら方針の mac を改める。3. 統括情報セキュリティ責任者に連絡する",
                                "1. Find the sender in the MAC table of the switch behind %6 and unplug it. 2. If the "
                                "machine was replaced, correct its mac in the policy. 3. Call the chief information "
                                "security officer's deputy"},
    [FINDING_ROGUE_ROUTER] =
        {"1. %6 のスイッチのMACアドレス表で送信元の機器（多くは持ち込みルーター）を探し、ケーブル"
         "を抜く。2. 正しい機器なら方針の routers または dhcp_servers に書き加える",
         "1. Find the sender, often a router that somebody brought in, in the MAC table of the "
         "switch behind %6 and unplug it. 2. If it is lawful, add it to routers or dhcp_servers in "
         "the policy"},
    [FINDING_ROGUE_UPLINK] = {"1. %3 の機器のケーブルと無線を外し、スマートフォンのテザリングや持ち込み回線を探す。"
                              "2. 統括情報セキュリティ責任者に連絡する",
                              "1. Disconnect %3 from cable and radio, and look for a tethered telephone or a line that "
                              "somebody brought in. 2. Call the chief information security officer's deputy"},
    [FINDING_TUNNEL] = {"1. %3 の機器のLANケーブルを抜く。2. その機器でVPNやトンネルの設定を探す。3. %e で外側の通信の"
                        "許可を確かめる。4. 統括情報セキュリティ責任者に連絡する",
                        "1. Unplug %3. 2. Look on it for a VPN or tunnel. 3. See with %e what allows the outer "
                        "communication. 4. Call the chief information security officer's deputy"},
    [FINDING_BYPASS] = {"1. %6 のスイッチのMACアドレス表で %3 を探し、そのポートのケーブルを抜く。"
                        "2. 二つの領域につながる端末・無線・誤配線を探す（本機を止めても止まらない）。"
                        "3. 統括情報セキュリティ責任者に連絡する",
                        "1. Find %3 in the MAC table of the switch behind %6 and unplug that port. 2. Look for a "
                        "machine, an access point or a patch cable that joins two zones (stopping the gateway does "
                        "not stop this). 3. Call the chief information security officer's deputy"},
    [FINDING_SPOOFED] = {"1. %6 のスイッチのMACアドレス表で送信元の機器を探す。2. 設定の誤りか感染を調べ、"
                         "分かるまでその機器のケーブルを抜く。本機は通していない",
                         "1. Find the sender in the MAC table of the switch behind %6. 2. Look for a wrong setting or "
                         "an infection, and unplug it until that is known. The gateway did not forward it"},
    [FINDING_PROTOCOL_MISMATCH] = {"1. %3 の利用者に、何を使っているか確かめる。2. 業務に要るならその通信の申請を、"
                                   "そうでなければ %3 を調べる。%e",
                                   "1. Ask the user of %3 what is in use. 2. If the work needs it, apply for a flow of "
                                   "its own, else examine %3. %e"},
    [FINDING_WRONG_SHAPE] = {"1. %3 の利用者に、何を送ったか確かめる。2. 心当たりがなければケーブルを抜き、持ち出しを"
                             "疑って調べる。%e",
                             "1. Ask the user of %3 what was sent. 2. If nobody knows, unplug it and examine it for "
                             "data that was carried out. %e"},
    [FINDING_UNKNOWN_SEGMENT] = {"1. %6 のスイッチのMACアドレス表で %3 を探し、持ち込み機器・誤配線・設定の誤りがないか"
                                 "確かめる。2. 正しい機器なら方針（zones）に書き加える",
                                 "1. Find %3 in the MAC table of the switch behind %6: a device that was brought in, a "
                                 "wrong cable, a wrong setting? 2. If it is lawful, write it into the policy (zones)"},
    [FINDING_BLIND] = {"1. %6 のケーブルとインターフェースを確かめる（ip link show）。2. kido status で戻ったことを"
                       "確かめる。3. 見ていなかった時間を記録に残す",
                       "1. Check the cable and the interface %6 (ip link show). 2. See in kido status that it is back. "
                       "3. Note the time that was not watched"},
    [FINDING_ATTEMPT] =
        {"通っていないので急がない。%e で理由を確かめ、必要な業務なら申請を、そうでなければ %3 の設定を直す",
         "Nothing passed, so there is no hurry. See why with %e; if the work needs it, apply for a "
         "flow, else correct %3"},
    [FINDING_MALFORMED] = {"通っていないので急がない。続くなら %3 の機器・ケーブル・NICを調べる",
                           "No hurry. If it goes on, examine %3, its cable and its network card"},
};

/* ---- parts ---- */

static void name_zone(const struct report_names *names, zone_index zone, char text[static PART_SIZE]) {
  const char *name = policy_zone_name(names->policy, zone);
  const char *label = policy_zone_label(names->policy, zone);
  if (zone == ZONE_NONE)
    snprintf(text, PART_SIZE, "%s", language_choose(names->language, "領域外", "no zone"));
  else if (zone == ZONE_GATEWAY)
    snprintf(text, PART_SIZE, "%s", language_choose(names->language, "本機", "the gateway"));
  else if (names->language == LANGUAGE_JAPANESE && strcmp(name, label) != 0)
    snprintf(text, PART_SIZE, "%.100s（%.50s）", label, name);
  else
    snprintf(text, PART_SIZE, "%.150s", name);
}

static void name_wire(const struct report_names *names, int wire, char text[static PART_SIZE]) {
  snprintf(text, PART_SIZE, "%.150s", wire != WIRE_NONE ? names->wires[wire] : "-");
}

/* nobody: what stands for an end that has no address. */
static void name_end(const struct address *address, bool has_mac, const struct mac *mac, bool with_mac,
                     const char *nobody, char text[static PART_SIZE]) {
  char address_text[ADDRESS_TEXT_SIZE], mac_text[MAC_TEXT_SIZE];
  bool has_address = address->family != FAMILY_NONE;
  if (has_address && has_mac && with_mac)
    snprintf(text, PART_SIZE, "%s [%s]", address_format(address, address_text), mac_format(mac, mac_text));
  else if (has_address)
    snprintf(text, PART_SIZE, "%s", address_format(address, address_text));
  else if (has_mac)
    snprintf(text, PART_SIZE, "%s", mac_format(mac, mac_text));
  else
    snprintf(text, PART_SIZE, "%s", nobody);
}

static const char *protocol_name(int protocol) {
  return protocol == PROTOCOL_TCP ? "tcp" : protocol == PROTOCOL_UDP ? "udp" : NULL;
}

static void name_service(const struct finding *finding, char text[static PART_SIZE]) {
  const char *name = protocol_name(finding->protocol);
  if (name != NULL && finding->destination_port >= 0)
    snprintf(text, PART_SIZE, "%s/%d", name, finding->destination_port);
  else if (name != NULL)
    snprintf(text, PART_SIZE, "%s", name);
  else if (finding->protocol == PROTOCOL_ICMP || finding->protocol == PROTOCOL_ICMPV6)
    snprintf(text, PART_SIZE, "%s/%d", finding->protocol == PROTOCOL_ICMP ? "icmp" : "icmpv6", finding->icmp_type);
  else if (finding->protocol >= 0)
    snprintf(text, PART_SIZE, "proto/%d", finding->protocol);
  else if (finding->ethertype == ETHERTYPE_ARP)
    snprintf(text, PART_SIZE, "ARP");
  else if (finding->ethertype >= 0)
    snprintf(text, PART_SIZE, "ethertype 0x%04x", (unsigned)finding->ethertype);
  else
    text[0] = '\0';
}

static void name_point(const struct address *address, int port, char text[static PART_SIZE / 2]) {
  char address_text[ADDRESS_TEXT_SIZE];
  bool bracketed = address->family == FAMILY_IPV6 && port >= 0;
  int length = snprintf(text, PART_SIZE / 2, bracketed ? "[%s]" : "%s", address_format(address, address_text));
  if (port >= 0)
    snprintf(text + length, PART_SIZE / 2 - (size_t)length, ":%d", port);
}

static void name_rewritten(const struct finding *finding, char text[static PART_SIZE]) {
  char source[PART_SIZE / 2], destination[PART_SIZE / 2];
  if (finding->new_source.family == FAMILY_NONE) {
    snprintf(text, PART_SIZE, "-");
    return;
  }
  name_point(&finding->new_source, finding->new_source_port, source);
  name_point(&finding->new_destination, finding->new_destination_port, destination);
  snprintf(text, PART_SIZE, "%.75s -> %.75s", source, destination);
}

static void name_explain(const struct finding *finding, const struct parts *parts, char text[static EXPLAIN_SIZE]) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  if (finding->source.family == FAMILY_NONE || finding->protocol < 0)
    snprintf(text, EXPLAIN_SIZE, "kido explain");
  else
    snprintf(text, EXPLAIN_SIZE, "kido explain %s %s %s", address_format(&finding->source, source),
             address_format(&finding->destination, destination), parts->service);
}

/* The watchman's own reasons, beside those of the policy. */
static const struct {
  const char *name;
  struct sentence text;
} REASONS[] = {
    {"second-path", {"本機ではない機器が送った", "sent by a machine that is not the gateway"}},
    {"quoted-packet", {"ICMPエラーが他領域のパケットを引用した", "an ICMP error quotes a packet of another zone"}},
    {"second-next-hop", {"本機ではない機器へ送られた", "sent to a next hop that is not the gateway"}},
    {"arp-claim", {"ARPがそのアドレスを名乗った", "an ARP frame claims the address"}},
    {"arp-search", {"別の領域のアドレスをARPで探している", "ARP asks for an address of another zone"}},
    {"neighbour-claim", {"近隣探索がそのアドレスを名乗った", "neighbour discovery claims the address"}},
    {"neighbour-search",
     {"別の領域のアドレスを近隣探索で探している", "neighbour discovery asks for an address of another zone"}},
    {"pinned-mac", {"登録された機器のMACアドレスである", "the MAC address of a pinned host"}},
    {"gateway-claim", {"本機のアドレスを別の機器が名乗った", "another machine claims the gateway's address"}},
    {"pinned-claim",
     {"登録された機器のアドレスを別のMACアドレスの機器が名乗った", "another MAC claims the address of a pinned host"}},
    {"undeclared-vlan", {"宣言のないVLANタグ", "an undeclared VLAN tag"}},
    {"stacked-vlan", {"二重のVLANタグ", "stacked VLAN tags"}},
    {"foreign-protocol", {"IPでもARPでもない通信", "neither IP nor ARP"}},
    {"same-frame", {"同じフレームが両方の線で見えた", "the same frame was seen on both wires"}},
    {"gateway-mac", {"別の領域の側の本機のMACアドレスが現れた", "the gateway's own MAC of another zone"}},
    {"same-mac", {"同じMACアドレスが両方の線で話している", "the same MAC speaks on both wires"}},
    {"carried", {"別の領域で使われていた機器が移ってきた", "a machine that was in another zone before"}},
    {"dhcp-name", {"DHCPの同じコンピューター名が両方の領域にある", "the same DHCP host name in both zones"}},
    {"dhcp-identity",
     {"DHCPの同じ機器識別子（DUID）が両方の領域にある", "the same DHCP identity (DUID) in both zones"}},
    {"dhcp-search", {"別の領域のアドレスをDHCPで求めている", "asks by DHCP for an address of another zone"}},
    {"dhcp-offer", {"別の領域のアドレスをDHCPで配っている", "DHCP hands out an address of another zone"}},
    {"prefix-claim",
     {"ルーター広告が別の領域のネットワークを名乗った", "a router advertisement claims a network of another zone"}},
    {"stp-switch", {"別の領域のスイッチがスパニングツリーで名乗った", "spanning tree names a switch of another zone"}},
    {"lldp-switch", {"別の領域のスイッチがLLDPまたはCDPで名乗った", "LLDP or CDP names a switch of another zone"}},
    {"stp-root", {"スパニングツリーの根が別の領域のものに変わった", "the spanning tree took the root of another zone"}},
    {"lldp-system", {"LLDPの同じ機器が両方の領域にある", "LLDP names the same machine in both zones"}},
    {"lldp-address", {"LLDPまたはCDPで別の領域のアドレスを名乗る機器", "LLDP or CDP names an address of another zone"}},
    {"router-advertisement", {"IPv6のルーター広告", "IPv6 router advertisement"}},
    {"redirect", {"ICMPリダイレクト", "ICMP redirect"}},
    {"irdp", {"ICMPのルーター広告（IRDP）", "ICMP router advertisement (IRDP)"}},
    {"vrrp", {"VRRPまたはCARP", "VRRP or CARP"}},
    {"hsrp", {"HSRP", "HSRP"}},
    {"glbp", {"GLBP", "GLBP"}},
    {"ospf", {"経路制御（OSPF）", "routing protocol OSPF"}},
    {"eigrp", {"経路制御（EIGRP）", "routing protocol EIGRP"}},
    {"igrp", {"経路制御（IGRP）", "routing protocol IGRP"}},
    {"pim", {"経路制御（PIM）", "routing protocol PIM"}},
    {"rip", {"経路制御（RIP）", "routing protocol RIP"}},
    {"ripng", {"経路制御（RIPng）", "routing protocol RIPng"}},
    {"ldp", {"経路制御（LDP）", "routing protocol LDP"}},
    {"olsr", {"経路制御（OLSR）", "routing protocol OLSR"}},
    {"babel", {"経路制御（Babel）", "routing protocol Babel"}},
    {"dhcp", {"DHCPサーバーの応答", "answers as a DHCP server"}},
    {"dhcpv6", {"DHCPv6サーバーの応答", "answers as a DHCPv6 server"}},
    {"dhcp-choice",
     {"登録のないDHCPサーバーを端末が選んだ", "a client chose a DHCP server that the policy does not name"}},
    {"second-gateway",
     {"本機でも登録ルーターでもない機器へ、よその宛先の通信が送られた",
      "traffic for elsewhere is sent to a machine that is neither the gateway nor a declared router"}},
    {"internet-next-hop",
     {"インターネットあての通信が本機ではない機器へ送られた",
      "Internet traffic is sent to a machine that is not the gateway"}},
    {"internet-answer",
     {"インターネットからの通信が本機ではない機器から届いた",
      "Internet traffic comes from a machine that is not the gateway"}},
    {"tethering", {"スマートフォンのテザリングなどで使われるアドレス", "an address that tethered telephones hand out"}},
    {"routable-ipv6",
     {"IPv6のない領域に、外へ通じるIPv6アドレスがある", "a routable IPv6 address where the zone has no IPv6"}},
    {"untagged", {"タグ付きの線にタグのないフレーム", "a frame without a tag on a tagged wire"}},
    {"unrouted-neighbour",
     {"ここに現れてはならない隣の領域のアドレス", "an address of a neighbour that must never be seen here"}},
    {"inner-packet", {"中の通信が別の領域のものである", "the packet within belongs to another zone"}},
    {"inner-mac",
     {"中のMACアドレスが別の領域の機器のものである", "the MAC address within is that of a machine of another zone"}},
    {"nested-too-deep", {"何重にも包まれている", "wrapped too many times"}},
    {"nat64", {"IPv6アドレスの中のIPv4アドレス（NAT64）", "an IPv4 address within the IPv6 one (NAT64)"}},
    {"ipv4-mapped", {"IPv6アドレスの中のIPv4アドレス", "an IPv4 address within the IPv6 one"}},
    {"6to4", {"IPv6アドレスの中のIPv4アドレス（6to4）", "an IPv4 address within the IPv6 one (6to4)"}},
    {"teredo-address", {"IPv6アドレスの中のIPv4アドレス（Teredo）", "an IPv4 address within the IPv6 one (Teredo)"}},
    {"isatap", {"IPv6アドレスの中のIPv4アドレス（ISATAP）", "an IPv4 address within the IPv6 one (ISATAP)"}},
    {"source-route", {"経由地の指定（ソースルート）", "a source route"}},
    {"routing-header", {"経由地の指定（IPv6ルーティングヘッダ）", "an IPv6 routing header"}},
    {"home-address", {"モバイルIPv6のホームアドレス", "the home address of mobile IPv6"}},
    {"ip-in-ip", {"IPv4の中のIPv4", "IPv4 in IPv4"}},
    {"6in4", {"IPv4の中のIPv6", "IPv6 in IPv4"}},
    {"4in6", {"IPv6の中のIPv4", "IPv4 in IPv6"}},
    {"6in6", {"IPv6の中のIPv6", "IPv6 in IPv6"}},
    {"minimal-encapsulation", {"最小カプセル化", "minimal encapsulation"}},
    {"gre", {"GRE", "GRE"}},
    {"gretap", {"GREの中のEthernet", "Ethernet in GRE"}},
    {"pptp", {"PPTP", "PPTP"}},
    {"erspan", {"ERSPAN", "ERSPAN"}},
    {"etherip", {"EtherIP", "EtherIP"}},
    {"ah", {"IPsec AH", "IPsec AH"}},
    {"esp", {"IPsec ESP", "IPsec ESP"}},
    {"ipcomp", {"IPComp", "IPComp"}},
    {"ike", {"IPsec IKE", "IPsec IKE"}},
    {"l2tp", {"L2TP", "L2TP"}},
    {"vxlan", {"VXLAN", "VXLAN"}},
    {"geneve", {"GENEVE", "GENEVE"}},
    {"teredo", {"Teredo", "Teredo"}},
    {"gtp", {"GTP-U", "GTP-U"}},
    {"lisp", {"LISP", "LISP"}},
    {"ip-in-udp", {"UDPの中のIPパケット", "IP packets in UDP"}},
    {"icmp-tunnel", {"pingの中の通信", "packets within ping"}},
    {"wireguard", {"WireGuard", "WireGuard"}},
    {"openvpn", {"OpenVPN", "OpenVPN"}},
    {"mpls", {"MPLS", "MPLS"}},
    {"nsh", {"NSH", "NSH"}},
    {"pppoe", {"PPPoE", "PPPoE"}},
    {"pbb", {"PBB (802.1ah)", "PBB (802.1ah)"}},
    {"trill", {"TRILL", "TRILL"}},
    {"macsec", {"MACsec", "MACsec"}},
    {"bridged-ethernet", {"Ethernetの中のEthernet", "Ethernet in Ethernet"}},
    {"llc-ip", {"IP over LLC", "IP over LLC"}},
    {"prefilter-mismatch",
     {"カーネルの前置フィルターが、届けるべきフレームを止めていた",
      "the kernel's filter withheld frames that are findings"}},
    {"filter-refused", {"カーネルが前置フィルターを受け付けない", "the kernel refuses the filter of the capture"}},
    {"filter-changed",
     {"前置フィルターが別のものに変わっていた", "the filter of the capture is not the one that was set"}},
    {"kernel-drops", {"取りこぼし", "frames that the capture dropped"}},
    {"interface-missing", {"インターフェースがない", "the interface does not exist"}},
    {"interface-down", {"インターフェースが停止している", "the interface is down"}},
    {"capture-failed", {"取り込みに失敗した", "the capture failed"}},
    {"rewritten-source", {"送信元が書き換えられていた", "its source was rewritten"}},
    {"rewritten-destination", {"宛先が書き換えられていた", "its destination was rewritten"}},
    {"rewritten-both", {"送信元と宛先が書き換えられていた", "its source and destination were rewritten"}},
    {"upload-above-shape",
     {"開始側から出た量が1分間の上限を超えた", "more went up within a minute than the flow may carry"}},
    {"download-above-shape",
     {"開始側へ戻った量が1分間の上限を超えた", "more came down within a minute than the flow may carry"}},
    {"sustained-upload",
     {"開始側から15分以上にわたり送り続けた", "an upload without a pause for a quarter of an hour"}},
    {"relay-without-input",
     {"中継が、受け取っていないものを送った", "the relay sends what it did not receive from the other side"}},
    {"above-history", {"これまでの量をはるかに超えた", "far more than the flow ever carried"}},
    {"opened-from-wrong-side", {"開始側ではない側から始まった", "it was opened from its other side"}},
    {"stalled", {"監視の処理が止まっていた", "the watchman was held up"}},
    {"behind", {"監視の処理が追いつかない", "the watchman does not keep up"}},
    {"recognition-full",
     {"中身を調べる接続の表があふれた", "the table of connections whose protocol is looked at is full"}},
    {"fragments-full", {"分割されたパケットの表があふれた", "the table of packets in fragments is full"}},
    {"sightings-full",
     {"書き換えを見分けるための表があふれた", "the table by which rewritten packets are found is full"}},
    {"talkers-full", {"送信量を数える機器の表があふれた", "the table of machines whose uploads are counted is full"}},
    {"machines-full", {"機器の表があふれた", "the table of machines is full"}},
    {"gateway-loop", {"本機の送ったフレームが戻ってきた（配線の輪）", "the gateway's own frames come back: a loop"}},
    {"table-full", {"会話の表があふれた", "the table of conversations is full"}},
    {"policy-differs",
     {"kidod のポリシーを読めず、別のポリシーで見ている",
      "the policy of kidod could not be read, another one is used"}},
    {"canary-missed", {"自分で流した目印のフレームが見えない", "a canary frame that was sent there was not seen"}},
    {"counters-rise",
     {"インターフェースの計数は増えるのに何も見えない", "the interface counts frames of which none is seen"}},
    {"silent", {"いつもより長く何も流れていない", "silent for longer than it ever was"}},
    {"xdp-attached",
     {"取り込みより先にフレームを扱うプログラム(XDP)がある", "a program (XDP) takes frames before any capture"}},
    {"forged-canary", {"木戸番の目印を偽ったフレーム", "a frame that imitates the watchman's canary"}},
    {"strayed-canary", {"他の線に流した目印のフレームが見えた", "a canary that was sent on the other wire"}},
};

static const char *label_reason(const char *name, enum language language) {
  for (size_t i = 0; name != NULL && i < sizeof REASONS / sizeof REASONS[0]; i++)
    if (strcmp(REASONS[i].name, name) == 0)
      return language_choose(language, REASONS[i].text.japanese, REASONS[i].text.english);
  for (enum reason reason = 0; name != NULL && reason < REASON_COUNT_; reason++)
    if (strcmp(reason_name(reason), name) == 0)
      return reason_label(reason, language);
  return name != NULL ? name : "-";
}

static void fill_parts(const struct alert *alert, const struct report_names *names, struct parts *parts) {
  const struct finding *finding = &alert->finding;
  bool show_mac = (finding->kind == FINDING_TUNNEL && finding->direction == FRAME_PASSING) ||
                  finding->kind == FINDING_BYPASS || finding->kind == FINDING_SPOOFED ||
                  finding->kind == FINDING_UNKNOWN_SEGMENT ||
                  (finding->kind >= FINDING_BRIDGED && finding->kind <= FINDING_ROGUE_UPLINK);
  name_zone(names, finding->zone, parts->from);
  name_zone(names, finding->other_zone, parts->to);
  const char *nobody = alert->scope == ALERT_CAUSE ? language_choose(names->language, "不明", "unknown")
                                                   : language_choose(names->language, "多数", "many machines");
  name_end(&finding->source, finding->has_source_mac, &finding->source_mac, show_mac, nobody, parts->source);
  name_end(&finding->destination, finding->has_destination_mac, &finding->destination_mac, false, nobody,
           parts->target);
  name_service(finding, parts->service);
  name_wire(names, finding->wire, parts->wire);
  if (finding->entry_wire != WIRE_NONE)
    name_wire(names, finding->entry_wire, parts->entry);
  else
    snprintf(parts->entry, sizeof parts->entry, "%s", language_choose(names->language, "不明", "unknown"));
  name_explain(finding, parts, parts->explain);
  name_rewritten(finding, parts->rewritten);
  parts->reason = label_reason(finding->reason, names->language);
  parts->flow = finding->flow != NULL ? finding->flow->name : "-";
  parts->count = finding->count;
  parts->bytes = finding->bytes;
}

/* ---- sentences ---- */

static const char *part_of(const struct parts *parts, char letter, char number[static 24]) {
  snprintf(number, 24, "%" PRIu64, letter == 'b' ? parts->bytes : parts->count);
  const char *const texts[] = {parts->from, parts->to,    parts->source, parts->target, parts->service,
                               parts->wire, parts->entry, parts->reason, number};
  switch (letter) {
  case 'e':
    return parts->explain;
  case 'r':
    return parts->rewritten;
  case 'f':
    return parts->flow;
  case 'b':
    return number;
  default:
    return letter >= '1' && letter <= '9' ? texts[letter - '1'] : "";
  }
}

/* Cuts at the end of a character, never within one. */
static void end_text(char *text, size_t length) {
  while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
    length--;
  text[length] = '\0';
}

static void write_sentence(const char *pattern, const struct parts *parts, char text[static REPORT_TEXT_SIZE]) {
  size_t at = 0;
  char number[24];
  for (const char *from = pattern; *from != '\0'; from++) {
    const char *piece = *from == '%' ? part_of(parts, *++from, number) : from;
    size_t length = piece == from ? 1 : strlen(piece);
    if (at + length >= REPORT_TEXT_SIZE) {
      text[at] = *piece;
      end_text(text, at);
      return;
    }
    memcpy(text + at, piece, length);
    at += length;
  }
  text[at] = '\0';
}

/* Left out where there is no room. */
static void add_text(const char *more, char text[static REPORT_TEXT_SIZE]) {
  size_t at = strlen(text), length = strlen(more);
  if (at + length < REPORT_TEXT_SIZE)
    memcpy(text + at, more, length + 1);
}

/* Behind the message: what was carried. */
static void add_inner(const struct finding *finding, enum language language, char text[static REPORT_TEXT_SIZE]) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], inner[PART_SIZE];
  if (finding->inner_source.family == FAMILY_NONE || finding->inner_destination.family == FAMILY_NONE)
    return;
  snprintf(inner, sizeof inner, language_choose(language, "【中の通信: %s → %s】", " [within: %s -> %s]"),
           address_format(&finding->inner_source, source), address_format(&finding->inner_destination, destination));
  add_text(inner, text);
}

/* ---- the clause ---- */

static const struct {
  enum zone_class class;
  const char *clause;
} CLAUSES[] = {
    {CLASS_MYNUMBER, "6(3)①"}, {CLASS_MYNUMBER_CLOUD, "6(3)①"}, {CLASS_LGWAN, "6(3)②"}, {CLASS_LGWAN_LINE, "6(3)②"},
    {CLASS_RELAY, "6(3)②"},    {CLASS_INTERNET, "6(3)③"},       {CLASS_CLOUD, "6(3)③"}, {CLASS_BREAKOUT, "6(3)③"},
};

/* The strictest clause of the policy that either zone stands under. */
static const char *clause_of(const struct policy *policy, const struct finding *finding) {
  zone_index zones[] = {finding->zone, finding->other_zone};
  for (size_t i = 0; i < sizeof CLAUSES / sizeof CLAUSES[0]; i++)
    for (size_t z = 0; z < 2; z++)
      if (zones[z] >= 0 && policy->zones[zones[z]].class == CLAUSES[i].class)
        return CLAUSES[i].clause;
  return "6(3)";
}

/* ---- the record ---- */

static struct event_time moment(int64_t time) {
  return (struct event_time){time / 1000000000, (int32_t)(time % 1000000000 / 1000)};
}

static const char *zone_or_null(const struct policy *policy, zone_index zone) {
  return zone == ZONE_NONE ? NULL : policy_zone_name(policy, zone);
}

static const char *identify(const struct finding *finding, char text[static COMMUNITY_ID_SIZE]) {
  bool icmp = finding->protocol == PROTOCOL_ICMP || finding->protocol == PROTOCOL_ICMPV6;
  bool ports = icmp || finding->destination_port >= 0;
  if (finding->source.family == FAMILY_NONE || finding->destination.family == FAMILY_NONE || finding->protocol < 0)
    return NULL;
  uint16_t source = (uint16_t)(icmp ? finding->icmp_type : finding->source_port);
  uint16_t destination = (uint16_t)(icmp ? 0 : finding->destination_port);
  return community_id(&finding->source, &finding->destination, (uint8_t)finding->protocol, ports, source, destination,
                      text);
}

static void put_finding(const struct finding *finding, const struct report_names *names, struct event *event) {
  event->kind = finding_rule(finding->kind)->name;
  event->severity = finding_rule(finding->kind)->severity;
  event->policy = names->policy->header.number.text;
  event->zone = zone_or_null(names->policy, finding->zone);
  event->other_zone = zone_or_null(names->policy, finding->other_zone);
  event->interface = finding->wire != WIRE_NONE ? names->wires[finding->wire] : NULL;
  event->direction = frame_direction_name(finding->direction);
  event->source = finding->source;
  event->destination = finding->destination;
  event->protocol = finding->protocol;
  event->source_port = finding->source_port;
  event->destination_port = finding->destination_port;
  event->icmp_type = finding->icmp_type;
  event->has_source_mac = finding->has_source_mac;
  event->has_destination_mac = finding->has_destination_mac;
  event->source_mac = finding->source_mac;
  event->destination_mac = finding->destination_mac;
  event->vlan = finding->vlan;
  event->flow = finding->flow != NULL ? finding->flow->name : NULL;
  event->reason = finding->reason;
  event->count = finding->count;
  event->bytes = finding->bytes;
}

static void choose_sentences(const struct finding *finding, const struct sentence **ret_message,
                             const struct sentence **ret_advice) {
  bool everywhere = finding->kind == FINDING_BLIND && finding->wire == WIRE_NONE;
  bool crowded = everywhere && watch_table_is_reason(finding->reason);
  *ret_message = crowded ? &CROWDED : everywhere ? &BLIND_EVERYWHERE : &MESSAGES[finding->kind];
  *ret_advice = crowded ? &CROWDED_ADVICE : everywhere ? &BLIND_EVERYWHERE_ADVICE : &ADVICE[finding->kind];
}

void report_event(const struct alert *alert, const struct report_names *names, int64_t now, struct report_texts *texts,
                  struct event *ret_event) {
  const struct finding *finding = &alert->finding;
  struct parts parts;
  fill_parts(alert, names, &parts);
  const struct sentence *message, *advice;
  choose_sentences(finding, &message, &advice);
  write_sentence(language_choose(names->language, message->japanese, message->english), &parts, texts->message);
  add_inner(finding, names->language, texts->message);
  if (!alert->still_going)
    add_text(language_choose(names->language, ENDED.japanese, ENDED.english), texts->message);
  write_sentence(language_choose(names->language, advice->japanese, advice->english), &parts, texts->what_to_do);
  memset(ret_event, 0, sizeof *ret_event);
  memcpy(ret_event->id, alert->id, sizeof ret_event->id);
  ret_event->time = moment(now);
  ret_event->first_seen = moment(alert->first_seen);
  ret_event->last_seen = moment(alert->last_seen);
  ret_event->still_going = alert->still_going;
  put_finding(finding, names, ret_event);
  ret_event->community_id = identify(finding, texts->community);
  ret_event->clause = clause_of(names->policy, finding);
  ret_event->what_to_do = texts->what_to_do;
  ret_event->message = texts->message;
}

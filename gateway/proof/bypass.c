/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/bypass.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/language.h"
#include "proof/bypass_parts.h"

/*
 * The search is a row of finders, each for one kind of way or a few that are seen in the same place. A finder says what
 * it found and how sure it is; what was expected instead, and what to do, stands in the table of kinds. The same table
 * is the list of what is assumed where nothing was looked at.
 */
struct kind {
  const char *name;
  bool machine; /* seen in the surroundings: assumed where there are none */
  const char *name_japanese, *name_english;
  const char *advice_japanese, *advice_english;
};

static const struct kind kinds[] = {
    {"bridge", true, "ブリッジ", "bridges",
     "一つのブリッジには一つの領域だけをつなぎます。どちらかを外してください（ip link set IF nomaster）",
     "a bridge belongs to one zone alone: take one of them out (ip link set IF nomaster)"},
    {"bond", true, "ボンディング", "bonds",
     "束ねる線は一つの領域のものだけにします。外してください（ip link set IF nomaster）",
     "a bond belongs to one zone alone: take one of them out (ip link set IF nomaster)"},
    {"veth", true, "veth の対", "veth pairs", "二つの領域を veth でつながないでください（ip link del IF）",
     "no cable joins two zones: remove it (ip link del IF)"},
    {"macvlan", true, "macvlan・ipvlan", "macvlan and ipvlan devices",
     "領域のインターフェースの上に別の機器を載せないでください（ip link del IF）",
     "nothing else stands on an interface of a zone: remove it where it is (ip link del IF)"},
    {"vrf", true, "VRF", "VRFs", "領域のインターフェースは VRF に入れないでください（ip link set IF nomaster）",
     "no interface of a zone is in a VRF: take it out (ip link set IF nomaster)"},
    {"tunnel", true, "トンネル", "tunnels",
     "トンネルは領域の線につながず、別の領域の線の上も通しません。外してください（ip link set IF nomaster）",
     "no tunnel is joined to the wire of a zone, nor runs over that of another: take it out (ip link set IF nomaster)"},
    {"tun", true, "tun・tap の相手のプログラム", "the programs behind tun and tap devices",
     "そのプログラムが領域の間を中継しないことを確かめてください",
     "make sure that the program does not carry from one zone to another"},
    {"namespace", true, "ほかのネットワーク名前空間", "other network namespaces",
     "一つの名前空間に二つの領域の線を入れないでください",
     "no other namespace has wires of two zones: take one of them out of it"},
    {"tc", true, "tc のフィルター", "tc filters",
     "領域のインターフェースに、行き先や中身を変えるフィルターを置かないでください（tc qdisc del dev IF clsact）",
     "no filter moves or changes packets: remove it (tc qdisc del dev IF clsact)"},
    {"xdp", true, "XDP プログラム", "XDP programs", "XDP プログラムを外してください（ip link set IF xdp off）",
     "no program stands before the rules: remove it (ip link set IF xdp off)"},
    {"bpf", true, "netfilter・TCX・netkit の BPF プログラム", "BPF programs of netfilter, TCX and netkit",
     "BPF プログラムを外してください（bpftool link）", "no program stands beside the rules: remove it (bpftool link)"},
    {"sysctl", true, "カーネルの設定", "settings of the kernel",
     "kidod が元に戻します。戻らないときは、書き換えているものを止めてください（/etc/sysctl.d）",
     "kidod puts it back; where it does not stay, stop what changes it (/etc/sysctl.d)"},
    {"boot", true, "起動時の設定", "settings at boot",
     "規則より先に転送が始まります。その行を消してください。転送は kidod が入れます",
     "packets would pass before the rules are there: remove the line; kidod turns forwarding on"},
    {"routing", true, "ポリシールーティング", "policy routing",
     "既定のほかの規則・経路を消してください（ip rule、ip route）",
     "no rule but the kernel's own, and no route that wraps packets: remove it (ip rule, ip route)"},
    {"xfrm", true, "IPsec（xfrm）", "IPsec (xfrm)",
     "この装置で IPsec を終端しないでください（ip xfrm policy、ip xfrm state）",
     "no IPsec ends on this machine: remove it (ip xfrm policy, ip xfrm state)"},
    {"mpls", true, "MPLS", "MPLS", "MPLS を切ってください（net.mpls.conf.IF.input = 0）",
     "no interface takes MPLS: turn it off (net.mpls.conf.IF.input = 0)"},
    {"legacy", true, "旧 iptables の表", "tables of the old iptables",
     "旧 iptables の規則を消し、モジュールを外してください（iptables-legacy -F、-X）",
     "no rules of the old iptables: remove them and their modules (iptables-legacy -F, -X)"},
    {"ipvs", true, "IPVS", "IPVS", "IPVS のサービスを消してください（ipvsadm -C）",
     "no IPVS service: remove them (ipvsadm -C)"},
    {"listener", true, "待ち受けるプログラム", "programs that listen",
     "止めるか、一つの領域のアドレスだけで待ち受けさせるか、gateway への通信として方針に書いてください",
     "stop it, bind it to an address in one zone, or name what it serves in a flow to the gateway"},
    {"packet-socket", true, "パケットソケット", "packet sockets",
     "規則の前でフレームを読み書きするプログラムです。止めてください",
     "a program that reads and writes frames past the rules: stop it"},
    {"table", false, "kido の表", "kido's table",
     "規則が効いていません。kidod を動かして適用し直してください（kido apply）",
     "the rules are not in force: start kidod and apply the policy again (kido apply)"},
    {"forwarding", false, "転送", "forwarding",
     "規則がないまま転送しています。すぐに切ってください（sysctl net.ipv4.ip_forward=0 "
     "net.ipv6.conf.all.forwarding=0）",
     "packets pass without rules: turn it off at once (sysctl net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0)"},
    {"fwd", false, "fwd", "fwd", "その規則を消してください（nft delete rule）", "remove that rule (nft delete rule)"},
    {"dup", false, "dup", "dup", "その規則を消してください（nft delete rule）", "remove that rule (nft delete rule)"},
    {"flowtable", false, "flowtable", "flowtables",
     "flowtable に載った通信は規則を通りません。消してください（nft delete flowtable）",
     "connections in a flowtable do not pass the rules: remove it (nft delete flowtable)"},
    {"nat", false, "アドレス変換", "address translation",
     "領域のアドレスは書き換えません。その規則を消してください（nft delete rule）",
     "addresses of zones are not rewritten: remove that rule (nft delete rule)"},
    {"rewrite", false, "パケットの書き換え", "rules that rewrite packets",
     "その規則を消してください（nft delete rule）", "remove that rule (nft delete rule)"},
    {"tproxy", false, "tproxy", "tproxy", "その規則を消してください（nft delete rule）",
     "remove that rule (nft delete rule)"},
    {"queue", false, "queue", "queue", "判断がプログラムに渡ります。その規則を消してください（nft delete rule）",
     "a program would decide: remove that rule (nft delete rule)"},
    {"synproxy", false, "synproxy", "synproxy", "その規則を消してください（nft delete rule）",
     "remove that rule (nft delete rule)"},
    {"netdev", false, "netdev の規則", "rules of netdev chains", "その規則を消してください（nft delete rule）",
     "remove that rule (nft delete rule)"},
    {"bridge-table", false, "bridge の表", "bridge tables", "その表を消してください（nft delete table bridge NAME）",
     "remove that table (nft delete table bridge NAME)"},
};

static const struct kind *find_kind(const char *name) {
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (strcmp(kinds[i].name, name) == 0) {
      return &kinds[i];
    }
  }
  return NULL;
}

const char *search_words(const struct search *search, const char *japanese, const char *english) {
  return language_choose(search->policy->header.language, japanese, english);
}

const char *search_printf(const struct search *search, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *text = arena_vprintf(search->arena, format, arguments);
  va_end(arguments);
  return text;
}

int search_add(struct search *search, const struct bypass *finding, const char *found) {
  const struct kind *kind = find_kind(finding->kind);
  if (found == NULL || arena_grow(search->arena, (void **)&search->items, search->count, &search->capacity,
                                  sizeof(*search->items)) < 0) {
    return -ENOMEM;
  }
  struct bypass *added = &search->items[search->count++];
  *added = *finding;
  added->detail = kind == NULL ? found
                               : search_printf(search, search_words(search, "%s。%s", "%s; %s"), found,
                                               search_words(search, kind->advice_japanese, kind->advice_english));
  return added->detail != NULL ? 0 : -ENOMEM;
}

/* ---- what was not looked at ---- */

static int assume_machine(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (!kinds[i].machine) {
      continue;
    }
    struct bypass finding = {.kind = kinds[i].name, .state = BYPASS_ASSUMED, .left = ZONE_NONE, .right = ZONE_NONE};
    status = search_add(search, &finding,
                        search_printf(search, search_words(search, "%sは見ていません", "%s were not looked at"),
                                      search_words(search, kinds[i].name_japanese, kinds[i].name_english)));
  }
  return status;
}

/* ---- the finders ---- */

static const struct finder {
  bool machine; /* asks the surroundings: passed over without them */
  int (*find)(struct search *search);
} finders[] = {
    {true, search_for_wires}, /* first: it says which zone's wire an interface is on */
    {false, search_for_table},      {true, search_for_strays},         {true, search_for_vrfs},
    {true, search_for_tunnels},     {true, search_for_tuns},           {true, search_for_passages},
    {true, search_for_programs},    {true, search_for_facts},          {false, search_for_rules},
    {false, search_for_flowtables}, {false, search_for_bridge_tables}, {true, search_for_listeners},
};

int bypass_find(const struct policy *policy, const struct live_ruleset *ruleset,
                const struct surroundings *surroundings, struct arena *arena, struct bypass **ret_bypasses,
                size_t *ret_count) {
  bool looked = surroundings != NULL && surroundings->known;
  struct search search = {
      .policy = policy, .ruleset = ruleset, .surroundings = looked ? surroundings : NULL, .arena = arena};
  int status = looked ? 0 : assume_machine(&search);
  for (size_t i = 0; status == 0 && i < sizeof(finders) / sizeof(finders[0]); i++) {
    if (looked || !finders[i].machine) {
      status = finders[i].find(&search);
    }
  }
  if (status == 0) {
    *ret_bypasses = search.items;
    *ret_count = search.count;
  }
  return status;
}

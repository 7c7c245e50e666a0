/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

const char *const random_rules_ipv4[] = {
    "10.0.0.5",   "10.0.0.6",    "10.0.0.77",   "10.0.1.9",   "10.0.1.200",   "10.1.0.20", "10.1.200.1",   "10.2.0.9",
    "10.2.0.200", "192.168.3.5", "172.16.4.10", "172.16.6.1", "172.31.250.3", "9.9.1.1",   "198.51.100.7", NULL};
const char *const random_rules_ipv6[] = {"2400:8500:0:100::5",
                                         "2400:8500:0:100::6",
                                         "2400:8500:0:101::9",
                                         "2400:8500:0:200::14",
                                         "2400:8500:1::1",
                                         "2400:8500:1:ffff::2",
                                         "2400:8500:0:300::9",
                                         "2400:8500:0:400::5",
                                         "fd12:3456:789a:1::a",
                                         "2400:8500:0:600::3",
                                         NULL};
const char *const random_rules_interfaces[] = {"a0", "a1", "b0.10", "c0", "c1", "d0.990", "e0", "f0", NULL};
const unsigned random_rules_ports[] = {53, 80, 443, 444, 1023, 1024, 5000, 8080, 32768, 50000, 65535};

enum {
  PORTS = sizeof(random_rules_ports) / sizeof(random_rules_ports[0]),
  CHAINS = 5,
  MAPPED_CHAINS = 2,
  TABLES_MOST = 3
};

size_t random_rules_count(const char *const *texts) {
  size_t count = 0;
  while (texts[count] != NULL)
    count++;
  return count;
}

enum layer4 { L4_NONE, L4_TCP, L4_UDP, L4_ICMP };

struct draft {
  struct dice *dice;
  const struct random_rules_options *options;
  FILE *out;
  const char *family; /* of the table */
  const char *hook;   /* of the base chain; NULL: a chain that others call */
  unsigned callable;  /* chains that a rule may jump to: c0 … */
  int l3;             /* of the rule: 0, 4, 6 */
  enum layer4 l4;
};

static bool is(const struct draft *draft, const char *family) {
  return strcmp(draft->family, family) == 0;
}

static unsigned below(struct draft *draft, unsigned limit) {
  return dice_below(draft->dice, limit);
}

static const char *pick(struct draft *draft, const char *const *texts, size_t count) {
  return texts[below(draft, (unsigned)count)];
}
#define PICK(draft, ...)                                                                                               \
  pick(draft, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char * not(struct draft * draft) {
  return dice_percent(draft->dice, 25) ? "!= " : "";
}

/* ---- values ---- */

static struct address near_address(struct draft *draft, int family) {
  const char *const *pool = family == 4 ? random_rules_ipv4 : random_rules_ipv6;
  struct address address = {0};
  (void)address_parse(pick(draft, pool, random_rules_count(pool)), &address);
  if (dice_percent(draft->dice, 20))
    address.bytes[family == 4 ? 3 : 15] ^= (uint8_t)(1 << below(draft, 4));
  return address;
}

static void write_address(struct draft *draft, int family) {
  struct address address = near_address(draft, family);
  char text[ADDRESS_TEXT_SIZE];
  fprintf(draft->out, "%s", address_format(&address, text));
}

static void write_range(struct draft *draft, int family) {
  struct address one = near_address(draft, family), two = near_address(draft, family);
  char first[ADDRESS_TEXT_SIZE], last[ADDRESS_TEXT_SIZE];
  int order = address_compare(&one, &two);
  if (order == 0)
    fprintf(draft->out, "%s", address_format(&one, first));
  else
    fprintf(draft->out, "%s-%s", address_format(order < 0 ? &one : &two, first),
            address_format(order < 0 ? &two : &one, last));
}

static void write_prefix(struct draft *draft, int family) {
  static const unsigned lengths4[] = {4, 8, 9, 15, 16, 20, 23, 24, 25, 29, 30, 31};
  static const unsigned lengths6[] = {16, 31, 32, 48, 52, 63, 64, 65, 112, 120, 127};
  write_address(draft, family);
  fprintf(draft->out, "/%u", family == 4 ? lengths4[below(draft, 12)] : lengths6[below(draft, 11)]);
}

static void write_addresses(struct draft *draft, int family) {
  switch (below(draft, 4)) {
  case 0:
    write_address(draft, family);
    break;
  case 1:
    write_range(draft, family);
    break;
  default:
    write_prefix(draft, family);
  }
}

static unsigned port(struct draft *draft) {
  unsigned near = random_rules_ports[below(draft, PORTS)] + below(draft, 3) - 1;
  return dice_percent(draft->dice, 70) ? random_rules_ports[below(draft, PORTS)] : near & 0xffff;
}

static void write_ports(struct draft *draft) {
  unsigned one = port(draft), two = port(draft);
  if (one == two || dice_percent(draft->dice, 40))
    fprintf(draft->out, "%u", one);
  else
    fprintf(draft->out, "%u-%u", one < two ? one : two, one < two ? two : one);
}

static const char *interface(struct draft *draft) {
  return pick(draft, random_rules_interfaces, random_rules_count(random_rules_interfaces));
}

static unsigned mark(struct draft *draft) {
  static const unsigned marks[] = {0, 1, 2, 3, 7, 0x100, 0x1234, 0x80000001, 0xffffffff};
  return marks[below(draft, sizeof(marks) / sizeof(marks[0]))];
}

static void write_verdict(struct draft *draft) {
  unsigned chance = below(draft, 100);
  if (chance < 25 && draft->callable > 0)
    fprintf(draft->out, "%s c%u", chance < 18 ? "jump" : "goto", below(draft, draft->callable));
  else
    fprintf(draft->out, "%s", PICK(draft, "accept", "accept", "drop", "return", "continue"));
}

/* ---- conditions ---- */

static void on_address(struct draft *draft) {
  const char *header = draft->l3 == 4 ? "ip" : "ip6", *end = PICK(draft, "saddr", "daddr");
  switch (below(draft, 6)) {
  case 0:
    fprintf(draft->out, "%s %s %s@s%d%s ", header, end, not(draft), draft->l3, PICK(draft, "hash", "interval"));
    break;
  case 1:
    fprintf(draft->out, "%s %s %s{ ", header, end, not(draft));
    for (unsigned i = 0; i < 3; i++) {
      write_address(draft, draft->l3);
      fprintf(draft->out, i < 2 ? ", " : " } ");
    }
    break;
  case 2:
    if (draft->l3 == 4) {
      fprintf(draft->out, "ip %s & %s %s ", end, PICK(draft, "0.0.0.255", "255.0.255.0", "255.254.0.0", "0.0.0.7"),
              PICK(draft, "==", "!=", "<", ">="));
      fprintf(draft->out, "%s ", PICK(draft, "0.0.0.5", "10.0.0.0", "10.0.1.0", "0.0.0.1", "10.2.0.0"));
    } else
      fprintf(draft->out, "ip6 %s & ::ffff %s ::%u ", end, PICK(draft, "==", "!=", "<"), below(draft, 12));
    break;
  default:
    fprintf(draft->out, "%s %s %s", header, end, not(draft));
    write_addresses(draft, draft->l3);
    fprintf(draft->out, " ");
  }
}

static void on_header(struct draft *draft) {
  if (draft->l3 == 4) {
    switch (below(draft, 5)) {
    case 0:
      fprintf(draft->out, "ip ttl %s %u ", PICK(draft, "==", "!=", "<", ">"), 60 + below(draft, 6));
      break;
    case 1:
      if (draft->l4 == L4_NONE)
        fprintf(draft->out, "ip protocol %s%s ", not(draft), PICK(draft, "tcp", "udp", "icmp", "50", "89", "200"));
      break;
    case 2:
      fprintf(draft->out, "ip frag-off & 0x%x %s 0 ", below(draft, 2) != 0 ? 0x1fffU : 0x3fffU,
              PICK(draft, "==", "!="));
      break;
    case 3:
      fprintf(draft->out, "ip hdrlength %s %u ", PICK(draft, "==", "!=", ">"), 5 + below(draft, 3));
      break;
    default:
      fprintf(draft->out, "ip length %s %u ", PICK(draft, "<", ">", "<="), 40 + below(draft, 40));
    }
    return;
  }
  switch (below(draft, 4)) {
  case 0:
    fprintf(draft->out, "ip6 hoplimit %s %u ", PICK(draft, "==", "!=", "<", ">"), 60 + below(draft, 6));
    break;
  case 1:
    if (draft->l4 == L4_NONE)
      fprintf(draft->out, "ip6 nexthdr %s%s ", not(draft),
              PICK(draft, "tcp", "udp", "ipv6-icmp", "0", "43", "44", "60"));
    break;
  case 2:
    fprintf(draft->out, "exthdr %s %s ", PICK(draft, "hbh", "rt", "frag", "dst"), PICK(draft, "exists", "missing"));
    break;
  default:
    fprintf(draft->out, "%s ",
            PICK(draft, "rt type 0", "rt type != 0", "frag frag-off 0", "frag id 9", "hbh hdrlength 0", "rt seg-left 0",
                 "frag more-fragments 1"));
  }
}

static void on_transport(struct draft *draft) {
  const char *protocol = draft->l4 == L4_TCP ? "tcp" : "udp", *end = PICK(draft, "sport", "dport", "dport");
  switch (below(draft, 7)) {
  case 0:
    fprintf(draft->out, "%s %s %s@%s ", protocol, end, not(draft), PICK(draft, "ports", "portranges"));
    break;
  case 1:
    fprintf(draft->out, "%s %s %s{ ", protocol, end, not(draft));
    fprintf(draft->out, "%u, %u, ", port(draft), port(draft));
    write_ports(draft);
    fprintf(draft->out, " } ");
    break;
  case 2:
    fprintf(draft->out, "%s %s %s %u ", protocol, end, PICK(draft, "<", ">", "<=", ">="), 1 + below(draft, 65534));
    break;
  case 3:
    if (draft->l4 == L4_TCP)
      fprintf(draft->out, "%s ",
              PICK(draft, "tcp flags syn", "tcp flags & (syn|ack) == syn", "tcp flags != ack",
                   "tcp flags { syn, ack, syn|ack }", "tcp flags & (fin|syn|rst|ack) != syn", "tcp doff > 5"));
    else
      fprintf(draft->out, "udp length %s %u ", PICK(draft, "<", ">"), 20 + below(draft, 30));
    break;
  default:
    fprintf(draft->out, "%s %s %s", protocol, end, not(draft));
    write_ports(draft);
    fprintf(draft->out, " ");
  }
}

static void on_icmp(struct draft *draft) {
  if (draft->l3 == 4)
    fprintf(draft->out, "icmp type %s%s ", not(draft),
            PICK(draft, "echo-request", "echo-reply", "{ echo-request, 13 }", "destination-unreachable"));
  else if (draft->l3 == 6)
    fprintf(draft->out, "icmpv6 type %s%s ", not(draft),
            PICK(draft, "echo-request", "echo-reply", "{ echo-request, 1 }", "destination-unreachable"));
}

static void on_protocol(struct draft *draft) {
  fprintf(draft->out, "meta l4proto %s%s ", not(draft),
          PICK(draft, "tcp", "udp", "{ tcp, udp }", "50", "{ 1, 58 }", "0-20", "{ 40-100, 200 }"));
}

static void on_interface(struct draft *draft) {
  const char *end = PICK(draft, "iif", "oif");
  switch (below(draft, 4)) {
  case 0:
    fprintf(draft->out, "%s %s\"%s\" ", end, not(draft), interface(draft));
    break;
  case 1:
    fprintf(draft->out, "%sname %s\"%s\" ", end, not(draft), PICK(draft, "a*", "c*", "b0*", "d0.9*"));
    break;
  case 2:
    fprintf(draft->out, "%sname %s{ \"%s\", \"%s\" } ", end, not(draft), interface(draft), interface(draft));
    break;
  default:
    fprintf(draft->out, "%sname %s\"%s\" ", end, not(draft), interface(draft));
  }
}

static void on_facts(struct draft *draft) {
  switch (below(draft, 5)) {
  case 0:
    fprintf(draft->out, "meta mark %s0x%x ", not(draft), mark(draft));
    break;
  case 1:
    fprintf(draft->out, "meta mark & 0x%x %s 0 ", 1U << below(draft, 9), PICK(draft, "==", "!="));
    break;
  case 2:
    fprintf(draft->out, "meta length %s %u ", PICK(draft, "<", ">"), 40 + below(draft, 60));
    break;
  case 3:
    fprintf(draft->out, "meta mark @%s ", PICK(draft, "marks", "markranges"));
    break;
  default:
    if (draft->l3 == 0)
      fprintf(draft->out, "meta protocol %s ", PICK(draft, "ip", "ip6"));
  }
}

static void on_concatenation(struct draft *draft) {
  if (draft->l3 == 0 || (draft->l4 != L4_TCP && draft->l4 != L4_UDP))
    return;
  const char *header = draft->l3 == 4 ? "ip" : "ip6";
  fprintf(draft->out, "%s saddr . %s daddr . meta l4proto . th dport %s@k%d%s ", header, header, not(draft), draft->l3,
          PICK(draft, "hash", "interval"));
}

static void on_raw(struct draft *draft) {
  switch (below(draft, 6)) {
  case 0:
    fprintf(draft->out, "@nh,%u,%u & 0x%x %s 0x%x ", below(draft, 24) * 8, 8 + 8 * below(draft, 3), below(draft, 256),
            PICK(draft, "==", "!=", ">"), below(draft, 256));
    break;
  case 1:
    fprintf(draft->out, "@th,%u,8 %s 0x%x ", below(draft, 30) * 8, PICK(draft, "==", "!=", "<"), below(draft, 256));
    break;
  case 2:
    fprintf(draft->out, "@nh,%u,%u %s 0x%x ", below(draft, 128), 1 + below(draft, 7), PICK(draft, "==", "!="),
            below(draft, 2));
    break;
  case 3:
    fprintf(draft->out, "@th,%u,16 %u-%u ", below(draft, 4) * 16, below(draft, 1000), 1000 + below(draft, 60000));
    break;
  case 4:
    if (draft->l4 == L4_TCP)
      fprintf(draft->out, "tcp option %s ",
              PICK(draft, "maxseg size 1460", "maxseg size > 1000", "maxseg exists", "timestamp missing",
                   "window count < 8", "sack-perm exists"));
    break;
  default:
    if (draft->l3 == 4)
      fprintf(draft->out, "ip option %s %s ", PICK(draft, "ra", "lsrr", "rr", "ssrr"),
              PICK(draft, "exists", "missing"));
    else
      fprintf(draft->out, "ether saddr %s02:01:0a:00:00:0%u ", not(draft), below(draft, 8));
  }
}

static void on_connection(struct draft *draft) {
  switch (below(draft, 10)) {
  case 0:
    fprintf(draft->out, "ct state %s ",
            PICK(draft, "new", "established", "established,related", "invalid", "untracked", "!= new",
                 "{ new, established }", "related"));
    break;
  case 1:
    fprintf(draft->out, "ct mark %s0x%x ", not(draft), mark(draft));
    break;
  case 2:
    fprintf(draft->out, "ct mark & 0x%x %s 0 ", 1U << below(draft, 9), PICK(draft, "==", "!="));
    break;
  case 3:
    fprintf(draft->out, "ct mark %s@%s ", not(draft), PICK(draft, "marks", "markranges"));
    break;
  case 4:
    fprintf(draft->out, "ct direction %s ", PICK(draft, "original", "reply"));
    break;
  case 5:
    fprintf(draft->out, "ct status %s ", PICK(draft, "confirmed", "& confirmed == 0", "seen-reply"));
    break;
  case 6:
    if (draft->l3 != 0) {
      fprintf(draft->out, "ct %s %s %s %s", PICK(draft, "original", "reply"), draft->l3 == 4 ? "ip" : "ip6",
              PICK(draft, "saddr", "daddr"), not(draft));
      write_addresses(draft, draft->l3);
      fprintf(draft->out, " ");
    }
    break;
  case 7:
    if (draft->l4 != L4_TCP && draft->l4 != L4_UDP)
      break;
    fprintf(draft->out, "meta l4proto %s ct %s %s %s", draft->l4 == L4_TCP ? "tcp" : "udp",
            PICK(draft, "original", "reply"), PICK(draft, "proto-dst", "proto-src"), not(draft));
    write_ports(draft);
    fprintf(draft->out, " ");
    break;
  case 8:
    if (draft->l4 == L4_NONE)
      fprintf(draft->out, "ct protocol %s%s ", not(draft), PICK(draft, "tcp", "udp", "icmp", "50", "58"));
    break;
  default:
    if (draft->l3 == 0)
      fprintf(draft->out, "ct l3proto %s ", PICK(draft, "ipv4", "ipv6"));
  }
}

/* ---- what a rule does ---- */

static void do_mark(struct draft *draft) {
  switch (below(draft, 4)) {
  case 0:
    fprintf(draft->out, "meta mark set 0x%x ", mark(draft));
    break;
  case 1:
    fprintf(draft->out, "meta mark set meta mark | 0x%x ", 1U << below(draft, 9));
    break;
  case 2:
    if (draft->l3 != 0)
      fprintf(draft->out, "meta mark set %s %s map @to_mark%d%s ", draft->l3 == 4 ? "ip" : "ip6",
              PICK(draft, "saddr", "daddr"), draft->l3, PICK(draft, "hash", "interval"));
    break;
  default:
    if (draft->options->odd)
      fprintf(draft->out, "meta mark set meta mark %s %u ", PICK(draft, "<<", ">>"), 1 + below(draft, 12));
  }
}

static void do_connection(struct draft *draft) {
  switch (below(draft, 5)) {
  case 0:
    fprintf(draft->out, "ct mark set 0x%x ", mark(draft));
    break;
  case 1:
    fprintf(draft->out, "ct mark set ct mark %s 0x%x ", PICK(draft, "|", "&", "^"), mark(draft));
    break;
  case 2:
    if (draft->l3 != 0)
      fprintf(draft->out, "ct mark set %s %s map @to_mark%d%s ", draft->l3 == 4 ? "ip" : "ip6",
              PICK(draft, "saddr", "daddr"), draft->l3, PICK(draft, "hash", "interval"));
    break;
  case 3:
    fprintf(draft->out, "%s ", PICK(draft, "ct mark set meta mark", "meta mark set ct mark"));
    break;
  default:
    if (draft->options->notrack)
      fprintf(draft->out, "notrack ");
  }
}

/* A map from a fact to a verdict, instead of a verdict. False: none fits this rule. */
static bool do_vmap(struct draft *draft) {
  switch (below(draft, 5)) {
  case 0:
    fprintf(draft->out, "meta l4proto vmap { tcp : ");
    write_verdict(draft);
    fprintf(draft->out, ", udp : ");
    write_verdict(draft);
    fprintf(draft->out, " }");
    return true;
  case 1:
    if (draft->l3 == 0 || draft->callable < MAPPED_CHAINS)
      return false;
    fprintf(draft->out, "%s %s vmap @to_verdict%d", draft->l3 == 4 ? "ip" : "ip6", PICK(draft, "saddr", "daddr"),
            draft->l3);
    return true;
  case 2:
    if (!draft->options->connections || is(draft, "netdev"))
      return false;
    fprintf(draft->out, "ct state vmap { new : ");
    write_verdict(draft);
    fprintf(draft->out, ", established : ");
    write_verdict(draft);
    fprintf(draft->out, ", invalid : ");
    write_verdict(draft);
    fprintf(draft->out, " }");
    return true;
  case 3:
    if (draft->l4 != L4_TCP && draft->l4 != L4_UDP)
      return false;
    fprintf(draft->out, "%s dport vmap { 0-79 : ", draft->l4 == L4_TCP ? "tcp" : "udp");
    write_verdict(draft);
    fprintf(draft->out, ", 443 : ");
    write_verdict(draft);
    fprintf(draft->out, ", 1000-50000 : ");
    write_verdict(draft);
    fprintf(draft->out, " }");
    return true;
  default:
    if (draft->callable < MAPPED_CHAINS)
      return false;
    fprintf(draft->out, "iifname . oifname vmap @wires");
    return true;
  }
}

/* ---- rules and chains ---- */

typedef void condition(struct draft *);

static void write_condition(struct draft *draft) {
  bool connections = draft->options->connections && !is(draft, "netdev");
  unsigned chance = below(draft, 100);
  condition *choice = chance < 25   ? on_address
                      : chance < 35 ? on_header
                      : chance < 55 ? on_transport
                      : chance < 60 ? on_protocol
                      : chance < 70 ? on_interface
                      : chance < 75 ? on_facts
                      : chance < 82 ? on_concatenation
                      : chance < 88 ? (draft->options->odd ? on_raw : on_facts)
                      : connections ? on_connection
                                    : on_address;
  if (choice == on_interface && is(draft, "netdev"))
    choice = on_facts;
  if ((choice == on_address || choice == on_header) && draft->l3 == 0)
    choice = on_protocol;
  if (choice == on_protocol && draft->l4 != L4_NONE)
    choice = on_transport;
  if (choice == on_transport && draft->l4 == L4_ICMP)
    choice = on_icmp;
  if (choice == on_transport && draft->l4 == L4_NONE)
    choice = on_protocol; /* what says the protocol twice is refused */
  choice(draft);
}

static void write_rule(struct draft *draft) {
  bool connections = draft->options->connections && !is(draft, "netdev");
  draft->l3 = is(draft, "ip") ? 4 : is(draft, "ip6") ? 6 : (int[]){4, 4, 6, 6, 0}[below(draft, 5)];
  draft->l4 = (enum layer4[]){L4_TCP, L4_TCP, L4_UDP, L4_UDP, L4_ICMP, L4_NONE}[below(draft, 6)];
  fprintf(draft->out, "    ");
  for (unsigned i = below(draft, 4); i > 0; i--)
    write_condition(draft);
  if (dice_percent(draft->dice, 25))
    do_mark(draft);
  if (connections && dice_percent(draft->dice, 30))
    do_connection(draft);
  if (!dice_percent(draft->dice, 25) || !do_vmap(draft)) {
    fprintf(draft->out, "counter ");
    if (!dice_percent(draft->dice, 25))
      write_verdict(draft);
  }
  fprintf(draft->out, "\n");
}

static void write_rules(struct draft *draft, unsigned count) {
  for (unsigned i = 0; i < count; i++)
    write_rule(draft);
  fprintf(draft->out, "  }\n");
}

static void write_chains(struct draft *draft) {
  for (draft->callable = 0; draft->callable < CHAINS; draft->callable++) {
    fprintf(draft->out, "  chain c%u {\n", draft->callable);
    write_rules(draft, 1 + below(draft, 4));
  }
}

/* No two chains of a hook have the same priority: the kernel's order would be its own. */
static void write_base_chains(struct draft *draft, unsigned table) {
  static const char *const hooks[] = {"prerouting", "input", "forward", "output", "postrouting"};
  for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
    if (dice_percent(draft->dice, 35))
      continue;
    int priority = (int)below(draft, 2) * 400 - 390 + (int)(table * 10 + i) + (int)below(draft, 2) * 100;
    draft->hook = hooks[i];
    fprintf(draft->out, "  chain %s {\n    type filter hook %s priority %d; policy %s;\n", hooks[i], hooks[i], priority,
            PICK(draft, "accept", "accept", "accept", "drop"));
    write_rules(draft, 3 + below(draft, 7));
  }
}

static void write_ingress(struct draft *draft) {
  fprintf(draft->out,
          "  chain ingress {\n    type filter hook ingress devices = { \"%s\", \"c0\" } priority %d; policy "
          "%s;\n",
          PICK(draft, "a0", "a1", "e0"), (int)below(draft, 20) - 10, PICK(draft, "accept", "accept", "drop"));
  draft->hook = "ingress";
  write_rules(draft, 3 + below(draft, 7));
}

/* ---- sets ---- */

static void write_address_sets(struct draft *draft, int family) {
  const char *type = family == 4 ? "ipv4_addr" : "ipv6_addr";
  fprintf(draft->out, "  set s%dhash { type %s; elements = { ", family, type);
  for (unsigned i = 0; i < 4; i++, fprintf(draft->out, i < 4 ? ", " : " }; }\n"))
    write_address(draft, family);
  fprintf(draft->out, "  set s%dinterval { type %s; flags interval; auto-merge; elements = { ", family, type);
  for (unsigned i = 0; i < 4; i++, fprintf(draft->out, i < 4 ? ", " : " }; }\n"))
    write_addresses(draft, family);
  fprintf(draft->out, "  map to_verdict%d { type %s : verdict; %selements = { ", family, type,
          PICK(draft, "", "flags interval; "));
  for (unsigned i = 0; i < 3; i++) {
    const char *const *pool = family == 4 ? random_rules_ipv4 : random_rules_ipv6;
    fprintf(draft->out, "%s : ", pool[i * 3 + below(draft, 3)]);
    write_verdict(draft);
    fprintf(draft->out, ", ");
  }
  fprintf(draft->out, "%s : accept }; }\n", family == 4 ? "1.2.3.4" : "::1");
}

/* Ranges that do not meet, with marks; the hash map has an element for everything else now and then. */
static void write_mark_maps(struct draft *draft, int family) {
  static const char *const ranges[2][6] = {
      {"10.0.0.0/25", "10.0.1.0-10.0.1.199", "10.1.0.0/16", "10.2.0.9", "172.16.0.0/12", "192.168.3.4/31"},
      {"2400:8500:0:100::/65", "2400:8500:0:101::1-2400:8500:0:101::9", "2400:8500:1::/48", "2400:8500:0:300::9",
       "fd00::/8", "2400:8500:0:400::4/127"}};
  const char *type = family == 4 ? "ipv4_addr" : "ipv6_addr";
  const char *const *pool = family == 4 ? random_rules_ipv4 : random_rules_ipv6;
  fprintf(draft->out, "  map to_mark%dhash { type %s : mark; elements = { ", family, type);
  for (unsigned i = 0; i < 4; i++)
    fprintf(draft->out, "%s : 0x%x, ", pool[i * 2 + below(draft, 2)], mark(draft));
  fprintf(draft->out, "%s : 0x%x }; }\n",
          dice_percent(draft->dice, 30) ? "*"
          : family == 4                 ? "1.2.3.4"
                                        : "::1",
          mark(draft));
  fprintf(draft->out, "  map to_mark%dinterval { type %s : mark; flags interval; elements = { ", family, type);
  for (unsigned i = 0; i < 6; i++)
    if (i == 0 || dice_percent(draft->dice, 60))
      fprintf(draft->out, "%s%s : 0x%x", i == 0 ? "" : ", ", ranges[family == 6][i], mark(draft));
  fprintf(draft->out, " }; }\n");
}

static void write_concatenations(struct draft *draft, int family) {
  const char *type = family == 4 ? "ipv4_addr" : "ipv6_addr";
  fprintf(draft->out, "  set k%dhash { type %s . %s . inet_proto . inet_service; elements = { ", family, type, type);
  for (unsigned i = 0; i < 5; i++) {
    write_address(draft, family);
    fprintf(draft->out, " . ");
    write_address(draft, family);
    fprintf(draft->out, " . %s . %u%s", PICK(draft, "tcp", "udp"), port(draft), i < 4 ? ", " : " }; }\n");
  }
  fprintf(draft->out, "  set k%dinterval { type %s . %s . inet_proto . inet_service; flags interval; elements = { ",
          family, type, type);
  for (unsigned i = 0; i < 4; i++) {
    write_addresses(draft, family);
    fprintf(draft->out, " . ");
    write_prefix(draft, family);
    fprintf(draft->out, " . %s . ", i % 2 == 0 ? "tcp" : "udp");
    fprintf(draft->out, "%u-%u%s", i < 2 ? 0 : 1000U, i < 2 ? below(draft, 999) : 1000 + below(draft, 60000),
            i < 3 ? ", " : " }; }\n");
  }
}

static void write_common_sets(struct draft *draft) {
  fprintf(draft->out, "  set ports { type inet_service; elements = { %u, %u, %u }; }\n", port(draft), port(draft),
          port(draft));
  fprintf(draft->out, "  set portranges { type inet_service; flags interval; auto-merge; elements = { ");
  for (unsigned i = 0; i < 3; i++, fprintf(draft->out, i < 3 ? ", " : " }; }\n"))
    write_ports(draft);
  fprintf(draft->out, "  set marks { type mark; elements = { 0x%x, 0x%x }; }\n", mark(draft), mark(draft));
  fprintf(draft->out, "  set markranges { type mark; flags interval; auto-merge; elements = { 0-%u, 0x%x }; }\n",
          below(draft, 10), mark(draft));
  fprintf(draft->out, "  map wires { type ifname . ifname : verdict; elements = { ");
  for (unsigned i = 0; i < 4; i++) {
    fprintf(draft->out, "\"%s\" . \"%s\" : ", random_rules_interfaces[i * 2 + below(draft, 2)], interface(draft));
    write_verdict(draft);
    fprintf(draft->out, i < 3 ? ", " : " }; }\n");
  }
}

static void write_table(struct draft *draft, unsigned number) {
  draft->family = PICK(draft, "inet", "inet", "inet", "ip", "ip6", "netdev");
  draft->callable = MAPPED_CHAINS; /* maps lead to these, and only later ones ask maps: nothing goes in circles */
  fprintf(draft->out, "table %s t%u {\n", draft->family, number);
  for (int family = 4; family <= 6; family += 2)
    if (!is(draft, family == 4 ? "ip6" : "ip")) {
      write_address_sets(draft, family);
      write_mark_maps(draft, family);
      write_concatenations(draft, family);
    }
  write_common_sets(draft);
  write_chains(draft);
  if (is(draft, "netdev"))
    write_ingress(draft);
  else
    write_base_chains(draft, number);
  fprintf(draft->out, "}\n");
}

char *random_rules_text(struct dice *dice, const struct random_rules_options *options, struct arena *arena) {
  char *buffer = NULL;
  size_t length = 0;
  struct draft draft = {.dice = dice, .options = options, .out = open_memstream(&buffer, &length)};
  if (draft.out == NULL)
    return NULL;
  for (unsigned i = 0, count = 1 + dice_below(dice, TABLES_MOST); i < count; i++)
    write_table(&draft, i);
  char *text = fclose(draft.out) == 0 ? arena_strdup(arena, buffer) : NULL;
  free(buffer);
  return text;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/lwtunnel.h>
#include <linux/neighbour.h>
#include <linux/packet_diag.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "kernel/surroundings_parts.h"

/* What is read out of the kernel's answers, and that no answer, however spoilt, does harm. */

enum { ROOM = 8192 };

static struct arena *arena;
static struct surroundings surroundings;
static struct collection collection;
static _Alignas(struct nlmsghdr) char buffer[ROOM];
static size_t length;

static void start(void) {
  surroundings = (struct surroundings){.known = true};
  collection = (struct collection){.arena = arena, .result = &surroundings};
}

static void set_up(void) {
  arena = arena_new(0);
  start();
  memset(buffer, 0, sizeof(buffer));
  length = 0;
}

static void tear_down(void) {
  arena_free(arena);
}

/* A message behind those that are there. */
static struct nlmsghdr *message(uint16_t type, const void *header, size_t size) {
  struct nlmsghdr *made = mnl_nlmsg_put_header(buffer + length);
  made->nlmsg_type = type;
  memcpy(mnl_nlmsg_put_extra_header(made, size), header, size);
  return made;
}

static void done(const struct nlmsghdr *made) {
  length += NLMSG_ALIGN(made->nlmsg_len);
}

static struct nlmsghdr *link_message(int index, const char *name) {
  struct ifinfomsg header = {.ifi_index = index, .ifi_flags = 1};
  struct nlmsghdr *made = message(RTM_NEWLINK, &header, sizeof(header));
  mnl_attr_put_strz(made, IFLA_IFNAME, name);
  return made;
}

static void put_links(void) {
  done(link_message(1, "lo"));
  done(link_message(2, "left0"));
  done(link_message(3, "right0"));
}

/* The links as they will be while another answer is read. */
static void with_links(void) {
  put_links();
  ck_assert_int_eq(links_take(&collection, buffer, length), 0);
  memset(buffer, 0, sizeof(buffer));
  length = 0;
}

static const struct machine_fact *only_fact(const char *kind, enum machine_fact_state state) {
  ck_assert_uint_eq(surroundings.fact_count, 1);
  ck_assert_str_eq(surroundings.facts[0].kind, kind);
  ck_assert_int_eq(surroundings.facts[0].state, state);
  return &surroundings.facts[0];
}

static void says(const char *text, const char *word) {
  ck_assert_msg(strstr(text, word) != NULL, "'%s' not in '%s'", word, text);
}

static char *text_of(const char *text) {
  return arena_strdup(arena, text);
}

/* ---- links ---- */

START_TEST(links_are_read_whole) {
  struct nlmsghdr *made = link_message(7, "br0");
  mnl_attr_put_u32(made, IFLA_MASTER, 4);
  mnl_attr_put_u32(made, IFLA_LINK, 5);
  mnl_attr_put_u32(made, IFLA_GROUP, 6);
  mnl_attr_put(made, IFLA_ADDRESS, 6, "\x02\x00\x00\x00\x00\x09");
  mnl_attr_put_u32(made, IFLA_LINK_NETNSID, 3);
  struct nlattr *xdp = mnl_attr_nest_start(made, IFLA_XDP);
  mnl_attr_put_u8(made, IFLA_XDP_ATTACHED, XDP_ATTACHED_SKB);
  mnl_attr_nest_end(made, xdp);
  struct nlattr *information = mnl_attr_nest_start(made, IFLA_LINKINFO);
  mnl_attr_put_strz(made, IFLA_INFO_KIND, "bridge");
  mnl_attr_put_strz(made, IFLA_INFO_SLAVE_KIND, "bridge");
  struct nlattr *data = mnl_attr_nest_start(made, IFLA_INFO_DATA);
  mnl_attr_put_u8(made, IFLA_BR_VLAN_FILTERING, 1);
  mnl_attr_nest_end(made, data);
  data = mnl_attr_nest_start(made, IFLA_INFO_SLAVE_DATA);
  mnl_attr_put_u8(made, IFLA_BRPORT_ISOLATED, 1);
  mnl_attr_nest_end(made, data);
  mnl_attr_nest_end(made, information);
  done(made);
  ck_assert_int_eq(links_take(&collection, buffer, length), 0);
  ck_assert_uint_eq(surroundings.link_count, 1);
  const struct link *link = &surroundings.links[0];
  ck_assert_str_eq(link->name, "br0");
  ck_assert_str_eq(link->kind, "bridge");
  ck_assert_str_eq(link->master_kind, "bridge");
  ck_assert(link->index == 7 && link->master == 4 && link->parent == 5 && link->group == 6);
  ck_assert(link->up && link->xdp && link->bridge_vlans && link->bridge_isolated && link->peer_elsewhere);
  ck_assert_uint_eq(link->peer_space, 3);
  ck_assert_uint_eq(link->own_mac, 0x020000000009);
}
END_TEST

START_TEST(a_plain_link_is_nothing_of_that) {
  done(link_message(2, "eth0"));
  ck_assert_int_eq(links_take(&collection, buffer, length), 0);
  const struct link *link = &surroundings.links[0];
  ck_assert(!link->xdp && !link->bridge_vlans && !link->bridge_isolated && !link->peer_elsewhere);
  ck_assert_str_eq(link->kind, "");
}
END_TEST

static void put_station(int index, const char *mac, uint8_t flags, uint16_t state) {
  struct ndmsg header = {.ndm_family = AF_BRIDGE, .ndm_ifindex = index, .ndm_flags = flags, .ndm_state = state};
  struct nlmsghdr *made = message(RTM_NEWNEIGH, &header, sizeof(header));
  mnl_attr_put(made, NDA_LLADDR, 6, mac);
  done(made);
}

START_TEST(a_station_that_no_device_here_is_is_told) {
  with_links();
  surroundings.links[2].own_mac = 0x020000000003;
  put_station(2, "\x33\x33\x00\x00\x00\x01", NTF_SELF, NUD_PERMANENT); /* multicast */
  put_station(2, "\x02\x00\x00\x00\x00\x03", NTF_SELF, NUD_PERMANENT); /* ours */
  put_station(2, "\x02\x00\x00\x00\x00\x08", 0, NUD_REACHABLE);        /* learnt by a bridge */
  put_station(9, "\x02\x00\x00\x00\x00\x08", NTF_SELF, NUD_PERMANENT); /* on what has gone */
  ck_assert_int_eq(stations_take(&collection, buffer, length), 0);
  ck_assert_uint_eq(surroundings.fact_count, 0);
  put_station(2, "\x02\x00\x00\x00\x00\x07", NTF_SELF, NUD_PERMANENT);
  ck_assert_int_eq(stations_take(&collection, buffer, length), 0);
  const struct machine_fact *fact = only_fact("macvlan", FACT_UNKNOWN);
  ck_assert_str_eq(fact->links[0], "left0");
  ck_assert_str_eq(fact->detail, "02:00:00:00:00:07");
}
END_TEST

/* ---- traffic control ---- */

static struct nlmsghdr *filter_message(int index, uint32_t parent, const char *kind) {
  struct tcmsg header = {.tcm_ifindex = index, .tcm_parent = parent};
  struct nlmsghdr *made = message(RTM_NEWTFILTER, &header, sizeof(header));
  mnl_attr_put_strz(made, TCA_KIND, kind);
  return made;
}

/* One action in the list of a filter of kind matchall or u32. */
static void put_action(struct nlmsghdr *made, uint16_t place, const char *kind, int eaction, uint32_t target) {
  struct nlattr *options = mnl_attr_nest_start(made, TCA_OPTIONS);
  struct nlattr *actions = mnl_attr_nest_start(made, place);
  struct nlattr *action = mnl_attr_nest_start(made, 1);
  mnl_attr_put_strz(made, TCA_ACT_KIND, kind);
  struct nlattr *details = mnl_attr_nest_start(made, TCA_ACT_OPTIONS);
  struct tc_mirred mirred = {.eaction = eaction, .ifindex = target};
  mnl_attr_put(made, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
  mnl_attr_nest_end(made, details);
  mnl_attr_nest_end(made, action);
  mnl_attr_nest_end(made, actions);
  mnl_attr_nest_end(made, options);
}

static void put_redirect(void) {
  struct nlmsghdr *made = filter_message(2, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), "matchall");
  put_action(made, TCA_MATCHALL_ACT, "mirred", TCA_EGRESS_REDIR, 3);
  done(made);
}

START_TEST(a_redirect_is_told_with_both_interfaces) {
  with_links();
  put_redirect();
  ck_assert_int_eq(filters_take(&collection, buffer, length), 0);
  const struct machine_fact *fact = only_fact("tc", FACT_BAD);
  ck_assert_str_eq(fact->links[0], "left0");
  ck_assert_str_eq(fact->links[1], "right0");
  says(fact->subject, "ingress");
  says(fact->detail, "egress redirect");
  ck_assert(surroundings.links[1].tc_filters);
  says(surroundings.links[1].tc_detail, "right0");
  ck_assert(!surroundings.links[0].tc_filters);
}
END_TEST

START_TEST(actions_are_sorted_by_what_they_can_do) {
  static const struct {
    const char *classifier, *action;
    uint16_t place;
    bool told;
  } cases[] = {{"u32", "gact", TCA_U32_ACT, false},        {"u32", "police", TCA_U32_ACT, false},
               {"u32", "pedit", TCA_U32_ACT, true},        {"u32", "nat", TCA_U32_ACT, true},
               {"flower", "ct", TCA_FLOWER_ACT, true},     {"flower", "skbedit", TCA_FLOWER_ACT, true},
               {"basic", "bpf", TCA_BASIC_ACT, true},      {"newest", "gact", 1, true},
               {"matchall", "xyz", TCA_MATCHALL_ACT, true}};
  with_links();
  struct nlmsghdr *made = filter_message(2, TC_H_MAKE(TC_H_INGRESS, 0), cases[_i].classifier);
  put_action(made, cases[_i].place, cases[_i].action, 0, 0);
  done(made);
  ck_assert_int_eq(filters_take(&collection, buffer, length), 0);
  if (cases[_i].told) {
    only_fact("tc", FACT_UNKNOWN);
  } else {
    ck_assert_uint_eq(surroundings.fact_count, 0);
  }
}
END_TEST

START_TEST(a_filter_of_a_program_is_told_by_name) {
  with_links();
  struct nlmsghdr *made = filter_message(3, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), "bpf");
  struct nlattr *options = mnl_attr_nest_start(made, TCA_OPTIONS);
  mnl_attr_put_strz(made, TCA_BPF_NAME, "shaper.o");
  mnl_attr_nest_end(made, options);
  done(made);
  ck_assert_int_eq(filters_take(&collection, buffer, length), 0);
  const struct machine_fact *fact = only_fact("tc", FACT_UNKNOWN);
  says(fact->detail, "shaper.o");
  says(fact->subject, "right0 egress");
}
END_TEST

START_TEST(a_redirect_to_a_block_is_not_known) {
  with_links();
  struct nlmsghdr *made = filter_message(2, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), "matchall");
  put_action(made, TCA_MATCHALL_ACT, "mirred", _i == 0 ? TCA_EGRESS_REDIR : 99, _i == 0 ? 0 : 3);
  done(made);
  ck_assert_int_eq(filters_take(&collection, buffer, length), 0);
  only_fact("tc", FACT_UNKNOWN);
}
END_TEST

/* ---- routing ---- */

static struct nlmsghdr *rule_message(uint8_t family, uint32_t priority, uint32_t table) {
  struct fib_rule_hdr header = {.family = family, .action = FR_ACT_TO_TBL, .table = (uint8_t)table};
  struct nlmsghdr *made = message(RTM_NEWRULE, &header, sizeof(header));
  mnl_attr_put_u32(made, FRA_PRIORITY, priority);
  mnl_attr_put_u32(made, FRA_TABLE, table);
  return made;
}

START_TEST(the_kernel_s_own_rules_are_no_policy_routing) {
  done(rule_message(AF_INET, 0, RT_TABLE_LOCAL));
  done(rule_message(AF_INET, 32766, RT_TABLE_MAIN));
  done(rule_message(AF_INET, 32767, RT_TABLE_DEFAULT));
  done(rule_message(AF_INET6, 0, RT_TABLE_LOCAL));
  done(rule_message(AF_INET6, 32766, RT_TABLE_MAIN));
  done(rule_message(RTNL_FAMILY_IPMR, 5, 5));
  ck_assert_int_eq(rules_take(&collection, buffer, length), 0);
  ck_assert_uint_eq(surroundings.fact_count, 0);
}
END_TEST

START_TEST(any_other_rule_is) {
  struct nlmsghdr *made = _i == 0   ? rule_message(AF_INET, 100, RT_TABLE_MAIN)
                          : _i == 1 ? rule_message(AF_INET6, 32766, 100)
                                    : rule_message(AF_INET, 0, RT_TABLE_LOCAL);
  if (_i == 2) {
    mnl_attr_put_strz(made, FRA_IIFNAME, "left0");
  }
  done(made);
  ck_assert_int_eq(rules_take(&collection, buffer, length), 0);
  only_fact("routing", FACT_UNKNOWN);
}
END_TEST

static struct nlmsghdr *route_message(void) {
  struct rtmsg header = {.rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_type = RTN_UNICAST};
  struct nlmsghdr *made = message(RTM_NEWROUTE, &header, sizeof(header));
  mnl_attr_put(made, RTA_DST, 4, "\x0a\x07\x00\x00");
  return made;
}

START_TEST(a_route_that_wraps_is_told_also_as_one_of_several_ways) {
  struct nlmsghdr *made = route_message();
  if (_i == 0) {
    mnl_attr_put_u16(made, RTA_ENCAP_TYPE, LWTUNNEL_ENCAP_SEG6_LOCAL);
  } else {
    struct nlattr *ways = mnl_attr_nest_start(made, RTA_MULTIPATH);
    struct rtnexthop plain = {.rtnh_len = sizeof(plain)};
    struct rtnexthop way = {.rtnh_len = sizeof(way) + sizeof(struct nlattr) + 4};
    char *place = mnl_nlmsg_get_payload_tail(made);
    memcpy(place, &plain, sizeof(plain));
    memcpy(place + sizeof(plain), &way, sizeof(way));
    struct nlattr type = {.nla_len = sizeof(struct nlattr) + 2, .nla_type = RTA_ENCAP_TYPE};
    uint16_t number = LWTUNNEL_ENCAP_SEG6_LOCAL;
    memcpy(place + 2 * sizeof(way), &type, sizeof(type));
    memcpy(place + 2 * sizeof(way) + sizeof(struct nlattr), &number, sizeof(number));
    made->nlmsg_len += (uint32_t)(2 * sizeof(way) + sizeof(struct nlattr) + 4);
    mnl_attr_nest_end(made, ways);
  }
  done(made);
  ck_assert_int_eq(routes_take(&collection, buffer, length), 0);
  const struct machine_fact *fact = only_fact("routing", FACT_UNKNOWN);
  says(fact->subject, "10.7.0.0/24");
  says(fact->detail, "seg6local");
}
END_TEST

START_TEST(plain_routes_are_none_and_label_routes_are) {
  done(route_message());
  ck_assert_int_eq(routes_take(&collection, buffer, length), 0);
  ck_assert_uint_eq(surroundings.fact_count, 0);
  struct rtmsg header = {.rtm_family = AF_MPLS};
  done(message(RTM_NEWROUTE, &header, sizeof(header)));
  ck_assert_int_eq(routes_take(&collection, buffer, length), 0);
  only_fact("mpls", FACT_UNKNOWN);
}
END_TEST

START_TEST(of_many_the_first_few_are_told) {
  for (uint32_t i = 0; i < 40; i++) {
    done(rule_message(AF_INET, 1000 + i, 100));
  }
  ck_assert_int_eq(rules_take(&collection, buffer, length), 0);
  ck_assert_uint_eq(surroundings.fact_count, 16);
}
END_TEST

START_TEST(policies_and_states_of_ipsec_are_told) {
  struct xfrm_userpolicy_info policy = {.index = 9, .dir = XFRM_POLICY_FWD, .sel.family = AF_INET};
  struct xfrm_usersa_info state = {.family = AF_INET6, .id.proto = 50};
  done(_i == 0 ? message(XFRM_MSG_NEWPOLICY, &policy, sizeof(policy)) : message(XFRM_MSG_NEWSA, &state, sizeof(state)));
  ck_assert_int_eq(_i == 0 ? policies_take(&collection, buffer, length) : states_take(&collection, buffer, length), 0);
  says(only_fact("xfrm", FACT_UNKNOWN)->detail, _i == 0 ? "fwd" : "protocol 50");
}
END_TEST

/* ---- sockets ---- */

static void put_socket(uint8_t family, uint16_t port, uint16_t peer, uint8_t last, uint32_t interface) {
  struct inet_diag_msg header = {.idiag_family = family, .idiag_inode = 77};
  header.id.idiag_sport = htons(port);
  header.id.idiag_dport = htons(peer);
  header.id.idiag_if = interface;
  ((uint8_t *)header.id.idiag_src)[3] = last;
  done(message(SOCK_DIAG_BY_FAMILY, &header, sizeof(header)));
}

START_TEST(sockets_that_wait_for_anybody_are_kept) {
  with_links();
  put_socket(AF_INET, 8080, 0, 0, 0);
  put_socket(AF_INET6, 53, 0, 9, 2);
  put_socket(AF_INET, 40000, 53, 1, 0); /* speaks with one other */
  put_socket(AF_INET, 0, 0, 0, 0);
  put_socket(AF_INET, 45000, 0, 0, 0);
  ck_assert_int_eq(sockets_take(&collection, IPPROTO_UDP, buffer, length), 0);
  ck_assert_uint_eq(surroundings.listener_count, 3);
  const struct listener *listeners = surroundings.listeners;
  ck_assert(listeners[0].port == 8080 && listeners[0].address.family == FAMILY_NONE && !listeners[0].passing);
  ck_assert(listeners[1].port == 53 && listeners[1].address.family == FAMILY_IPV6);
  ck_assert_str_eq(listeners[1].link, "left0");
  ck_assert(listeners[2].port == 45000 && listeners[2].passing);
  ck_assert_uint_eq(collection.inodes[0], 77);
}
END_TEST

START_TEST(packet_sockets_are_kept_with_their_interface) {
  with_links();
  struct packet_diag_msg header = {.pdiag_family = AF_PACKET, .pdiag_ino = 5};
  done(message(SOCK_DIAG_BY_FAMILY, &header, sizeof(header)));
  struct nlmsghdr *made = message(SOCK_DIAG_BY_FAMILY, &header, sizeof(header));
  struct packet_diag_info information = {.pdi_index = 3};
  mnl_attr_put(made, PACKET_DIAG_INFO, sizeof(information), &information);
  done(made);
  ck_assert_int_eq(sockets_take(&collection, 0, buffer, length), 0);
  ck_assert_uint_eq(surroundings.listener_count, 2);
  ck_assert(surroundings.listeners[0].packet && surroundings.listeners[0].link == NULL);
  ck_assert_str_eq(surroundings.listeners[1].link, "right0");
}
END_TEST

START_TEST(the_tables_of_proc_say_the_same) {
  static const char tcp[] =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: %s:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0000000000000000 100\n"
      "   1: %s:0016 0900010A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 78 4 0000000000000000 20\n"
      "   2: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 "
      "00:00000000 00000000     0        0 79 1 0000000000000000 100\n"
      "   3: junk\n";
  static const char packet[] = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
                               "0000000000000000 3      3    0003   3     1 0      0      55  \n"
                               "0000000000000000 3      3    0003   0     1 0      0      56  \n";
  with_links();
  uint32_t number;
  memcpy(&number, "\x0a\x01\x00\x01", sizeof(number));
  const char *local = arena_printf(arena, "%08X", number);
  const char *table = arena_printf(arena, tcp, local, local);
  ck_assert_int_eq(socket_table_take(&collection, IPPROTO_TCP, text_of(table)), 0);
  ck_assert_uint_eq(surroundings.listener_count, 2);
  const struct listener *listeners = surroundings.listeners;
  char address[ADDRESS_TEXT_SIZE];
  ck_assert_str_eq(address_format(&listeners[0].address, address), "10.1.0.1");
  ck_assert_uint_eq(listeners[0].port, 8080);
  ck_assert_uint_eq(collection.inodes[0], 77);
  ck_assert(listeners[1].port == 53 && listeners[1].address.family == FAMILY_NONE);
  ck_assert_int_eq(socket_table_take(&collection, 0, text_of(packet)), 0);
  ck_assert_uint_eq(surroundings.listener_count, 4);
  ck_assert_str_eq(surroundings.listeners[2].link, "right0");
  ck_assert(surroundings.listeners[3].packet && surroundings.listeners[3].link == NULL);
}
END_TEST

/* ---- other namespaces ---- */

START_TEST(devices_elsewhere_that_lead_here_are_passages) {
  with_links();
  for (uint32_t number = 0; number < 2; number++) {
    struct nlmsghdr *made = link_message(2, "eth0");
    mnl_attr_put_u32(made, IFLA_LINK, 2);
    mnl_attr_put_u32(made, IFLA_LINK_NETNSID, number);
    mnl_attr_put_u32(made, IFLA_MASTER, 9);
    done(made);
  }
  done(link_message(3, "eth1"));
  ck_assert_int_eq(far_links_take(&collection, 4, 1, buffer, length), 0);
  ck_assert_uint_eq(surroundings.passage_count, 1);
  ck_assert_str_eq(surroundings.passages[0].link, "left0");
  ck_assert_str_eq(surroundings.passages[0].far, "eth0");
  ck_assert(surroundings.passages[0].space == 4 && surroundings.passages[0].master == 9);
}
END_TEST

/* ---- files ---- */

START_TEST(old_tables_and_modules_are_read) {
  ck_assert_int_eq(legacy_take(&collection, "iptables-legacy", text_of("")), 0);
  ck_assert_uint_eq(surroundings.fact_count, 0);
  ck_assert_int_eq(legacy_take(&collection, "iptables-legacy", text_of("nat\nfilter\n")), 0);
  ck_assert_uint_eq(surroundings.fact_count, 2);
  start();
  ck_assert_int_eq(modules_take(&collection, "xebtable_nat 1 0\nebtables 3 0\n"), 0);
  ck_assert_uint_eq(surroundings.fact_count, 0);
  ck_assert_int_eq(modules_take(&collection, "bridge 1 0\nebtable_broute 3 0\n"), 0);
  only_fact("legacy", FACT_UNKNOWN);
}
END_TEST

START_TEST(services_of_ipvs_are_read) {
  static const char heading[] = "IP Virtual Server version 1.2.1 (size=4096)\n"
                                "Prot LocalAddress:Port Scheduler Flags\n"
                                "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
  ck_assert_int_eq(services_take(&collection, text_of(heading)), 0);
  ck_assert_uint_eq(surroundings.fact_count, 0);
  char *text =
      arena_printf(arena, "%sTCP  0A010001:0050 rr\n  -> 0A020009:0050      Masq    1      0          0\n", heading);
  ck_assert_int_eq(services_take(&collection, text), 0);
  says(only_fact("ipvs", FACT_UNKNOWN)->detail, "0A010001:0050");
}
END_TEST

START_TEST(forwarding_at_boot_is_read) {
  static const struct {
    const char *line;
    bool told;
  } cases[] = {
      {"net.ipv4.ip_forward=1", true},
      {"net/ipv4/ip_forward = 1", true},
      {"-net.ipv6.conf.all.forwarding = 1", true},
      {"  net.ipv4.conf.eth0.forwarding=1", true},
      {"net.ipv6.conf.default.forwarding = 2", true},
      {"net.ipv4.ip_forward=0", false},
      {"# net.ipv4.ip_forward=1", false},
      {";net.ipv4.ip_forward=1", false},
      {"net.ipv4.ip_forward_use_pmtu=1", false},
      {"net.ipv4.ip_forward", false},
      {"=", false},
      {"kernel.panic = 1", false},
  };
  ck_assert_int_eq(boot_settings_take(&collection, "/etc/sysctl.conf", text_of(cases[_i].line)), 0);
  ck_assert_uint_eq(surroundings.fact_count, cases[_i].told);
}
END_TEST

/* ---- spoilt answers ---- */

static int take_internet(struct collection *into, const void *data, size_t size) {
  return sockets_take(into, IPPROTO_TCP, data, size);
}

static int take_packet(struct collection *into, const void *data, size_t size) {
  return sockets_take(into, 0, data, size);
}

static int take_far(struct collection *into, const void *data, size_t size) {
  return far_links_take(into, 0, 0, data, size);
}

/* One of everything that the takers know. */
static void put_everything(void) {
  put_links();
  put_station(2, "\x02\x00\x00\x00\x00\x07", NTF_SELF, NUD_PERMANENT);
  put_redirect();
  done(rule_message(AF_INET, 100, 100));
  struct nlmsghdr *made = route_message();
  mnl_attr_put_u16(made, RTA_ENCAP_TYPE, 3);
  done(made);
  made = route_message();
  mnl_attr_put(made, RTA_MULTIPATH, 16, "\x10\x00\x00\x00\x02\x00\x00\x00\x06\x00\x15\x00\x03\x00\x00\x00");
  done(made);
  put_socket(AF_INET6, 8080, 0, 0, 2);
  struct xfrm_userpolicy_info policy = {.index = 9, .dir = 200};
  done(message(XFRM_MSG_NEWPOLICY, &policy, sizeof(policy)));
}

static int (*const takers[])(struct collection *, const void *, size_t) = {
    links_take,    stations_take, filters_take,  rules_take,  routes_take,
    policies_take, states_take,   take_internet, take_packet, take_far,
};

/* In memory of its own, to the byte, so that a step too far is seen. */
static void take_all(const char *data, size_t size) {
  char *exact = malloc(size > 0 ? size : 1);
  memcpy(exact, data, size);
  start();
  for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
    int status = takers[i](&collection, exact, size);
    ck_assert_msg(status == 0 || status == -EBADMSG, "taker %zu: %d", i, status);
  }
  free(exact);
}

START_TEST(an_answer_that_ends_early_does_no_harm) {
  put_everything();
  for (size_t size = 0; size <= length; size++) {
    take_all(buffer, size);
  }
}
END_TEST

START_TEST(an_answer_with_other_bytes_does_no_harm) {
  put_everything();
  uint32_t random = 20261123;
  for (unsigned round = 0; round < 20000; round++) {
    char spoilt[ROOM];
    memcpy(spoilt, buffer, length);
    for (unsigned change = 0; change < 1 + round % 4; change++) {
      random = random * 1664525 + 1013904223;
      spoilt[(random >> 8) % length] = (char)(random >> 24);
    }
    take_all(spoilt, length);
    if (round % 500 == 0) {
      arena = arena_free(arena);
      arena = arena_new(0);
    }
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("surroundings");
  TCase *tests = tcase_create("answers of the kernel");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, links_are_read_whole);
  tcase_add_test(tests, a_plain_link_is_nothing_of_that);
  tcase_add_test(tests, a_station_that_no_device_here_is_is_told);
  tcase_add_test(tests, a_redirect_is_told_with_both_interfaces);
  tcase_add_loop_test(tests, actions_are_sorted_by_what_they_can_do, 0, 9);
  tcase_add_test(tests, a_filter_of_a_program_is_told_by_name);
  tcase_add_loop_test(tests, a_redirect_to_a_block_is_not_known, 0, 2);
  tcase_add_test(tests, the_kernel_s_own_rules_are_no_policy_routing);
  tcase_add_loop_test(tests, any_other_rule_is, 0, 3);
  tcase_add_loop_test(tests, a_route_that_wraps_is_told_also_as_one_of_several_ways, 0, 2);
  tcase_add_test(tests, plain_routes_are_none_and_label_routes_are);
  tcase_add_test(tests, of_many_the_first_few_are_told);
  tcase_add_loop_test(tests, policies_and_states_of_ipsec_are_told, 0, 2);
  tcase_add_test(tests, sockets_that_wait_for_anybody_are_kept);
  tcase_add_test(tests, packet_sockets_are_kept_with_their_interface);
  tcase_add_test(tests, the_tables_of_proc_say_the_same);
  tcase_add_test(tests, devices_elsewhere_that_lead_here_are_passages);
  tcase_add_test(tests, old_tables_and_modules_are_read);
  tcase_add_test(tests, services_of_ipvs_are_read);
  tcase_add_loop_test(tests, forwarding_at_boot_is_read, 0, 12);
  tcase_add_test(tests, an_answer_that_ends_early_does_no_harm);
  tcase_add_test(tests, an_answer_with_other_bytes_does_no_harm);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

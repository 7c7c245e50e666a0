/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/lwtunnel.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

#include "kernel/surroundings_parts.h"

/*
 * How packets are sent on their way beside the plain route table: rules that choose another table, routes that wrap or
 * rewrite what they carry, labels (MPLS), and IPsec, which does so behind the last rule.
 */
enum { REQUEST_ROOM = 512, PATH_ROOM = 512, SWITCH_ROOM = 8, TOLD_LIMIT = 16 };

/* The first few of many are enough for people. */
struct telling {
  struct collection *collection;
  unsigned count;
};

static int tell(struct telling *telling, const char *kind, const char *subject, const char *detail) {
  struct machine_fact fact = {.kind = kind, .subject = subject, .detail = detail, .state = FACT_UNKNOWN};
  return telling->count++ < TOLD_LIMIT ? collection_add_fact(telling->collection, &fact) : 0;
}

static const char *family_name(uint8_t family) {
  return family == AF_INET ? "IPv4" : family == AF_INET6 ? "IPv6" : family == AF_MPLS ? "MPLS" : "?";
}

/* Asks for all of a kind, and hands each to the function. -EOPNOTSUPP and the like: this kernel has none of it. */
static int survey(struct collection *collection, uint16_t request_type, uint16_t answer_type, uint8_t family,
                  size_t header_size, message_function function) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = request_type;
  request->nlmsg_flags = NLM_F_DUMP;
  uint8_t *header = mnl_nlmsg_put_extra_header(request, header_size);
  header[0] = family;
  struct netlink_answer answer = {0};
  struct telling telling = {.collection = collection};
  int status = collection_ask(collection, request, &answer);
  if (status == 0) {
    status = messages_each(answer.data, answer.length, answer_type, header_size, function, &telling);
  }
  netlink_answer_free(&answer);
  return status;
}

static int or_failure(struct collection *collection, int status, const char *kind, const char *subject) {
  return status == 0 || status == -ENOMEM ? status : collection_add_failure(collection, kind, subject, -status);
}

/* ---- rules ---- */

/* Selectors and effects of a rule. */
static const unsigned rule_choices[] = {
    FRA_DST,         FRA_SRC,         FRA_IIFNAME,  FRA_OIFNAME,          FRA_GOTO,
    FRA_FWMARK,      FRA_FLOW,        FRA_TUN_ID,   FRA_SUPPRESS_IFGROUP, FRA_IP_PROTO,
    FRA_SPORT_RANGE, FRA_DPORT_RANGE, FRA_UID_RANGE};

static bool chooses(const struct nlmsghdr *message) {
  const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(message);
  bool any = header->action != FR_ACT_TO_TBL || header->src_len != 0 || header->dst_len != 0 || header->tos != 0;
  for (size_t i = 0; i < sizeof(rule_choices) / sizeof(rule_choices[0]); i++) {
    any = any || message_attribute(message, sizeof(*header), rule_choices[i]) != NULL;
  }
  return any;
}

/* The three that the kernel makes by itself. */
static bool is_usual(uint32_t priority, uint32_t table) {
  return (priority == 0 && table == RT_TABLE_LOCAL) || (priority == 32766 && table == RT_TABLE_MAIN) ||
         (priority == 32767 && table == RT_TABLE_DEFAULT);
}

static int take_rule(void *context, const struct nlmsghdr *message) {
  struct telling *telling = context;
  const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(message);
  enum { SIZE = sizeof(*header) };
  uint32_t priority = attribute_host_u32(message_attribute(message, SIZE, FRA_PRIORITY), 0);
  uint32_t table = attribute_host_u32(message_attribute(message, SIZE, FRA_TABLE), header->table);
  bool by_vrf = attribute_host_u8(message_attribute(message, SIZE, FRA_L3MDEV), 0) != 0; /* comes with the first VRF */
  bool multicast = header->family != AF_INET && header->family != AF_INET6;
  if (multicast || by_vrf || (!chooses(message) && is_usual(priority, table))) {
    return 0;
  }
  struct arena *arena = telling->collection->arena;
  return tell(telling, "routing", arena_printf(arena, "ip rule %u (%s)", priority, family_name(header->family)),
              arena_printf(arena, "table %u", table));
}

int rules_take(struct collection *collection, const void *data, size_t length) {
  struct telling telling = {.collection = collection};
  return messages_each(data, length, RTM_NEWRULE, sizeof(struct fib_rule_hdr), take_rule, &telling);
}

/* ---- routes ---- */

static const char *wrapping_name(struct arena *arena, const struct nlattr *type) {
  static const char *const names[] = {[LWTUNNEL_ENCAP_MPLS] = "mpls",
                                      [LWTUNNEL_ENCAP_IP] = "ip",
                                      [LWTUNNEL_ENCAP_ILA] = "ila",
                                      [LWTUNNEL_ENCAP_IP6] = "ip6",
                                      [LWTUNNEL_ENCAP_SEG6] = "seg6",
                                      [LWTUNNEL_ENCAP_BPF] = "bpf",
                                      [LWTUNNEL_ENCAP_SEG6_LOCAL] = "seg6local"};
  uint16_t number = 0;
  if (mnl_attr_get_payload_len(type) >= sizeof(number)) {
    memcpy(&number, mnl_attr_get_payload(type), sizeof(number));
  }
  bool named = number < sizeof(names) / sizeof(names[0]) && names[number] != NULL;
  return named ? names[number] : arena_printf(arena, "%u", number);
}

/* The first way of several that wraps; NULL. */
static const struct nlattr *wrapping_of_ways(const struct nlattr *ways) {
  const char *data = ways != NULL ? mnl_attr_get_payload(ways) : NULL;
  size_t left = ways != NULL ? mnl_attr_get_payload_len(ways) : 0;
  while (left >= sizeof(struct rtnexthop)) {
    struct rtnexthop way;
    memcpy(&way, data, sizeof(way));
    if (way.rtnh_len < sizeof(way) || way.rtnh_len > left) {
      return NULL;
    }
    struct attribute_walk walk = {.data = data + sizeof(way), .length = way.rtnh_len - sizeof(way)};
    const struct nlattr *attribute;
    while ((attribute = attribute_walk_next(&walk)) != NULL) {
      if (mnl_attr_get_type(attribute) == RTA_ENCAP_TYPE) {
        return attribute;
      }
    }
    size_t step = netlink_align(way.rtnh_len);
    data += step < left ? step : left;
    left -= step < left ? step : left;
  }
  return NULL;
}

static const char *destination(struct arena *arena, const struct nlmsghdr *message) {
  const struct rtmsg *header = mnl_nlmsg_get_payload(message);
  const struct nlattr *attribute = message_attribute(message, sizeof(*header), RTA_DST);
  struct address address = {.family = header->rtm_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6};
  char text[ADDRESS_TEXT_SIZE];
  if (attribute == NULL || mnl_attr_get_payload_len(attribute) != address_length(address.family)) {
    return "default";
  }
  memcpy(address.bytes, mnl_attr_get_payload(attribute), address_length(address.family));
  return arena_printf(arena, "%s/%u", address_format(&address, text), header->rtm_dst_len);
}

static int take_route(void *context, const struct nlmsghdr *message) {
  struct telling *telling = context;
  const struct rtmsg *header = mnl_nlmsg_get_payload(message);
  struct arena *arena = telling->collection->arena;
  if (header->rtm_family == AF_MPLS) {
    return tell(telling, "mpls", "a route for labels", "AF_MPLS");
  }
  const struct nlattr *wrapping = message_attribute(message, sizeof(*header), RTA_ENCAP_TYPE);
  if (wrapping == NULL) {
    wrapping = wrapping_of_ways(message_attribute(message, sizeof(*header), RTA_MULTIPATH));
  }
  return wrapping == NULL ? 0
                          : tell(telling, "routing", arena_printf(arena, "route %s", destination(arena, message)),
                                 arena_printf(arena, "encap %s", wrapping_name(arena, wrapping)));
}

int routes_take(struct collection *collection, const void *data, size_t length) {
  struct telling telling = {.collection = collection};
  return messages_each(data, length, RTM_NEWROUTE, sizeof(struct rtmsg), take_route, &telling);
}

static int take_next_hop(void *context, const struct nlmsghdr *message) {
  struct telling *telling = context;
  const struct nlattr *wrapping = message_attribute(message, sizeof(struct nhmsg), NHA_ENCAP_TYPE);
  uint32_t number = attribute_host_u32(message_attribute(message, sizeof(struct nhmsg), NHA_ID), 0);
  struct arena *arena = telling->collection->arena;
  return wrapping == NULL ? 0
                          : tell(telling, "routing", arena_printf(arena, "nexthop %u", number),
                                 arena_printf(arena, "encap %s", wrapping_name(arena, wrapping)));
}

/* ---- labels ---- */

static int take_label_switch(struct collection *collection, const char *interface) {
  char path[PATH_ROOM];
  int code;
  int length = snprintf(path, sizeof(path), "/proc/sys/net/mpls/conf/%s/input", interface);
  const char *value =
      length > 0 && (size_t)length < sizeof(path) ? file_read(collection->arena, path, SWITCH_ROOM, &code) : NULL;
  if (value == NULL || value[0] == '0') {
    return 0;
  }
  struct machine_fact fact = {.kind = "mpls",
                              .subject = arena_printf(collection->arena, "net/mpls/conf/%s/input", interface),
                              .detail = "1",
                              .state = FACT_UNKNOWN,
                              .links = {interface, NULL}};
  return collection_add_fact(collection, &fact);
}

static int collect_labels(struct collection *collection) {
  DIR *listing = opendir("/proc/sys/net/mpls/conf");
  int status = 0;
  const struct dirent *entry;
  while (listing != NULL && status == 0 && (entry = readdir(listing)) != NULL) {
    status = entry->d_name[0] == '.' ? 0 : take_label_switch(collection, entry->d_name);
  }
  if (listing != NULL) {
    closedir(listing);
    status = status == 0
                 ? or_failure(collection,
                              survey(collection, RTM_GETROUTE, RTM_NEWROUTE, AF_MPLS, sizeof(struct rtmsg), take_route),
                              "mpls", "RTM_GETROUTE (MPLS)")
                 : status;
  }
  return status;
}

/* ---- IPsec ---- */

static const char *const directions[] = {[XFRM_POLICY_IN] = "in", [XFRM_POLICY_OUT] = "out", [XFRM_POLICY_FWD] = "fwd"};

static int take_policy(void *context, const struct nlmsghdr *message) {
  struct telling *telling = context;
  struct xfrm_userpolicy_info policy; /* copied: it wants more alignment than a message has */
  memcpy(&policy, mnl_nlmsg_get_payload(message), sizeof(policy));
  bool named = policy.dir < sizeof(directions) / sizeof(directions[0]);
  return tell(telling, "xfrm", arena_printf(telling->collection->arena, "xfrm policy %u", policy.index),
              arena_printf(telling->collection->arena, "%s, dir %s", family_name((uint8_t)policy.sel.family),
                           named ? directions[policy.dir] : "?"));
}

static int take_state(void *context, const struct nlmsghdr *message) {
  struct telling *telling = context;
  struct xfrm_usersa_info state;
  memcpy(&state, mnl_nlmsg_get_payload(message), sizeof(state));
  return tell(
      telling, "xfrm", arena_printf(telling->collection->arena, "xfrm state %08x", (unsigned)ntohl(state.id.spi)),
      arena_printf(telling->collection->arena, "%s, protocol %u", family_name((uint8_t)state.family), state.id.proto));
}

int policies_take(struct collection *collection, const void *data, size_t length) {
  struct telling telling = {.collection = collection};
  return messages_each(data, length, XFRM_MSG_NEWPOLICY, sizeof(struct xfrm_userpolicy_info), take_policy, &telling);
}

int states_take(struct collection *collection, const void *data, size_t length) {
  struct telling telling = {.collection = collection};
  return messages_each(data, length, XFRM_MSG_NEWSA, sizeof(struct xfrm_usersa_info), take_state, &telling);
}

static int ask_xfrm(struct collection *collection, uint16_t type, size_t header_size,
                    int (*take)(struct collection *, const void *, size_t)) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(request, header_size);
  struct netlink *netlink = NULL;
  struct netlink_answer answer = {0};
  struct error ignored = {0};
  int status = netlink_open(NETLINK_XFRM, &netlink, &ignored);
  if (status == 0) {
    status = netlink_request(netlink, request, -1, &answer, &ignored);
  }
  if (status == 0) {
    status = take(collection, answer.data, answer.length);
  }
  netlink_answer_free(&answer);
  netlink_close(netlink);
  return status == -EPROTONOSUPPORT ? 0 : status; /* a kernel without IPsec */
}

static int collect_xfrm(struct collection *collection) {
  int status = ask_xfrm(collection, XFRM_MSG_GETPOLICY, sizeof(struct xfrm_userpolicy_id), policies_take);
  if (status == 0) {
    status = ask_xfrm(collection, XFRM_MSG_GETSA, sizeof(struct xfrm_usersa_id), states_take);
  }
  return or_failure(collection, status, "xfrm", "NETLINK_XFRM");
}

int collect_routing(struct collection *collection) {
  static const struct {
    uint16_t request, answer;
    size_t header_size;
    message_function function;
    const char *name;
  } surveys[] = {
      {RTM_GETRULE, RTM_NEWRULE, sizeof(struct fib_rule_hdr), take_rule, "RTM_GETRULE"},
      {RTM_GETROUTE, RTM_NEWROUTE, sizeof(struct rtmsg), take_route, "RTM_GETROUTE"},
      {RTM_GETNEXTHOP, RTM_NEWNEXTHOP, sizeof(struct nhmsg), take_next_hop, "RTM_GETNEXTHOP"},
  };
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof(surveys) / sizeof(surveys[0]); i++) {
    int answer = survey(collection, surveys[i].request, surveys[i].answer, AF_UNSPEC, surveys[i].header_size,
                        surveys[i].function);
    status = or_failure(collection, answer, "routing", surveys[i].name);
  }
  status = status == 0 ? collect_labels(collection) : status;
  return status == 0 ? collect_xfrm(collection) : status;
}

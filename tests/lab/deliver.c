/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "deliver.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

enum { WAIT_MILLISECONDS = 20, TIMEOUT_SECONDS = 120 };

/* ---- what the kernel itself refuses to route ---- */

static bool in_prefix(const struct address *address, const char *prefix) {
  struct address_range range;
  const char *reason;
  return range_parse(prefix, &range, &reason) && range_contains(&range, address);
}

static bool is_martian(const struct lab *lab, const struct packet *packet, enum situation_path path) {
  static const char *const sources[] = {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255",
                                        "ff00::/8",  "::1",         "::"},
                           *const destinations[] = {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4",
                                                    "ff00::/8",  "::1",         "::",          "fe80::/10"};
  for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
    if (in_prefix(&packet->source, sources[i]))
      return true;
  for (size_t i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++)
    if (in_prefix(&packet->destination, destinations[i]))
      return true;
  if (path == PATH_FORWARD && in_prefix(&packet->source, "fe80::/10"))
    return true;
  if (lab_route(lab, &packet->source).kind == LAB_ROUTE_BROADCAST ||
      lab_route(lab, &packet->destination).kind == LAB_ROUTE_BROADCAST)
    return true;
  bool own_source = address_set_contains(lab_own(lab), &packet->source);
  return path != PATH_OUTPUT && own_source;
}

/* ---- the way out ---- */

static bool command(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool command(const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  return system(line) == 0; // NOLINT(cert-env33-c): words of our own, in a namespace of our own
}

static const char *family_option(const struct address *address) {
  return address->family == FAMILY_IPV6 ? "-6" : "-4";
}

static bool route(const struct lab *lab, const struct counterexample *example, bool add) {
  char text[ADDRESS_TEXT_SIZE];
  const struct address *destination = &example->packet.destination;
  struct lab_route found = lab_route(lab, destination);
  address_format(destination, text);
  if (example->situation.path == PATH_INPUT)
    return address_set_contains(lab_own(lab), destination) ||
           command("ip %s route %s local %s dev lo 2>/dev/null", family_option(destination), add ? "replace" : "del",
                   text);
  int out = example->situation.out != NULL ? lab_find_interface(lab, example->situation.out) : -1;
  if (found.kind == LAB_ROUTE_INTERFACE && found.interface == out)
    return true;
  return example->situation.out != NULL && found.kind != LAB_ROUTE_LOCAL &&
         command("ip %s route %s %s dev %s 2>/dev/null", family_option(destination), add ? "replace" : "del", text,
                 example->situation.out);
}

/* ---- its connection ---- */

static void set_addresses(struct nf_conntrack *entry, const struct packet *opener) {
  bool version4 = opener->source.family == FAMILY_IPV4;
  nfct_set_attr_u8(entry, ATTR_L3PROTO, version4 ? AF_INET : AF_INET6);
  if (version4) {
    uint32_t source, destination;
    memcpy(&source, opener->source.bytes, 4);
    memcpy(&destination, opener->destination.bytes, 4);
    nfct_set_attr_u32(entry, ATTR_IPV4_SRC, source);
    nfct_set_attr_u32(entry, ATTR_IPV4_DST, destination);
  } else {
    nfct_set_attr(entry, ATTR_IPV6_SRC, opener->source.bytes);
    nfct_set_attr(entry, ATTR_IPV6_DST, opener->destination.bytes);
  }
  nfct_set_attr_u8(entry, ATTR_L4PROTO, opener->protocol);
}

/* nf_conntrack_tcp_packet() calls an established connection that has seen a reply assured before any rule sees the
 * packet; one that is being closed stays as it is. */
static uint8_t tcp_state_of(const struct counterexample *example) {
  if (example->situation.tracking == TRACKING_OPENS_AGAIN)
    return TCP_CONNTRACK_SYN_SENT;
  bool half_open = (example->connection_status & (IPS_SEEN_REPLY | IPS_ASSURED)) == IPS_SEEN_REPLY;
  return half_open ? TCP_CONNTRACK_CLOSE_WAIT : TCP_CONNTRACK_ESTABLISHED;
}

static void set_transport(struct nf_conntrack *entry, const struct counterexample *example) {
  const struct packet *opener = &example->opener;
  if (opener->protocol == PROTOCOL_TCP || opener->protocol == PROTOCOL_UDP) {
    nfct_set_attr_u16(entry, ATTR_PORT_SRC, htons(opener->source_port));
    nfct_set_attr_u16(entry, ATTR_PORT_DST, htons(opener->destination_port));
  }
  if (opener->protocol == PROTOCOL_TCP) {
    nfct_set_attr_u8(entry, ATTR_TCP_STATE, tcp_state_of(example));
    nfct_set_attr_u8(entry, ATTR_TCP_FLAGS_ORIG, IP_CT_TCP_FLAG_BE_LIBERAL);
    nfct_set_attr_u8(entry, ATTR_TCP_MASK_ORIG, IP_CT_TCP_FLAG_BE_LIBERAL);
    nfct_set_attr_u8(entry, ATTR_TCP_FLAGS_REPL, IP_CT_TCP_FLAG_BE_LIBERAL);
    nfct_set_attr_u8(entry, ATTR_TCP_MASK_REPL, IP_CT_TCP_FLAG_BE_LIBERAL);
  }
  if (opener->protocol == PROTOCOL_ICMP || opener->protocol == PROTOCOL_ICMPV6) {
    nfct_set_attr_u8(entry, ATTR_ICMP_TYPE, opener->icmp_type);
    nfct_set_attr_u8(entry, ATTR_ICMP_CODE, opener->icmp_code);
    nfct_set_attr_u16(entry, ATTR_ICMP_ID, 0);
  }
}

static bool make_connection(const struct counterexample *example) {
  struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
  struct nf_conntrack *entry = nfct_new();
  bool made = false;
  if (handle != NULL && entry != NULL) {
    set_addresses(entry, &example->opener);
    set_transport(entry, example);
    nfct_setobjopt(entry, NFCT_SOPT_SETUP_REPLY);
    nfct_set_attr_u32(entry, ATTR_MARK, example->connection_mark);
    nfct_set_attr_u32(entry, ATTR_TIMEOUT, TIMEOUT_SECONDS);
    nfct_set_attr_u32(entry, ATTR_STATUS,
                      IPS_CONFIRMED | (example->situation.tracking == TRACKING_OPENS_AGAIN
                                           ? 0
                                           : example->connection_status & (IPS_SEEN_REPLY | IPS_ASSURED)));
    made = nfct_query(handle, NFCT_Q_CREATE, entry) == 0;
  }
  if (entry != NULL)
    nfct_destroy(entry);
  if (handle != NULL)
    nfct_close(handle);
  return made;
}

/* ---- the packet ---- */

struct awaited {
  const struct counterexample *example;
  int out;
  bool seen;
};

static void take(const struct lab_seen *seen, void *context) {
  struct awaited *awaited = context;
  const struct packet *wanted = &awaited->example->packet, *found = &seen->sight.packet;
  if (seen->interface == awaited->out && found->protocol == wanted->protocol &&
      address_equal(&found->source, &wanted->source) && address_equal(&found->destination, &wanted->destination))
    awaited->seen = true;
}

static void ignore(const struct lab_seen *seen, void *context) {
  (void)seen;
  (void)context;
}

static int send_it(struct lab *lab, const struct counterexample *example) {
  struct lab_frame frame = {.length = example->frame_length};
  memcpy(frame.data, example->frame, example->frame_length);
  if (example->situation.path == PATH_OUTPUT)
    return lab_send_from_gateway(lab, &frame);
  int in = lab_find_interface(lab, example->situation.in);
  memcpy(frame.data, lab_interface(lab, (size_t)in)->mac.bytes, 6);
  return lab_send(lab, in, &frame);
}

static bool has_wires(const struct lab *lab, const struct situation *situation) {
  bool in = situation->path == PATH_OUTPUT || (situation->in != NULL && lab_find_interface(lab, situation->in) >= 0);
  bool out = situation->path == PATH_INPUT || (situation->out != NULL && lab_find_interface(lab, situation->out) >= 0);
  return in && out;
}

static bool needs_connection(enum situation_tracking tracking) {
  return tracking != TRACKING_OPENS && tracking != TRACKING_INVALID && tracking != TRACKING_UNTRACKED;
}

/* conntrack knows an error only when it goes to whoever sent what it quotes. */
static bool is_known_error(const struct counterexample *example) {
  if (example->situation.tracking == TRACKING_RELATED_REPLY)
    return address_equal(&example->packet.destination, &example->opener.source);
  return example->situation.tracking != TRACKING_RELATED_ORIGINAL ||
         address_equal(&example->packet.destination, &example->opener.destination);
}

/* The gateway of the lab has sockets for these. */
static bool is_heard(const struct counterexample *example) {
  static const uint8_t heard[] = {PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMPV6};
  return example->situation.path != PATH_INPUT || memchr(heard, example->packet.protocol, sizeof(heard)) != NULL;
}

/* conntrack looks into these further than a bare header, and finds a packet of ours wanting. */
static bool is_plain(const struct counterexample *example) {
  enum { DCCP = 33, SCTP = 132, UDPLITE = 136 };
  uint8_t protocol = example->opener.protocol;
  bool related =
      example->situation.tracking == TRACKING_RELATED_ORIGINAL || example->situation.tracking == TRACKING_RELATED_REPLY;
  if (related)
    return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
  return protocol != DCCP && protocol != SCTP && protocol != UDPLITE;
}

/* conntrack takes a connection up in its middle only where this is on; the prover does not count on it being off. */
static void take_up(const struct counterexample *example, bool on) {
  bool opens = example->situation.tracking == TRACKING_OPENS && example->packet.protocol == PROTOCOL_TCP;
  if (opens && (example->packet.tcp_flags & TCP_SYN) == 0)
    (void)lab_set("net/netfilter/nf_conntrack_tcp_loose", on ? "1" : "0");
}

static enum delivery impossible(const char *why, const char **ret_why) {
  *ret_why = why;
  return DELIVERY_IMPOSSIBLE;
}

/* ---- single fragments ---- */

/* How many fragments of IPv4 have come to be put together; -1: not to be read. */
static long fragments_taken(void) {
  char names[2048], numbers[2048];
  long taken = -1;
  FILE *file = fopen("/proc/net/snmp", "re");
  if (file != NULL && fgets(names, sizeof(names), file) != NULL && fgets(numbers, sizeof(numbers), file) != NULL) {
    char *rest_of_names, *rest_of_numbers;
    const char *name = strtok_r(names, " \n", &rest_of_names), *number = strtok_r(numbers, " \n", &rest_of_numbers);
    while (name != NULL && number != NULL && strcmp(name, "ReasmReqds") != 0) {
      name = strtok_r(NULL, " \n", &rest_of_names);
      number = strtok_r(NULL, " \n", &rest_of_numbers);
    }
    if (name != NULL && number != NULL)
      taken = strtol(number, NULL, 10);
  }
  if (file != NULL)
    fclose(file);
  return taken;
}

static bool is_single_fragment(const struct counterexample *example) {
  return example->claim == CLAIM_GUARD && (example->packet.traits & TRAIT_FRAGMENT) != 0;
}

/* It never comes out alone: what counts is whether it got as far as the place where fragments are put together. */
static enum delivery deliver_fragment(struct lab *lab, const struct counterexample *example, const char **ret_why) {
  if (example->situation.in == NULL || lab_find_interface(lab, example->situation.in) < 0)
    return impossible("no such wire here", ret_why);
  if (example->packet.source.family != FAMILY_IPV4)
    return impossible("the kernel does not count what it puts together of IPv6 for connection tracking", ret_why);
  long before = fragments_taken();
  int code = send_it(lab, example);
  if (code < 0 || before < 0)
    return impossible("it cannot be sent or seen", ret_why);
  return fragments_taken() != before ? DELIVERY_PASSED : DELIVERY_DROPPED;
}

enum delivery deliver_counterexample(struct lab *lab, const struct counterexample *example, const char **ret_why) {
  const struct situation *situation = &example->situation;
  *ret_why = "";
  if (example->frame_length == 0)
    return impossible("no packet: it concerns time", ret_why);
  if (is_single_fragment(example))
    return deliver_fragment(lab, example, ret_why);
  if (!has_wires(lab, situation))
    return impossible("no such wire here", ret_why);
  if (!is_heard(example))
    return impossible("nobody listens to this protocol", ret_why);
  if (!is_plain(example))
    return impossible("conntrack asks more of this protocol", ret_why);
  if (!is_known_error(example))
    return impossible("conntrack knows no such error", ret_why);
  if (is_martian(lab, &example->packet, situation->path))
    return impossible("the kernel routes no such address", ret_why);
  (void)lab_forget_connections(lab); /* and the slots that they took */
  if (needs_connection(situation->tracking) && !make_connection(example))
    return impossible("the kernel takes no such connection", ret_why);
  if (!route(lab, example, true))
    return impossible("no route", ret_why);
  struct awaited awaited = {
      example, situation->path == PATH_INPUT ? LAB_GATEWAY : lab_find_interface(lab, situation->out), false};
  lab_collect(lab, 0, ignore, NULL);
  take_up(example, true);
  int code = send_it(lab, example);
  if (code == 0)
    lab_collect(lab, WAIT_MILLISECONDS, take, &awaited);
  take_up(example, false);
  route(lab, example, false);
  (void)lab_forget_connections(lab);
  return awaited.seen ? DELIVERY_PASSED : DELIVERY_DROPPED;
}

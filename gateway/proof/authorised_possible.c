/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which packets can be in a situation at all. These are facts about the kernel, each with the function that makes it so
 * (Linux 6.1, and the same in 6.18 unless told); what is only usual is not excluded. Without them the prover would find
 * differences between policy and rules on packets that there never are.
 *
 * Whole packets: nf_defrag_ipv4 (ipv4_conntrack_defrag) and nf_defrag_ipv6 (ipv6_defrag) put fragments together at
 * priority -400, before connection tracking at -200; a rule before them sees fragments, each by itself, and is asked
 * about these elsewhere.
 */
#include "proof/authorised_parts.h"

struct world {
  struct authorised *authorised;
  struct diagram_store *store;
  const struct situation *situation;
};

enum {
  MORE_FRAGMENTS = 0x2000,
  OFFSET = 0x1fff,
  /* linux/netfilter/nf_conntrack_common.h */
  STATUS_EXPECTED = 1 << 0,
  STATUS_SEEN_REPLY = 1 << 1,
  STATUS_ASSURED = 1 << 2,
  STATUS_CONFIRMED = 1 << 3,
  NEXT_HOP_BY_HOP = 0,
  NEXT_ROUTING = 43,
  NEXT_FRAGMENT = 44,
  NEXT_AUTHENTICATION = 51,
  NEXT_NONE = 59,
  NEXT_OPTIONS = 60,
};

static diagram both(const struct world *world, diagram left, diagram right) {
  return diagram_and(world->store, left, right);
}

static diagram either(const struct world *world, diagram left, diagram right) {
  return diagram_or(world->store, left, right);
}

/* Where the first holds, the second does. */
static diagram implies(const struct world *world, diagram left, diagram right) {
  return either(world, diagram_not(world->store, left), right);
}

static diagram number(const struct world *world, enum space_field field, uint64_t value) {
  return authorised_number(world->authorised, field, value, value);
}

static diagram bits(const struct world *world, enum space_field field, uint64_t mask, uint64_t value) {
  return authorised_bits(world->authorised, field, mask, value);
}

static diagram flag(const struct world *world, enum space_field field) {
  return authorised_flag(world->authorised, field);
}

static bool is_tracked(const struct world *world) {
  return world->situation->tracking < TRACKING_INVALID;
}

/* ---- headers ---- */

/* net/ipv4/ip_input.c, ip_rcv_core(): drops other versions and ihl < 5. What the gateway sends by raw sockets with a
 * header of their own is not looked at (net/ipv4/raw.c, raw_send_hdrinc()). */
static diagram sound_ipv4(const struct world *world) {
  if (world->situation->path == PATH_OUTPUT)
    return DIAGRAM_TRUE;
  return authorised_number(world->authorised, FIELD_VERSION_LENGTH, 0x45, 0x4f);
}

/* Packets that arrive, or are sent, in one piece: the claims are about these (symbolic_judge()). What arrives in pieces
 * is put together by nf_defrag_ipv4 before conntrack. */
static diagram whole_ipv4(const struct world *world) {
  return bits(world, FIELD_FRAGMENT, OFFSET | MORE_FRAGMENTS, 0);
}

/* net/ipv6/netfilter/nf_conntrack_reasm.c, nf_ct_frag6_reasm(): takes the fragment header out, of atomic fragments
 * too, in both hooks in which packets enter. */
static diagram whole_ipv6(const struct world *world) {
  return both(world, diagram_not(world->store, flag(world, FIELD_HAS_FRAGMENT)), number(world, FIELD_FRAGMENT, 0));
}

/*
 * net/ipv6/exthdrs_core.c, ipv6_find_hdr(), by which nft_set_pktinfo_ipv6() finds the transport protocol and
 * nft_exthdr_ipv6_eval() a header: it walks over hop-by-hop, routing, fragment and destination options; for the
 * protocol it stops at an authentication header (IP6_FH_F_AUTH), for a header it walks over that, too.
 */
static diagram chained_headers(const struct world *world) {
  static const struct {
    uint8_t value;
    enum space_field present;
  } headers[] = {
      {NEXT_HOP_BY_HOP, FIELD_HAS_HOP_BY_HOP}, {NEXT_ROUTING, FIELD_HAS_ROUTING}, {NEXT_FRAGMENT, FIELD_HAS_FRAGMENT}};
  diagram walked = number(world, FIELD_NEXT_HEADER, NEXT_OPTIONS), any = DIAGRAM_FALSE, set = DIAGRAM_TRUE;
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    diagram next = number(world, FIELD_NEXT_HEADER, headers[i].value), present = flag(world, headers[i].present);
    set = both(world, set, implies(world, next, present));
    walked = either(world, walked, next);
    any = either(world, any, present);
  }
  diagram passed = either(world, walked, number(world, FIELD_NEXT_HEADER, NEXT_AUTHENTICATION));
  return both(world, set, implies(world, any, passed));
}

/* The field PROTOCOL is where the walk ends: the next header itself where there is nothing to walk over. Connection
 * tracking walks by ipv6_skip_exthdr(), for which a packet without a transport header is a broken one. */
static diagram transport_protocol(const struct world *world) {
  static const uint8_t walked[] = {NEXT_HOP_BY_HOP, NEXT_ROUTING, NEXT_FRAGMENT, NEXT_OPTIONS};
  diagram set = DIAGRAM_FALSE, onward = DIAGRAM_FALSE;
  for (unsigned protocol = 0; protocol <= UINT8_MAX; protocol++)
    set = either(world, set,
                 both(world, number(world, FIELD_PROTOCOL, protocol), number(world, FIELD_NEXT_HEADER, protocol)));
  for (size_t i = 0; i < sizeof walked; i++)
    onward = either(world, onward, number(world, FIELD_NEXT_HEADER, walked[i]));
  set = either(world, set, onward);
  for (size_t i = 0; is_tracked(world) && i < sizeof walked; i++) /* of a later fragment the walk ends on anything */
    set = diagram_difference(world->store, set, number(world, FIELD_PROTOCOL, walked[i]));
  return is_tracked(world) ? diagram_difference(world->store, set, number(world, FIELD_PROTOCOL, NEXT_NONE)) : set;
}

static diagram headers(const struct world *world) {
  if (world->situation->family == FAMILY_IPV4)
    return both(world, sound_ipv4(world), whole_ipv4(world));
  diagram set = both(world, chained_headers(world), transport_protocol(world));
  return both(world, set, whole_ipv6(world));
}

/*
 * The local table comes first among the routing rules (fib_default_rules_init(), fib6_rules_net_init(); bypass_find()
 * sees to it that it still does): what bears an address of the gateway is delivered to it and never forwarded, and what
 * is delivered bears one, or is a broadcast or multicast (ip_route_input_slow(), ip6_route_input()).
 */
static diagram routed(const struct world *world) {
  struct authorised *authorised = world->authorised;
  enum address_family family = world->situation->family;
  if (authorised->question.own == NULL || world->situation->path == PATH_OUTPUT)
    return DIAGRAM_TRUE;
  diagram own = authorised_own(authorised, FIELD_DESTINATION, family);
  if (world->situation->path == PATH_FORWARD)
    return diagram_not(world->store, own);
  struct address_range many[2] = {0};
  const char *reason;
  bool version4 = family == FAMILY_IPV4;
  range_parse(version4 ? "224.0.0.0/4" : "ff00::/8", &many[0], &reason);
  range_parse(version4 ? "255.255.255.255" : "ff00::/8", &many[1], &reason);
  diagram set =
      either(world, own, authorised_addresses(authorised, FIELD_DESTINATION, family, &authorised->broadcasts));
  for (size_t i = 0; i < 2; i++)
    set = either(world, set,
                 authorised_addresses(authorised, FIELD_DESTINATION, family, &(struct address_set){&many[i], 1}));
  return set;
}

/* ---- what connection tracking makes of a transport protocol ---- */

/* nf_conntrack_proto_tcp.c, tcp_error() with tcp_valid_flags: all else is invalid; ECE, CWR and PSH may stand with any.
 */
static const uint8_t VALID_FLAGS[] = {TCP_SYN,           TCP_SYN | TCP_URG, TCP_SYN | TCP_ACK,           TCP_RST,
                                      TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK | TCP_URG, TCP_ACK,
                                      TCP_ACK | TCP_URG};
/* Of those, tcp_new(): tcp_conntracks[IP_CT_DIR_ORIGINAL] leads out of sNO with a SYN, or with an ACK alone where
 * nf_conntrack_tcp_loose lets connections be picked up in their middle. */
static const uint8_t OPENING_FLAGS[] = {TCP_SYN, TCP_SYN | TCP_URG, TCP_ACK, TCP_ACK | TCP_URG};

static diagram tcp_flags(const struct world *world) {
  bool opens = world->situation->tracking == TRACKING_OPENS;
  const uint8_t *flags = opens ? OPENING_FLAGS : VALID_FLAGS;
  size_t count = opens ? sizeof OPENING_FLAGS : sizeof VALID_FLAGS;
  diagram set = DIAGRAM_FALSE;
  for (size_t i = 0; i < count; i++)
    set = either(world, set, bits(world, FIELD_TCP_FLAGS, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG, flags[i]));
  return set;
}

/*
 * nf_conntrack_proto_icmp.c, nf_conntrack_icmp_packet(), and nf_conntrack_proto_icmpv6.c, nf_conntrack_icmpv6_packet():
 * valid_new says which types may open; later packets have the type of the opener or, the other way, its answer
 * (invmap). nf_conntrack_icmpv4_error() and nf_conntrack_icmpv6_error(): errors are related, or invalid; ICMPv6 takes
 * every type below 128 for one, and since 5.10 redirects.
 */
struct types {
  uint8_t first, last;
};
static const struct types REQUESTS4[] = {{8, 8}, {13, 13}, {15, 15}, {17, 17}};
static const struct types ANSWERS4[] = {{0, 0}, {14, 14}, {16, 16}, {18, 18}};
static const struct types ERRORS4[] = {{3, 5}, {11, 12}};
static const struct types REQUESTS6[] = {{128, 128}, {139, 139}};
static const struct types ANSWERS6[] = {{129, 129}, {140, 140}};
static const struct types ERRORS6[] = {{0, 127}, {137, 137}};

static diagram any_type(const struct world *world, const struct types *types, size_t count) {
  diagram set = DIAGRAM_FALSE;
  for (size_t i = 0; i < count; i++)
    set = either(world, set, authorised_type(world->authorised, types[i].first, types[i].last));
  return set;
}
#define ANY_TYPE(world, types4, types6)                                                                                \
  ((world)->situation->family == FAMILY_IPV4 ? any_type((world), (types4), sizeof(types4) / sizeof *(types4))          \
                                             : any_type((world), (types6), sizeof(types6) / sizeof *(types6)))

static bool is_related(const struct world *world) {
  return world->situation->tracking == TRACKING_RELATED_ORIGINAL ||
         world->situation->tracking == TRACKING_RELATED_REPLY;
}

static diagram icmp_types(const struct world *world) {
  if (is_related(world))
    return ANY_TYPE(world, ERRORS4, ERRORS6);
  if (world->situation->tracking == TRACKING_REPLY)
    return ANY_TYPE(world, ANSWERS4, ANSWERS6);
  return ANY_TYPE(world, REQUESTS4, REQUESTS6);
}

/* Headers that cannot be read make a packet invalid: skb_header_pointer() in nf_ct_get_tuple(), in
 * nf_conntrack_tcp_packet(), udp_error() and the ICMP functions above. ICMP of the other family is invalid, too: both
 * look at state->pf first. Of other protocols nothing is read. */
static diagram transport(const struct world *world) {
  bool version4 = world->situation->family == FAMILY_IPV4;
  diagram tcp = number(world, FIELD_PROTOCOL, PROTOCOL_TCP), udp = number(world, FIELD_PROTOCOL, PROTOCOL_UDP);
  diagram icmp = number(world, FIELD_PROTOCOL, version4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);
  diagram strange = number(world, FIELD_PROTOCOL, version4 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP);
  diagram set = both(world, implies(world, tcp, tcp_flags(world)), implies(world, icmp, icmp_types(world)));
  set = both(world, set,
             implies(world, either(world, either(world, tcp, udp), icmp), flag(world, FIELD_TRANSPORT_READABLE)));
  set = diagram_difference(world->store, set, strange);
  return is_related(world) ? both(world, set, icmp) : set;
}

/* ---- the entry ---- */

/*
 * nf_conntrack_core.c: __nf_conntrack_alloc() leaves mark and status 0 (memset_startat), init_conntrack() gives the
 * mark of its master to an expected connection alone, whose packets are related; __nf_conntrack_confirm() marks it
 * confirmed at the end of the first packet's way; resolve_normal_ct() calls a packet new while no answer was seen,
 * nf_conntrack_in() notes an answer before the packet is judged; each protocol calls a connection assured only after an
 * answer.
 */
static diagram entry(const struct world *world) {
  switch (world->situation->tracking) {
  case TRACKING_OPENS:
    return both(world, number(world, FIELD_MARK, 0),
                bits(world, FIELD_STATUS, STATUS_CONFIRMED | STATUS_SEEN_REPLY | STATUS_EXPECTED, 0));
  case TRACKING_OPENS_AGAIN:
    return bits(world, FIELD_STATUS, STATUS_CONFIRMED | STATUS_SEEN_REPLY | STATUS_ASSURED | STATUS_EXPECTED,
                STATUS_CONFIRMED);
  case TRACKING_ORIGINAL:
  case TRACKING_REPLY:
    return bits(world, FIELD_STATUS, STATUS_CONFIRMED | STATUS_SEEN_REPLY, STATUS_CONFIRMED | STATUS_SEEN_REPLY);
  case TRACKING_RELATED_ORIGINAL:
  case TRACKING_RELATED_REPLY:
    return bits(world, FIELD_STATUS, STATUS_CONFIRMED, STATUS_CONFIRMED);
  case TRACKING_INVALID:
  case TRACKING_UNTRACKED:
  case TRACKING_COUNT_:
    break;
  }
  return DIAGRAM_TRUE;
}

/* net/netfilter/nf_conntrack_proto_icmpv6.c, noct_valid_new: what connection tracking itself
 * leaves alone. (A rule that says notrack acts on a packet of some other situation.) */
static diagram left_alone(const struct world *world) {
  static const uint8_t types[][2] = {{130, 136}, {143, 143}, {151, 153}};
  diagram set = DIAGRAM_FALSE;
  for (size_t i = 0; world->situation->family == FAMILY_IPV6 && i < sizeof types / sizeof *types; i++)
    set = either(world, set,
                 authorised_number(world->authorised, FIELD_SOURCE_PORT, (uint64_t)types[i][0] << 8,
                                   (uint64_t)types[i][1] << 8 | UINT8_MAX));
  set = both(world, set, flag(world, FIELD_TRANSPORT_READABLE));
  return both(world, set, number(world, FIELD_PROTOCOL, PROTOCOL_ICMPV6));
}

static diagram draw_possible(struct authorised *authorised, const struct situation *situation) {
  struct world world = {authorised, authorised->store, situation};
  diagram set = both(&world, headers(&world), both(&world, entry(&world), routed(&world)));
  if (situation->tracking == TRACKING_UNTRACKED)
    return both(&world, set, left_alone(&world));
  return is_tracked(&world) ? both(&world, set, transport(&world)) : set;
}

diagram authorised_possible(struct authorised *authorised, const struct situation *situation) {
  unsigned family = authorised_family_index(situation->family);
  struct drawing *drawing = &authorised->possible[situation->path][family][situation->tracking];
  if (!drawing->made)
    *drawing = (struct drawing){true, draw_possible(authorised, situation)};
  return drawing->set;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation. The contract of the language says of each reason, each flow, each zone what it covers; every
 * such sentence is a set here, made of ranges over fields of the packet, and "a packet passes if" is one expression
 * over these sets. Nothing is tried out packet by packet, and nothing is taken from the compiler or from the functions
 * that the compiler asks: authorised_addresses.c says whose address it is, authorised_guard.c what the guard has
 * against a packet, authorised_flows.c what flows cover, authorised_possible.c which packets there are at all.
 */
#include "proof/authorised.h"

#include <errno.h>
#include <string.h>

#include "proof/authorised_parts.h"

struct authorised *authorised_new(const struct authorised_question *question, struct space *space,
                                  struct diagram_store *store, struct arena *arena) {
  struct authorised *authorised = ARENA_NEW(arena, struct authorised);
  if (authorised == NULL)
    return NULL;
  *authorised = (struct authorised){
      .question = *question, .policy = question->policy, .space = space, .store = store, .arena = arena};
  authorised->zones = ARENA_ARRAY(arena, question->policy->zone_count + 1, struct zone_meaning);
  if (authorised->zones == NULL || authorised_learn_addresses(authorised) < 0 || authorised_learn_flows(authorised) < 0)
    return NULL;
  return authorised;
}

bool authorised_is_zone(const struct authorised *authorised, zone_index zone) {
  return zone >= 0 && (size_t)zone < authorised->policy->zone_count;
}

unsigned authorised_family_index(enum address_family family) {
  return family == FAMILY_IPV6;
}

/* ---- sets by one field ---- */

static void put_number(uint8_t *bytes, unsigned width, uint64_t number) {
  for (unsigned i = (width + 7) / 8; i-- > 0; number >>= 8)
    bytes[i] = (uint8_t)number;
}

diagram authorised_number(struct authorised *authorised, enum space_field field, uint64_t first, uint64_t last) {
  uint8_t low[8], high[8];
  unsigned width = space_field_width(field);
  put_number(low, width, first);
  put_number(high, width, last);
  struct diagram_field bits = space_field(authorised->space, field, 0);
  return diagram_range(authorised->store, &bits, low, high);
}

diagram authorised_flag(struct authorised *authorised, enum space_field field) {
  return diagram_variable(authorised->store, space_field_variable(authorised->space, field, 0));
}

diagram authorised_bits(struct authorised *authorised, enum space_field field, uint64_t mask, uint64_t value) {
  unsigned width = space_field_width(field);
  diagram set = DIAGRAM_TRUE;
  for (unsigned bit = width; bit-- > 0;) { /* from the last variable upwards, so that each is one node */
    uint64_t weight = (uint64_t)1 << (width - 1 - bit);
    if ((mask & weight) == 0)
      continue;
    unsigned variable = space_field_variable(authorised->space, field, bit);
    set = (value & weight) != 0 ? diagram_node(authorised->store, variable, DIAGRAM_FALSE, set)
                                : diagram_node(authorised->store, variable, set, DIAGRAM_FALSE);
  }
  return set;
}

diagram authorised_type(struct authorised *authorised, uint8_t first, uint8_t last) {
  return authorised_number(authorised, FIELD_SOURCE_PORT, (uint64_t)first << 8, (uint64_t)last << 8 | 0xff);
}

diagram authorised_icmp(struct authorised *authorised, enum address_family family, uint8_t first, uint8_t last) {
  uint8_t protocol = family == FAMILY_IPV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
  diagram message = diagram_and(authorised->store, authorised_number(authorised, FIELD_PROTOCOL, protocol, protocol),
                                authorised_type(authorised, first, last));
  return diagram_and(authorised->store, message, authorised_flag(authorised, FIELD_TRANSPORT_READABLE));
}

static diagram draw_addresses(struct authorised *authorised, enum space_field field, enum address_family family,
                              const struct address_set *set, struct arena *scratch) {
  struct diagram_box *boxes = ARENA_ARRAY(scratch, set->count + 1, struct diagram_box);
  size_t count = 0;
  if (boxes == NULL)
    return DIAGRAM_NONE;
  for (size_t i = 0; i < set->count; i++)
    if (set->ranges[i].first.family == family)
      boxes[count++] = (struct diagram_box){set->ranges[i].first.bytes, set->ranges[i].last.bytes, DIAGRAM_TRUE};
  struct diagram_field bits = space_field(authorised->space, field, (unsigned)address_length(family) * 8);
  return diagram_boxes(authorised->store, &bits, 1, boxes, count, 0, NULL, NULL);
}

diagram authorised_addresses(struct authorised *authorised, enum space_field field, enum address_family family,
                             const struct address_set *set) {
  struct arena *scratch = arena_new(0);
  diagram drawn = scratch != NULL ? draw_addresses(authorised, field, family, set, scratch) : DIAGRAM_NONE;
  arena_free(scratch);
  return drawn;
}

diagram authorised_one_address(struct authorised *authorised, enum space_field field, enum address_family family,
                               const struct address *address) {
  struct address_range range = {*address, *address};
  return authorised_addresses(authorised, field, family, &(struct address_set){&range, 1});
}

/* ---- what may open a connection ---- */

static diagram minus(struct authorised *authorised, diagram left, diagram right) {
  return diagram_difference(authorised->store, left, right);
}

static diagram both(struct authorised *authorised, diagram left, diagram right) {
  return diagram_and(authorised->store, left, right);
}

static diagram either(struct authorised *authorised, diagram left, diagram right) {
  return diagram_or(authorised->store, left, right);
}

/* RFC 4861 7.1: without hop limit 255 it came from another link and is none. */
static diagram neighbour_discovery(struct authorised *authorised, const struct zone_pair *pair,
                                   enum address_family family) {
  if (family != FAMILY_IPV6 || (pair->from != ZONE_GATEWAY && pair->to != ZONE_GATEWAY))
    return DIAGRAM_FALSE;
  return both(authorised, authorised_icmp(authorised, family, 135, 136),
              authorised_number(authorised, FIELD_HOP_LIMIT, 255, 255));
}

/* `invalid-state` against the first packet of a connection, as far as the packet itself tells. */
static diagram invalid_opener(struct authorised *authorised, enum address_family family) {
  enum { DECIDING = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK };
  diagram tcp = minus(authorised, authorised_number(authorised, FIELD_PROTOCOL, PROTOCOL_TCP, PROTOCOL_TCP),
                      authorised_bits(authorised, FIELD_TCP_FLAGS, DECIDING, TCP_SYN));
  uint8_t other = family == FAMILY_IPV4 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
  diagram misplaced = authorised_number(authorised, FIELD_PROTOCOL, other, other);
  return both(authorised, either(authorised, tcp, misplaced), authorised_flag(authorised, FIELD_TRANSPORT_READABLE));
}

/* ICMP opens nothing but an echo. */
static diagram wrong_icmp(struct authorised *authorised, enum address_family family) {
  uint8_t request = family == FAMILY_IPV4 ? 8 : 128;
  return minus(authorised, authorised_icmp(authorised, family, 0, UINT8_MAX),
               authorised_icmp(authorised, family, request, request));
}

static bool may_pass_within(const struct authorised *authorised, const struct zone_pair *pair) {
  const struct restrictions *restrictions = authorised->question.restrictions;
  if (pair->same_interface || !authorised->policy->zones[pair->to].within)
    return false;
  return restrictions == NULL || restrictions->within_deadlines == NULL ||
         authorised->question.now.seconds < restrictions->within_deadlines[pair->to].seconds;
}

static diagram wanted(struct authorised *authorised, const struct zone_pair *pair, enum address_family family) {
  if (pair->from == pair->to)
    return may_pass_within(authorised, pair) ? DIAGRAM_TRUE : DIAGRAM_FALSE;
  return diagram_support(authorised->store, authorised_openers(authorised, pair, family, true));
}

/* Addresses that lie on the side of the way out. */
static diagram fitting_destination(struct authorised *authorised, const struct zone_pair *pair,
                                   enum address_family family) {
  if (pair->to != ZONE_GATEWAY)
    return authorised_claims(authorised, pair->to, FIELD_DESTINATION, family);
  return authorised_addresses(authorised, FIELD_DESTINATION, family, &authorised->zones[pair->from].gateway);
}

static void pass(struct authorised *authorised, const struct zone_pair *pair, const struct situation *situation,
                 struct authorised_parts *parts) {
  enum address_family family = situation->family;
  parts->neighbours = neighbour_discovery(authorised, pair, family);
  if (situation->tracking == TRACKING_INVALID || situation->tracking == TRACKING_UNTRACKED)
    return;
  parts->wanted = both(authorised, wanted(authorised, pair, family), fitting_destination(authorised, pair, family));
  if (parts->wanted == DIAGRAM_FALSE) /* most pairs: nothing for the guard to object to */
    return;
  diagram objections = diagram_support(authorised->store, authorised_guard(authorised, pair, family));
  objections = either(authorised, objections, invalid_opener(authorised, family));
  parts->objections = either(authorised, objections, wrong_icmp(authorised, family));
}

void authorised_packets_in_parts(struct authorised *authorised, const struct zone_pair *pair,
                                 const struct situation *situation, struct authorised_parts *ret_parts) {
  struct authorised_parts parts = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  bool from_here = pair->from == ZONE_GATEWAY, to_here = pair->to == ZONE_GATEWAY;
  bool nowhere = !to_here && !authorised_is_zone(authorised, pair->to);
  if (from_here && to_here)
    parts.wanted = DIAGRAM_TRUE;
  else if (from_here || authorised_is_zone(authorised, pair->from)) {
    if (nowhere)
      parts.neighbours = neighbour_discovery(authorised, pair, situation->family);
    else
      pass(authorised, pair, situation, &parts);
  }
  if (authorised->failed || flow_lists_failed(authorised->lists))
    parts.wanted = DIAGRAM_NONE;
  *ret_parts = parts;
}

diagram authorised_packets(struct authorised *authorised, const struct zone_pair *pair,
                           const struct situation *situation) {
  struct authorised_parts parts;
  authorised_packets_in_parts(authorised, pair, situation, &parts);
  return either(authorised, parts.neighbours, minus(authorised, parts.wanted, parts.objections));
}

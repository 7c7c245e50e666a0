/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IP packets, by where they stand to the gateway.
 *
 * Entering (sent to the gateway's MAC): what may not pass is an attempt, held until it is clear that it did not come
 * out; a false source is told at once. Leaving (sent by the gateway): what may not pass did pass, and is a crossing.
 * Passing (between others): every address must belong to the wire, whatever the gateway would say.
 *
 * The gateway speaks too: its own addresses, its ICMP errors, neighbour discovery and the answers of `reject` are
 * lawful. Where its addresses are not known (capture files), an address of the wire's own zone may be one.
 */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "watch/watch_parts.h"

static const int64_t FRAGMENT_LIFE = 60LL * 1000000000; /* no packet is in pieces for so long */

static void find(struct watch *watch, const struct sighting *sighting, enum finding_kind kind, zone_index zone,
                 zone_index other_zone, const char *reason) {
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = kind;
  finding.zone = zone;
  finding.other_zone = other_zone;
  finding.reason = reason;
  if (other_zone >= 0 && kind == FINDING_SPOOFED)
    homes_foreign(watch, &finding);
  else
    watch_find(watch, &finding);
}

static bool is_link_local_talk(const struct sighting *sighting) {
  return (sighting->source.traits & ADDRESS_LINK_LOCAL) != 0 ||
         (sighting->destination.traits & (ADDRESS_LINK_LOCAL | ADDRESS_GROUP)) != 0;
}

/* The broadcast address of another zone's network is for that zone. */
bool sighting_is_for_many(const struct sighting *sighting) {
  const struct address_facts *destination = &sighting->destination;
  bool here = destination->zone == ZONE_NONE || destination->zone == sighting->wire_zone;
  return (destination->traits & (ADDRESS_LINK_LOCAL | ADDRESS_GROUP)) != 0 ||
         ((destination->traits & ADDRESS_BROADCAST) != 0 && here);
}

static const struct packet *quoted_of(const struct sighting *sighting) {
  return sighting->frame->has_quoted ? &sighting->frame->quoted : NULL;
}

static struct passage_question question_of(const struct sighting *sighting, zone_index from, zone_index to) {
  return (struct passage_question){.packet = &sighting->packet,
                                   .quoted = quoted_of(sighting),
                                   .from = from,
                                   .to = to,
                                   .without_ports = sighting->without_ports};
}

/* ---- the policy that is about to be in force ---- */

static zone_index end_zone(const struct index *index, const struct address *address) {
  struct address_facts facts = index_find(index, address);
  return (facts.traits & ADDRESS_OWN) != 0 ? ZONE_GATEWAY : facts.zone;
}

static bool allowed_by_pending(struct watch *watch, const struct sighting *sighting) {
  const struct generation *pending = &watch->pending;
  if (pending->policy == NULL)
    return false;
  zone_index wire_zone = pending->wire_zones[sighting->wire];
  zone_index from = end_zone(pending->index, &sighting->packet.source);
  zone_index to = end_zone(pending->index, &sighting->packet.destination);
  struct passage_question question = sighting->direction == FRAME_ENTERING ? question_of(sighting, wire_zone, to)
                                                                           : question_of(sighting, from, wire_zone);
  bool reversed;
  return conversation_judge_alone(pending->index, &question, &reversed).allow;
}

/* ---- passing ---- */

/* An advertisement claims its target, a solicitation asks for it. */
static bool judge_neighbour(struct watch *watch, const struct sighting *sighting) {
  const struct address *target = &sighting->frame->neighbour;
  return sighting->packet.icmp_type == ND_NEIGHBOR_ADVERT
             ? judge_foreign_address(watch, sighting, target, FINDING_BYPASS, "neighbour-claim") ||
                   judge_impostor(watch, sighting, target, &sighting->frame->source_mac)
             : judge_foreign_address(watch, sighting, target, FINDING_UNKNOWN_SEGMENT, "neighbour-search");
}

static bool is_of_another_zone(const struct watch *watch, const struct sighting *sighting,
                               const struct address *address) {
  zone_index zone = index_find(watch->current.index, address).zone;
  return zone != ZONE_NONE && zone != sighting->wire_zone;
}

/* An ICMP error of somebody who is no declared router about a packet that was never his to see. */
static bool judge_quoted(struct watch *watch, const struct sighting *sighting) {
  const struct packet *quoted = quoted_of(sighting);
  const struct declared *declared = watch->current.declared;
  zone_index zone = sighting->wire_zone;
  if (quoted == NULL || sighting->direction != FRAME_PASSING ||
      declared_mac(declared, zone, SPEAKER_ROUTER, &sighting->frame->source_mac) ||
      declared_address(declared, zone, SPEAKER_ROUTER, &sighting->packet.source))
    return false;
  const struct address *foreign =
      is_of_another_zone(watch, sighting, &quoted->source) ? &quoted->source : &quoted->destination;
  return is_of_another_zone(watch, sighting, foreign) &&
         judge_foreign_address(watch, sighting, foreign, FINDING_BYPASS, "quoted-packet");
}

static void judge_passing(struct watch *watch, struct sighting *sighting) {
  if (tunnel_judge_passing(watch, sighting))
    return;
  const struct packet *packet = &sighting->packet;
  if (judge_uplink_source(watch, sighting) ||
      judge_foreign_address(watch, sighting, &packet->source, FINDING_BYPASS, "second-path"))
    return;
  if (sighting->frame->has_neighbour && judge_neighbour(watch, sighting))
    return;
  if (sighting->direction == FRAME_PASSING && sighting->frame->has_macs &&
      (sighting->source.traits & ADDRESS_LINK_LOCAL) == 0 && !mac_is_virtual(&sighting->frame->source_mac) &&
      judge_impostor(watch, sighting, &packet->source, &sighting->frame->source_mac))
    return;
  if (sighting->direction == FRAME_PASSING && !sighting_is_for_many(sighting) &&
      (judge_uplink_destination(watch, sighting) || judge_second_gateway(watch, sighting) ||
       judge_foreign_address(watch, sighting, &packet->destination, FINDING_BYPASS, "second-next-hop")))
    return;
  if (judge_quoted(watch, sighting))
    return;
  if (!judge_foreign_mac(watch, sighting) && is_link_local_talk(sighting))
    watch_count_everyday(watch, sighting->wire);
}

/* ---- entering ---- */

static bool is_false_source(enum reason reason) {
  return reason == REASON_SPECIAL_SOURCE || reason == REASON_OWN_SOURCE || reason == REASON_BROADCAST_SOURCE ||
         reason == REASON_SPOOFED_SOURCE || reason == REASON_MAC_MISMATCH;
}

/* An answer is told as part of what it answers. */
static void orient(struct watch *watch, const struct sighting *sighting, struct finding *finding) {
  struct packet opener;
  if (sighting->without_ports || quoted_of(sighting) != NULL ||
      !conversation_answers_denied(watch, &sighting->packet, &opener))
    return;
  struct finding turned = *finding;
  turned.zone = finding->other_zone;
  turned.other_zone = finding->zone;
  turned.source = finding->destination;
  turned.destination = finding->source;
  turned.source_port = finding->destination_port;
  turned.destination_port = finding->source_port;
  turned.icmp_type = finding->icmp_type >= 0 ? opener.icmp_type : -1;
  *finding = turned;
}

static void keep_bytes(const struct captured_frame *captured, struct passage_frame *ret_frame) {
  ret_frame->captured = *captured;
  ret_frame->captured.captured = captured->captured < PASSAGE_BYTES ? captured->captured : PASSAGE_BYTES;
  ret_frame->captured.data = ret_frame->bytes;
  memcpy(ret_frame->bytes, captured->data, ret_frame->captured.captured);
}

/* Holds a forbidden entry until it is known whether it comes out. */
static void hold(struct watch *watch, const struct sighting *sighting, const struct decision *decision, bool told) {
  struct connection_key key;
  connections_key(watch->connections, &sighting->packet, &key);
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = FINDING_ATTEMPT;
  finding.zone = sighting->wire_zone;
  finding.other_zone = decision->to_zone;
  finding.reason = reason_name(decision->reason);
  finding.flow = decision->flow;
  if (!told)
    orient(watch, sighting, &finding);
  struct passage_frame *room = passages_enter(watch->passages, &key, &finding, told);
  if (room != NULL && watch->settings.keep != NULL)
    keep_bytes(sighting->captured, room);
}

/* A source that the zone of the wire does not have. */
static void judge_false_source(struct watch *watch, const struct sighting *sighting, const struct decision *decision) {
  const char *reason = reason_name(decision->reason);
  zone_index zone = sighting->source.zone;
  if (judge_uplink_source(watch, sighting))
    ; /* told as what it is */
  else if ((sighting->source.traits & ADDRESS_UNROUTED) != 0)
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, zone, "unrouted-neighbour");
  else if (decision->reason == REASON_SPOOFED_SOURCE && zone == ZONE_NONE)
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, ZONE_NONE, reason_name(REASON_UNKNOWN_ZONE));
  else
    find(watch, sighting, FINDING_SPOOFED, sighting->wire_zone, zone == sighting->wire_zone ? ZONE_NONE : zone, reason);
  hold(watch, sighting, decision, true);
}

static bool may_be_own(const struct watch *watch, const struct sighting *sighting, const struct address_facts *facts) {
  return watch->own_count == 0 && facts->zone == sighting->wire_zone;
}

static struct decision judge_entry(struct watch *watch, const struct sighting *sighting) {
  bool own = (sighting->destination.traits & ADDRESS_OWN) != 0;
  zone_index to = own ? ZONE_GATEWAY : sighting->destination.zone;
  struct passage_question question = question_of(sighting, sighting->wire_zone, to);
  if (!may_be_own(watch, sighting, &sighting->destination))
    return conversation_judge(watch, &question);
  struct passage_question to_gateway = question_of(sighting, sighting->wire_zone, ZONE_GATEWAY);
  struct decision decision = conversation_judge(watch, &to_gateway);
  if (decision.allow || sighting->wire_zone < 0 || !watch->current.policy->zones[sighting->wire_zone].within)
    return decision;
  bool reversed;
  return conversation_judge_alone(watch->current.index, &question, &reversed);
}

static void judge_entering(struct watch *watch, struct sighting *sighting) {
  if (is_link_local_talk(sighting)) {
    judge_passing(watch, sighting);
    return;
  }
  if (judge_foreign_mac(watch, sighting))
    return;
  struct decision decision = judge_entry(watch, sighting);
  rewritten_note_entry(watch, sighting, !decision.allow);
  if (decision.allow) {
    conversation_trust_sender(watch, sighting);
    conversation_count(watch, sighting);
  } else if (allowed_by_pending(watch, sighting) || rewritten_is_answer(watch, sighting)) {
    return;
  }
  if (tunnel_judge_entering(watch, sighting, &decision) || decision.allow)
    return;
  decision.to_zone = tunnel_hidden_goal(watch, sighting, decision.to_zone);
  if (is_false_source(decision.reason))
    judge_false_source(watch, sighting, &decision);
  else
    hold(watch, sighting, &decision, false);
}

/* ---- leaving ---- */

/* What the kernel says of its own accord: errors, neighbour discovery, and that nobody is at home. What it answers to
 * was told as an attempt; a service that answers is another matter. */
static bool is_own_report(const struct sighting *sighting) {
  const struct packet *packet = &sighting->packet;
  if (quoted_of(sighting) != NULL)
    return true;
  if (packet->protocol == PROTOCOL_TCP)
    return (packet->tcp_flags & TCP_RST) != 0;
  if (packet->protocol == PROTOCOL_ICMP)
    return packet->icmp_type == ICMP_ECHOREPLY;
  return packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type >= ICMP6_ECHO_REPLY &&
         packet->icmp_type <= ND_REDIRECT;
}

/* The wire on which this very packet came in a moment ago; WIRE_NONE when it did not, or was lawful there. */
static int entry_of(const struct watch *watch, const struct sighting *sighting) {
  if (passages_empty(watch->passages))
    return WIRE_NONE;
  struct connection_key key;
  connections_key(watch->connections, &sighting->packet, &key);
  int entry = passages_look(watch->passages, &key);
  return entry != sighting->wire ? entry : WIRE_NONE;
}

/* `reject` answers a refused opening in the name of its destination. */
static bool is_rejection(struct watch *watch, const struct sighting *sighting) {
  if (sighting->wire_zone < 0 || watch->current.policy->zones[sighting->wire_zone].on_deny != ON_DENY_REJECT ||
      sighting->packet.protocol != PROTOCOL_TCP || (sighting->packet.tcp_flags & TCP_RST) == 0 ||
      entry_of(watch, sighting) != WIRE_NONE)
    return false;
  struct packet opener;
  return conversation_answers_denied(watch, &sighting->packet, &opener);
}

static void judge_crossing(struct watch *watch, const struct sighting *sighting, const struct decision *decision,
                           zone_index from) {
  struct connection_key key;
  connections_key(watch->connections, &sighting->packet, &key);
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = FINDING_CROSSING;
  finding.zone = from;
  finding.other_zone = sighting->wire_zone;
  finding.reason = reason_name(decision->reason);
  finding.flow = decision->flow;
  finding.entry_wire = passages_leave(watch->passages, &key, sighting->frame->time);
  orient(watch, sighting, &finding);
  watch_find(watch, &finding);
}

/* Lawful by its addresses, but it came in where those addresses may not come from. */
static bool judge_disguise(struct watch *watch, const struct sighting *sighting, zone_index from) {
  if (entry_of(watch, sighting) == WIRE_NONE)
    return false;
  struct decision decision = {.reason = REASON_SPOOFED_SOURCE};
  judge_crossing(watch, sighting, &decision, from);
  return true;
}

static struct decision judge_exit(struct watch *watch, const struct sighting *sighting, zone_index from) {
  struct passage_question question = question_of(sighting, from, sighting->wire_zone);
  struct decision decision = conversation_judge(watch, &question);
  bool within = from == ZONE_GATEWAY && (sighting->source.traits & ADDRESS_OWN) == 0;
  if (decision.allow || !within)
    return decision;
  /* It may be no packet of the gateway itself, but one between two networks of the zone. */
  struct passage_question between = question_of(sighting, sighting->wire_zone, sighting->wire_zone);
  bool reversed;
  struct decision other = conversation_judge_alone(watch->current.index, &between, &reversed);
  return other.allow ? other : decision;
}

/* True when it was found to be something. */
static bool judge_forwarded(struct watch *watch, const struct sighting *sighting, zone_index from) {
  struct decision decision = judge_exit(watch, sighting, from);
  if (decision.allow && sighting->headless)
    decision = (struct decision){.reason = REASON_FRAGMENT, .flow = decision.flow};
  if (!decision.allow && (is_rejection(watch, sighting) || allowed_by_pending(watch, sighting)))
    return false;
  if (decision.allow)
    conversation_count(watch, sighting);
  if (!decision.allow && rewritten_judge_crossing(watch, sighting))
    return true;
  if (tunnel_judge_leaving(watch, sighting, &decision, from))
    return true;
  if (decision.allow)
    return judge_disguise(watch, sighting, from);
  judge_crossing(watch, sighting, &decision, from);
  return true;
}

/* What the gateway says to its neighbours. IPv4 addresses of the link are forwarded like any other, those of IPv6 are
 * not. */
static bool is_own_talk(const struct sighting *sighting, bool own) {
  bool link_local = (sighting->source.traits & ADDRESS_LINK_LOCAL) != 0;
  if (link_local && (sighting->packet.source.family == FAMILY_IPV6 || sighting_is_for_many(sighting)))
    return true;
  return own && (sighting_is_for_many(sighting) || is_own_report(sighting));
}

static void judge_leaving(struct watch *watch, struct sighting *sighting) {
  bool own = (sighting->source.traits & ADDRESS_OWN) != 0 || may_be_own(watch, sighting, &sighting->source);
  zone_index from = own ? ZONE_GATEWAY : sighting->source.zone;
  if (rewritten_judge_later_exit(watch, sighting))
    return;
  bool own_talk = is_own_talk(sighting, own);
  bool told = own_talk ? judge_disguise(watch, sighting, from) : judge_forwarded(watch, sighting, from);
  if (own_talk && !told)
    watch_count_everyday(watch, sighting->wire);
  rewritten_note_exit(watch, sighting, told);
}

/* ---- all ---- */

static void complete_fragment(struct watch *watch, struct sighting *sighting) {
  bool first_sight = sighting->direction != FRAME_LEAVING;
  enum fragment_answer answer = fragments_see(watch->fragments, sighting->frame, first_sight, &sighting->packet);
  if (answer == FRAGMENT_OVERLAPS)
    judge_fault(watch, sighting, FAULT_FRAGMENT_OVERLAP);
  sighting->headless = answer == FRAGMENT_PORTS_UNKNOWN && sighting->direction == FRAME_LEAVING &&
                       watch_saw_everything(watch, FRAGMENT_LIFE);
}

void judge_ip(struct watch *watch, struct sighting *sighting) {
  static void (*const judges[])(struct watch *, struct sighting *) = {
      [FRAME_ENTERING] = judge_entering, [FRAME_LEAVING] = judge_leaving, [FRAME_PASSING] = judge_passing};
  if (sighting->frame->fragment)
    complete_fragment(watch, sighting);
  sighting->without_ports = (sighting->packet.traits & TRAIT_NO_PORTS) != 0;
  judges[sighting->direction](watch, sighting);
}

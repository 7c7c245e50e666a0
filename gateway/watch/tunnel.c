/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets within packets, and machines that a packet names beside its two addresses.
 *
 * The outer packet is judged like any other. A flow may name the tunnel: by its IP protocol, or by the UDP port that
 * belongs to it, or by a service of the policy's own whose name begins with that of the tunnel. Whatever carries
 * packets without a flow that names it is a tunnel; and what is carried is judged in any case, layer by layer: each of
 * its addresses must belong to the wire, or to a crossing that the flows allow.
 *
 * What the gateway stops is an attempt, as always, unless what it carries shows a zone that the outer packet hides.
 */
#include <string.h>

#include "watch/watch_parts.h"

enum { DEPTH_MOST = 8 };

/* What was found within a frame. */
struct inside {
  bool foreign;    /* something in it belongs to neither end */
  zone_index zone; /* whose it is */
  const char *reason;
  struct address source, destination; /* of the innermost packet that was read, or of the foreign one */
};

/* Against what the layers within a frame are held. */
struct bounds {
  zone_index wire_zone;
  zone_index from, to;  /* of the outer packet; both the wire's zone where that does not matter */
  bool crossing_counts; /* what the flows allow may lie within: the outer packet is lawful */
};

/* ---- addresses ---- */

static bool is_everyday(const struct address_facts *facts) {
  return facts->zone == ZONE_NONE || (facts->traits & (ADDRESS_LINK_LOCAL | ADDRESS_GROUP | ADDRESS_BROADCAST)) != 0;
}

/* A zone that the frame as a whole does not show. */
static bool is_strange(const struct bounds *bounds, zone_index zone) {
  return zone != ZONE_NONE && zone != bounds->wire_zone && zone != bounds->from && zone != bounds->to;
}

static zone_index zone_of(const struct watch *watch, const struct address *address) {
  struct address_facts facts = index_find(watch->current.index, address);
  return is_everyday(&facts) ? ZONE_NONE : facts.zone;
}

/* While policies are exchanged, what lies right by the next one lies right. */
static bool belongs_by_pending(const struct watch *watch, int wire, const struct address *address) {
  const struct generation *pending = &watch->pending;
  return pending->policy != NULL && wire != WIRE_NONE &&
         index_find(pending->index, address).zone == pending->wire_zones[wire];
}

static bool crossing_is_allowed(const struct watch *watch, const struct packet *packet, const struct packet *quoted,
                                zone_index from, zone_index to) {
  struct passage_question question = {.packet = packet,
                                      .quoted = quoted,
                                      .from = from,
                                      .to = to,
                                      .without_ports = (packet->traits & TRAIT_NO_PORTS) != 0};
  bool reversed;
  return conversation_judge_alone(watch->current.index, &question, &reversed).allow ||
         (watch->pending.policy != NULL && conversation_judge_alone(watch->pending.index, &question, &reversed).allow);
}

/* ---- one layer ---- */

static void note_foreign(struct inside *inside, zone_index zone, const char *reason, const struct address *source,
                         const struct address *destination) {
  if (inside->foreign)
    return;
  *inside = (struct inside){true, zone, reason, *source, *destination};
}

/*
 * The packet of a layer. Within an unlawful frame only a zone that the frame hides is worth more than the frame
 * itself; within a lawful one, whatever does not lie on its own wire must be allowed by itself.
 */
static void judge_layer(const struct watch *watch, const struct sighting *sighting, const struct frame *layer,
                        const struct bounds *bounds, struct inside *inside) {
  const struct packet *packet = &layer->packet;
  zone_index from = zone_of(watch, &packet->source), to = zone_of(watch, &packet->destination);
  if (belongs_by_pending(watch, sighting->wire, &packet->source))
    from = bounds->wire_zone;
  if (belongs_by_pending(watch, sighting->wire, &packet->destination))
    to = bounds->wire_zone;
  bool home = (from == bounds->wire_zone || from == ZONE_NONE) && (to == bounds->wire_zone || to == ZONE_NONE);
  bool strange = is_strange(bounds, from) || is_strange(bounds, to);
  const struct packet *quoted = layer->has_quoted ? &layer->quoted : NULL;
  if (bounds->crossing_counts ? home || crossing_is_allowed(watch, packet, quoted, from, to) : !strange)
    return;
  zone_index other = is_strange(bounds, from) ? from : is_strange(bounds, to) ? to : ZONE_NONE;
  note_foreign(inside, other, "inner-packet", &packet->source, &packet->destination);
}

static void judge_arp_layer(const struct watch *watch, const struct frame *layer, const struct bounds *bounds,
                            struct inside *inside) {
  zone_index sender = zone_of(watch, &layer->arp.sender), target = zone_of(watch, &layer->arp.target);
  bool strange = bounds->crossing_counts ? sender != bounds->wire_zone && sender != ZONE_NONE
                                         : is_strange(bounds, sender) || is_strange(bounds, target);
  if (strange)
    note_foreign(inside, is_strange(bounds, target) && !is_strange(bounds, sender) ? target : sender, "inner-packet",
                 &layer->arp.sender, &layer->arp.target);
}

/* Whether the packet might be sent to, or come from, the machine that it names beside its addresses. */
static bool hidden_is_allowed(const struct watch *watch, const struct frame *layer, const struct bounds *bounds,
                              const struct hidden_address *hidden, zone_index zone) {
  if (!bounds->crossing_counts)
    return false;
  struct packet packet = layer->packet;
  *(hidden->of_source ? &packet.source : &packet.destination) = hidden->address;
  packet.traits &= (unsigned)TRAIT_NO_PORTS;
  zone_index from = hidden->of_source ? zone : zone_of(watch, &packet.source);
  zone_index to = hidden->of_source ? zone_of(watch, &packet.destination) : zone;
  return crossing_is_allowed(watch, &packet, NULL, from, to);
}

/* Addresses that lie in others, or in options. */
static void judge_hidden(const struct watch *watch, const struct sighting *sighting, const struct frame *layer,
                         const struct bounds *bounds, struct inside *inside) {
  struct hidden_address hidden[HIDDEN_MOST];
  size_t count = frame_hidden(sighting->captured, layer, hidden);
  for (size_t i = 0; i < count; i++) {
    zone_index zone = zone_of(watch, &hidden[i].address);
    if (is_strange(bounds, zone) && !belongs_by_pending(watch, sighting->wire, &hidden[i].address) &&
        !hidden_is_allowed(watch, layer, bounds, &hidden[i], zone))
      note_foreign(inside, zone, hidden_way_name(hidden[i].way), &layer->packet.source, &hidden[i].address);
  }
}

static void judge_inner_mac(const struct watch *watch, const struct frame *layer, const struct bounds *bounds,
                            struct inside *inside) {
  static const struct address nobody = {.family = FAMILY_NONE};
  if (!layer->has_macs)
    return;
  zone_index zone = index_zone_of_mac(watch->current.index, &layer->source_mac, bounds->wire_zone);
  if (is_strange(bounds, zone))
    note_foreign(inside, zone, "inner-mac", &nobody, &nobody);
}

static void look_inside(const struct watch *watch, const struct sighting *sighting, const struct bounds *bounds,
                        struct inside *ret_inside) {
  struct frame layers[2];
  const struct frame *outer = sighting->frame;
  *ret_inside = (struct inside){.zone = ZONE_NONE};
  judge_hidden(watch, sighting, outer, bounds, ret_inside);
  for (int depth = 0; frame_decode_inner(sighting->captured, outer, &layers[depth % 2]); depth++) {
    const struct frame *layer = outer = &layers[depth % 2];
    if (depth == DEPTH_MOST) {
      note_foreign(ret_inside, ZONE_NONE, "nested-too-deep", &ret_inside->source, &ret_inside->destination);
      return;
    }
    judge_inner_mac(watch, layer, bounds, ret_inside);
    if (layer->content == CONTENT_ARP) {
      judge_arp_layer(watch, layer, bounds, ret_inside);
    } else if (layer->content == CONTENT_IP) {
      judge_hidden(watch, sighting, layer, bounds, ret_inside);
      judge_layer(watch, sighting, layer, bounds, ret_inside);
      if (!ret_inside->foreign)
        ret_inside->source = layer->packet.source, ret_inside->destination = layer->packet.destination;
    }
  }
}

/* ---- the name of a tunnel ---- */

static bool service_names(const struct service *service, enum encapsulation encapsulation,
                          const struct packet *packet) {
  const uint16_t ports[] = {packet->source_port, packet->destination_port};
  if (service->protocol != PROTOCOL_UDP)
    return false;
  const char *name = encapsulation_name(encapsulation);
  size_t length = strlen(name);
  if (strncmp(service->text, name, length) == 0 && (service->text[length] == '\0' || service->text[length] == '-'))
    return true;
  for (size_t i = 0; i < 2; i++)
    if (encapsulation_has_port(encapsulation, ports[i]) && service->first_port <= ports[i] &&
        service->last_port >= ports[i])
      return true;
  return false;
}

/* Whether the verdict on the outer packet rests on a flow that names this tunnel. */
static bool is_named(const struct sighting *sighting, const struct decision *decision) {
  enum encapsulation encapsulation = sighting->frame->encapsulation;
  if (encapsulation == ENCAPSULATION_NONE)
    return true;
  if (decision->reason != REASON_FLOW || decision->flow == NULL)
    return false;
  if (encapsulation == ENCAPSULATION_IN_ICMP)
    return false;
  if (sighting->packet.protocol != PROTOCOL_UDP)
    return true; /* the flow names its protocol, or it would not allow it */
  for (size_t i = 0; i < decision->flow->service_count; i++)
    if (service_names(&decision->flow->services[i], encapsulation, &sighting->packet))
      return true;
  return false;
}

/* ---- findings ---- */

static void describe(const struct sighting *sighting, const struct inside *inside, zone_index zone,
                     zone_index other_zone, struct finding *ret_finding) {
  sighting_describe(sighting, ret_finding);
  ret_finding->kind = FINDING_TUNNEL;
  ret_finding->zone = zone;
  ret_finding->other_zone = inside->foreign && inside->zone != ZONE_NONE ? inside->zone : other_zone;
  ret_finding->reason =
      inside->foreign ? inside->reason : encapsulation_name((enum encapsulation)sighting->frame->encapsulation);
  ret_finding->inner_source = inside->source;
  ret_finding->inner_destination = inside->destination;
}

static bool concerns(const struct sighting *sighting) {
  return sighting->frame->encapsulation != ENCAPSULATION_NONE || sighting->frame->hides;
}

/* Who reports to the gateway, or through it, about a packet of a third zone has received it. */
static bool judge_quoted(struct watch *watch, const struct sighting *sighting) {
  if (!sighting->frame->has_quoted)
    return false;
  const struct packet *quoted = &sighting->frame->quoted;
  zone_index from = zone_of(watch, &quoted->source);
  if (from == ZONE_NONE || from == sighting->wire_zone || from == sighting->destination.zone ||
      belongs_by_pending(watch, sighting->wire, &quoted->source))
    return false;
  if (crossing_is_allowed(watch, quoted, NULL, from, sighting->wire_zone))
    return false;
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = FINDING_CROSSING;
  finding.zone = from;
  finding.other_zone = sighting->wire_zone;
  finding.reason = "quoted-packet";
  finding.inner_source = quoted->source;
  finding.inner_destination = quoted->destination;
  watch_find(watch, &finding);
  return true;
}

/* Nobody here sends packets round by others; who does has something in mind, even within one zone. */
static bool judge_route(struct watch *watch, const struct sighting *sighting) {
  struct hidden_address hidden[HIDDEN_MOST];
  size_t count = frame_hidden(sighting->captured, sighting->frame, hidden);
  for (size_t i = 0; i < count; i++) {
    if (hidden[i].way != HIDDEN_SOURCE_ROUTE && hidden[i].way != HIDDEN_ROUTING_HEADER)
      continue;
    struct finding finding;
    sighting_describe(sighting, &finding);
    finding.kind = FINDING_UNKNOWN_SEGMENT;
    finding.zone = sighting->wire_zone;
    finding.other_zone = ZONE_NONE;
    finding.reason = hidden_way_name(hidden[i].way);
    watch_find(watch, &finding);
    return true;
  }
  return false;
}

/* Routers sign or encrypt what they tell each other on one wire; no tunnel ends in a group. */
static bool is_talk_of_routers(const struct sighting *sighting) {
  enum encapsulation encapsulation = sighting->frame->encapsulation;
  return (encapsulation == ENCAPSULATION_AH || encapsulation == ENCAPSULATION_ESP) &&
         sighting->frame->inner_form == INNER_HIDDEN && (sighting->destination.traits & ADDRESS_GROUP) != 0;
}

bool tunnel_judge_passing(struct watch *watch, const struct sighting *sighting) {
  if (!concerns(sighting) || is_talk_of_routers(sighting))
    return false;
  zone_index zone = sighting->wire_zone;
  struct bounds bounds = {zone, zone, zone, false};
  struct inside inside;
  look_inside(watch, sighting, &bounds, &inside);
  if (sighting->frame->encapsulation == ENCAPSULATION_NONE && !inside.foreign)
    return judge_route(watch, sighting);
  zone_index outer = zone_of(watch, &sighting->packet.source);
  if (outer == zone || outer == ZONE_NONE)
    outer = zone_of(watch, &sighting->packet.destination);
  struct finding finding;
  describe(sighting, &inside, zone, outer, &finding);
  watch_find(watch, &finding);
  return true;
}

bool tunnel_judge_entering(struct watch *watch, const struct sighting *sighting, const struct decision *decision) {
  if (!concerns(sighting))
    return judge_quoted(watch, sighting);
  zone_index zone = sighting->wire_zone;
  struct bounds bounds = {zone, zone, decision->to_zone, decision->allow};
  struct inside inside;
  look_inside(watch, sighting, &bounds, &inside);
  bool wrong = decision->allow ? inside.foreign || !is_named(sighting, decision)
                               : inside.foreign && sighting->frame->encapsulation != ENCAPSULATION_NONE;
  if (!wrong)
    return false;
  struct finding finding;
  describe(sighting, &inside, zone, decision->to_zone, &finding);
  finding.flow = decision->flow;
  watch_find(watch, &finding);
  return true;
}

bool tunnel_is_lawful(const struct watch *watch, const struct frame *frame, const struct captured_frame *captured,
                      zone_index wire_zone) {
  struct sighting sighting = {.captured = captured, .frame = frame, .wire = WIRE_NONE};
  struct bounds bounds = {wire_zone, wire_zone, wire_zone, true};
  struct inside inside;
  look_inside(watch, &sighting, &bounds, &inside);
  return !inside.foreign;
}

zone_index tunnel_hidden_goal(const struct watch *watch, const struct sighting *sighting, zone_index to) {
  struct bounds bounds = {sighting->wire_zone, sighting->wire_zone, to, false};
  struct inside inside = {.zone = ZONE_NONE};
  if (sighting->frame->hides)
    judge_hidden(watch, sighting, sighting->frame, &bounds, &inside);
  return inside.foreign ? inside.zone : to;
}

bool tunnel_judge_leaving(struct watch *watch, const struct sighting *sighting, const struct decision *decision,
                          zone_index from) {
  if (!concerns(sighting))
    return false;
  struct bounds bounds = {sighting->wire_zone, from, sighting->wire_zone, decision->allow};
  struct inside inside;
  look_inside(watch, sighting, &bounds, &inside);
  bool tunnel = sighting->frame->encapsulation != ENCAPSULATION_NONE;
  if (decision->allow ? !inside.foreign && is_named(sighting, decision) : !tunnel)
    return false;
  struct connection_key key;
  connections_key(watch->connections, &sighting->packet, &key);
  struct finding finding;
  describe(sighting, &inside, from, sighting->wire_zone, &finding);
  finding.flow = decision->flow;
  finding.entry_wire = decision->allow ? WIRE_NONE : passages_leave(watch->passages, &key, sighting->frame->time);
  watch_find(watch, &finding);
  return true;
}

bool tunnel_judge_wrapped(struct watch *watch, const struct sighting *sighting) {
  if (sighting->frame->encapsulation == ENCAPSULATION_NONE)
    return false;
  zone_index zone = sighting->wire_zone;
  struct bounds bounds = {zone, zone, zone, false};
  struct inside inside;
  look_inside(watch, sighting, &bounds, &inside);
  if (!inside.foreign)
    return false;
  struct finding finding;
  describe(sighting, &inside, zone, ZONE_NONE, &finding);
  watch_find(watch, &finding);
  return true;
}

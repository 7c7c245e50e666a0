/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies on a wire where it may not: addresses, MACs, tags, protocols. The zone of a finding is that of the wire,
 * the other zone is the one whose address or machine it is.
 *
 * Whoever bears or claims a foreign address is on a second path. Whoever only asks for one may be a machine with a
 * wrong setting and nobody there to answer: a warning, until something answers.
 */
#include <net/if_arp.h>
#include <string.h>

#include "watch/canary.h"
#include "watch/watch_parts.h"

static void find(struct watch *watch, const struct sighting *sighting, enum finding_kind kind, zone_index zone,
                 zone_index other_zone, const char *reason) {
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = kind;
  finding.zone = zone;
  finding.other_zone = other_zone;
  finding.reason = reason;
  if (other_zone >= 0)
    homes_foreign(watch, &finding);
  else
    watch_find(watch, &finding);
}

/* One cause per machine, whatever its frames say. detail may be NULL. */
static void find_machine(struct watch *watch, const struct sighting *sighting, enum finding_kind kind,
                         const char *reason, const struct mac *mac, const struct address *detail) {
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = kind;
  finding.zone = sighting->wire_zone;
  finding.reason = reason;
  finding.subject = machines_digest(homes_machines(watch->homes), mac->bytes, sizeof mac->bytes,
                                    detail != NULL ? detail->bytes : NULL, detail != NULL ? sizeof detail->bytes : 0);
  watch_find(watch, &finding);
}

/* While policies are exchanged, what lies right by the next one lies right. */
static bool belongs_by_pending(const struct watch *watch, const struct sighting *sighting,
                               const struct address *address) {
  const struct generation *pending = &watch->pending;
  return pending->policy != NULL && index_find(pending->index, address).zone == pending->wire_zones[sighting->wire];
}

/* ---- ways to the Internet that are not the gateway's ---- */

/* What telephones and Windows give to those whom they let into the Internet. */
bool address_is_of_tethering(const struct address *address) {
  static const struct {
    uint8_t prefix[4], length;
  } ranges[] = {{{192, 168, 42}, 24}, {{192, 168, 43}, 24}, {{172, 20, 10}, 28}, {{192, 168, 137}, 24}};
  if (address->family != FAMILY_IPV4)
    return false;
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    uint8_t mask = (uint8_t)(0xff00u >> (ranges[i].length - 24));
    if (memcmp(address->bytes, ranges[i].prefix, 3) == 0 &&
        (ranges[i].length == 24 || (address->bytes[3] & mask) == ranges[i].prefix[3]))
      return true;
  }
  return false;
}

/* Else nobody can say what goes another way. */
bool wire_knows_gateway(const struct watch *watch, int wire) {
  return watch->wires[wire].gateway_mac_count > 0;
}

/* Whether it is an address of the Internet as such: of no zone, or of one that has all the rest. */
static bool is_internet(const struct watch *watch, const struct address *address, const struct address_facts *facts) {
  const struct policy *policy = watch->current.policy;
  bool named = facts->zone >= 0 && address_set_contains(&policy->zones[facts->zone].local, address);
  return !named && (facts->traits & ADDRESS_OWN) == 0 && policy_is_global(policy, address);
}

static bool zone_has_ipv6(const struct watch *watch, zone_index zone) {
  const struct zone *of = &watch->current.policy->zones[zone];
  for (size_t i = 0; i < of->local.count; i++)
    if (of->local.ranges[i].first.family == FAMILY_IPV6)
      return true;
  return false;
}

bool judge_uplink_source(struct watch *watch, const struct sighting *sighting) {
  const struct address *source = &sighting->packet.source;
  if (sighting->source.zone == sighting->wire_zone || belongs_by_pending(watch, sighting, source))
    return false;
  if (sighting->source.zone == ZONE_NONE && address_is_of_tethering(source)) {
    find_machine(watch, sighting, FINDING_ROGUE_UPLINK, "tethering", &sighting->frame->source_mac, NULL);
    return true;
  }
  if (sighting->direction != FRAME_PASSING || !wire_knows_gateway(watch, sighting->wire) ||
      !is_internet(watch, source, &sighting->source))
    return false;
  bool without_ipv6 = source->family == FAMILY_IPV6 && !zone_has_ipv6(watch, sighting->wire_zone);
  if (!without_ipv6 && sighting_is_for_many(sighting))
    return false;
  if (without_ipv6)
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, ZONE_NONE, "routable-ipv6");
  else
    find_machine(watch, sighting, FINDING_ROGUE_UPLINK, "internet-answer", &sighting->frame->source_mac, NULL);
  return true;
}

bool judge_uplink_destination(struct watch *watch, const struct sighting *sighting) {
  const struct address *destination = &sighting->packet.destination;
  const struct frame *frame = sighting->frame;
  if (!wire_knows_gateway(watch, sighting->wire) || sighting->destination.zone == sighting->wire_zone ||
      !frame->has_macs || (frame->destination_mac.bytes[0] & 1) != 0 ||
      belongs_by_pending(watch, sighting, destination) || !is_internet(watch, destination, &sighting->destination))
    return false;
  find_machine(watch, sighting, FINDING_ROGUE_UPLINK, "internet-next-hop", &frame->destination_mac, NULL);
  return true;
}

bool judge_foreign_address(struct watch *watch, const struct sighting *sighting, const struct address *address,
                           enum finding_kind kind, const char *claim) {
  struct address_facts facts = index_find(watch->current.index, address);
  if (facts.zone == sighting->wire_zone || (facts.traits & ADDRESS_LINK_LOCAL) != 0 ||
      belongs_by_pending(watch, sighting, address))
    return false;
  if ((facts.traits & ADDRESS_UNROUTED) != 0)
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, facts.zone, "unrouted-neighbour");
  else if (facts.zone == ZONE_NONE)
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, ZONE_NONE, reason_name(REASON_UNKNOWN_ZONE));
  else
    find(watch, sighting, kind, sighting->wire_zone, facts.zone, claim);
  return true;
}

bool judge_foreign_claim(struct watch *watch, const struct sighting *sighting, const struct address *address,
                         enum finding_kind kind, const char *claim) {
  struct address_facts facts = index_find(watch->current.index, address);
  if (facts.zone == ZONE_NONE || (facts.traits & ADDRESS_UNROUTED) != 0 || is_internet(watch, address, &facts))
    return false; /* wherever it was at home before: nothing here has that address */
  return judge_foreign_address(watch, sighting, address, kind, claim);
}

static bool matches_pending(const struct watch *watch, const struct sighting *sighting, const struct address *address,
                            const struct mac *mac) {
  const struct generation *pending = &watch->pending;
  if (pending->policy == NULL)
    return false;
  struct address_facts facts = index_find(pending->index, address);
  return index_mac_matches(pending->index, &facts, pending->wire_zones[sighting->wire], mac);
}

/* On any wire: on another than its own it is a matter of joined wires. */
static bool is_gateway_mac(const struct watch *watch, const struct mac *mac) {
  if (!watch_may_be_gateway_mac(watch, mac))
    return false;
  for (size_t i = 0; i < watch->wire_count; i++)
    if (wire_is_gateway_mac(&watch->wires[i], mac))
      return true;
  return false;
}

bool judge_impostor(struct watch *watch, const struct sighting *sighting, const struct address *address,
                    const struct mac *mac) {
  struct address_facts facts = index_find(watch->current.index, address);
  if ((facts.traits & ADDRESS_OWN) != 0) {
    if (watch->wires[sighting->wire].gateway_mac_count == 0 || is_gateway_mac(watch, mac))
      return false;
    find_machine(watch, sighting, FINDING_IDENTITY_THEFT, "gateway-claim", mac, address);
    return true;
  }
  if (facts.zone != sighting->wire_zone || index_mac_matches(watch->current.index, &facts, facts.zone, mac) ||
      matches_pending(watch, sighting, address, mac))
    return false;
  find_machine(watch, sighting, FINDING_IDENTITY_THEFT, "pinned-claim", mac, address);
  return true;
}

bool judge_foreign_mac(struct watch *watch, const struct sighting *sighting) {
  if (!sighting->frame->has_macs)
    return false;
  zone_index zone = index_zone_of_mac(watch->current.index, &sighting->frame->source_mac, sighting->wire_zone);
  if (zone == ZONE_NONE || zone == sighting->wire_zone ||
      declared_legs(watch->current.declared, zone, sighting->wire_zone, &sighting->frame->source_mac, NULL, NULL))
    return false;
  find(watch, sighting, FINDING_BYPASS, sighting->wire_zone, zone, "pinned-mac");
  return true;
}

static bool judge_tethered_claim(struct watch *watch, const struct sighting *sighting, const struct address *address) {
  if (!address_is_of_tethering(address) || index_find(watch->current.index, address).zone != ZONE_NONE ||
      belongs_by_pending(watch, sighting, address))
    return false;
  find_machine(watch, sighting, FINDING_ROGUE_UPLINK, "tethering", &sighting->frame->source_mac, NULL);
  return true;
}

/* The answer to a foreign address shows that it is there; a question shows nothing. */
static bool judge_arp_target(struct watch *watch, const struct sighting *sighting) {
  const struct frame_arp *arp = &sighting->frame->arp;
  return arp->operation == ARPOP_REPLY
             ? judge_foreign_address(watch, sighting, &arp->target, FINDING_BYPASS, "arp-claim")
             : judge_foreign_address(watch, sighting, &arp->target, FINDING_UNKNOWN_SEGMENT, "arp-search");
}

void judge_arp(struct watch *watch, const struct sighting *sighting) {
  const struct frame_arp *arp = &sighting->frame->arp;
  if (sighting->direction == FRAME_LEAVING) {
    watch_count_everyday(watch, sighting->wire);
    return;
  }
  if (judge_tethered_claim(watch, sighting, &arp->sender) ||
      judge_foreign_address(watch, sighting, &arp->sender, FINDING_BYPASS, "arp-claim") ||
      judge_impostor(watch, sighting, &arp->sender, &arp->sender_mac) || judge_foreign_mac(watch, sighting) ||
      judge_arp_target(watch, sighting))
    return;
  watch_count_everyday(watch, sighting->wire);
}

/* In captures of a gateway lie the canaries that it sent; a running watchman takes out his own before they are judged.
 */
static bool is_canary_of_gateway(const struct sighting *sighting) {
  static const struct canary_key unknown;
  struct canary canary;
  return sighting->direction == FRAME_LEAVING && canary_read(&unknown, sighting->captured, &canary) != CANARY_NONE;
}

void judge_other(struct watch *watch, const struct sighting *sighting) {
  bool foreign_mac = sighting->direction != FRAME_LEAVING && judge_foreign_mac(watch, sighting);
  if (foreign_mac || tunnel_judge_wrapped(watch, sighting))
    return;
  if (sighting->frame->content == CONTENT_OTHER && !is_canary_of_gateway(sighting))
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, ZONE_NONE, "foreign-protocol");
  else
    watch_count_everyday(watch, sighting->wire);
}

void judge_fault(struct watch *watch, const struct sighting *sighting, enum frame_fault fault) {
  find(watch, sighting, FINDING_MALFORMED, sighting->wire_zone, ZONE_NONE, frame_fault_name(fault));
}

bool judge_tags(struct watch *watch, const struct sighting *sighting) {
  const struct frame *frame = sighting->frame;
  const uint8_t *meanings = watch->current.wire_vlans[sighting->wire];
  unsigned declared = 0, undeclared = 0;
  for (unsigned i = 0; i < frame->tag_count; i++) {
    if (frame->tags[i] == 0)
      continue; /* a priority, no segment */
    if (i == 0 && meanings[frame->tags[i]] == VLAN_ELSEWHERE)
      return false;
    if (i == 0 && meanings[frame->tags[i]] == VLAN_OF_ZONE)
      declared++;
    else
      undeclared++;
  }
  if (declared > 0)
    watch->wires[sighting->wire].tagged = true;
  if (undeclared > 0)
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, ZONE_NONE,
         declared + undeclared > 1 ? "stacked-vlan" : "undeclared-vlan");
  return true;
}

void judge_untagged(struct watch *watch, const struct sighting *sighting) {
  const struct frame *frame = sighting->frame;
  bool tagged = false;
  for (unsigned i = 0; i < frame->tag_count; i++)
    tagged = tagged || frame->tags[i] != 0;
  if (!tagged && watch->wires[sighting->wire].tagged && frame->content != CONTENT_CONTROL)
    find(watch, sighting, FINDING_UNKNOWN_SEGMENT, sighting->wire_zone, ZONE_NONE, "untagged");
}

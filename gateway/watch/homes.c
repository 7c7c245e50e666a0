/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines and frames on the wires of two zones.
 *
 * Theory of operation. The very same frame on the wires of two zones shows that the wires are joined: the gateway never
 * sends on what it got without changing its MACs. The same machine on both without such frames shows one machine with
 * two legs, or one that was carried over. Which of the two copies of a frame is heard first depends on the switches and
 * on the capture, so that what only one copy shows (a foreign address, a machine out of its place) is held for a
 * moment, and is told as `bridged` when the other copy comes.
 *
 * A machine is told once for each time that it changes the zone: one that stays where it was carried to is one finding,
 * one that speaks in both goes on being found.
 */
#include <stdlib.h>
#include <string.h>

#include "watch/homes_parts.h"

enum { DIGESTED = 128, MACS = 12 };

static const int64_t MILLISECOND = 1000000, SECOND = 1000000000;
#define COPY (2 * SECOND)        /* between the two copies of a frame */
#define WAIT (200 * MILLISECOND) /* for the other copy, before what one copy shows is told */
#define AT_ONCE (60 * SECOND)    /* heard on two wires within it: two legs, and not carried over */

struct homes *homes_new(size_t machines, int64_t wait) {
  struct homes *homes = calloc(1, sizeof *homes);
  if (homes == NULL)
    return NULL;
  homes->wait = wait > 0 ? wait : WAIT;
  homes->machines = machines_new(machines, machines, machines);
  return homes->machines != NULL ? homes : homes_free(homes);
}

struct homes *homes_free(struct homes *homes) {
  if (homes != NULL)
    machines_free(homes->machines);
  free(homes);
  return NULL;
}

struct machines *homes_machines(const struct homes *homes) {
  return homes->machines;
}

/* ---- who may be on two wires ---- */

/* Routers that share an address share a MAC of these ranges, too, and its number says nothing about the machine. */
bool mac_is_virtual(const struct mac *mac) {
  static const struct {
    uint8_t bytes[6], length;
  } ranges[] = {
      {{0x00, 0x00, 0x5e, 0x00, 0x01}, 5}, /* VRRP, CARP */
      {{0x00, 0x00, 0x5e, 0x00, 0x02}, 5}, /* VRRP for IPv6 */
      {{0x00, 0x00, 0x0c, 0x07, 0xac}, 5}, /* HSRP */
      {{0x00, 0x00, 0x0c, 0x9f}, 4},       /* HSRP, version 2 */
      {{0x00, 0x05, 0x73, 0xa0}, 4},       /* HSRP for IPv6 */
      {{0x00, 0x07, 0xb4, 0x00}, 4},       /* GLBP */
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    if (memcmp(mac->bytes, ranges[i].bytes, ranges[i].length) == 0)
      return true;
  return false;
}

static bool is_declared(const struct generation *generation, zone_index zone, const struct mac *mac) {
  for (enum speaker speaker = 0; speaker < SPEAKER_COUNT_; speaker++)
    if (declared_mac(generation->declared, zone, speaker, mac))
      return true;
  return false;
}

static const struct address *own_address(const struct sighting *sighting) {
  const struct frame *frame = sighting->frame;
  return frame->content == CONTENT_IP    ? &sighting->packet.source
         : frame->content == CONTENT_ARP ? &frame->arp.sender
                                         : NULL;
}

static bool may_have_two_homes(const struct generation *generation, const struct sighting *sighting, int other_wire,
                               const char *name) {
  zone_index here = generation->wire_zones[sighting->wire], there = generation->wire_zones[other_wire];
  const struct mac *mac = &sighting->frame->source_mac;
  return here == there || (is_declared(generation, here, mac) && is_declared(generation, there, mac)) ||
         declared_legs(generation->declared, here, there, mac, own_address(sighting), name);
}

/* While policies are exchanged, what either allows is allowed. */
static bool is_lawful(const struct watch *watch, const struct sighting *sighting, int other_wire, const char *name) {
  return may_have_two_homes(&watch->current, sighting, other_wire, name) ||
         (watch->pending.policy != NULL && may_have_two_homes(&watch->pending, sighting, other_wire, name));
}

/* The wire of another zone on which this is the gateway's own MAC; WIRE_NONE when it is none, or its own here. */
static int wire_of_gateway(const struct watch *watch, const struct sighting *sighting, const struct mac *mac) {
  if (!watch_may_be_gateway_mac(watch, mac) || wire_is_gateway_mac(&watch->wires[sighting->wire], mac))
    return WIRE_NONE;
  for (size_t i = 0; i < watch->wire_count; i++) {
    zone_index zone = watch->current.wire_zones[i];
    if (zone != ZONE_NONE && zone != sighting->wire_zone && wire_is_gateway_mac(&watch->wires[i], mac))
      return (int)i;
  }
  return WIRE_NONE;
}

/* ---- looking ---- */

static void find_bridged(struct watch *watch, const struct sighting *sighting, int other_wire, const char *reason) {
  struct homes *homes = watch->homes;
  if (is_lawful(watch, sighting, other_wire, NULL))
    return;
  homes->bridged = true;
  homes->other_wire = other_wire;
  homes->reason = reason;
  homes->joint = joints_join(watch, sighting->wire, other_wire, reason, sighting->frame->time);
}

static void find_two_homes(struct watch *watch, const struct sighting *sighting, const struct machine_sight *sight,
                           const char *reason, const char *name) {
  struct homes *homes = watch->homes;
  if (homes->bridged || homes->two_homes || is_lawful(watch, sighting, sight->other_wire, name))
    return;
  homes->two_homes = true;
  homes->other_wire = sight->other_wire;
  homes->reason = reason;
  homes->subject = sight->key;
}

static bool is_recent(const struct sighting *sighting, const struct machine_sight *sight) {
  return sight->moved && sight->other_wire != WIRE_NONE &&
         sighting->frame->time - sight->other_last < MACHINE_REMEMBERED;
}

void homes_hear_name(struct watch *watch, const struct sighting *sighting, enum machine_name kind, const void *name,
                     size_t length, const char *host, const char *reason) {
  struct machine_sight sight;
  machines_hear(watch->homes->machines, kind, name, length, sighting->wire, watch->current.wire_zones,
                sighting->frame->time, &sight);
  if (is_recent(sighting, &sight))
    find_two_homes(watch, sighting, &sight, reason, host);
}

/* The identity of a frame: its MACs and what they carry, without tags. */
static void look_for_copy(struct watch *watch, const struct sighting *sighting) {
  struct homes *homes = watch->homes;
  const struct captured_frame *captured = sighting->captured;
  uint32_t begin = sighting->frame->network_offset, end = captured->captured;
  if (begin < MACS + 2 || begin >= end)
    return;
  end = end - begin > DIGESTED ? begin + DIGESTED : end;
  homes->digested = true;
  homes->digest = machines_digest(homes->machines, captured->data, MACS, captured->data + begin - 2, end - begin + 2);
  int other = machines_echo(homes->machines, homes->digest, sighting->wire, watch->current.wire_zones,
                            sighting->frame->time, COPY);
  if (other == WIRE_NONE)
    return;
  find_bridged(watch, sighting, other, "same-frame");
  if (homes->bridged)
    joints_drop_copies(homes); /* they are told with it */
}

/* What the gateway sends on many wires in the same words: that of a machine without an address in the zone. */
static bool gateway_repeats(const struct sighting *sighting) {
  const struct frame *frame = sighting->frame;
  static const struct address nobody = {.family = FAMILY_IPV4};
  if (frame->content == CONTENT_ARP)
    return address_equal(&frame->arp.sender, &nobody);
  return frame->content != CONTENT_IP || (sighting->source.traits & (ADDRESS_LINK_LOCAL | ADDRESS_GROUP)) != 0;
}

static bool is_group(const struct mac *mac) {
  return (mac->bytes[0] & 1) != 0;
}

static void note_address(struct watch *watch, const struct sighting *sighting) {
  const struct address *address = own_address(sighting);
  if (address == NULL || sighting->wire_zone < 0)
    return;
  const struct zone *zone = &watch->current.policy->zones[sighting->wire_zone];
  for (size_t i = 0; i < zone->network_count; i++)
    if (range_contains(&zone->networks[i].range, address))
      machines_note_address(watch->homes->machines, address, &sighting->frame->source_mac, sighting->frame->time);
}

static void look_at_sender(struct watch *watch, const struct sighting *sighting) {
  const struct frame *frame = sighting->frame;
  struct machine_sight sight;
  machines_hear(watch->homes->machines, MACHINE_BY_MAC, frame->source_mac.bytes, sizeof frame->source_mac.bytes,
                sighting->wire, watch->current.wire_zones, frame->time, &sight);
  note_address(watch, sighting);
  if (sight.first || sight.other_wire != WIRE_NONE || is_group(&frame->destination_mac))
    look_for_copy(watch, sighting);
  if (!is_recent(sighting, &sight))
    return;
  bool at_once = frame->time - sight.other_last < AT_ONCE;
  find_two_homes(watch, sighting, &sight, at_once ? "same-mac" : "carried", NULL);
}

/* Where the gateway's frame was heard first, if that was another wire, else a cable joins the wire with itself. */
static void look_for_loop(struct watch *watch, const struct sighting *sighting) {
  look_for_copy(watch, sighting);
  if (!watch->homes->bridged)
    homes_bridged(watch, sighting, sighting->wire_zone, sighting->wire, "gateway-loop");
}

/* The capture knows what this machine sent, and this is not of it. */
static bool came_back(const struct watch *watch, const struct sighting *sighting) {
  const struct wire *wire = &watch->wires[sighting->wire];
  return wire->knows_sender && sighting->frame->sender == SENDER_OTHERS &&
         wire_is_gateway_mac(wire, &sighting->frame->source_mac);
}

static void look_for_gateway(struct watch *watch, const struct sighting *sighting) {
  int other = wire_of_gateway(watch, sighting, &sighting->frame->source_mac);
  if (other == WIRE_NONE && !is_group(&sighting->frame->destination_mac))
    other = wire_of_gateway(watch, sighting, &sighting->frame->destination_mac);
  if (other != WIRE_NONE)
    find_bridged(watch, sighting, other, "gateway-mac");
  else if (came_back(watch, sighting))
    look_for_loop(watch, sighting);
}

void homes_look(struct watch *watch, const struct sighting *sighting) {
  struct homes *homes = watch->homes;
  const struct frame *frame = sighting->frame;
  homes->bridged = homes->two_homes = homes->told = homes->digested = false;
  homes->digest = 0;
  if (!frame->has_macs || frame->content == CONTENT_CONTROL || frame->content == CONTENT_UNREADABLE)
    return;
  if (sighting->direction == FRAME_LEAVING) {
    if (is_group(&frame->destination_mac) && !gateway_repeats(sighting))
      look_for_copy(watch, sighting);
    return;
  }
  look_for_gateway(watch, sighting);
  if (!homes->bridged && !homes->told && !mac_is_virtual(&frame->source_mac) && !is_group(&frame->source_mac))
    look_at_sender(watch, sighting);
}

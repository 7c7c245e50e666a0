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

#include "watch/watch_parts.h"

enum { HELD = 128, HELD_BYTES = 160, JOINTS = 32, DIGESTED = 128, MACS = 12 };

static const int64_t MILLISECOND = 1000000, SECOND = 1000000000;
#define COPY (2 * SECOND)        /* between the two copies of a frame */
#define WAIT (200 * MILLISECOND) /* for the other copy, before what one copy shows is told */
#define JOINED (60 * SECOND)     /* since the last frame that showed it */
#define AT_ONCE (60 * SECOND)    /* heard on two wires within it: two legs, and not carried over */

struct held {
  struct finding finding;
  uint64_t digest;
  int64_t due;
  bool dropped;
  struct captured_frame captured; /* its first bytes, as evidence */
  uint8_t bytes[HELD_BYTES];
};

/* Two wires that were seen to be one. */
struct joint {
  int wires[2];
  int64_t last; /* 0: free */
  const char *reason;
};

struct homes {
  struct machines *machines;
  int64_t wait;
  struct held held[HELD]; /* a ring, in the order of `due` */
  unsigned held_first, held_count;
  struct joint joints[JOINTS];
  /* The frame under judgement. */
  bool bridged, two_homes, told, digested;
  int other_wire;
  const char *reason;
  uint64_t subject, digest;
  const struct joint *joint;
};

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

/* ---- joints ---- */

static zone_index zone_at(const struct watch *watch, int wire) {
  return wire != WIRE_NONE ? watch->current.wire_zones[wire] : ZONE_NONE;
}

static bool joins(const struct watch *watch, const struct joint *joint, zone_index left, zone_index right) {
  zone_index first = zone_at(watch, joint->wires[0]), second = zone_at(watch, joint->wires[1]);
  return (first == left && second == right) || (first == right && second == left);
}

static const struct joint *find_joint(const struct watch *watch, zone_index left, zone_index right, int64_t now) {
  for (size_t i = 0; i < JOINTS; i++) {
    const struct joint *joint = &watch->homes->joints[i];
    if (joint->last != 0 && now - joint->last < JOINED && joins(watch, joint, left, right))
      return joint;
  }
  return NULL;
}

static const struct joint *join(struct watch *watch, int left, int right, const char *reason, int64_t now) {
  struct joint *joints = watch->homes->joints, *place = joints;
  for (size_t i = 0; i < JOINTS; i++) {
    if (joints[i].last != 0 && joins(watch, &joints[i], zone_at(watch, left), zone_at(watch, right))) {
      place = &joints[i];
      break;
    }
    if (joints[i].last < place->last)
      place = &joints[i];
  }
  *place = (struct joint){.wires = {left, right}, .last = now, .reason = reason};
  return place;
}

void homes_join(struct watch *watch, int left, int right, const char *reason, int64_t time) {
  join(watch, left, right, reason, time);
}

/* ---- telling ---- */

/* What was found becomes a sign of the joint, as it is seen from the wire of the finding. */
static void make_bridged(const struct watch *watch, const struct joint *joint, struct finding *finding) {
  finding->kind = FINDING_BRIDGED;
  finding->subject = SUBJECT_JOINT;
  finding->reason = joint->reason;
  finding->entry_wire = joint->wires[zone_at(watch, joint->wires[0]) == finding->zone ? 1 : 0];
  finding->other_zone = zone_at(watch, finding->entry_wire);
}

/* It was seen a moment ago; the frame that is being judged now is another one. */
static void tell_held(struct watch *watch, const struct held *held) {
  const struct captured_frame *at = watch->at;
  struct captured_frame captured = held->captured;
  int at_wire = watch->at_wire;
  captured.data = held->bytes;
  watch->at = captured.captured > 0 ? &captured : NULL;
  watch->at_wire = held->finding.wire;
  watch_find(watch, &held->finding);
  watch->at = at;
  watch->at_wire = at_wire;
}

static void release(struct watch *watch, struct held *held) {
  if (held->dropped)
    return;
  const struct joint *joint = find_joint(watch, held->finding.zone, held->finding.other_zone, held->finding.time);
  if (joint != NULL)
    make_bridged(watch, joint, &held->finding);
  tell_held(watch, held);
}

static void release_first(struct watch *watch) {
  struct homes *homes = watch->homes;
  struct held held = homes->held[homes->held_first];
  homes->held_first = (homes->held_first + 1) % HELD;
  homes->held_count--;
  release(watch, &held);
}

void homes_advance(struct watch *watch, int64_t now) {
  struct homes *homes = watch->homes;
  while (homes->held_count > 0 && homes->held[homes->held_first].due <= now)
    release_first(watch);
}

static void keep_bytes(struct held *held, const struct captured_frame *captured) {
  held->captured = *captured;
  held->captured.captured = captured->captured < HELD_BYTES ? captured->captured : HELD_BYTES;
  memcpy(held->bytes, captured->data, held->captured.captured);
}

int64_t homes_wait_until(const struct homes *homes) {
  return homes->held_count > 0 ? homes->held[(homes->held_first + homes->held_count - 1) % HELD].due : 0;
}

static void hold(struct watch *watch, const struct finding *finding) {
  struct homes *homes = watch->homes;
  if (homes->held_count == HELD)
    release_first(watch);
  struct held *held = &homes->held[(homes->held_first + homes->held_count++) % HELD];
  *held = (struct held){.finding = *finding, .digest = homes->digest, .due = finding->time + homes->wait};
  if (watch->at != NULL)
    keep_bytes(held, watch->at);
  if (held->due < watch->next_tick)
    watch->next_tick = held->due;
}

/* What the first copy showed is told with the second. */
static void drop_copies(struct homes *homes) {
  for (unsigned i = 0; i < homes->held_count; i++) {
    struct held *held = &homes->held[(homes->held_first + i) % HELD];
    if (held->digest == homes->digest)
      held->dropped = true;
  }
}

void homes_foreign(struct watch *watch, const struct finding *finding) {
  struct homes *homes = watch->homes;
  struct finding told = *finding;
  if (homes->told)
    return;
  const struct joint *joint =
      homes->bridged ? homes->joint : find_joint(watch, finding->zone, finding->other_zone, finding->time);
  if (joint == NULL && finding->kind != FINDING_BYPASS) {
    watch_find(watch, finding);
    return;
  }
  homes->told = true;
  if (joint != NULL) {
    make_bridged(watch, joint, &told);
    watch_find(watch, &told);
  } else if (homes->digested) {
    hold(watch, finding);
  } else {
    watch_find(watch, finding);
  }
}

void homes_neighbour(struct watch *watch, const struct finding *finding) {
  struct homes *homes = watch->homes;
  if (homes->bridged)
    return; /* its speaker is lawful or told where he stands; that he is heard here is the joint */
  if (homes->digested)
    hold(watch, finding);
  else
    watch_find(watch, finding);
}

void homes_bridged(struct watch *watch, const struct sighting *sighting, zone_index zone, int wire,
                   const char *reason) {
  struct homes *homes = watch->homes;
  if (homes->told)
    return;
  homes->told = true;
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = FINDING_BRIDGED;
  finding.subject = SUBJECT_JOINT;
  finding.zone = sighting->wire_zone;
  finding.other_zone = zone;
  finding.entry_wire = wire;
  finding.reason = reason;
  watch_find(watch, &finding);
}

static void tell_two_homes(struct watch *watch, const struct sighting *sighting) {
  struct homes *homes = watch->homes;
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = FINDING_DUAL_HOMED;
  finding.zone = sighting->wire_zone;
  finding.other_zone = zone_at(watch, homes->other_wire);
  finding.entry_wire = homes->other_wire;
  finding.reason = homes->reason;
  finding.subject = homes->subject;
  homes->told = true;
  hold(watch, &finding);
}

void homes_finish(struct watch *watch, const struct sighting *sighting) {
  struct homes *homes = watch->homes;
  if (homes->told)
    return;
  if (homes->bridged)
    homes_bridged(watch, sighting, zone_at(watch, homes->other_wire), homes->other_wire, homes->reason);
  else if (homes->two_homes)
    tell_two_homes(watch, sighting);
}

bool homes_is_strange(const struct watch *watch) {
  return watch->homes->bridged || watch->homes->two_homes;
}

/* ---- who may be on two wires ---- */

/* Routers that share an address share a MAC of these ranges, too, and its number says nothing about the machine. */
static bool is_virtual(const struct mac *mac) {
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

bool mac_is_virtual(const struct mac *mac) {
  return is_virtual(mac);
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

static bool may_have_two_homes(const struct generation *generation, const struct sighting *sighting, int other_wire) {
  zone_index here = generation->wire_zones[sighting->wire], there = generation->wire_zones[other_wire];
  const struct mac *mac = &sighting->frame->source_mac;
  return here == there || (is_declared(generation, here, mac) && is_declared(generation, there, mac)) ||
         declared_legs(generation->declared, here, there, mac, own_address(sighting));
}

/* While policies are exchanged, what either allows is allowed. */
static bool is_lawful(const struct watch *watch, const struct sighting *sighting, int other_wire) {
  return may_have_two_homes(&watch->current, sighting, other_wire) ||
         (watch->pending.policy != NULL && may_have_two_homes(&watch->pending, sighting, other_wire));
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
  if (is_lawful(watch, sighting, other_wire))
    return;
  homes->bridged = true;
  homes->other_wire = other_wire;
  homes->reason = reason;
  homes->joint = join(watch, sighting->wire, other_wire, reason, sighting->frame->time);
}

static void find_two_homes(struct watch *watch, const struct sighting *sighting, const struct machine_sight *sight,
                           const char *reason) {
  struct homes *homes = watch->homes;
  if (homes->bridged || homes->two_homes || is_lawful(watch, sighting, sight->other_wire))
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
                     size_t length, const char *reason) {
  struct machine_sight sight;
  machines_hear(watch->homes->machines, kind, name, length, sighting->wire, watch->current.wire_zones,
                sighting->frame->time, &sight);
  if (is_recent(sighting, &sight))
    find_two_homes(watch, sighting, &sight, reason);
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
  drop_copies(homes);
  find_bridged(watch, sighting, other, "same-frame");
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
  find_two_homes(watch, sighting, &sight, at_once ? "same-mac" : "carried");
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
  if (!homes->bridged && !homes->told && !is_virtual(&frame->source_mac) && !is_group(&frame->source_mac))
    look_at_sender(watch, sighting);
}

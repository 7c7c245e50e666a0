/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wires that are one, and what is told of them.
 *
 * A joint is remembered for a minute: until then every foreign address, and everything else that one wire shows of the
 * other's zone, is a sign of it and no event of its own. What is told of a frame that may have a second copy waits for
 * that in a ring, in the order of time, with its first bytes as evidence.
 */
#include <string.h>

#include "watch/homes_parts.h"

#define JOINED (60LL * 1000000000) /* since the last frame that showed it */

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

const struct joint *joints_join(struct watch *watch, int left, int right, const char *reason, int64_t now) {
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
  joints_join(watch, left, right, reason, time);
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

void joints_drop_copies(struct homes *homes) {
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

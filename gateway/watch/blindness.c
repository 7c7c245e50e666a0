/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the watchman did not see, and what he sees of his own canaries. */
#include "watch/watch_parts.h"

static struct finding blindness(const struct watch *watch, int wire, const char *reason, uint64_t frames, int64_t now) {
  return (struct finding){.kind = FINDING_BLIND,
                          .time = now,
                          .zone = wire != WIRE_NONE ? watch->current.wire_zones[wire] : ZONE_NONE,
                          .other_zone = ZONE_NONE,
                          .wire = wire,
                          .entry_wire = WIRE_NONE,
                          .direction = FRAME_DIRECTION_NONE,
                          .protocol = -1,
                          .source_port = -1,
                          .destination_port = -1,
                          .icmp_type = -1,
                          .vlan = -1,
                          .ethertype = -1,
                          .reason = reason,
                          .count = frames};
}

void watch_is_blind(struct watch *watch, int wire, const char *reason, uint64_t frames, bool lasting, int64_t now) {
  if (watch->current.policy == NULL)
    return;
  watch_missed_something(watch);
  struct finding finding = blindness(watch, wire, reason, frames, now);
  if (lasting)
    aggregate_hold(watch->aggregate, &finding);
  else
    aggregate_add(watch->aggregate, &finding);
}

void watch_loses_sight(struct watch *watch, int wire, const char *reason, int64_t since, int64_t now) {
  if (watch->current.policy == NULL)
    return;
  watch_missed_something(watch);
  struct finding finding = blindness(watch, wire, reason, 1, now);
  finding.since = since;
  aggregate_hold(watch->aggregate, &finding);
}

void watch_sees_again(struct watch *watch, int wire, const char *reason, int64_t now) {
  if (watch->current.policy == NULL)
    return;
  watch_missed_something(watch);
  struct finding finding = blindness(watch, wire, reason, 0, now);
  aggregate_end(watch->aggregate, &finding);
}

void watch_was_blind(struct watch *watch, int wire, const char *reason, uint64_t frames, int64_t from, int64_t to) {
  if (watch->current.policy == NULL)
    return;
  watch_missed_something(watch);
  struct finding finding = blindness(watch, wire, reason, frames, to);
  finding.since = from;
  aggregate_add(watch->aggregate, &finding);
}

void watch_is_crowded(struct watch *watch, const char *reason, uint64_t count, int64_t since, int64_t now) {
  struct finding finding = blindness(watch, WIRE_NONE, reason, count, now);
  finding.since = since;
  aggregate_add(watch->aggregate, &finding);
}

/* ---- canaries ---- */

static void find_canary(struct watch *watch, int wire, const struct captured_frame *captured, enum finding_kind kind,
                        int other_wire, const char *reason) {
  struct frame frame;
  struct finding finding;
  frame_decode(captured, &frame);
  struct sighting sighting = {
      .captured = captured, .frame = &frame, .wire = wire, .direction = FRAME_PASSING, .packet = frame.packet};
  sighting_describe(&sighting, &finding);
  finding.kind = kind;
  finding.zone = watch->current.wire_zones[wire];
  finding.entry_wire = other_wire;
  finding.other_zone = other_wire != WIRE_NONE ? watch->current.wire_zones[other_wire] : ZONE_NONE;
  finding.subject = other_wire != WIRE_NONE ? SUBJECT_JOINT : 0;
  finding.reason = reason;
  watch_find(watch, &finding);
}

void watch_finds_forged_canary(struct watch *watch, int wire, const struct captured_frame *captured) {
  if (watch->current.policy != NULL && watch->current.wire_zones[wire] != ZONE_NONE)
    find_canary(watch, wire, captured, FINDING_UNKNOWN_SEGMENT, WIRE_NONE, "forged-canary");
}

void watch_finds_strayed_canary(struct watch *watch, int wire, int sent, const struct captured_frame *captured) {
  if (watch->current.policy == NULL)
    return;
  zone_index here = watch->current.wire_zones[wire], there = watch->current.wire_zones[sent];
  if (here == there || here == ZONE_NONE || there == ZONE_NONE)
    return;
  homes_join(watch, wire, sent, "strayed-canary", captured->time);
  find_canary(watch, wire, captured, FINDING_BRIDGED, sent, "strayed-canary");
}

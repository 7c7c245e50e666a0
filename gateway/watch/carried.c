/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/watch_parts.h"

static struct finding describe(const struct connection *connection, const struct packet *opener,
                               const struct frame *frame, int wire) {
  bool icmp = opener->protocol == PROTOCOL_ICMP || opener->protocol == PROTOCOL_ICMPV6;
  return (struct finding){.kind = FINDING_WRONG_SHAPE,
                          .time = frame->time,
                          .zone = connection->from_zone,
                          .other_zone = connection->to_zone,
                          .wire = wire,
                          .entry_wire = WIRE_NONE,
                          .direction = FRAME_DIRECTION_NONE,
                          .source = opener->source,
                          .destination = opener->destination,
                          .protocol = opener->protocol,
                          .source_port = icmp ? -1 : opener->source_port,
                          .destination_port = icmp ? -1 : opener->destination_port,
                          .icmp_type = icmp ? opener->icmp_type : -1,
                          .vlan = -1,
                          .ethertype = -1,
                          .count = 1};
}

void carried_begin(struct watch *watch, struct connection *connection, const struct connection_key *key) {
  const struct policy *policy = watch->current.policy;
  connection->unrecognised = 0;
  if (connection->flow >= policy->flow_count || !recogniser_cares(watch->recogniser, &policy->flows[connection->flow]))
    return;
  connection->unrecognised = RECOGNISE_PACKETS;
  recogniser_expect(watch->recogniser, key, watch->now);
}

void carried_recognise(struct watch *watch, struct connection *connection, const struct connection_key *key,
                       const struct sighting *sighting) {
  const struct policy *policy = watch->current.policy;
  const char *name = NULL;
  enum recognition recognition = RECOGNISE_DONE;
  if (connection->flow < policy->flow_count)
    recognition = recogniser_see(watch->recogniser, key, &policy->flows[connection->flow], sighting->captured,
                                 sighting->frame, connection->unrecognised, &name);
  if (recognition == RECOGNISE_NOTHING)
    return;
  connection->unrecognised = recognition == RECOGNISE_MORE ? (connection->unrecognised - 1) & 0xf : 0;
  if (recognition != RECOGNISE_WRONG)
    return;
  struct packet opener;
  connection_opener(connection, &opener);
  struct finding finding = describe(connection, &opener, sighting->frame, sighting->wire);
  finding.kind = FINDING_PROTOCOL_MISMATCH;
  finding.flow = &policy->flows[connection->flow];
  finding.reason = name;
  finding.bytes = sighting->frame->length;
  watch_find(watch, &finding);
}

void carried_unasked(struct watch *watch, const struct connection *connection, const struct sighting *sighting) {
  const struct policy *policy = watch->current.policy;
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = FINDING_WRONG_SHAPE;
  finding.zone = connection->to_zone;
  finding.other_zone = connection->from_zone;
  finding.flow = connection->flow < policy->flow_count ? &policy->flows[connection->flow] : NULL;
  finding.reason = "opened-from-wrong-side";
  watch_find(watch, &finding);
}

void carried_portion(struct watch *watch, const struct connection *connection, unsigned source_end, uint64_t bytes,
                     const struct frame *frame, int wire) {
  const struct policy *policy = watch->current.policy;
  if (connection->flow >= policy->flow_count)
    return;
  struct packet opener;
  connection_opener(connection, &opener);
  struct shape_portion portion = {.flow = &policy->flows[connection->flow],
                                  .opener = opener.source,
                                  .side = source_end == connection->opener_end ? SHAPE_UP : SHAPE_DOWN,
                                  .bytes = bytes,
                                  .time = frame->time};
  struct shape_verdict verdict;
  if (!shapes_count(watch->shapes, &portion, &verdict))
    return;
  struct finding finding = describe(connection, &opener, frame, wire);
  finding.flow = portion.flow;
  finding.reason = verdict.reason;
  finding.of_flow = verdict.of_flow;
  finding.bytes = bytes;
  watch_find(watch, &finding);
}

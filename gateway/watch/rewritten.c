/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that left with other addresses or ports than they came in with. The policy knows no address translation, so
 * every such packet is the work of a rule that somebody slipped into the kernel, however lawful its new tuple looks.
 */
#include "watch/watch_parts.h"

static struct disguise_mark mark_of(struct watch *watch, const struct sighting *sighting) {
  struct disguise_mark mark = {.essence = essence_of(sighting->captured, sighting->frame)};
  if (mark.essence == 0)
    return mark;
  connections_key(watch->connections, &sighting->packet, &mark.key);
  sighting_describe(sighting, &mark.finding);
  mark.finding.zone = sighting->wire_zone;
  return mark;
}

void rewritten_note_entry(struct watch *watch, const struct sighting *sighting, bool forbidden) {
  struct disguise_mark mark = mark_of(watch, sighting);
  mark.forbidden = forbidden;
  disguise_enter(watch->disguise, &mark);
}

void rewritten_note_exit(struct watch *watch, const struct sighting *sighting, bool told) {
  struct disguise_mark mark = mark_of(watch, sighting);
  mark.told = told;
  disguise_leave(watch->disguise, &mark);
}

static const char *reason_of(const struct finding *entry, const struct finding *exit) {
  bool source = !address_equal(&entry->source, &exit->source) || entry->source_port != exit->source_port;
  bool destination =
      !address_equal(&entry->destination, &exit->destination) || entry->destination_port != exit->destination_port;
  return source && destination ? "rewritten-both" : source ? "rewritten-source" : "rewritten-destination";
}

static struct finding describe(const struct disguise_mark *entry, const struct disguise_mark *exit) {
  struct finding finding = entry->finding;
  finding.kind = FINDING_DISGUISED_CROSSING;
  finding.time = exit->finding.time;
  finding.other_zone = exit->finding.zone;
  finding.wire = exit->finding.wire;
  finding.entry_wire = entry->finding.wire;
  finding.direction = FRAME_LEAVING;
  finding.reason = reason_of(&entry->finding, &exit->finding);
  finding.new_source = exit->finding.source;
  finding.new_destination = exit->finding.destination;
  finding.new_source_port = exit->finding.source_port;
  finding.new_destination_port = exit->finding.destination_port;
  return finding;
}

static void keep_from_fast_way(struct watch *watch, const struct connection_key *key) {
  struct connection *connection = connections_find(watch->connections, key);
  if (connection != NULL)
    connection->disguised = 1;
}

/* What came in is no attempt: it went out. */
static void join_entry(struct watch *watch, const struct disguise_case *known, int64_t now) {
  if (known->entry_forbidden)
    (void)passages_leave(watch->passages, &known->entry, now);
}

void rewritten_found(struct watch *watch, const struct disguise_mark *entry, const struct disguise_mark *exit) {
  struct disguise_case known = {.entry = entry->key,
                                .exit = exit->key,
                                .finding = describe(entry, exit),
                                .entry_forbidden = entry->forbidden,
                                .last_seen = exit->finding.time};
  disguise_remember(watch->disguise, &known);
  keep_from_fast_way(watch, &entry->key);
  keep_from_fast_way(watch, &exit->key);
  join_entry(watch, &known, exit->finding.time);
  watch_find(watch, &known.finding);
}

bool rewritten_judge_crossing(struct watch *watch, const struct sighting *sighting) {
  struct disguise_mark exit = mark_of(watch, sighting);
  const struct disguise_mark *entry = disguise_find_entry(watch->disguise, &exit);
  if (entry == NULL)
    return false;
  rewritten_found(watch, entry, &exit);
  return true;
}

static struct disguise_case *recall(struct watch *watch, const struct sighting *sighting,
                                    struct connection_key *ret_key) {
  connections_key(watch->connections, &sighting->packet, ret_key);
  return disguise_recall(watch->disguise, ret_key, sighting->frame->time);
}

bool rewritten_judge_later_exit(struct watch *watch, const struct sighting *sighting) {
  struct connection_key key;
  struct disguise_case *known = recall(watch, sighting, &key);
  if (known == NULL)
    return false;
  known->last_seen = sighting->frame->time;
  known->finding.time = sighting->frame->time;
  known->finding.count = 1;
  known->finding.bytes = sighting->frame->length;
  if (key.hash == known->exit.hash)
    join_entry(watch, known, sighting->frame->time);
  watch_find(watch, &known->finding);
  return true;
}

bool rewritten_is_answer(struct watch *watch, const struct sighting *sighting) {
  struct connection_key key;
  const struct disguise_case *known = recall(watch, sighting, &key);
  return known != NULL && key.hash == known->exit.hash && key.source_end != known->exit.source_end;
}

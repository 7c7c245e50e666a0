/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation. What the kernel withholds is never judged, so it must be exactly what judging would pass over
 * without a trace: later packets of conversations that the engine itself has found lawful, which its fast way takes.
 * Of these the kernel is given the few heaviest, by both addresses, both ports and both MACs (wire/filter.c), and is
 * given them anew each second. Ranges of the policy would reach further, but a tuple that the policy has is not yet
 * lawful: a connection that the wrong side opened looks the same after its first packet, and so does whatever was
 * rewritten on its way.
 *
 * Only TCP is withheld: any datagram of UDP may be a tunnel's, whatever its ports, so each is looked into.
 *
 * Only frames that come in are withheld. A frame that leaves may be one that came in as something else and forbidden;
 * nothing in it would tell, and only the engine knows what came in. So all that leaves is judged, and it also is what
 * shows that a conversation goes on and how much it carries: one whose frames are no longer seen leaving is no longer
 * withheld.
 *
 * Everything that makes the fast way refuse a frame makes it unfit here: a change of the policy, a flow that begins or
 * ends, a cut, another MAC. What can be foreseen is avoided (nothing is withheld while policies are exchanged, nor in
 * the seconds before the clock changes what is in force); what cannot is undone with the next look, each tenth of a
 * second.
 *
 * One noted frame in PREFILTER_NOTED is enough to see who is heavy. The table is a cache: sets of four, of which the
 * one with the fewest frames makes room.
 */
#include "watch/prefilter.h"

#include <stdlib.h>
#include <string.h>

#include "watch/finding.h"

enum {
  SETS = 256,
  WAYS = 4,
  ENTRIES = SETS * WAYS,
  ENOUGH = 4,      /* frames noted as leaving that make a conversation heavy */
  STILL_ENOUGH = 2 /* ... that keep it */
};

struct prefilter {
  struct prefilter_entry entries[ENTRIES]; /* free: both wires WIRE_NONE */
  uint32_t random;
  bool idle;
};

struct prefilter *prefilter_new(void) {
  struct prefilter *prefilter = calloc(1, sizeof *prefilter);
  if (prefilter == NULL)
    return NULL;
  prefilter->random = 0x9e3779b9;
  prefilter->idle = true;
  for (size_t i = 0; i < ENTRIES; i++)
    prefilter->entries[i].entry_wire = prefilter->entries[i].exit_wire = WIRE_NONE;
  return prefilter;
}

struct prefilter *prefilter_free(struct prefilter *prefilter) {
  free(prefilter);
  return NULL;
}

/* ---- noting ---- */

unsigned prefilter_pause(struct prefilter *prefilter) {
  prefilter->random ^= prefilter->random << 13;
  prefilter->random ^= prefilter->random >> 17;
  prefilter->random ^= prefilter->random << 5;
  return prefilter->random % (2 * PREFILTER_NOTED);
}

static bool same_direction(const struct connection_key *left, const struct connection_key *right) {
  return left->hash == right->hash && left->source_end == right->source_end && left->family == right->family &&
         left->protocol == right->protocol && memcmp(left->ports, right->ports, sizeof left->ports) == 0 &&
         memcmp(left->ends, right->ends, sizeof left->ends) == 0;
}

static size_t set_of(const struct connection_key *key) {
  return (key->hash >> 32 ^ key->source_end) % SETS * WAYS;
}

static size_t find(const struct prefilter *prefilter, const struct connection_key *key) {
  for (size_t at = set_of(key); at < set_of(key) + WAYS; at++)
    if (same_direction(&prefilter->entries[at].key, key))
      return at;
  return ENTRIES;
}

/* A chosen one makes no room: its frames do not come here to defend it. */
static struct prefilter_entry *make_room(struct prefilter *prefilter, const struct connection_key *key) {
  struct prefilter_entry *set = &prefilter->entries[set_of(key)], *victim = NULL;
  for (size_t way = 0; way < WAYS; way++)
    if (!set[way].chosen && (victim == NULL || set[way].entered + set[way].left < victim->entered + victim->left))
      victim = &set[way];
  if (victim != NULL)
    *victim = (struct prefilter_entry){.key = *key, .entry_wire = WIRE_NONE, .exit_wire = WIRE_NONE};
  return victim;
}

void prefilter_note(struct prefilter *prefilter, const struct connection_key *key, const struct frame *frame, int wire,
                    bool entering) {
  if (key->protocol != PROTOCOL_TCP)
    return;
  size_t at = find(prefilter, key);
  struct prefilter_entry *entry = at < ENTRIES ? &prefilter->entries[at] : make_room(prefilter, key);
  if (entry == NULL)
    return;
  if (!entering) {
    entry->exit_wire = wire;
    entry->left++;
    return;
  }
  entry->frame = *frame;
  entry->entry_wire = wire;
  entry->entered++;
}

/* ---- choosing ---- */

static bool is_heavy(const struct prefilter_entry *entry) {
  return entry->entry_wire != WIRE_NONE && entry->exit_wire != WIRE_NONE &&
         entry->left >= (entry->chosen ? STILL_ENOUGH : ENOUGH);
}

/* Begins the next interval. */
static void turn(struct prefilter_entry *entry) {
  if (entry->left == 0)
    entry->exit_wire = WIRE_NONE;
  if (entry->entered == 0 && !entry->chosen)
    entry->entry_wire = WIRE_NONE;
  entry->weight = entry->left;
  entry->entered = entry->left = 0;
}

void prefilter_choose(struct prefilter *prefilter, prefilter_approve *approve, void *context) {
  prefilter->idle = true;
  for (size_t i = 0; i < ENTRIES; i++) {
    struct prefilter_entry *entry = &prefilter->entries[i];
    entry->chosen = is_heavy(entry) && approve(context, entry);
    prefilter->idle = prefilter->idle && !entry->chosen;
    turn(entry);
  }
}

void prefilter_forget(struct prefilter *prefilter) {
  for (size_t i = 0; i < ENTRIES; i++)
    prefilter->entries[i].chosen = false;
  prefilter->idle = true;
}

/* ---- what was chosen ---- */

static int by_weight(const void *left, const void *right) {
  const struct prefilter_entry *const *a = left, *const *b = right;
  return ((*a)->weight < (*b)->weight) - ((*a)->weight > (*b)->weight);
}

static struct filter_tuple tuple_of(const struct frame *frame) {
  return (struct filter_tuple){.source_mac = frame->source_mac,
                               .destination_mac = frame->destination_mac,
                               .source = frame->packet.source,
                               .destination = frame->packet.destination,
                               .source_port = frame->packet.source_port,
                               .destination_port = frame->packet.destination_port,
                               .protocol = frame->packet.protocol};
}

size_t prefilter_list(const struct prefilter *prefilter, int wire, struct filter_tuple *tuples, size_t most) {
  const struct prefilter_entry *found[ENTRIES];
  size_t count = 0;
  for (size_t i = 0; i < ENTRIES; i++)
    if (prefilter->entries[i].chosen && prefilter->entries[i].entry_wire == wire)
      found[count++] = &prefilter->entries[i];
  if (count > 0)
    qsort(found, count, sizeof(struct prefilter_entry *), by_weight);
  count = count < most ? count : most;
  for (size_t i = 0; i < count; i++)
    tuples[i] = tuple_of(&found[i]->frame);
  return count;
}

static bool is_in_the_middle(const struct packet *packet) {
  return (packet->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG)) == TCP_ACK;
}

bool prefilter_holds(const struct prefilter *prefilter, const struct connection_key *key, const struct frame *frame,
                     int wire) {
  if (prefilter->idle)
    return false;
  size_t at = find(prefilter, key);
  if (at == ENTRIES)
    return false;
  const struct prefilter_entry *entry = &prefilter->entries[at];
  return entry->chosen && entry->entry_wire == wire && is_in_the_middle(&frame->packet) &&
         mac_equal(&entry->frame.source_mac, &frame->source_mac) &&
         mac_equal(&entry->frame.destination_mac, &frame->destination_mac);
}

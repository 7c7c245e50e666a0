/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/disguise.h"

#include <stdlib.h>
#include <string.h>

enum {
  NOBODY = -1,
  CASES = 64,
  CROWD = 64, /* of one bucket the youngest are looked at: who sends alike packets on purpose must not cost more */
};
static const int64_t PATIENCE = 50000000;    /* until the entry of what left has been seen: captures lag by a few ms */
static const int64_t CASE_LIFE = 1000000000; /* a case that was silent for so long must be found anew */

struct sighting_slot {
  struct disguise_mark mark;
  bool leaving;
  int older, younger; /* in the bucket */
};

/* A ring in the order of arrival, and buckets by essence over it. */
struct disguise {
  struct sighting_slot *ring;
  int *buckets;
  size_t size, head, used; /* head: the oldest */
  size_t undecided;        /* the first of those that are, counted from head */
  int64_t hold;
  uint64_t crowded_out;
  disguise_tell *tell;
  void *context;
  size_t case_count;
  struct disguise_case cases[CASES];
};

struct disguise *disguise_new(size_t count, int64_t hold, disguise_tell *tell, void *context) {
  size_t size = 1;
  while (size < count)
    size *= 2;
  struct disguise *disguise = calloc(1, sizeof *disguise);
  if (disguise == NULL)
    return NULL;
  disguise->ring = calloc(size, sizeof *disguise->ring);
  disguise->buckets = calloc(size, sizeof *disguise->buckets);
  if (disguise->ring == NULL || disguise->buckets == NULL)
    return disguise_free(disguise);
  for (size_t i = 0; i < size; i++)
    disguise->buckets[i] = NOBODY;
  disguise->size = size;
  disguise->hold = hold;
  disguise->tell = tell;
  disguise->context = context;
  return disguise;
}

struct disguise *disguise_free(struct disguise *disguise) {
  if (disguise != NULL) {
    free(disguise->ring);
    free(disguise->buckets);
  }
  free(disguise);
  return NULL;
}

static int *bucket_of(const struct disguise *disguise, uint64_t essence) {
  return &disguise->buckets[(essence >> 20) & (disguise->size - 1)];
}

static bool same_conversation(const struct connection_key *left, const struct connection_key *right) {
  return left->hash == right->hash && left->family == right->family && left->protocol == right->protocol &&
         memcmp(left->ports, right->ports, sizeof left->ports) == 0 &&
         memcmp(left->ends, right->ends, sizeof left->ends) == 0;
}

static bool same_tuple(const struct connection_key *left, const struct connection_key *right) {
  return left->source_end == right->source_end && same_conversation(left, right);
}

/* ---- ties ---- */

static bool is_entry_of(const struct disguise *disguise, const struct sighting_slot *slot, uint64_t essence,
                        int64_t time) {
  int64_t apart = time - slot->mark.finding.time;
  return !slot->leaving && slot->mark.essence == essence && apart <= disguise->hold && apart >= -disguise->hold;
}

const struct disguise_mark *disguise_find_entry(const struct disguise *disguise, const struct disguise_mark *exit) {
  const struct disguise_mark *found = NULL;
  if (exit->essence == 0)
    return NULL;
  int crowd = 0;
  for (int at = *bucket_of(disguise, exit->essence); at != NOBODY && crowd < CROWD; crowd++) {
    const struct sighting_slot *slot = &disguise->ring[at];
    at = slot->older;
    if (!is_entry_of(disguise, slot, exit->essence, exit->finding.time))
      continue;
    if (same_tuple(&slot->mark.key, &exit->key))
      return NULL;
    if (slot->mark.finding.wire != exit->finding.wire)
      found = &slot->mark;
  }
  return found;
}

bool disguise_suspects(const struct disguise *disguise, uint64_t essence, int64_t now) {
  if (essence == 0)
    return false;
  int crowd = 0;
  for (int at = *bucket_of(disguise, essence); at != NOBODY && crowd < CROWD; at = disguise->ring[at].older, crowd++)
    if (is_entry_of(disguise, &disguise->ring[at], essence, now) && disguise->ring[at].mark.forbidden)
      return true;
  return false;
}

static void decide(struct disguise *disguise, const struct sighting_slot *slot) {
  if (!slot->leaving || slot->mark.told)
    return;
  const struct disguise_mark *entry = disguise_find_entry(disguise, &slot->mark);
  if (entry != NULL)
    disguise->tell(disguise->context, entry, &slot->mark);
}

/* ---- the ring ---- */

static struct sighting_slot *slot_at(const struct disguise *disguise, size_t age) {
  return &disguise->ring[(disguise->head + age) & (disguise->size - 1)];
}

/* The oldest of all is the oldest of its bucket. */
static void drop_oldest(struct disguise *disguise) {
  const struct sighting_slot *oldest = slot_at(disguise, 0);
  if (oldest->younger == NOBODY)
    *bucket_of(disguise, oldest->mark.essence) = NOBODY;
  else
    disguise->ring[oldest->younger].older = NOBODY;
  disguise->head = (disguise->head + 1) & (disguise->size - 1);
  disguise->used--;
  disguise->undecided -= disguise->undecided > 0 ? 1 : 0;
}

/* In a flood there is less time: what left is decided while its entry is still here. */
static void make_room(struct disguise *disguise, int64_t now) {
  int64_t age = now - slot_at(disguise, 0)->mark.finding.time;
  for (; disguise->undecided <= disguise->size / 2; disguise->undecided++)
    decide(disguise, slot_at(disguise, disguise->undecided));
  disguise->crowded_out += age >= 0 && age < PATIENCE ? 1 : 0;
  drop_oldest(disguise);
}

static void add(struct disguise *disguise, const struct disguise_mark *mark, bool leaving) {
  if (mark->essence == 0)
    return;
  if (disguise->used == disguise->size)
    make_room(disguise, mark->finding.time);
  size_t at = (disguise->head + disguise->used++) & (disguise->size - 1);
  int *bucket = bucket_of(disguise, mark->essence);
  disguise->ring[at] = (struct sighting_slot){.mark = *mark, .leaving = leaving, .older = *bucket, .younger = NOBODY};
  if (*bucket != NOBODY)
    disguise->ring[*bucket].younger = (int)at;
  *bucket = (int)at;
}

void disguise_enter(struct disguise *disguise, const struct disguise_mark *entry) {
  add(disguise, entry, false);
}

void disguise_leave(struct disguise *disguise, const struct disguise_mark *exit) {
  add(disguise, exit, true);
}

void disguise_advance(struct disguise *disguise, int64_t now) {
  for (; disguise->undecided < disguise->used; disguise->undecided++) {
    struct sighting_slot *slot = slot_at(disguise, disguise->undecided);
    if (slot->mark.finding.time > now - PATIENCE)
      return;
    decide(disguise, slot);
  }
}

void disguise_end(struct disguise *disguise) {
  disguise_advance(disguise, INT64_MAX);
  while (disguise->used > 0)
    drop_oldest(disguise);
  disguise->case_count = 0;
}

/* ---- what is known ---- */

struct disguise_case *disguise_recall(struct disguise *disguise, const struct connection_key *key, int64_t now) {
  for (size_t i = 0; i < disguise->case_count; i++) {
    struct disguise_case *known = &disguise->cases[i];
    if (now - known->last_seen < CASE_LIFE &&
        (same_conversation(&known->entry, key) || same_conversation(&known->exit, key)))
      return known;
  }
  return NULL;
}

static struct disguise_case *oldest_case(struct disguise *disguise) {
  struct disguise_case *oldest = &disguise->cases[0];
  for (size_t i = 1; i < CASES; i++)
    if (disguise->cases[i].last_seen < oldest->last_seen)
      oldest = &disguise->cases[i];
  return oldest;
}

void disguise_remember(struct disguise *disguise, const struct disguise_case *known) {
  struct disguise_case *place = disguise_recall(disguise, &known->exit, known->last_seen);
  if (place == NULL)
    place = disguise->case_count < CASES ? &disguise->cases[disguise->case_count++] : oldest_case(disguise);
  *place = *known;
}

uint64_t disguise_crowded_out(const struct disguise *disguise) {
  return disguise->crowded_out;
}

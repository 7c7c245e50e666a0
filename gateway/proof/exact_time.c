/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a packet passes, told by the flows that cover it. A set of flows is in force when one of them is; written down
 * in one fixed form (what another one outlasts left out, in order) two sets can be compared by their texts, and a text
 * gets a number, so that "at the same times" is a comparison of leaves.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proof/exact_parts.h"

static bool same_hours(const struct hours *left, const struct hours *right) {
  return left->set == right->set &&
         (!left->set || (left->weekdays == right->weekdays && left->first_minute == right->first_minute &&
                         left->last_minute == right->last_minute));
}

static bool same_windows(const struct flow *left, const struct flow *right) {
  if (left->window_count != right->window_count)
    return false;
  for (size_t i = 0; i < left->window_count; i++)
    if (left->windows[i].start.seconds != right->windows[i].start.seconds ||
        left->windows[i].end.seconds != right->windows[i].end.seconds ||
        left->windows[i].valid != right->windows[i].valid)
      return false;
  return true;
}

bool desk_outlasts(const struct flow *outer, const struct flow *inner) {
  if (outer->expires_set && (!inner->expires_set || inner->expires.seconds > outer->expires.seconds))
    return false;
  return (outer->window_count == 0 || same_windows(outer, inner)) &&
         (!outer->hours.set || same_hours(&outer->hours, &inner->hours));
}

/* ---- the times of one flow, and of several ---- */

enum { FIRST_SLOTS = 64, MOST_KEPT = 64 };

struct time_words {
  struct arena *arena;
  struct instant now;
  const char **slots; /* open addressing */
  uint32_t *numbers;
  size_t slot_count, count;
  bool failed;
};

struct time_words *time_words_new(struct arena *arena, struct instant now) {
  struct time_words *words = ARENA_NEW(arena, struct time_words);
  if (words == NULL)
    return NULL;
  *words = (struct time_words){.arena = arena, .now = now, .slot_count = FIRST_SLOTS};
  words->slots = ARENA_ARRAY(arena, FIRST_SLOTS, const char *);
  words->numbers = ARENA_ARRAY(arena, FIRST_SLOTS, uint32_t);
  return words->slots != NULL && words->numbers != NULL ? words : NULL;
}

bool time_words_failed(const struct time_words *words) {
  return words->failed;
}

static bool same_limit(const struct flow *left, const struct flow *right) {
  return left->limit.set == right->limit.set &&
         (!left->limit.set || (left->limit.new_per_second == right->limit.new_per_second &&
                               left->limit.connections == right->limit.connections));
}

static int compare_windows(const void *left, const void *right) {
  const struct window *one = left, *other = right;
  if (one->start.seconds != other->start.seconds)
    return one->start.seconds < other->start.seconds ? -1 : 1;
  return one->end.seconds < other->end.seconds ? -1 : one->end.seconds > other->end.seconds;
}

/* Windows that are still to come, joined where they touch. */
static const char *windows_text(const struct time_words *words, const struct flow *flow, const char *text) {
  struct window *windows = arena_memdup(words->arena, flow->windows, flow->window_count * sizeof *windows);
  struct instant end = {INT64_MIN};
  if (windows == NULL)
    return NULL;
  qsort(windows, flow->window_count, sizeof *windows, compare_windows);
  for (size_t i = 0; text != NULL && i < flow->window_count; i++) {
    struct instant start = windows[i].start.seconds > words->now.seconds ? windows[i].start : words->now;
    if (!windows[i].valid || windows[i].end.seconds <= start.seconds || windows[i].end.seconds <= end.seconds)
      continue;
    if (start.seconds > end.seconds) /* a new stretch; else it goes on */
      text = arena_printf(words->arena, "%s w%" PRId64, text, start.seconds);
    end = windows[i].end;
    bool goes_on = i + 1 < flow->window_count && windows[i + 1].valid && windows[i + 1].start.seconds <= end.seconds;
    if (!goes_on && text != NULL)
      text = arena_printf(words->arena, "%s-%" PRId64, text, end.seconds);
  }
  return text;
}

static const char *flow_text(const struct time_words *words, const struct flow *flow, const char *timezone) {
  const char *text = "";
  if (flow->expires_set)
    text = arena_printf(words->arena, "e%" PRId64, flow->expires.seconds);
  if (flow->hours.set && text != NULL)
    text = arena_printf(words->arena, "%s h%u:%u-%u %s", text, flow->hours.weekdays, flow->hours.first_minute,
                        flow->hours.last_minute, timezone != NULL ? timezone : "");
  if (flow->limit.set && text != NULL)
    text = arena_printf(words->arena, "%s l%" PRIu64 ":%" PRIu64, text, flow->limit.new_per_second,
                        flow->limit.connections);
  return flow->window_count != 0 && text != NULL ? windows_text(words, flow, text) : text;
}

static bool replaces(const struct flow *outer, const struct flow *inner) {
  return (!outer->limit.set || same_limit(outer, inner)) && desk_outlasts(outer, inner);
}

/* The flows of the list of which no other one outlasts them. */
static size_t keep_longest(struct flow_list list, const struct flow **kept) {
  size_t count = 0;
  for (size_t i = 0; i < list.count; i++) {
    bool needed = true;
    for (size_t j = 0; needed && j < count; j++)
      needed = !replaces(kept[j], list.flows[i]);
    if (!needed)
      continue;
    size_t left = 0;
    for (size_t j = 0; j < count; j++)
      if (!replaces(list.flows[i], kept[j]))
        kept[left++] = kept[j];
    count = left < MOST_KEPT ? left : MOST_KEPT - 1;
    kept[count++] = list.flows[i];
  }
  return count;
}

static int compare_texts(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static const char *list_text(const struct time_words *words, struct flow_list list, const char *timezone) {
  const struct flow *kept[MOST_KEPT];
  const char *texts[MOST_KEPT] = {NULL}, *text = "";
  size_t count = keep_longest(list, kept);
  for (size_t i = 0; i < count; i++)
    if ((texts[i] = flow_text(words, kept[i], timezone)) == NULL)
      return NULL;
  qsort(texts, count, sizeof *texts, compare_texts);
  for (size_t i = 0; text != NULL && i < count; i++)
    if (i == 0 || strcmp(texts[i], texts[i - 1]) != 0)
      text = arena_printf(words->arena, "%s|%s", text, texts[i]);
  return text;
}

/* ---- numbers ---- */

static size_t find_slot(const struct time_words *words, const char *text) {
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (const char *at = text; *at != '\0'; at++)
    hash = (hash ^ (uint8_t)*at) * 1099511628211u;
  size_t mask = words->slot_count - 1, slot = (size_t)hash & mask;
  while (words->slots[slot] != NULL && strcmp(words->slots[slot], text) != 0)
    slot = (slot + 1) & mask;
  return slot;
}

static bool grow(struct time_words *words) {
  struct time_words larger = *words;
  larger.slot_count *= 2;
  larger.slots = ARENA_ARRAY(words->arena, larger.slot_count, const char *);
  larger.numbers = ARENA_ARRAY(words->arena, larger.slot_count, uint32_t);
  if (larger.slots == NULL || larger.numbers == NULL)
    return false;
  for (size_t i = 0; i < words->slot_count; i++)
    if (words->slots[i] != NULL) {
      size_t slot = find_slot(&larger, words->slots[i]);
      larger.slots[slot] = words->slots[i];
      larger.numbers[slot] = words->numbers[i];
    }
  *words = larger;
  return true;
}

uint32_t time_words_number(struct time_words *words, struct flow_list list, const char *timezone) {
  const char *text = list_text(words, list, timezone);
  if (text == NULL || (2 * words->count >= words->slot_count && !grow(words))) {
    words->failed = true;
    return 0;
  }
  size_t slot = find_slot(words, text);
  if (words->slots[slot] == NULL) {
    words->slots[slot] = text;
    words->numbers[slot] = (uint32_t)++words->count;
  }
  return words->numbers[slot];
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which counters move for which reasons, expected and seen. */
#include "duel_parts.h"

#include <string.h>

static struct tally_entry *tally_entry(struct tally *tally, const char *key) {
  for (size_t i = 0; i < tally->count; i++)
    if (strcmp(tally->entries[i].key, key) == 0)
      return &tally->entries[i];
  if (tally->count == TALLY_MAX)
    return NULL;
  struct tally_entry *entry = &tally->entries[tally->count++];
  *entry = (struct tally_entry){0};
  snprintf(entry->key, sizeof(entry->key), "%s", key);
  return entry;
}

/* The kernel does not tell why no flow is in force. */
static const char *counted_reason(enum reason reason) {
  switch (reason) {
  case REASON_NO_FLOW_THIS_DIRECTION:
  case REASON_EXPIRED:
  case REASON_OUTSIDE_WINDOW:
    return reason_name(REASON_NO_FLOW);
  default:
    return reason_name(reason);
  }
}

static void tally_key(const struct duel_field *field, const struct duel *duel, char key[static KEY_SIZE]) {
  snprintf(key, KEY_SIZE, "%s/%s", policy_zone_name(field->policy, duel->query.in_zone),
           counted_reason(duel->decision.reason));
}

/* The guard counts each fragment, what is behind it the whole. */
static uint64_t count_most(const struct duel *duel) {
  return duel->probe.split > 0 ? 2 : 1;
}

static void tally_loosely(const struct duel_field *field, const struct duel *duel, struct tally *tally) {
  static const enum reason reasons[] = {REASON_CUT, REASON_UNKNOWN_ZONE, REASON_NO_FLOW, REASON_INVALID_STATE,
                                        REASON_ICMP};
  for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
    char key[KEY_SIZE];
    snprintf(key, KEY_SIZE, "%s/%s", policy_zone_name(field->policy, duel->query.in_zone), reason_name(reasons[i]));
    struct tally_entry *entry = tally_entry(tally, key);
    if (entry != NULL)
      entry->most += count_most(duel);
  }
}

/* An ICMP error is judged behind reassembly, but its later fragments, which do not say what they are, in the guard:
 * where no flow joins the zones they are denied there as anything else is, and the first one waits for them in vain. */
static bool is_split_icmp(const struct duel *duel) {
  uint8_t protocol = duel->query.packet.protocol;
  bool late = duel->decision.reason == REASON_INVALID_STATE || duel->decision.reason == REASON_ICMP;
  return duel->probe.split > 0 && late && (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6);
}

/* Counted with all other fragments, which are left out here; a later one does not say what it is. */
static bool is_split_discovery(const struct duel *duel) {
  return duel->decision.reason == REASON_FRAGMENT;
}

void duel_tally_expect(const struct duel_field *field, const struct duel *duel, struct tally *tally) {
  if (duel->loose || duel->unseen || duel->uncounted || is_split_icmp(duel) || is_split_discovery(duel)) {
    tally_loosely(field, duel, tally);
    return;
  }
  if (duel->decision.allow || duel->uncounted)
    return;
  char key[KEY_SIZE];
  tally_key(field, duel, key);
  struct tally_entry *entry = tally_entry(tally, key);
  if (entry == NULL)
    return;
  entry->least++;
  entry->most += count_most(duel);
  if (duel->probe.split > 0 && duel->decision.reason == REASON_TUNNEL)
    tally_loosely(field, duel, tally); /* a later fragment does not say that it is Teredo */
}

/* "guard.lgwan.spoofed-source", "denied.lgwan.internet.no-flow" to "lgwan/spoofed-source", "lgwan/no-flow". */
static bool key_of_counter(const char *name, char key[static KEY_SIZE]) {
  bool guard = strncmp(name, "guard.", 6) == 0;
  if (!guard && strncmp(name, "denied.", 7) != 0)
    return false;
  const char *zone = strchr(name, '.') + 1;
  const char *reason = strrchr(name, '.') + 1;
  size_t length = strcspn(zone, ".");
  snprintf(key, KEY_SIZE, "%.*s/%s", (int)length, zone, reason);
  return true;
}

static bool is_fragment_count(const char *key) {
  return strstr(key, "/fragment") != NULL;
}

void duel_tally_see(struct tally *tally, const struct lab_counters *before, const struct lab_counters *after) {
  for (size_t i = 0; i < after->count; i++) {
    uint64_t moved = after->items[i].packets - lab_counter_value(before, after->items[i].name);
    char key[KEY_SIZE];
    if (moved == 0 || !key_of_counter(after->items[i].name, key) || is_fragment_count(key))
      continue; /* fragments are counted, not denied, there */
    struct tally_entry *entry = tally_entry(tally, key);
    if (entry != NULL)
      entry->seen += moved;
  }
}

static const char *key_reason(const char *key) {
  return strchr(key, '/') + 1;
}

/* Moves what one tally has too much of to others of its reason: first where something must have moved, then where it
 * may. */
static void give_away(struct tally *tally, struct tally_entry *unnamed, bool must) {
  for (size_t i = 0; i < tally->count && unnamed->seen > unnamed->least; i++) {
    struct tally_entry *entry = &tally->entries[i];
    uint64_t room = must ? entry->least : entry->most;
    if (entry == unnamed || strcmp(key_reason(entry->key), key_reason(unnamed->key)) != 0 || entry->seen >= room)
      continue;
    uint64_t spare = unnamed->seen - unnamed->least, lacks = room - entry->seen;
    uint64_t moved = spare < lacks ? spare : lacks;
    entry->seen += moved;
    unnamed->seen -= moved;
  }
}

void duel_tally_spread(struct tally *tally) {
  for (size_t i = 0; i < tally->count; i++)
    if (strncmp(tally->entries[i].key, "-/", 2) == 0) {
      give_away(tally, &tally->entries[i], true);
      give_away(tally, &tally->entries[i], false);
    }
}

bool duel_tally_holds(const struct tally *tally, const char **ret_key) {
  for (size_t i = 0; i < tally->count; i++) {
    const struct tally_entry *entry = &tally->entries[i];
    bool own = strncmp(entry->key, "gateway/", 8) == 0;
    if (entry->seen < entry->least || (!own && entry->seen > entry->most)) {
      *ret_key = entry->key;
      return false;
    }
  }
  return true;
}

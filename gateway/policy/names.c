/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

/* FNV-1a, mixed once more because only the low bits choose the slot. */
static uint64_t name_hash(const char *name, size_t length) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3U;
  return hash ^ (hash >> 29);
}

static struct name_entry *name_table_slot(const struct name_table *table, const char *name, size_t length,
                                          uint64_t hash) {
  for (size_t i = (size_t)hash & (table->capacity - 1);; i = (i + 1) & (table->capacity - 1)) {
    struct name_entry *entry = &table->entries[i];
    if (entry->generation != table->generation)
      return entry;
    if (entry->hash == hash && entry->length == length && memcmp(entry->name, name, length) == 0)
      return entry;
  }
}

static int name_table_resize(struct name_table *table, size_t capacity) {
  struct name_table larger = {.capacity = capacity, .count = table->count, .generation = 1};
  larger.entries = calloc(capacity, sizeof(*larger.entries));
  if (!larger.entries)
    return -ENOMEM;
  for (size_t i = 0; i < table->capacity; i++) {
    const struct name_entry *entry = &table->entries[i];
    if (entry->generation != table->generation)
      continue;
    struct name_entry *slot = name_table_slot(&larger, entry->name, entry->length, entry->hash);
    *slot = *entry;
    slot->generation = larger.generation;
  }
  free(table->entries);
  *table = larger;
  return 0;
}

void name_table_clear(struct name_table *table) {
  table->generation++;
  table->count = 0;
}

void name_table_free(struct name_table *table) {
  free(table->entries);
  *table = (struct name_table){0};
}

int name_table_add(struct name_table *table, const char *name, size_t length, size_t value, size_t *ret_existing) {
  if (table->count * 2 >= table->capacity &&
      name_table_resize(table, table->capacity ? table->capacity * 2 : FIRST_CAPACITY) < 0)
    return -ENOMEM;
  uint64_t hash = name_hash(name, length);
  struct name_entry *slot = name_table_slot(table, name, length, hash);
  if (slot->generation == table->generation) {
    *ret_existing = slot->value;
    return -EEXIST;
  }
  *slot = (struct name_entry){name, length, value, hash, table->generation};
  table->count++;
  return 0;
}

bool name_table_find(const struct name_table *table, const char *name, size_t length, size_t *ret_value) {
  if (table->capacity == 0)
    return false;
  const struct name_entry *entry = name_table_slot(table, name, length, name_hash(name, length));
  if (entry->generation != table->generation)
    return false;
  *ret_value = entry->value;
  return true;
}

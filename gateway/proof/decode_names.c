/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <string.h>

#include "proof/decode_parts.h"

/* Open addressing, never more than half full: chains and sets by table and name, a hundred thousand of them. */
struct name_entry {
  const char *name; /* NULL: free */
  const void *parent;
  void *node;
  unsigned kind, family;
};

struct name_index {
  struct name_entry *entries;
  size_t mask, used;
};

struct name_index *name_index_new(struct arena *arena, size_t names) {
  size_t room = 16;
  while (room < 2 * names + 2) {
    room *= 2;
  }
  struct name_index *index = ARENA_NEW(arena, struct name_index);
  struct name_entry *entries = ARENA_ARRAY(arena, room, struct name_entry);
  if (index == NULL || entries == NULL) {
    return NULL;
  }
  *index = (struct name_index){.entries = entries, .mask = room - 1};
  return index;
}

static size_t hash_of(enum name_kind kind, const void *parent, unsigned family, const char *name) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)(uintptr_t)parent ^ (uint64_t)kind << 56 ^ family;
  for (const char *character = name; *character != '\0'; character++) {
    hash = (hash ^ (uint8_t)*character) * UINT64_C(0x100000001b3);
  }
  return (size_t)(hash ^ hash >> 32);
}

/* Where it is, or where it would be. */
static struct name_entry *place_of(const struct name_index *index, enum name_kind kind, const void *parent,
                                   unsigned family, const char *name) {
  size_t place = hash_of(kind, parent, family, name) & index->mask;
  for (;; place = (place + 1) & index->mask) {
    struct name_entry *entry = &index->entries[place];
    if (entry->name == NULL ||
        (entry->kind == kind && entry->parent == parent && entry->family == family && strcmp(entry->name, name) == 0)) {
      return entry;
    }
  }
}

bool name_index_add(struct name_index *index, enum name_kind kind, const void *parent, unsigned family,
                    const char *name, void *node) {
  struct name_entry *entry = place_of(index, kind, parent, family, name);
  if (entry->name != NULL || index->used > index->mask / 2) {
    return false;
  }
  *entry = (struct name_entry){name, parent, node, kind, family};
  index->used++;
  return true;
}

void *name_index_find(const struct name_index *index, enum name_kind kind, const void *parent, unsigned family,
                      const char *name) {
  return place_of(index, kind, parent, family, name)->node;
}

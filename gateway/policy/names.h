/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_NAMES_H
#define KIDO_POLICY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A hash table from names to numbers, for tables that grow to 100,000 names. The names stay the caller's. Emptying it
 * is cheap, so that one table serves every group of a file in turn.
 */
struct name_entry {
  const char *name;
  size_t length;
  size_t value;
  uint64_t hash;
  uint64_t generation; /* in use when it equals that of the table */
};

struct name_table {
  struct name_entry *entries;
  size_t capacity; /* 0 or a power of two */
  size_t count;
  uint64_t generation;
};

/* A zeroed table is empty and ready. */
void name_table_clear(struct name_table *table);
void name_table_free(struct name_table *table);
/* 0, -EEXIST with *ret_existing when the name is there already, -ENOMEM. */
int name_table_add(struct name_table *table, const char *name, size_t length, size_t value, size_t *ret_existing);
bool name_table_find(const struct name_table *table, const char *name, size_t length, size_t *ret_value);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/tables.h"

#include <stddef.h>
#include <string.h>

static const struct {
  const char *name, *reason;
} TABLES[WATCH_TABLE_COUNT_] = {
    [WATCH_TABLE_CONVERSATIONS] = {"conversations", "table-full"},
    [WATCH_TABLE_MACHINES] = {"machines", "machines-full"},
    [WATCH_TABLE_RECOGNITION] = {"recognition", "recognition-full"},
    [WATCH_TABLE_FRAGMENTS] = {"fragments", "fragments-full"},
    [WATCH_TABLE_SIGHTINGS] = {"sightings", "sightings-full"},
    [WATCH_TABLE_TALKERS] = {"talkers", "talkers-full"},
};

const char *watch_table_name(enum watch_table table) {
  return TABLES[table].name;
}

const char *watch_table_reason(enum watch_table table) {
  return TABLES[table].reason;
}

bool watch_table_is_reason(const char *reason) {
  for (enum watch_table table = 0; reason != NULL && table < WATCH_TABLE_COUNT_; table++)
    if (strcmp(TABLES[table].reason, reason) == 0)
      return true;
  return false;
}

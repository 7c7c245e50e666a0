/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_TABLES_H
#define KIDO_WATCH_TABLES_H

#include <stdbool.h>

/* The tables of fixed size of a watch that say when something had to go too early (docs/watchman.md, Bounds). */
enum watch_table {
  WATCH_TABLE_CONVERSATIONS,
  WATCH_TABLE_MACHINES,
  WATCH_TABLE_RECOGNITION,
  WATCH_TABLE_FRAGMENTS,
  WATCH_TABLE_SIGHTINGS,
  WATCH_TABLE_TALKERS,
  WATCH_TABLE_COUNT_
};

const char *watch_table_name(enum watch_table table);   /* "conversations" */
const char *watch_table_reason(enum watch_table table); /* of the `blind` event that tells it: "table-full" */
bool watch_table_is_reason(const char *reason);         /* of any of them; false of NULL */

#endif

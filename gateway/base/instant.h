/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_INSTANT_H
#define KIDO_BASE_INSTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* A moment in wall-clock time: seconds since 1970-01-01T00:00:00Z. */
struct instant {
  int64_t seconds;
};

/* Later than anything that a policy may name. */
#define INSTANT_NEVER ((struct instant){INT64_MAX})

struct instant instant_earlier(struct instant left, struct instant right);

enum { INSTANT_TEXT_SIZE = 40 };

/* The rules of one zone of the tz database, constant once loaded. */
struct timezone;

/* Civil time in some timezone. weekday: 0 is Monday. */
struct civil_time {
  int year, month, day, hour, minute, second;
  int weekday;
  int offset; /* seconds east of UTC */
};

/* NULL when the name is not in the tz database ("Asia/Tokyo" and "UTC" are known without it). */
struct timezone *timezone_load(struct arena *arena, const char *name);
void timezone_civil(const struct timezone *zone, struct instant instant, struct civil_time *ret_civil);
/* The instant of a civil date and time; of two possible ones the first, of none the moment after the gap. */
struct instant timezone_instant(const struct timezone *zone, int year, int month, int day, int hour, int minute,
                                int second);

bool date_exists(int year, int month, int day);

/* "2026-04-01": true on an existing date. */
bool date_parse(const char *text, int *ret_year, int *ret_month, int *ret_day);
/* "2026-11-25T18:00:00+09:00" (or Z; seconds may be left out). *ret_without_offset is set when only the offset lacks.
 */
bool instant_parse(const char *text, struct instant *ret_instant, bool *ret_without_offset);
/* "2026-11-25T18:00:00+09:00" in that zone. */
const char *instant_format(const struct timezone *zone, struct instant instant, char text[static INSTANT_TEXT_SIZE]);

#endif

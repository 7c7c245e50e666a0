/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Civil time without the C library's process-wide TZ. A zone is the list of its offset changes as the compiled tz
 * database gives them (RFC 8536, the 64-bit block); after the last change its offset is taken to stay, which the
 * database itself carries to 2037 for zones with summer time. Japan has had none since 1951.
 */
#include "base/instant.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"

enum { ZONE_FILE_LIMIT = 256 * 1024, ZONE_PATH_SIZE = 128, ZONE_HEADER_SIZE = 44 };
static const int64_t DAY = 86400;

struct transition {
  int64_t at;
  int32_t offset; /* from then on */
};

struct timezone {
  int32_t first_offset; /* before the first transition */
  struct transition *transitions;
  size_t count;
};

static const struct {
  const char *name;
  int32_t offset;
} BUILT_IN[] = {{"Asia/Tokyo", 9 * 3600}, {"UTC", 0}};

struct zone_header {
  uint8_t version;
  uint32_t utc_flags, standard_flags, leaps, transitions, types, characters;
};

static bool read_header(struct cursor *cursor, struct zone_header *header) {
  const uint8_t *magic = cursor_take(cursor, 4);
  header->version = cursor_u8(cursor);
  cursor_skip(cursor, 15);
  header->utc_flags = cursor_be32(cursor);
  header->standard_flags = cursor_be32(cursor);
  header->leaps = cursor_be32(cursor);
  header->transitions = cursor_be32(cursor);
  header->types = cursor_be32(cursor);
  header->characters = cursor_be32(cursor);
  return !cursor->failed && memcmp(magic, "TZif", 4) == 0 && header->types >= 1 && header->types <= 256 &&
         header->transitions <= ZONE_FILE_LIMIT / 9 && header->leaps <= ZONE_FILE_LIMIT / 12;
}

static void skip_block(struct cursor *cursor, const struct zone_header *header, size_t time_size) {
  cursor_skip(cursor, header->transitions * (time_size + 1));
  cursor_skip(cursor, header->types * (size_t)6);
  cursor_skip(cursor, header->characters);
  cursor_skip(cursor, header->leaps * (time_size + 4));
  cursor_skip(cursor, header->standard_flags);
  cursor_skip(cursor, header->utc_flags);
}

static bool read_block(struct cursor *cursor, const struct zone_header *header, struct arena *arena,
                       struct timezone *zone) {
  int32_t offsets[256] = {0};
  struct cursor times = cursor_sub(cursor, header->transitions * (size_t)8);
  struct cursor types = cursor_sub(cursor, header->transitions);
  for (size_t i = 0; i < header->types; i++) {
    offsets[i] = (int32_t)cursor_be32(cursor);
    cursor_skip(cursor, 2);
    if (offsets[i] < -2 * DAY || offsets[i] > 2 * DAY)
      return false;
  }
  zone->transitions = ARENA_ARRAY(arena, header->transitions, struct transition);
  if (cursor->failed || zone->transitions == NULL)
    return false;
  zone->first_offset = offsets[0];
  for (; zone->count < header->transitions; zone->count++)
    zone->transitions[zone->count] = (struct transition){(int64_t)cursor_be64(&times), offsets[cursor_u8(&types)]};
  return true;
}

static bool read_zone(const uint8_t *data, size_t length, struct arena *arena, struct timezone *zone) {
  struct cursor cursor;
  struct zone_header header;
  cursor_init(&cursor, data, length);
  if (!read_header(&cursor, &header) || header.version < '2')
    return false;
  skip_block(&cursor, &header, 4);
  return read_header(&cursor, &header) && read_block(&cursor, &header, arena, zone);
}

static bool name_is_safe(const char *name) {
  return name[0] != '\0' && name[0] != '/' && strstr(name, "..") == NULL && strlen(name) < 64;
}

static bool load_file(const char *name, struct arena *arena, struct timezone *zone) {
  char path[ZONE_PATH_SIZE];
  snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
  FILE *file = fopen(path, "rbe");
  if (file == NULL)
    return false;
  uint8_t *data = arena_alloc(arena, ZONE_FILE_LIMIT);
  size_t length = data != NULL ? fread(data, 1, ZONE_FILE_LIMIT, file) : 0;
  fclose(file);
  return length >= ZONE_HEADER_SIZE && read_zone(data, length, arena, zone);
}

struct timezone *timezone_load(struct arena *arena, const char *name) {
  struct timezone *zone = ARENA_NEW(arena, struct timezone);
  if (zone == NULL || !name_is_safe(name))
    return NULL;
  for (size_t i = 0; i < sizeof(BUILT_IN) / sizeof(BUILT_IN[0]); i++)
    if (strcmp(name, BUILT_IN[i].name) == 0) {
      zone->first_offset = BUILT_IN[i].offset;
      return zone;
    }
  return load_file(name, arena, zone) ? zone : NULL;
}

/* The last transition at or before the moment; NULL before the first. */
static const struct transition *transition_before(const struct timezone *zone, int64_t seconds) {
  size_t low = 0, high = zone->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (zone->transitions[middle].at <= seconds)
      low = middle + 1;
    else
      high = middle;
  }
  return low == 0 ? NULL : &zone->transitions[low - 1];
}

static int32_t offset_at(const struct timezone *zone, int64_t seconds) {
  const struct transition *transition = transition_before(zone, seconds);
  return transition != NULL ? transition->offset : zone->first_offset;
}

static int64_t floor_divide(int64_t value, int64_t by) {
  return value / by - (value % by < 0);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March, so leap days come last. */
static int64_t days_of(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = floor_divide(year, 400);
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_of(int64_t days, struct civil_time *civil) {
  days += 719468;
  int64_t era = floor_divide(days, 146097);
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t shifted_month = (5 * day_of_year + 2) / 153;
  civil->day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  civil->month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  civil->year = (int)(year_of_era + era * 400 + (civil->month <= 2));
}

/* Years that an int and int64_t arithmetic hold with room to spare. */
static int64_t clamp(int64_t seconds) {
  const int64_t edge = (int64_t)400000000 * DAY;
  return seconds > edge ? edge : seconds < -edge ? -edge : seconds;
}

void timezone_civil(const struct timezone *zone, struct instant instant, struct civil_time *ret_civil) {
  int64_t seconds = clamp(instant.seconds);
  int32_t offset = offset_at(zone, seconds);
  int64_t days = floor_divide(seconds + offset, DAY);
  int rest = (int)(seconds + offset - days * DAY);
  date_of(days, ret_civil);
  ret_civil->hour = rest / 3600;
  ret_civil->minute = rest / 60 % 60;
  ret_civil->second = rest % 60;
  ret_civil->weekday = (int)(((days + 3) % 7 + 7) % 7);
  ret_civil->offset = offset;
}

struct instant timezone_instant(const struct timezone *zone, int year, int month, int day, int hour, int minute,
                                int second) {
  int64_t local = days_of(year, month, day) * DAY + (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
  int64_t early = local - offset_at(zone, local - DAY), late = local - offset_at(zone, local + DAY);
  if (early + offset_at(zone, early) == local && (early <= late || late + offset_at(zone, late) != local))
    return (struct instant){early};
  if (late + offset_at(zone, late) == local)
    return (struct instant){late};
  const struct transition *gap = transition_before(zone, early > late ? early : late);
  return (struct instant){gap != NULL ? gap->at : early};
}

struct instant instant_earlier(struct instant left, struct instant right) {
  return left.seconds < right.seconds ? left : right;
}

bool date_exists(int year, int month, int day) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1)
    return false;
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day <= lengths[month - 1] + (month == 2 && leap);
}

/* Exactly `digits` digits; moves *text behind them. */
static bool take_number(const char **text, int digits, int *ret_number) {
  int number = 0;
  for (int i = 0; i < digits; i++, ++*text) {
    if (**text < '0' || **text > '9')
      return false;
    number = number * 10 + (**text - '0');
  }
  *ret_number = number;
  return true;
}

static bool take_letter(const char **text, char letter) {
  if (**text != letter)
    return false;
  ++*text;
  return true;
}

static bool take_date(const char **text, int *year, int *month, int *day) {
  return take_number(text, 4, year) && take_letter(text, '-') && take_number(text, 2, month) &&
         take_letter(text, '-') && take_number(text, 2, day) && date_exists(*year, *month, *day);
}

bool date_parse(const char *text, int *ret_year, int *ret_month, int *ret_day) {
  int year, month, day;
  if (!take_date(&text, &year, &month, &day) || *text != '\0')
    return false;
  *ret_year = year;
  *ret_month = month;
  *ret_day = day;
  return true;
}

static bool take_time(const char **text, int *ret_seconds) {
  int hour, minute, second = 0;
  if (!take_number(text, 2, &hour) || !take_letter(text, ':') || !take_number(text, 2, &minute))
    return false;
  if (take_letter(text, ':') && !take_number(text, 2, &second))
    return false;
  *ret_seconds = hour * 3600 + minute * 60 + second;
  return hour <= 23 && minute <= 59 && second <= 59;
}

static bool take_offset(const char **text, int *ret_offset) {
  int hour, minute;
  if (take_letter(text, 'Z')) {
    *ret_offset = 0;
    return true;
  }
  int sign = take_letter(text, '+') ? 1 : take_letter(text, '-') ? -1 : 0;
  if (sign == 0 || !take_number(text, 2, &hour) || !take_letter(text, ':') || !take_number(text, 2, &minute))
    return false;
  *ret_offset = sign * (hour * 3600 + minute * 60);
  return hour <= 23 && minute <= 59;
}

bool instant_parse(const char *text, struct instant *ret_instant, bool *ret_without_offset) {
  int year, month, day, seconds, offset;
  *ret_without_offset = false;
  if (!take_date(&text, &year, &month, &day) || !take_letter(&text, 'T') || !take_time(&text, &seconds))
    return false;
  if (*text == '\0') {
    *ret_without_offset = true;
    return false;
  }
  if (!take_offset(&text, &offset) || *text != '\0')
    return false;
  ret_instant->seconds = days_of(year, month, day) * DAY + seconds - offset;
  return true;
}

const char *instant_format(const struct timezone *zone, struct instant instant, char text[static INSTANT_TEXT_SIZE]) {
  struct civil_time civil;
  timezone_civil(zone, instant, &civil);
  if (civil.year < 0 || civil.year > 9999) {
    snprintf(text, INSTANT_TEXT_SIZE, "-");
    return text;
  }
  int minutes = civil.offset < 0 ? -civil.offset / 60 : civil.offset / 60;
  snprintf(text, INSTANT_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u%c%02u:%02u", (unsigned)civil.year % 10000,
           (unsigned)civil.month % 100, (unsigned)civil.day % 100, (unsigned)civil.hour % 100,
           (unsigned)civil.minute % 100, (unsigned)civil.second % 100, civil.offset < 0 ? '-' : '+',
           (unsigned)minutes / 60 % 100, (unsigned)minutes % 60);
  return text;
}

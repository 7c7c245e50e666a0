/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "policy/reader.h"

enum { DAY_MINUTES = 24 * 60, DATE_LENGTH = 10 };

static void *field(void *object, uint16_t offset) {
  return (char *)object + offset;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* "2026-04-01" in form, whether or not there is such a day; more may follow. */
static bool looks_like_date(const char *text) {
  static const char form[] = "0000-00-00";
  for (size_t i = 0; i < DATE_LENGTH; i++)
    if (form[i] == '-' ? text[i] != '-' : !is_digit(text[i]))
      return false;
  return true;
}

static void refuse_day(struct reader *reader, config_setting_t *setting, const char *text) {
  PROBLEM(reader, "D15", reader_place_of(reader, setting, text), "「%s」: 「%s」という日時はありません",
          "%s: there is no such date or time as '%s'", reader->key->name, text);
}

static void refuse_form(struct reader *reader, config_setting_t *setting, const char *text) {
  const struct schema_key *key = reader->key;
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, setting, text), "「%s」: 「%s」は日付として読めません",
              "%s: '%s' cannot be read as a date", key->name, text);
  if (key->kind == KIND_DATE)
    HINT(reader, diagnostic, "西暦で「2026-04-01」の形で書いてください", "write it as 2026-04-01");
  else
    HINT(reader, diagnostic, "「2026-04-01」か「2026-04-01T18:00:00+09:00」の形で書いてください",
         "write it as 2026-04-01 or 2026-04-01T18:00:00+09:00");
}

static void refuse_without_offset(struct reader *reader, config_setting_t *setting, const char *text) {
  struct diagnostic *diagnostic =
      PROBLEM(reader, "D15", reader_place_of(reader, setting, text), "「%s」: 「%s」に時差（オフセット）がありません",
              "%s: '%s' has a time of day without an offset", reader->key->name, text);
  HINT(reader, diagnostic, "末尾に +09:00 などを付けてください（例: 2026-11-25T18:00:00+09:00）",
       "append the offset, as in 2026-11-25T18:00:00+09:00");
}

void read_date(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct date *date = field(object, key->offset);
  const char *text = reader_string(reader, setting);
  date->place = reader_place(reader, setting);
  if (!text)
    return;
  if (date_parse(text, &date->year, &date->month, &date->day))
    date->set = true;
  else if (looks_like_date(text) && text[DATE_LENGTH] == '\0')
    refuse_day(reader, setting, text);
  else
    refuse_form(reader, setting, text);
}

/* ---- moments ---- */

/* 00:00 of the day, or of the next one, in the timezone of the policy. */
static struct instant day_edge(const struct reader *reader, int year, int month, int day, bool end) {
  if (end && date_exists(year, month, day + 1))
    day++;
  else if (end && month < 12)
    month++, day = 1;
  else if (end)
    year++, month = 1, day = 1;
  return timezone_instant(reader->policy->header.timezone, year, month, day, 0, 0, 0);
}

static bool parse_moment(struct reader *reader, config_setting_t *setting, const char *text, bool end,
                         struct instant *ret_instant) {
  int year, month, day;
  bool without_offset = false;
  if (date_parse(text, &year, &month, &day)) {
    *ret_instant = day_edge(reader, year, month, day, end);
    return true;
  }
  if (instant_parse(text, ret_instant, &without_offset))
    return true;
  if (without_offset)
    refuse_without_offset(reader, setting, text);
  else if (looks_like_date(text) && (text[DATE_LENGTH] == '\0' || text[DATE_LENGTH] == 'T'))
    refuse_day(reader, setting, text);
  else
    refuse_form(reader, setting, text);
  return false;
}

void read_moment(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  const char *text = reader_string(reader, setting);
  bool end = key->kind == KIND_DAY_END || key->kind == KIND_END;
  if (text && parse_moment(reader, setting, text, end, field(object, key->offset)) && key->set_offset)
    *(bool *)field(object, key->set_offset) = true;
}

/* ---- hours ---- */

static const char *const weekday_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static bool take(const char **text, const char *word) {
  size_t length = strlen(word);
  if (strncmp(*text, word, length) != 0)
    return false;
  *text += length;
  return true;
}

static int take_weekday(const char **text) {
  for (int i = 0; i < 7; i++)
    if (take(text, weekday_names[i]))
      return i;
  return -1;
}

/* "mon-fri", "sat,sun", "fri-mon": bits of the days. */
static bool take_weekdays(const char **text, uint8_t *ret_days) {
  uint8_t days = 0;
  do {
    int first = take_weekday(text);
    int last = first >= 0 && take(text, "-") ? take_weekday(text) : first;
    if (first < 0 || last < 0)
      return false;
    for (int day = first;; day = (day + 1) % 7) {
      days = (uint8_t)(days | 1U << day);
      if (day == last)
        break;
    }
  } while (take(text, ","));
  *ret_days = days;
  return true;
}

static bool take_minute(const char **text, unsigned *ret_minute) {
  const char *at = *text;
  if (strlen(at) < 5 || !is_digit(at[0]) || !is_digit(at[1]) || at[2] != ':' || !is_digit(at[3]) || !is_digit(at[4]))
    return false;
  unsigned hour = (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
  unsigned minute = (unsigned)(at[3] - '0') * 10 + (unsigned)(at[4] - '0');
  *ret_minute = hour * 60 + minute;
  *text += 5;
  return minute < 60 && *ret_minute <= DAY_MINUTES;
}

static bool parse_hours(const char *text, struct hours *hours) {
  if (!take_weekdays(&text, &hours->weekdays) || !take(&text, " "))
    return false;
  while (take(&text, " "))
    ;
  return take_minute(&text, &hours->first_minute) && take(&text, "-") && take_minute(&text, &hours->last_minute) &&
         *text == '\0' && hours->first_minute < DAY_MINUTES && hours->last_minute > 0 &&
         hours->first_minute != hours->last_minute;
}

void read_hours(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct hours *hours = field(object, key->offset), parsed = {.set = true, .place = reader_place(reader, setting)};
  const char *text = reader_string(reader, setting);
  if (!text)
    return;
  if (parse_hours(text, &parsed)) {
    *hours = parsed;
    return;
  }
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, setting, text), "「%s」: 「%s」は曜日と時間帯として読めません",
              "%s: '%s' cannot be read as days and times", key->name, text);
  HINT(reader, diagnostic, "「mon-fri 08:30-17:15」「sat,sun 09:00-12:00」の形で書いてください（曜日は mon から sun）",
       "write it as 'mon-fri 08:30-17:15' or 'sat,sun 09:00-12:00'");
}

/* ---- the timezone ---- */

static bool is_timezone_name(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
  return name[0] != '/' && name[0] != '\0' && strlen(name) < 64 && name[strspn(name, allowed)] == '\0';
}

void read_timezone(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct policy_header *header = object;
  const char *name = reader_string(reader, setting);
  if (!name)
    return;
  const struct timezone *timezone = is_timezone_name(name) ? timezone_load(reader->arena, name) : NULL;
  if (timezone) {
    header->timezone = timezone;
    header->timezone_name = reader_keep(reader, name, strlen(name));
    return;
  }
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, setting, name), "「%s」: 「%s」という時間帯はありません",
              "%s: there is no timezone '%s'", key->name, name);
  HINT(reader, diagnostic, "日本なら「Asia/Tokyo」と書いてください", "write a name such as Asia/Tokyo");
}

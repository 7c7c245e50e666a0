/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doctrine over a whole policy.
 *
 * Theory of operation: each part walks the model once and adds what it finds; none stops at the first problem and none
 * trusts the model to be whole, because a file with errors of form is checked all the same. An earlier part that
 * refused a flow's class pair or its end marks that in flow_state, so that one mistake is told once and by the first
 * code that fits. The order of the answer is made by diagnostic_sort().
 */
#include "policy/check_parts.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN_LIMIT = 100 };

const char *check_words(const struct check *check, const char *japanese, const char *english) {
  return language_choose(check->language, japanese, english);
}

static const struct {
  const char *japanese, *english;
} class_labels[CLASS_COUNT_ + 1] = {
    [CLASS_MYNUMBER] = {"マイナンバー利用事務系", "My Number systems"},
    [CLASS_MYNUMBER_CLOUD] = {"ガバメントクラウド", "government cloud"},
    [CLASS_LGWAN] = {"LGWAN接続系", "LGWAN systems"},
    [CLASS_LGWAN_LINE] = {"LGWAN回線側", "LGWAN line"},
    [CLASS_RELAY] = {"無害化中継", "sanitising relay"},
    [CLASS_INTERNET] = {"インターネット接続系", "Internet systems"},
    [CLASS_CLOUD] = {"セキュリティクラウド側", "security cloud"},
    [CLASS_BREAKOUT] = {"ローカルブレイクアウト", "local breakout"},
    [CLASS_MANAGEMENT] = {"運用管理系", "management"},
    [CLASS_MAINTENANCE] = {"保守接続", "maintenance"},
    [CLASS_OT] = {"制御系", "operational technology"},
    [CLASS_UNROUTED] = {"経路を持たない隣接領域", "unrouted neighbour"},
    [CLASS_COUNT_] = {"本機", "this gateway"},
};

const char *check_class_label(const struct check *check, enum zone_class class) {
  return check_words(check, class_labels[class].japanese, class_labels[class].english);
}

const char *check_endpoint_text(const struct check *check, const struct endpoint *end) {
  switch (end->kind) {
  case ENDPOINT_HOST:
    return end->host != NULL ? end->host->name : "-";
  case ENDPOINT_ZONE:
    return arena_printf(check->scratch, "zone:%s", policy_zone_name(check->policy, end->zone));
  case ENDPOINT_GATEWAY:
    return "gateway";
  }
  return "-";
}

const char *check_end_text(const struct check *check, const struct endpoint *ends, size_t count) {
  enum { SHOWN = 3 };
  const char *text = "";
  for (size_t i = 0; i < count && i < SHOWN && text != NULL; i++)
    text = arena_printf(check->scratch, "%s%s%s", text, i > 0 ? ", " : "", check_endpoint_text(check, &ends[i]));
  if (count > SHOWN && text != NULL)
    text = check->language == LANGUAGE_JAPANESE ? arena_printf(check->scratch, "%s ほか%zu件", text, count - SHOWN)
                                                : arena_printf(check->scratch, "%s and %zu more", text, count - SHOWN);
  return text != NULL ? text : "-";
}

const char *check_date_text(const struct check *check, struct instant instant) {
  char text[INSTANT_TEXT_SIZE];
  const char *copy = arena_strdup(check->scratch, instant_format(check->timezone, instant, text));
  return copy != NULL ? copy : "-";
}

const char *check_end_date_text(const struct check *check, struct instant end) {
  struct civil_time civil;
  timezone_civil(check->timezone, end, &civil);
  if (civil.hour != 0 || civil.minute != 0 || civil.second != 0)
    return check_date_text(check, end);
  timezone_civil(check->timezone, (struct instant){end.seconds - 1}, &civil);
  const char *text = arena_printf(check->scratch, "%04d-%02d-%02d", civil.year, civil.month, civil.day);
  return text != NULL ? text : "-";
}

struct place check_at(struct check *check, struct place place, const char *token) {
  if (place.column != 0 || place.line == 0 || token == NULL || check->columns_left == 0)
    return place;
  check->columns_left--;
  return place_of_token(place, token);
}

/* The key itself, which its own values may repeat: lgwan = { class = "lgwan"; }. */
struct place check_at_name(struct check *check, struct place place, const char *name) {
  static const char mark[] = " =";
  char token[160];
  int size = snprintf(token, sizeof(token), "%s%s", name, mark);
  struct place found = size < (int)sizeof(token) ? check_at(check, place, token) : place;
  if (found.length > strlen(mark))
    found.length -= (unsigned)strlen(mark);
  return found.column != 0 ? found : check_at(check, place, name);
}

bool check_text_present(const struct text *text) {
  static const char wide_blank[] = "\xe3\x80\x80";
  for (const char *at = text->text; at != NULL && *at != '\0';) {
    if (strncmp(at, wide_blank, strlen(wide_blank)) == 0)
      at += strlen(wide_blank);
    else if (strchr(" \t\r\n", *at) != NULL)
      at++;
    else
      return true;
  }
  return false;
}

const struct zone *check_zone(const struct check *check, zone_index zone) {
  return zone >= 0 && (size_t)zone < check->policy->zone_count ? &check->policy->zones[zone] : NULL;
}

size_t check_host_index(const struct check *check, const struct host *host) {
  return (size_t)(host - check->policy->hosts);
}

bool check_class_of(const struct check *check, zone_index zone, enum zone_class *ret_class) {
  if (zone == ZONE_GATEWAY) {
    *ret_class = CLASS_COUNT_;
    return true;
  }
  const struct zone *found = check_zone(check, zone);
  if (found == NULL || !found->class_known)
    return false;
  *ret_class = found->class;
  return true;
}

bool check_flow_classes(const struct check *check, const struct flow *flow, enum zone_class *ret_from,
                        enum zone_class *ret_to) {
  enum zone_class from, to;
  if (!check_class_of(check, flow->from_zone, &from) || !check_class_of(check, flow->to_zone, &to))
    return false;
  *ret_from = from;
  *ret_to = to;
  return true;
}

bool check_is_mynumber(enum zone_class class) {
  return class == CLASS_MYNUMBER || class == CLASS_MYNUMBER_CLOUD;
}

bool check_is_sanitising(enum flow_method method) {
  return method == METHOD_SCREEN || method == METHOD_MAILTEXT || method == METHOD_CDR;
}

struct instant check_day_start(const struct check *check, const struct date *date) {
  return timezone_instant(check->timezone, date->year, date->month, date->day, 0, 0, 0);
}

struct instant check_day_end(const struct check *check, const struct date *date) {
  return timezone_instant(check->timezone, date->year, date->month, date->day, 24, 0, 0);
}

bool check_range_in(const struct address_range *range, const struct placed_range *outer, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (range_contains_range(&outer[i].range, range))
      return true;
  return false;
}

bool check_range_touches(const struct address_range *range, const struct placed_range *others, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (range_overlaps(&others[i].range, range))
      return true;
  return false;
}

static void find_flows_over(struct check *check) {
  for (size_t i = 0; i < check->policy->flow_count; i++)
    check->flows[i].over =
        policy_flow_force(check->policy, &check->policy->flows[i], check->options->now, NULL) == FORCE_EXPIRED;
}

void policy_check(const struct policy *policy, const struct check_options *options,
                  struct diagnostic_list *diagnostics) {
  static void (*const parts[])(struct check *) = {
      check_dates, check_pairs, check_relays, check_mynumber, check_widths, check_papers,
      check_zones, check_hosts, check_ports,  check_overlaps, check_use,    check_expectation_worth,
  };
  struct arena *scratch = arena_new(0);
  struct check check = {.policy = policy,
                        .options = options,
                        .diagnostics = diagnostics,
                        .language = diagnostics->language,
                        .timezone = policy->header.timezone,
                        .whole = diagnostics->errors == 0,
                        .scratch = scratch,
                        .columns_left = COLUMN_LIMIT};
  if (scratch != NULL) {
    check.flows = ARENA_ARRAY(scratch, policy->flow_count + 1, struct flow_state);
    if (check.timezone == NULL)
      check.timezone = timezone_load(scratch, "Asia/Tokyo");
  }
  if (scratch == NULL || check.flows == NULL || check.timezone == NULL) {
    diagnostics->out_of_memory = true;
  } else {
    find_flows_over(&check);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
      parts[i](&check);
    diagnostics->out_of_memory |= arena_failed(scratch) != 0;
  }
  arena_free(scratch);
}

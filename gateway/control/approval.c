/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/approval.h"

#include <errno.h>
#include <string.h>

#include "control/box_json.h"
#include "policy/names.h"
#include "proof/exact.h"

enum { MINUTES_OF_DAY = 24 * 60, MINUTES_OF_WEEK = 7 * MINUTES_OF_DAY, BOXES_TOLD = 4, EXAMPLE_SIZE = 400 };

struct checking {
  const struct policy *before, *after;
  struct instant now;
  struct diagnostic_list *diagnostics;
  struct name_table names_before, names_after;
  bool compared; /* the whole policies, in `whole` */
  struct exact_difference whole;
  struct arena *arena;
};

/* ---- times and limits ---- */

static bool expires_later(const struct flow *old_flow, const struct flow *new_flow) {
  return old_flow->expires_set && (!new_flow->expires_set || new_flow->expires.seconds > old_flow->expires.seconds);
}

/* Inside one window of the old flow: two that touch are rare, and a new approval is cheap. */
static bool window_is_covered(const struct window *window, const struct flow *flow) {
  for (size_t i = 0; i < flow->window_count; i++) {
    const struct window *other = &flow->windows[i];
    if (other->valid && window->start.seconds >= other->start.seconds && window->end.seconds <= other->end.seconds) {
      return true;
    }
  }
  return false;
}

static bool has_more_windows(const struct flow *old_flow, const struct flow *new_flow) {
  bool more = old_flow->window_count > 0 && new_flow->window_count == 0;
  for (size_t i = 0; old_flow->window_count > 0 && i < new_flow->window_count && !more; i++) {
    more = new_flow->windows[i].valid && !window_is_covered(&new_flow->windows[i], old_flow);
  }
  return more;
}

/* A span that ends before it begins goes on after midnight. */
static bool hours_hold(const struct hours *hours, unsigned minute) {
  bool over_midnight = hours->last_minute < hours->first_minute; /* 24:00 is the end of the same day */
  unsigned length = hours->last_minute + (over_midnight ? MINUTES_OF_DAY : 0) - hours->first_minute;
  for (unsigned day = 0; day < 7; day++) {
    unsigned start = day * MINUTES_OF_DAY + hours->first_minute;
    if ((hours->weekdays & (1U << day)) != 0 && (minute + MINUTES_OF_WEEK - start) % MINUTES_OF_WEEK < length) {
      return true;
    }
  }
  return false;
}

static bool has_more_hours(const struct hours *old_hours, const struct hours *new_hours) {
  bool more = old_hours->set && !new_hours->set;
  for (unsigned minute = 0; old_hours->set && new_hours->set && minute < MINUTES_OF_WEEK && !more; minute++) {
    more = hours_hold(new_hours, minute) && !hours_hold(old_hours, minute);
  }
  return more;
}

static bool exceeds(uint64_t old_limit, uint64_t new_limit) {
  return old_limit > 0 && (new_limit == 0 || new_limit > old_limit);
}

static bool has_more_room(const struct limit *old_limit, const struct limit *new_limit) {
  uint64_t rate = new_limit->set ? new_limit->new_per_second : 0;
  uint64_t connections = new_limit->set ? new_limit->connections : 0;
  return old_limit->set && (exceeds(old_limit->new_per_second, rate) || exceeds(old_limit->connections, connections));
}

const char *approval_times_widened(const struct flow *old_flow, const struct flow *new_flow, enum language language) {
  if (expires_later(old_flow, new_flow)) {
    return language_choose(language, "期限 (expires) が延びています", "it expires later, or never");
  }
  if (has_more_windows(old_flow, new_flow)) {
    return language_choose(language, "開放時間帯 (window) が増えています", "it is open outside its approved windows");
  }
  if (has_more_hours(&old_flow->hours, &new_flow->hours)) {
    return language_choose(language, "時間帯 (hours) が広がっています", "it is open outside its approved hours");
  }
  if (has_more_room(&old_flow->limit, &new_flow->limit)) {
    return language_choose(language, "制限 (limit) が緩んでいます", "its limit was raised or taken out");
  }
  return NULL;
}

/* Their clocks show the same in the years to come: names alone do not tell. */
static bool clocks_agree(const struct checking *checking) {
  enum { DAYS = 3 * 366, DAY = 24 * 60 * 60 };
  const struct timezone *left = checking->before->header.timezone, *right = checking->after->header.timezone;
  for (int64_t day = 0; left != right && day < DAYS; day++) {
    struct instant noon = {checking->now.seconds + day * DAY};
    struct civil_time one, other;
    timezone_civil(left, noon, &one);
    timezone_civil(right, noon, &other);
    if (one.offset != other.offset) {
      return false;
    }
  }
  return true;
}

/* The same hours by another clock are other hours; how far the two overlap is not worked out. */
static const char *times_widened(const struct checking *checking, const struct flow *old_flow,
                                 const struct flow *new_flow, enum language language) {
  const char *what = approval_times_widened(old_flow, new_flow, language);
  if (what || !old_flow->hours.set || clocks_agree(checking)) {
    return what;
  }
  return language_choose(language, "時刻帯 (policy.timezone) が変わり、時間帯 (hours) が別の時刻になっています",
                         "its hours are others by the clock of another policy.timezone");
}

/* ---- what is surely the same ---- */

static bool ranges_equal(const struct placed_range *left, size_t left_count, const struct placed_range *right,
                         size_t right_count) {
  for (size_t i = 0; left_count == right_count && i < left_count; i++) {
    if (!range_equal(&left[i].range, &right[i].range)) {
      return false;
    }
  }
  return left_count == right_count;
}

static bool macs_equal(const struct host *left, const struct host *right) {
  for (size_t i = 0; left->mac_count == right->mac_count && i < left->mac_count; i++) {
    if (!mac_equal(&left->macs[i], &right->macs[i])) {
      return false;
    }
  }
  return left->mac_count == right->mac_count && left->mac_scope == right->mac_scope;
}

static bool zones_equal(const struct policy *before, zone_index left, const struct policy *after, zone_index right) {
  if (left < 0 || right < 0) {
    return left == right;
  }
  const struct zone *old_zone = &before->zones[left], *new_zone = &after->zones[right];
  return strcmp(old_zone->name, new_zone->name) == 0 &&
         ranges_equal(old_zone->networks, old_zone->network_count, new_zone->networks, new_zone->network_count) &&
         ranges_equal(old_zone->remote, old_zone->remote_count, new_zone->remote, new_zone->remote_count) &&
         old_zone->default_route == new_zone->default_route;
}

static bool endpoints_equal(const struct endpoint *left, size_t left_count, const struct endpoint *right,
                            size_t right_count) {
  for (size_t i = 0; left_count == right_count && i < left_count; i++) {
    bool hosts = left[i].kind == ENDPOINT_HOST && right[i].kind == ENDPOINT_HOST;
    if (left[i].kind != right[i].kind ||
        (hosts && (!ranges_equal(left[i].host->addresses, left[i].host->address_count, right[i].host->addresses,
                                 right[i].host->address_count) ||
                   !macs_equal(left[i].host, right[i].host)))) {
      return false;
    }
  }
  return left_count == right_count;
}

static bool services_equal(const struct flow *left, const struct flow *right) {
  for (size_t i = 0; left->service_count == right->service_count && i < left->service_count; i++) {
    const struct service *a = &left->services[i], *b = &right->services[i];
    if (a->protocol != b->protocol || a->first_port != b->first_port || a->last_port != b->last_port ||
        a->icmp_type != b->icmp_type) {
      return false;
    }
  }
  return left->service_count == right->service_count;
}

/* Written alike, but for names, and the guard has the same against both: no set needs to be drawn. */
static bool flows_written_alike(const struct checking *checking, const struct flow *old_flow,
                                const struct flow *new_flow) {
  const struct policy_header *old_header = &checking->before->header, *new_header = &checking->after->header;
  return ranges_equal(old_header->special_exempt, old_header->special_exempt_count, new_header->special_exempt,
                      new_header->special_exempt_count) &&
         zones_equal(checking->before, old_flow->from_zone, checking->after, new_flow->from_zone) &&
         zones_equal(checking->before, old_flow->to_zone, checking->after, new_flow->to_zone) &&
         endpoints_equal(old_flow->from, old_flow->from_count, new_flow->from, new_flow->from_count) &&
         endpoints_equal(old_flow->to, old_flow->to_count, new_flow->to, new_flow->to_count) &&
         services_equal(old_flow, new_flow);
}

/* ---- approvals ---- */

static bool texts_equal(const struct text *left, const struct text *right) {
  return left->text && right->text && strcmp(left->text, right->text) == 0;
}

static bool same_approval(const struct flow *left, const struct flow *right) {
  const struct date *a = &left->approval.date, *b = &right->approval.date;
  return texts_equal(&left->approval.document, &right->approval.document) && a->set && b->set && a->year == b->year &&
         a->month == b->month && a->day == b->day;
}

/* ---- what is told ---- */

/* "left → right 10.1.0.9 → 10.2.0.9 tcp/8080" */
static const char *box_text(const struct checking *checking, const struct policy *policy, const struct exact_box *box) {
  char source[RANGE_TEXT_SIZE], destination[RANGE_TEXT_SIZE], service[BOX_SERVICE_SIZE], mac[MAC_TEXT_SIZE];
  const char *text = arena_printf(checking->arena, "%s → %s: %s → %s %s%s%s", policy_zone_name(policy, box->from),
                                  policy_zone_name(policy, box->to), range_format(&box->source, source),
                                  range_format(&box->destination, destination), box_service_text(box, service),
                                  box->has_mac ? ", MAC " : "", box->has_mac ? mac_format(&box->mac, mac) : "");
  return text ? text : "";
}

static const char *example_text(const struct checking *checking, const struct packet *packet) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  const char *text = arena_printf(
      checking->arena, language_choose(checking->diagnostics->language, " (例 %s:%u → %s:%u)", " (e.g. %s:%u → %s:%u)"),
      address_format(&packet->source, source), packet->source_port, address_format(&packet->destination, destination),
      packet->destination_port);
  return text ? text : "";
}

static void relate_boxes(struct checking *checking, struct diagnostic *diagnostic, const struct place *place,
                         const struct policy *policy, const struct exact_box *boxes, size_t count, bool opened) {
  for (size_t i = 0; i < count && i < BOXES_TOLD; i++) {
    const char *box = box_text(checking, policy, &boxes[i]);
    const char *example = example_text(checking, &boxes[i].example);
    if (opened) {
      diagnostic_relate(checking->diagnostics, diagnostic, *place, "新たに通る: %s%s", "newly allowed: %s%s", box,
                        example);
    } else {
      diagnostic_relate(checking->diagnostics, diagnostic, *place, "通らなくなる: %s%s", "no longer allowed: %s%s", box,
                        example);
    }
  }
  if (count > BOXES_TOLD) {
    diagnostic_relate(checking->diagnostics, diagnostic, *place, "ほか %zu 件", "and %zu more", count - BOXES_TOLD);
  }
}

static void refuse_wider(struct checking *checking, const struct flow *old_flow, const struct flow *new_flow,
                         const struct exact_difference *difference) {
  struct diagnostic *diagnostic = diagnostic_add(
      checking->diagnostics, SEVERITY_ERROR, "D18", new_flow->place, new_flow->name,
      "決裁「%s」(%04d-%02d-%02d) のままで、確定済みの「%s」より広い通信を許しています: %s",
      "under the same approval '%s' of %04d-%02d-%02d it allows more than the confirmed '%s': %s",
      new_flow->approval.document.text, new_flow->approval.date.year, new_flow->approval.date.month,
      new_flow->approval.date.day, old_flow->name, box_text(checking, checking->after, &difference->opened[0]));
  diagnostic_hint(checking->diagnostics, diagnostic,
                  "広げるなら改めて決裁を受け、approval の document か date を新しいものにする",
                  "have the wider flow approved anew, and name that document or its date in `approval`");
  relate_boxes(checking, diagnostic, &new_flow->approval.document.place, checking->after, difference->opened,
               difference->opened_count, true);
}

static void refuse_longer(struct checking *checking, const struct flow *new_flow, const char *what) {
  struct diagnostic *diagnostic =
      diagnostic_add(checking->diagnostics, SEVERITY_ERROR, "D18", new_flow->place, new_flow->name,
                     "決裁「%s」(%04d-%02d-%02d) のままで、%s", "under the same approval '%s' of %04d-%02d-%02d: %s",
                     new_flow->approval.document.text, new_flow->approval.date.year, new_flow->approval.date.month,
                     new_flow->approval.date.day, what);
  diagnostic_hint(checking->diagnostics, diagnostic,
                  "延長や緩和にも決裁が要る。approval の document か date を新しいものにする",
                  "that needs an approval too: name its document or its date in `approval`");
}

static void warn_unknown(struct checking *checking, const struct flow *new_flow) {
  diagnostic_add(checking->diagnostics, SEVERITY_WARNING, "D18", new_flow->place, new_flow->name,
                 "確定済みのものより広いかを確かめきれませんでした",
                 "whether it allows more than what is confirmed could "
                 "not be worked out");
}

/* ---- the two rules ---- */

/* *ret_wider: it covers more, and `ret_difference` says what. */
static int compare(const struct checking *checking, const struct flow *old_flow, const struct flow *new_flow,
                   struct exact_difference *ret_difference, bool *ret_wider) {
  struct exact_difference difference = {.equal = true, .complete = true};
  int result =
      flows_written_alike(checking, old_flow, new_flow)
          ? 0
          : exact_widening(checking->before, old_flow, checking->after, new_flow, checking->arena, &difference);
  *ret_wider = difference.opened_count > 0;
  *ret_difference = difference;
  return result;
}

static int check_same(struct checking *checking, const struct flow *old_flow, const struct flow *new_flow) {
  struct exact_difference difference;
  bool wider;
  const char *what = times_widened(checking, old_flow, new_flow, checking->diagnostics->language);
  int result = compare(checking, old_flow, new_flow, &difference, &wider);
  if (result == 0 && wider) {
    refuse_wider(checking, old_flow, new_flow, &difference);
  } else if (result == 0 && !difference.complete) {
    warn_unknown(checking, new_flow);
  }
  if (result == 0 && what) {
    refuse_longer(checking, new_flow, what);
  }
  return result;
}

/* The whole policies, at any time; once. */
static int compare_whole(struct checking *checking) {
  const struct exact_side before = {.policy = checking->before}, after = {.policy = checking->after};
  int result = checking->compared
                   ? 0
                   : exact_compare(&before, &after, NULL, checking->now, WHEN_EVER, checking->arena, &checking->whole);
  checking->compared = result == 0;
  return result;
}

static const struct flow *find(const struct name_table *names, const struct policy *policy, const char *name) {
  size_t index;
  return name_table_find(names, name, strlen(name), &index) ? &policy->flows[index] : NULL;
}

static bool between_the_same_zones(const struct checking *checking, const struct flow *left, const struct flow *right) {
  return strcmp(policy_zone_name(checking->before, left->from_zone),
                policy_zone_name(checking->after, right->from_zone)) == 0 &&
         strcmp(policy_zone_name(checking->before, left->to_zone), policy_zone_name(checking->after, right->to_zone)) ==
             0;
}

/* A flow with a new name that bears the approval of one that is gone. */
static int check_renamed(struct checking *checking, const struct flow *new_flow) {
  const struct flow *first = NULL;
  for (size_t i = 0; checking->before->flows != NULL && i < checking->before->flow_count; i++) {
    const struct flow *old_flow = &checking->before->flows[i];
    struct exact_difference difference;
    bool wider;
    if (!same_approval(old_flow, new_flow) || !between_the_same_zones(checking, old_flow, new_flow) ||
        find(&checking->names_after, checking->after, old_flow->name)) {
      continue;
    }
    first = first ? first : old_flow;
    int result = compare(checking, old_flow, new_flow, &difference, &wider);
    if (result < 0) {
      return result;
    }
    if (!wider && difference.complete &&
        !times_widened(checking, old_flow, new_flow, checking->diagnostics->language)) {
      return 0;
    }
  }
  return first ? check_same(checking, first, new_flow) : 0;
}

static int check_flow(struct checking *checking, const struct flow *flow) {
  const struct flow *old_flow = find(&checking->names_before, checking->before, flow->name);
  if (old_flow) {
    return same_approval(old_flow, flow) ? check_same(checking, old_flow, flow) : 0;
  }
  int result = compare_whole(checking);
  bool nothing_new = checking->whole.complete && checking->whole.opened_count == 0;
  return result < 0 || nothing_new ? result : check_renamed(checking, flow);
}

static bool times_differ(const struct checking *checking) {
  for (size_t i = 0; i < checking->after->flow_count; i++) {
    const struct flow *flow = &checking->after->flows[i];
    const struct flow *old_flow = find(&checking->names_before, checking->before, flow->name);
    if (old_flow && (times_widened(checking, old_flow, flow, LANGUAGE_ENGLISH) ||
                     approval_times_widened(flow, old_flow, LANGUAGE_ENGLISH))) {
      return true;
    }
  }
  return false;
}

static int check_number(struct checking *checking) {
  const struct text *number = &checking->after->header.number;
  if (!texts_equal(&checking->before->header.number, number)) {
    return 0;
  }
  int result = compare_whole(checking);
  if (result < 0 || (checking->whole.equal && checking->whole.complete && !times_differ(checking))) {
    return result;
  }
  struct diagnostic *diagnostic =
      diagnostic_add(checking->diagnostics, SEVERITY_ERROR, "D18", number->place, "policy",
                     "番号「%s」は確定済みのポリシーのものですが、意味が変わっています",
                     "number '%s' is that of the confirmed policy, but this one means something else", number->text);
  diagnostic_hint(checking->diagnostics, diagnostic, "policy.number を新しい番号にする",
                  "give the policy another `number`");
  relate_boxes(checking, diagnostic, &number->place, checking->after, checking->whole.opened,
               checking->whole.opened_count, true);
  relate_boxes(checking, diagnostic, &number->place, checking->before, checking->whole.closed,
               checking->whole.closed_count, false);
  return 0;
}

static int add_names(struct name_table *names, const struct policy *policy) {
  int result = 0;
  for (size_t i = 0; i < policy->flow_count && result == 0; i++) {
    size_t existing;
    result = name_table_add(names, policy->flows[i].name, strlen(policy->flows[i].name), i, &existing);
  }
  return result;
}

int approval_check(const struct policy *confirmed, const struct policy *policy, struct instant now,
                   struct diagnostic_list *diagnostics) {
  struct checking checking = {
      .before = confirmed, .after = policy, .now = now, .diagnostics = diagnostics, .arena = diagnostics->arena};
  if (strcmp(confirmed->sha256, policy->sha256) == 0) {
    return 0;
  }
  int result = add_names(&checking.names_before, confirmed);
  if (result == 0) {
    result = add_names(&checking.names_after, policy);
  }
  for (size_t i = 0; i < policy->flow_count && result == 0; i++) {
    result = check_flow(&checking, &policy->flows[i]);
  }
  if (result == 0) {
    result = check_number(&checking);
  }
  name_table_free(&checking.names_before);
  name_table_free(&checking.names_after);
  return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ends that are missing or too late (D07), dates that cannot be (D15), and dates that passed or come near.
 *
 * A past date is never an error: the flow authorises nothing by itself, and a reload must not fail on 1 April.
 */
#include "policy/check_parts.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
  DAY_SECONDS = 24 * 3600,
  NEAR_DAYS = 60,  /* an end that comes this soon is told */
  PILE_COUNT = 20, /* as many flows that end on one day are told */
};

static bool needs_end(const struct flow *flow) {
  return flow->method_known && (flow->method == METHOD_EXCEPTION || flow->method == METHOD_MAINTENANCE);
}

/* ---- D07 ---- */

/* 24:00 of the 31 March that ends the fiscal year of the day. */
static struct instant fiscal_year_end(const struct check *check, const struct date *date) {
  return timezone_instant(check->timezone, date->year + (date->month > 3), 3, 31, 24, 0, 0);
}

static void refuse_endless(struct check *check, const struct flow *flow) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D07", check_at(check, flow->method_place, flow_method_name(flow->method)),
      flow->name, "method = \"%s\"（%s）の通信に期限（expires）がありません",
      "a flow of method = \"%s\" (%s) has no 'expires'", flow_method_name(flow->method),
      flow_method_label(flow->method, check->language));
  if (flow->approval.date.set)
    diagnostic_hint(check->diagnostics, found, "承認された期限を expires に書いてください（遅くとも年度末の %s）",
                    "write the approved end into 'expires' (at the latest the end of the fiscal year, %s)",
                    check_end_date_text(check, fiscal_year_end(check, &flow->approval.date)));
  else
    diagnostic_hint(check->diagnostics, found,
                    "承認された期限を expires に書いてください（遅くとも承認した年度の末日）",
                    "write the approved end into 'expires' (at the latest the end of the fiscal year of approval)");
}

static void refuse_late_end(struct check *check, const struct flow *flow, struct instant latest) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D07", check_at(check, flow->expires_place, "expires"),
                     flow->name, "期限が %s で、承認した年度の末日 %s より後です",
                     "it expires at %s, after the end of the fiscal year of its approval, %s",
                     check_end_date_text(check, flow->expires), check_end_date_text(check, latest));
  diagnostic_hint(check->diagnostics, found, "期限を %s までに縮め、続ける場合は次の年度に改めて承認を受けてください",
                  "end it by %s, and have it approved anew for the next fiscal year",
                  check_end_date_text(check, latest));
  diagnostic_relate(check->diagnostics, found, check_at(check, flow->approval.date.place, "date"),
                    "承認日はここに書かれています", "the date of approval is written here");
}

static void check_end(struct check *check, const struct flow *flow) {
  if (!needs_end(flow))
    return;
  if (!flow->expires_set && flow->expires_place.line == 0)
    refuse_endless(check, flow);
  if (!flow->expires_set || !flow->approval.date.set)
    return;
  struct instant latest = fiscal_year_end(check, &flow->approval.date);
  if (flow->expires.seconds <= latest.seconds)
    return;
  check->flows[flow->index].end_refused = true;
  refuse_late_end(check, flow, latest);
}

/* ---- D15 ---- */

static void check_end_order(struct check *check, const struct flow *flow) {
  const struct date *date = &flow->approval.date;
  if (!flow->expires_set || !date->set || flow->expires.seconds > check_day_start(check, date).seconds)
    return;
  check->flows[flow->index].end_refused = true;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D15", check_at(check, flow->expires_place, "expires"), flow->name,
      "期限 %s が承認日 %04d-%02d-%02d より前です", "it expires at %s, before its approval of %04d-%02d-%02d",
      check_end_date_text(check, flow->expires), date->year, date->month, date->day);
  diagnostic_hint(check->diagnostics, found, "expires と approval.date の年を確かめてください",
                  "check the years of 'expires' and 'approval.date'");
  diagnostic_relate(check->diagnostics, found, check_at(check, date->place, "date"), "承認日はここに書かれています",
                    "the date of approval is written here");
}

static bool review_is_reversed(const struct check *check, const struct flow *flow) {
  const struct date *date = &flow->approval.date, *review = &flow->review;
  return date->set && review->set && check_day_end(check, review).seconds <= check_day_start(check, date).seconds;
}

static void check_review_order(struct check *check, const struct flow *flow) {
  const struct date *date = &flow->approval.date, *review = &flow->review;
  if (!review_is_reversed(check, flow))
    return;
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D15", check_at(check, review->place, "review"), flow->name,
                     "見直し日 %04d-%02d-%02d が承認日 %04d-%02d-%02d より前です",
                     "the review of %04d-%02d-%02d is due before the approval of %04d-%02d-%02d", review->year,
                     review->month, review->day, date->year, date->month, date->day);
  diagnostic_hint(check->diagnostics, found, "review と approval.date の年を確かめてください",
                  "check the years of 'review' and 'approval.date'");
  diagnostic_relate(check->diagnostics, found, check_at(check, date->place, "date"), "承認日はここに書かれています",
                    "the date of approval is written here");
}

/* ---- windows ---- */

static bool touches_mynumber(const struct check *check, const struct flow *flow) {
  enum zone_class from = CLASS_COUNT_, to = CLASS_COUNT_;
  check_class_of(check, flow->from_zone, &from);
  check_class_of(check, flow->to_zone, &to);
  return check_is_mynumber(from) || check_is_mynumber(to);
}

static void refuse_reversed_window(struct check *check, const struct flow *flow, const struct window *window) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D15", check_at(check, window->place, "start"), flow->name,
                     "開放時間帯の終わり %s が、始まり %s より後になっていません",
                     "the window ends at %s, which is not after its start, %s", check_date_text(check, window->end),
                     check_date_text(check, window->start));
  diagnostic_hint(check->diagnostics, found, "start と end を確かめてください", "check 'start' and 'end'");
}

static void check_attended(struct check *check, const struct flow *flow, const struct window *window, bool mynumber) {
  if (window->attended || (!mynumber && window->end.seconds <= check->options->now.seconds))
    return;
  struct diagnostic *found =
      mynumber
          ? diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D15", check_at(check, window->place, "start"),
                           flow->name,
                           "マイナンバー利用事務系の開放時間帯に職員の立会い（attended = true）がありません（6(3)①）",
                           "a window on the My Number systems is not attended (attended = true) (6(3)①)")
          : diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W12", check_at(check, window->place, "start"),
                           flow->name, "職員の立会いがない開放時間帯です（attended = true がありません）",
                           "nobody attends this window (attended = true is absent)");
  diagnostic_hint(check->diagnostics, found, "立会者を決め、attended = true を書いてください",
                  "appoint somebody to attend and write attended = true");
}

static void warn_never_opens(struct check *check, const struct flow *flow, const struct window *window) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W09", check_at(check, window->place, "start"), flow->name,
                     "開放時間帯の始まり %s が通信の期限 %s より後で、一度も開きません",
                     "the window starts at %s, after the flow expires at %s, and never opens",
                     check_date_text(check, window->start), check_end_date_text(check, flow->expires));
  diagnostic_hint(check->diagnostics, found, "期限か開放時間帯の日付を確かめてください",
                  "check the dates of 'expires' and 'window'");
}

static void check_windows(struct check *check, const struct flow *flow) {
  bool mynumber = touches_mynumber(check, flow);
  for (size_t i = 0; i < flow->window_count; i++) {
    const struct window *window = &flow->windows[i];
    if (!window->valid)
      continue;
    if (window->start.seconds >= window->end.seconds)
      refuse_reversed_window(check, flow, window);
    else if (flow->expires_set && window->start.seconds >= flow->expires.seconds && !check->flows[flow->index].over)
      warn_never_opens(check, flow, window);
    check_attended(check, flow, window, mynumber);
  }
  if (!flow->method_known || flow->method != METHOD_MAINTENANCE || flow->window_count > 0 ||
      flow->window_place.line != 0)
    return;
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "P05", check_at_name(check, flow->place, flow->name),
                     flow->name, "保守接続（method = \"maintenance\"）に開放時間帯（window）がありません",
                     "a flow of method = \"maintenance\" needs a 'window'");
  diagnostic_hint(check->diagnostics, found,
                  "作業の日時を window = ( { start = \"…\"; end = \"…\"; attended = true; } ); と書いてください",
                  "write the time of the work as window = ( { start = \"...\"; end = \"...\"; attended = true; } );");
}

/* ---- what passed or comes near ---- */

static void warn_expired(struct check *check, const struct flow *flow) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W07", check_at(check, flow->expires_place, "expires"),
                     flow->name, "期限 %s を過ぎました。この通信はもう許可されていません",
                     "it expired at %s and allows nothing any more", check_end_date_text(check, flow->expires));
  diagnostic_hint(check->diagnostics, found, "不要なら削除し、必要なら改めて承認を受けて期限を書き直してください",
                  "remove it, or have it approved anew with another end");
}

static void warn_near_end(struct check *check, const struct flow *flow) {
  int64_t days = (flow->expires.seconds - check->options->now.seconds) / DAY_SECONDS;
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W10", check_at(check, flow->expires_place, "expires"),
                     flow->name, "期限 %s まであと %" PRId64 " 日です。過ぎると自動的に遮断されます",
                     "it expires at %s, in %" PRId64 " days, and will then be cut by itself",
                     check_end_date_text(check, flow->expires), days);
  diagnostic_hint(check->diagnostics, found, "続ける場合は、それまでに承認を受け直してください",
                  "if it must go on, have it approved anew before that");
}

static void warn_overdue(struct check *check, const struct flow *flow) {
  const struct date *review = &flow->review;
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W08", check_at(check, review->place, "review"), flow->name,
                     "見直し日 %04d-%02d-%02d を過ぎています", "its review was due on %04d-%02d-%02d", review->year,
                     review->month, review->day);
  diagnostic_hint(check->diagnostics, found, "この通信がまだ必要か所管課に確かめ、次の見直し日を書いてください",
                  "ask its owner whether it is still needed and write the next date of review");
}

static void warn_windows_past(struct check *check, const struct flow *flow) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W09", check_at(check, flow->window_place, "window"), flow->name,
      "開放時間帯がすべて過ぎました。この通信はもう開きません", "all its windows are past; it will not open any more");
  diagnostic_hint(check->diagnostics, found, "不要なら削除し、必要なら承認を受けて新しい時間帯を書いてください",
                  "remove it, or write a new window once it is approved");
}

static bool all_windows_past(const struct check *check, const struct flow *flow) {
  for (size_t i = 0; i < flow->window_count; i++)
    if (!flow->windows[i].valid || flow->windows[i].end.seconds > check->options->now.seconds)
      return false;
  return flow->window_count > 0;
}

static void warn_dates(struct check *check, const struct flow *flow) {
  int64_t now = check->options->now.seconds;
  if (flow->expires_set && flow->expires.seconds <= now) {
    warn_expired(check, flow);
    return;
  }
  if (all_windows_past(check, flow))
    warn_windows_past(check, flow);
  else if (flow->expires_set && flow->approval.role != ROLE_EMERGENCY &&
           flow->expires.seconds - now <= (int64_t)NEAR_DAYS * DAY_SECONDS)
    warn_near_end(check, flow);
  if (flow->review.set && check_day_end(check, &flow->review).seconds <= now && !review_is_reversed(check, flow))
    warn_overdue(check, flow);
}

/* ---- many ends on one day ---- */

struct ending {
  int64_t day; /* its 24:00 */
  const struct flow *flow;
};

static int compare_endings(const void *left, const void *right) {
  const struct ending *one = left, *other = right;
  if (one->day != other->day)
    return one->day < other->day ? -1 : 1;
  return one->flow->index < other->flow->index ? -1 : one->flow->index > other->flow->index;
}

static void warn_pile(struct check *check, const struct ending *endings, size_t count) {
  const struct flow *first = endings[0].flow;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W11", check_at(check, first->expires_place, "expires"), first->name,
      "%s に %zu 件の通信が同時に期限を迎えます（年度末集中）", "on %s, %zu flows end at once",
      check_end_date_text(check, (struct instant){endings[0].day}), count);
  diagnostic_hint(check->diagnostics, found, "期限を分けるか、更新の決裁を早めに始めてください",
                  "spread the ends, or start early with their renewal");
  diagnostic_relate(check->diagnostics, found, check_at(check, endings[count - 1].flow->expires_place, "expires"),
                    "同じ日に終わる最後の通信 %s", "the last flow that ends on that day, '%s'",
                    endings[count - 1].flow->name);
}

static void check_piles(struct check *check) {
  const struct policy *policy = check->policy;
  struct ending *endings = ARENA_ARRAY(check->scratch, policy->flow_count + 1, struct ending);
  size_t count = 0;
  for (size_t i = 0; endings != NULL && i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (!flow->expires_set || flow->expires.seconds <= check->options->now.seconds)
      continue;
    struct civil_time civil;
    timezone_civil(check->timezone, (struct instant){flow->expires.seconds - 1}, &civil);
    struct instant day = timezone_instant(check->timezone, civil.year, civil.month, civil.day, 24, 0, 0);
    endings[count++] = (struct ending){day.seconds, flow};
  }
  if (count > 1)
    qsort(endings, count, sizeof(endings[0]), compare_endings);
  for (size_t first = 0, next; first < count; first = next) {
    for (next = first + 1; next < count && endings[next].day == endings[first].day;)
      next++;
    if (next - first >= PILE_COUNT)
      warn_pile(check, &endings[first], next - first);
  }
}

void check_dates(struct check *check) {
  for (size_t i = 0; i < check->policy->flow_count; i++) {
    const struct flow *flow = &check->policy->flows[i];
    check_end(check, flow);
    check_end_order(check, flow);
    check_review_order(check, flow);
    check_windows(check, flow);
    warn_dates(check, flow);
  }
  check_piles(check);
}

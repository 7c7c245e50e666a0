/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "control/controller_parts.h"

/*
 * Ending a window, or the hours of a day, before its end, and taking that back. A closing lasts until the end that the
 * policy gives the window; it can only take away, so that nothing here ever opens a flow outside its window.
 */

json_t *controller_closed_windows_to_json(const struct controller *controller) {
  json_t *array = json_array();
  for (size_t i = 0; i < controller->restrictions.closed_window_count; i++) {
    const struct closed_window *closed = &controller->restrictions.closed_windows[i];
    json_array_append_new(array, json_pack("{s:s, s:o, s:o, s:s, s:s}", "flow", closed->flow, "until",
                                           controller_instant_to_json(controller, closed->until), "at",
                                           controller_instant_to_json(controller, closed->at), "by", closed->by, "why",
                                           closed->why));
  }
  return array;
}

static const char *unknown_flow(const struct order *order, const char *name, struct arena *arena) {
  enum language language = controller_order_language(order);
  const struct generation *generation = order->controller->in_force;
  const struct policy *policy = generation ? generation->policy : NULL;
  const char **names = policy ? ARENA_ARRAY(arena, policy->flow_count, const char *) : NULL;
  for (size_t i = 0; names && i < policy->flow_count; i++) {
    names[i] = policy->flows[i].name;
  }
  const char *nearest = names ? text_nearest(name, names, policy->flow_count) : NULL;
  return nearest
             ? arena_printf(arena,
                            language_choose(language, "通信「%s」はありません。%s の誤りではありませんか",
                                            "there is no flow '%s'; did you mean '%s'?"),
                            name, nearest)
             : arena_printf(arena, language_choose(language, "通信「%s」はありません", "there is no flow '%s'"), name);
}

/* The flow that the order names, or NULL after an answer. */
static const struct flow *find_flow(struct order *order, const struct order_text *text, struct arena *arena) {
  enum language language = controller_order_language(order);
  const struct generation *generation = order->controller->in_force;
  if (text->name_count != 1 || text->why[0] == '\0') {
    controller_answer_order(
        order, 1,
        language_choose(language, "通信の名前と理由が要ります", "the order must name one flow and give a reason"),
        NULL);
    return NULL;
  }
  const struct flow *flow = generation ? policy_find_flow(generation->policy, text->names[0]) : NULL;
  if (!flow) {
    controller_answer_order(order, 1, unknown_flow(order, text->names[0], arena), NULL);
  }
  return flow;
}

static void announce_window(struct order *order, const struct flow *flow, const char *why, bool opened) {
  char by[PERSON_TEXT_SIZE];
  struct announcement announcement = {.kind = opened ? "window-opened" : "window-closed",
                                      .severity = EVENT_NOTICE,
                                      .flow = flow->name,
                                      .reason = why,
                                      .by = &order->by};
  const char *what = opened ? language_choose(controller_language(order->controller),
                                              "時間枠の早期終了を取り消しました", "its window was reopened")
                            : language_choose(controller_language(order->controller), "時間枠を早く終わらせました",
                                              "its window was closed early");
  controller_announce(order->controller, &announcement, "%s: %s (%s: %s)", "%s: %s (%s: %s)", flow->name, what,
                      person_text(&order->by, by), why);
}

static json_t *flow_to_json(const struct controller *controller, const struct flow *flow) {
  struct instant until = INSTANT_NEVER;
  enum force_state state =
      restricted_flow_force(controller->in_force->policy, &controller->restrictions, flow, controller_now(), &until);
  return json_pack("{s:s, s:s, s:o}", "flow", flow->name, "state", force_state_name(state), "until",
                   controller_instant_to_json(controller, until));
}

/* ---- closing ---- */

/* Hours round the clock have no end: those of today do. */
static struct instant next_midnight(const struct policy *policy, struct instant now) {
  struct civil_time today;
  timezone_civil(policy->header.timezone, (struct instant){now.seconds + 86400}, &today);
  return timezone_instant(policy->header.timezone, today.year, today.month, today.day, 0, 0, 0);
}

/* The end of the window in which the flow is now; false after an answer when there is none to end. */
static bool find_end(struct order *order, const struct flow *flow, struct instant *ret_until) {
  const struct controller *controller = order->controller;
  enum language language = controller_order_language(order);
  const char *wrong = NULL;
  if (flow->window_count == 0 && !flow->hours.set) {
    wrong = language_choose(language, "この通信に時間枠はありません。止めるには kido cut を使います",
                            "this flow has no window; kido cut stops it");
  } else if (restricted_flow_force(controller->in_force->policy, &controller->restrictions, flow, controller_now(),
                                   NULL) != FORCE_YES) {
    wrong = language_choose(language, "この通信はいま開いていません", "this flow is not open now");
  }
  if (wrong) {
    controller_answer_order(order, 1, wrong, NULL);
    return false;
  }
  const struct policy *policy = controller->in_force->policy;
  policy_flow_force(policy, flow, controller_now(), ret_until);
  if (ret_until->seconds == INSTANT_NEVER.seconds) {
    *ret_until = next_midnight(policy, controller_now());
  }
  return true;
}

void controller_close_window(struct order *order, const struct order_text *text, struct arena *arena) {
  struct controller *controller = order->controller;
  char by[PERSON_TEXT_SIZE];
  struct error error = {0}, keeping = {0};
  struct orders *next = NULL;
  const struct flow *flow = find_flow(order, text, arena);
  struct closed_window closed = {.at = controller_now(), .by = person_text(&order->by, by), .why = text->why};
  if (!flow || !find_end(order, flow, &closed.until)) {
    return;
  }
  closed.flow = flow->name;
  if (orders_close_window(controller->orders, &closed, &next, &error) < 0) {
    controller_answer_order(order, 3, error.message, NULL);
    return;
  }
  controller_adopt_orders(controller, next);
  int loaded = controller_enforce_orders(controller, &error);
  int kept = controller_keep_orders(controller, &keeping);
  announce_window(order, flow, text->why, false);
  controller_answer_order(order, loaded < 0 || kept < 0 ? 3 : 0,
                          loaded < 0 ? error.message
                          : kept < 0 ? keeping.message
                                     : NULL,
                          flow_to_json(controller, flow));
}

/* ---- reopening ---- */

void controller_reopen_window(struct order *order, const struct order_text *text, struct arena *arena) {
  struct controller *controller = order->controller;
  struct error error = {0};
  struct orders *next = NULL;
  const struct flow *flow = find_flow(order, text, arena);
  if (!flow) {
    return;
  }
  controller_forget_past_orders(controller);
  int result = orders_reopen_window(controller->orders, flow->name, &next, &error);
  if (result < 0) {
    bool none = result == -ENOENT;
    controller_answer_order(order, none ? 1 : 3,
                            none ? language_choose(controller_order_language(order),
                                                   "この通信の時間枠を早く終わらせた記録はありません。時間枠の外で"
                                                   "開くことはできません",
                                                   "nobody closed a window of this flow; outside its windows it cannot "
                                                   "be opened")
                                 : error.message,
                            NULL);
    return;
  }
  result = orders_save(controller->options->state_directory, next, &error);
  if (result < 0) {
    orders_free(next);
    controller_answer_order(order, 3, error.message, NULL);
    return;
  }
  controller_adopt_orders(controller, next);
  result = controller_enforce_orders(controller, &error);
  announce_window(order, flow, text->why, true);
  controller_answer_order(order, result < 0 ? 3 : 0, result < 0 ? error.message : NULL, flow_to_json(controller, flow));
}

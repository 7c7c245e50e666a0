/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "control/casualties.h"
#include "control/controller_parts.h"
#include "control/lockout.h"
#include "kernel/conntrack.h"
#include "kernel/system.h"

/*
 * The emergency cut. What stops is looked up only when it is asked for (CONTROL_DRY_RUN): the cut itself does not wait
 * for a walk over the connections, and does not need one. Its rules stand before conntrack has a say, so that the next
 * packet of every connection meets them.
 */

/* ---- for people ---- */

json_t *controller_instant_to_json(const struct controller *controller, struct instant instant) {
  char text[INSTANT_TEXT_SIZE];
  if (instant.seconds == INSTANT_NEVER.seconds) {
    return json_null();
  }
  struct arena *arena = NULL;
  const struct timezone *zone = controller->in_force ? controller->in_force->policy->header.timezone : NULL;
  if (!zone && (arena = arena_new(0)) != NULL) {
    zone = timezone_load(arena, "Asia/Tokyo");
  }
  json_t *json = zone ? json_string(instant_format(zone, instant, text)) : json_null();
  arena_free(arena);
  return json;
}

static json_t *cut_to_json(const struct controller *controller, const struct cut *cut) {
  char address[ADDRESS_TEXT_SIZE];
  if (!cut) {
    return json_null();
  }
  return json_pack(
      "{s:I, s:s, s:s?, s:s?, s:s?, s:o, s:s, s:s}", "id", (json_int_t)cut->id, "kind", cut_kind_name(cut->kind),
      "address", cut->kind == CUT_HOST ? address_format(&cut->address, address) : NULL, "zone", cut->zone, "other_zone",
      cut->other_zone, "at", controller_instant_to_json(controller, cut->at), "by", cut->by, "why", cut->why);
}

json_t *controller_cuts_to_json(const struct controller *controller) {
  json_t *array = json_array();
  for (size_t i = 0; i < controller->restrictions.cut_count; i++) {
    json_array_append_new(array, cut_to_json(controller, &controller->restrictions.cuts[i]));
  }
  return array;
}

/* "host 10.0.0.7", "pair lgwan internet", "zone lgwan", "all" */
static const char *describe(const struct cut *cut, struct arena *arena) {
  char address[ADDRESS_TEXT_SIZE];
  const char *first = cut->kind == CUT_HOST ? address_format(&cut->address, address) : cut->zone;
  const char *text = arena_printf(arena, "%s%s%s%s%s", cut_kind_name(cut->kind), first ? " " : "", first ? first : "",
                                  cut->other_zone ? " " : "", cut->other_zone ? cut->other_zone : "");
  return text ? text : cut_kind_name(cut->kind);
}

/* ---- what stops ---- */

static json_t *casualty_to_json(const struct policy *policy, const struct casualty *casualty) {
  return json_pack("{s:s?, s:s, s:s, s:b, s:I, s:I}", "flow", casualty->flow ? casualty->flow->name : NULL, "from_zone",
                   policy_zone_name(policy, casualty->from), "to_zone", policy_zone_name(policy, casualty->to), "whole",
                   casualty->whole, "connections", (json_int_t)casualty->connections, "bytes",
                   (json_int_t)casualty->bytes);
}

static json_t *casualties_to_json(const struct policy *policy, const struct casualty_list *list, bool counted) {
  json_t *flows = json_array();
  for (size_t i = 0; i < list->count; i++) {
    json_array_append_new(flows, casualty_to_json(policy, &list->items[i]));
  }
  return json_pack("{s:o, s:o}", "connections", counted ? json_integer((json_int_t)list->connections) : json_null(),
                   "flows", flows);
}

/* null when there is no policy, or no memory for the answer: a cut does not fail for that. */
static json_t *find_casualties(const struct controller *controller, const struct restrictions *cuts,
                               const struct restrictions *beside, bool count, struct arena *arena) {
  const struct policy *policy = controller->in_force ? controller->in_force->policy : NULL;
  struct casualty_question question = {.policy = policy,
                                       .own = gate_own_addresses(controller->gate),
                                       .cuts = cuts,
                                       .beside = beside,
                                       .now = controller_now()};
  struct connection_list connections = {0};
  struct casualty_list list = {0};
  struct error error = {0};
  if (!policy) {
    return json_null();
  }
  count = count && conntrack_read(arena, &connections, &error) == 0;
  return casualties_find(&question, count ? &connections : NULL, arena, &list) == 0
             ? casualties_to_json(policy, &list, count)
             : json_null();
}

/* ---- whether it may be done ---- */

/* The same with other cuts and windows. */
static struct restrictions with_orders(const struct controller *controller, const struct orders *orders) {
  struct restrictions restrictions = controller->restrictions;
  restrictions.cuts = orders->restrictions.cuts;
  restrictions.cut_count = orders->restrictions.cut_count;
  restrictions.closed_windows = orders->restrictions.closed_windows;
  restrictions.closed_window_count = orders->restrictions.closed_window_count;
  return restrictions;
}

static enum lockout judge_lockout(const struct order *order, const struct orders *next) {
  const struct controller *controller = order->controller;
  const struct policy *policy = controller->in_force ? controller->in_force->policy : NULL;
  const struct restrictions after = with_orders(controller, next);
  const struct lockout_question question = {.before = {policy, &controller->restrictions},
                                            .after = {policy, &after},
                                            .way = operator_way_of(&order->request),
                                            .own = gate_own_addresses(controller->gate),
                                            .now = controller_now()};
  bool allowed = (order->request.flags & CONTROL_ALLOW_LOCKOUT) != 0;
  return allowed || !policy ? LOCKOUT_NONE : lockout_judge(&question);
}

static const char *unknown_zone(const struct order *order, const char *name, struct arena *arena) {
  const struct policy *policy = order->controller->in_force->policy;
  const char **names = ARENA_ARRAY(arena, policy->zone_count, const char *);
  for (size_t i = 0; names && i < policy->zone_count; i++) {
    names[i] = policy_zone_name(policy, (zone_index)i);
  }
  const char *nearest = names ? text_nearest(name, names, policy->zone_count) : NULL;
  enum language language = controller_order_language(order);
  return nearest
             ? arena_printf(arena,
                            language_choose(language, "領域「%s」はありません。%s の誤りではありませんか",
                                            "there is no zone '%s'; did you mean '%s'?"),
                            name, nearest)
             : arena_printf(arena, language_choose(language, "領域「%s」はありません", "there is no zone '%s'"), name);
}

/* In an emergency a mistyped name must not pass for a cut. Without a policy nobody can tell. */
static const char *check_zone(const struct order *order, const char *name, bool may_be_gateway, struct arena *arena) {
  const struct generation *generation = order->controller->in_force;
  if ((may_be_gateway && strcmp(name, "gateway") == 0) || !generation ||
      policy_find_zone(generation->policy, name) >= 0) {
    return NULL;
  }
  return unknown_zone(order, name, arena);
}

static const char *check_words(const struct order *order, const struct order_text *text, struct arena *arena) {
  static const size_t names[CUT_KIND_COUNT_] = {[CUT_PAIR] = 2, [CUT_ZONE] = 1};
  enum language language = controller_order_language(order);
  enum cut_kind kind = (enum cut_kind)order->request.kind;
  if (text->name_count != names[kind] || (order->request.address.family != 0) != (kind == CUT_HOST)) {
    return language_choose(language, "遮断の対象が正しくありません", "the order does not say what to cut");
  }
  if (kind == CUT_PAIR && strcmp(text->names[0], text->names[1]) == 0) {
    return language_choose(language, "異なる二つの領域を指定してください", "a pair is two different zones");
  }
  if (text->why[0] == '\0' && (order->request.flags & CONTROL_DRY_RUN) == 0) {
    return language_choose(language, "理由がありません", "the order gives no reason");
  }
  const char *wrong = NULL;
  for (size_t i = 0; !wrong && i < text->name_count; i++) {
    wrong = check_zone(order, text->names[i], kind == CUT_PAIR, arena);
  }
  return wrong;
}

/* ---- the cut ---- */

static struct address address_of(const struct control_address *numbers) {
  struct address address = {.family = numbers->family == AF_INET6 ? FAMILY_IPV6 : FAMILY_IPV4};
  memcpy(address.bytes, numbers->bytes, address_length(address.family));
  return address;
}

static struct cut cut_of(const struct order *order, const struct order_text *text, char by[static PERSON_TEXT_SIZE]) {
  enum cut_kind kind = (enum cut_kind)order->request.kind;
  struct cut cut = {.kind = kind,
                    .zone = text->name_count > 0 ? text->names[0] : NULL,
                    .other_zone = text->name_count > 1 ? text->names[1] : NULL,
                    .at = controller_now(),
                    .by = person_text(&order->by, by),
                    .why = text->why};
  if (kind == CUT_HOST) {
    cut.address = address_of(&order->request.address);
  }
  return cut;
}

static void announce_cut(struct order *order, const struct cut *cut, struct arena *arena) {
  struct announcement announcement = {
      .kind = "cut",
      .severity = EVENT_CRITICAL,
      .reason = cut->why,
      .zone = cut->zone,
      .other_zone = cut->other_zone,
      .by = &order->by,
      .advice_in_japanese = "原因を取り除いたら、権限のある者が kido cut --lift 番号 --why 理由 で解除する",
      .advice_in_english = "When the cause is gone, an authorised person lifts it with kido cut --lift ID --why TEXT"};
  controller_announce(order->controller, &announcement, "緊急遮断 %llu: %s (%s: %s)", "emergency cut %llu: %s (%s: %s)",
                      (unsigned long long)cut->id, describe(cut, arena), cut->by, cut->why);
}

/* The rules could not be brought: then nothing is forwarded at all, until they can. */
static const char *stop_forwarding(struct order *order, const struct error *reason, struct arena *arena) {
  struct controller *controller = order->controller;
  struct error error = {0};
  bool stopped = system_set_forwarding(false, &error) == 0;
  controller->forwarding_stopped = true;
  struct announcement failed = {.kind = "cut",
                                .severity = EVENT_CRITICAL,
                                .reason = "kernel",
                                .by = &order->by,
                                .advice_in_japanese = "直ちに該当するケーブルを抜き、保守業者に連絡する",
                                .advice_in_english = "Pull the cable of what must be cut at once, and call support"};
  enum language language = controller_order_language(order);
  const char *what = stopped ? language_choose(language, "遮断をカーネルに入れられません。すべての転送を止めました",
                                               "the cut cannot be loaded, all forwarding was stopped")
                             : language_choose(language, "遮断をカーネルに入れられず、転送も止められません",
                                               "the cut cannot be loaded, and forwarding cannot be stopped");
  const char *message = arena_printf(arena, "%s: %s", what, reason->message);
  controller_announce(controller, &failed, "%s", "%s", message ? message : reason->message);
  return message ? message : "the cut cannot be loaded";
}

static const char *not_kept(const struct order *order, const struct error *error, struct arena *arena) {
  return arena_printf(arena,
                      language_choose(controller_order_language(order),
                                      "遮断しましたが、再起動すると失われます (保存できません): %s",
                                      "it is cut, but would be lost in a restart: it cannot be kept: %s"),
                      error->message);
}

static void do_cut(struct order *order, struct orders *next, json_t *extra, struct arena *arena) {
  struct controller *controller = order->controller;
  struct error error = {0}, keeping = {0};
  controller_adopt_orders(controller, next);
  int loaded = controller_enforce_orders(controller, &error);
  int kept = controller_keep_orders(controller, &keeping);
  const char *message = loaded < 0 ? stop_forwarding(order, &error, arena)
                        : kept < 0 ? not_kept(order, &keeping, arena)
                                   : NULL;
  announce_cut(order, orders_find_cut(next, 0), arena);
  controller_answer_order(order, message ? 3 : 0, message, extra);
}

void controller_cut(struct order *order, const struct order_text *text, struct arena *arena) {
  struct controller *controller = order->controller;
  char by[PERSON_TEXT_SIZE];
  struct error error = {0};
  struct orders *next = NULL;
  const char *wrong = check_words(order, text, arena);
  if (wrong) {
    controller_answer_order(order, 1, wrong, NULL);
    return;
  }
  const struct cut cut = cut_of(order, text, by);
  if (orders_add_cut(controller->orders, &cut, &next, &error) < 0) {
    controller_answer_order(order, 3, error.message, NULL);
    return;
  }
  bool dry = (order->request.flags & CONTROL_DRY_RUN) != 0;
  enum lockout lockout = judge_lockout(order, next);
  struct restrictions alone = {.cuts = orders_find_cut(next, 0), .cut_count = 1};
  json_t *extra = json_pack("{s:o, s:o, s:s?}", "cut", cut_to_json(controller, alone.cuts), "stops",
                            find_casualties(controller, &alone, &controller->restrictions, dry, arena), "lockout",
                            lockout == LOCKOUT_NONE ? NULL : lockout_name(lockout));
  if (lockout != LOCKOUT_NONE) {
    controller_answer_order(order, 1, lockout_message(lockout, controller_order_language(order)), extra);
    orders_free(next);
  } else if (dry) {
    controller_answer_order(order, 0, NULL, extra);
    orders_free(next);
  } else {
    do_cut(order, next, extra, arena);
  }
}

/* ---- lifting ---- */

static void announce_lift(struct order *order, const struct cut *cut, const char *why, struct arena *arena) {
  char by[PERSON_TEXT_SIZE];
  struct announcement announcement = {.kind = "cut-lifted",
                                      .severity = EVENT_WARNING,
                                      .reason = why,
                                      .zone = cut->zone,
                                      .other_zone = cut->other_zone,
                                      .by = &order->by};
  controller_announce(order->controller, &announcement, "緊急遮断 %llu を解除しました: %s (%s: %s)",
                      "emergency cut %llu was lifted: %s (%s: %s)", (unsigned long long)cut->id, describe(cut, arena),
                      person_text(&order->by, by), why);
}

/* The cuts that an order lifts; ids that others took in the meantime are not among them. */
static struct restrictions lifted_by(const struct order *order, struct arena *arena) {
  const struct restrictions *old = &order->controller->orders->restrictions;
  struct cut *cuts = ARENA_ARRAY(arena, old->cut_count, struct cut);
  size_t count = 0;
  for (size_t i = 0; cuts && i < old->cut_count; i++) {
    if (order->request.number == 0 || old->cuts[i].id == order->request.number) {
      cuts[count++] = old->cuts[i];
    }
  }
  return (struct restrictions){.cuts = cuts, .cut_count = count};
}

static void do_lift(struct order *order, struct orders *next, const struct restrictions *lifted, const char *why,
                    json_t *extra, struct arena *arena) {
  struct controller *controller = order->controller;
  struct error error = {0};
  int result = orders_save(controller->options->state_directory, next, &error);
  if (result < 0) {
    controller_answer_order(order, 3, error.message, extra);
    orders_free(next);
    return;
  }
  for (size_t i = 0; i < lifted->cut_count; i++) {
    announce_lift(order, &lifted->cuts[i], why, arena);
  }
  controller_adopt_orders(controller, next); /* what is lifted is gone from here on */
  result = controller_enforce_orders(controller, &error);
  controller_answer_order(order, result < 0 ? 3 : 0, result < 0 ? error.message : NULL, extra);
}

/* To ask what would come back when nothing is cut is no mistake. */
static void refuse_lift(struct order *order, int result, const struct error *error) {
  bool asked = (order->request.flags & CONTROL_DRY_RUN) != 0 && order->request.number == 0;
  if (result != -ENOENT) {
    controller_answer_order(order, 3, error->message, NULL);
  } else if (asked) {
    controller_answer_order(order, 0, NULL, NULL);
  } else {
    controller_answer_order(
        order, 1,
        language_choose(controller_order_language(order), "その緊急遮断はありません", "there is no such cut in force"),
        NULL);
  }
}

/* What a doubtful clock holds back is lifted by its name. */
static void lift_clock(struct order *order, const char *why) {
  struct controller *controller = order->controller;
  enum language language = controller_order_language(order);
  struct error error = {0};
  if (!controller->restrictions.clock_doubtful) {
    controller_answer_order(order, 1, language_choose(language, "時計は疑われていません", "the clock is not in doubt"),
                            NULL);
  } else if ((order->request.flags & CONTROL_DRY_RUN) != 0) {
    controller_answer_order(order, 0, NULL, NULL);
  } else if (why[0] == '\0') {
    controller_answer_order(order, 1, language_choose(language, "理由がありません", "the order gives no reason"), NULL);
  } else {
    int result = controller_accept_clock(controller, &order->by, why, &error);
    controller_answer_order(order, result < 0 ? 3 : 0, result < 0 ? error.message : NULL, NULL);
  }
}

void controller_lift(struct order *order, const struct order_text *text, struct arena *arena) {
  if (text->name_count == 1 && strcmp(text->names[0], "clock") == 0) {
    lift_clock(order, text->why);
    return;
  }
  struct controller *controller = order->controller;
  bool dry = (order->request.flags & CONTROL_DRY_RUN) != 0;
  struct error error = {0};
  struct orders *next = NULL;
  uint64_t id = order->request.number;
  enum language language = controller_order_language(order);
  int result = id == 0 ? orders_remove_cuts(controller->orders, &next, &error)
                       : orders_remove_cut(controller->orders, id, &next, &error);
  if (result < 0) {
    refuse_lift(order, result, &error);
    return;
  }
  if (text->name_count > 0 || (text->why[0] == '\0' && !dry)) {
    controller_answer_order(order, 1, language_choose(language, "理由がありません", "the order gives no reason"), NULL);
    orders_free(next);
    return;
  }
  struct restrictions lifted = lifted_by(order, arena), after = with_orders(controller, next);
  json_t *extra = json_pack("{s:o}", "returns", find_casualties(controller, &lifted, &after, false, arena));
  if (dry) {
    controller_answer_order(order, 0, NULL, extra);
    orders_free(next);
  } else {
    do_lift(order, next, &lifted, text->why, extra, arena);
  }
}

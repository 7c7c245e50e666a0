/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "control/child.h"
#include "control/controller_parts.h"
#include "kernel/system.h"

/*
 * Theory of operation. An order is numbers and a text. The text is read by a child without rights, as a policy is; when
 * the child has ended, the order is carried out in one go. What closes goes to the kernel first and to the disk then,
 * what opens the other way round: whoever is killed in between leaves less open, never more. An order does not wait for
 * a load that is under way, and whatever that load ends in, the restrictions stand.
 */

enum { ORDERS_READING_LIMIT = CONTROL_CLIENT_LIMIT };

/* ---- what is kept ---- */

void controller_adopt_orders(struct controller *controller, struct orders *orders) {
  struct restrictions *restrictions = &controller->restrictions;
  orders_free(controller->orders);
  controller->orders = orders;
  restrictions->cuts = orders->restrictions.cuts;
  restrictions->cut_count = orders->restrictions.cut_count;
  restrictions->closed_windows = orders->restrictions.closed_windows;
  restrictions->closed_window_count = orders->restrictions.closed_window_count;
}

static void announce_damage(struct controller *controller, const struct error *error) {
  struct announcement cut = {
      .kind = "cut",
      .severity = EVENT_CRITICAL,
      .reason = "damaged",
      .advice_in_japanese =
          "1. 何を遮断していたかを kido events --kind cut で確かめる。2. 必要な遮断を kido cut でかけ直す。"
          "3. kido cut --lift で全体の遮断を解除する",
      .advice_in_english = "1. Find out with kido events --kind cut what was cut. 2. Cut that again with kido cut. 3. "
                           "Lift the cut of everything with kido cut --lift"};
  controller_announce(controller, &cut, "遮断の記録が壊れています。全体を遮断しました: %s",
                      "the record of cuts is damaged, everything is cut: %s", error->message);
}

int controller_load_orders(struct controller *controller, struct error *error) {
  const char *directory = controller->options->state_directory;
  struct orders *orders = NULL;
  struct error reason = {0}, ignored = {0};
  int result = orders_load(directory, controller_now(), &orders, &reason);
  if (result < 0 && !orders) {
    return error_set(error, -result, "%s", reason.message);
  }
  controller_adopt_orders(controller, orders);
  if (result < 0) {
    controller_keep_orders(controller, &ignored);
    announce_damage(controller, &reason);
  }
  return 0;
}

int controller_keep_orders(struct controller *controller, struct error *error) {
  int result = orders_save(controller->options->state_directory, controller->orders, error);
  controller->orders_unkept = result < 0;
  return result;
}

void controller_keep_orders_late(struct controller *controller) {
  struct error ignored = {0};
  if (controller->orders_unkept) {
    controller_keep_orders(controller, &ignored);
  }
}

int controller_enforce_orders(struct controller *controller, struct error *error) {
  struct error ignored = {0};
  controller->publications++;
  if (controller->in_force) {
    controller_publish(controller, PUBLICATION_PENDING, controller->in_force, &ignored);
  }
  int result = controller_bring(controller, error);
  if (controller->in_force) {
    generation_update_forces(controller->in_force, &controller->restrictions, controller_now(), NULL, NULL);
    controller_publish(controller, PUBLICATION_IN_FORCE, controller->in_force, &ignored);
  }
  controller_schedule_change(controller);
  return result;
}

void controller_forget_past_orders(struct controller *controller) {
  struct orders *orders = NULL;
  struct error ignored = {0};
  bool changed = false;
  if (!controller->orders ||
      orders_forget_past(controller->orders, controller_now(), &changed, &orders, &ignored) < 0) {
    return;
  }
  if (changed) {
    controller_adopt_orders(controller, orders);
    controller_keep_orders(controller, &ignored);
  } else {
    orders_free(orders);
  }
}

/* ---- answers ---- */

enum language controller_order_language(const struct order *order) {
  return order->request.language == 0 ? controller_language(order->controller)
                                      : (enum language)(order->request.language - 1);
}

void controller_add_restrictions(const struct controller *controller, json_t *answer) {
  json_object_set_new(answer, "cuts", controller_cuts_to_json(controller));
  json_object_set_new(answer, "closed_windows", controller_closed_windows_to_json(controller));
  json_object_set_new(answer, "clock", controller_clock_to_json(controller));
}

static bool is_about_a_window(const struct order *order) {
  return order->request.verb == CONTROL_WINDOW_CLOSE || order->request.verb == CONTROL_WINDOW_REOPEN;
}

/* Every key is there, in one order, whatever became of the order. */
static json_t *blank_answer(const struct order *order, int code, const char *message) {
  bool dry = (order->request.flags & CONTROL_DRY_RUN) != 0;
  if (order->request.verb == CONTROL_ACKNOWLEDGE) {
    return json_pack("{s:s, s:b, s:s?, s:n, s:n, s:n}", "schema", "kido.ack/1", "ok", code == 0, "message", message,
                     "id", "by", "why");
  }
  if (is_about_a_window(order)) {
    return json_pack("{s:s, s:b, s:s?, s:n, s:n, s:n}", "schema", "kido.window/1", "ok", code == 0, "message", message,
                     "flow", "state", "until");
  }
  return json_pack("{s:s, s:b, s:b, s:s?, s:n, s:n, s:n, s:n}", "schema", "kido.cut/1", "ok", code == 0, "dry_run", dry,
                   "message", message, "cut", "stops", "returns", "lockout");
}

void controller_answer_order(struct order *order, int code, const char *message, json_t *extra) {
  struct controller *controller = order->controller;
  bool japanese = controller_order_language(order) == LANGUAGE_JAPANESE;
  json_t *body = blank_answer(order, code, message);
  if (extra) {
    json_object_update(body, extra);
    json_decref(extra);
  }
  if (order->request.verb != CONTROL_ACKNOWLEDGE) {
    controller_add_restrictions(controller, body);
  }
  json_object_set_new(body, "language", json_string(japanese ? "ja" : "en"));
  server_reply(controller->server, order->client, CONTROL_STEP_NONE, code, body);
}

/* ---- reading ---- */

static void drop_order(struct order *order) {
  struct order **link = &order->controller->reading;
  while (*link && *link != order) {
    link = &(*link)->next;
  }
  if (*link) {
    *link = order->next;
  }
  sd_event_source_disable_unref(order->child);
  policy_reader_close(&order->reader);
  free(order);
}

void controller_drop_orders(struct controller *controller) {
  while (controller->reading) {
    drop_order(controller->reading);
  }
  controller->orders = orders_free(controller->orders);
}

/* "zone other\nwhy" as the child wrote it; writes into it. */
static bool split_text(char *text, struct order_text *ret_text) {
  char *why = strchr(text, '\n');
  if (!why) {
    return false;
  }
  *why++ = '\0';
  *ret_text = (struct order_text){.why = why};
  char *rest = NULL;
  for (char *name = strtok_r(text, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
    if (ret_text->name_count == sizeof ret_text->names / sizeof ret_text->names[0]) {
      return false;
    }
    ret_text->names[ret_text->name_count++] = name;
  }
  return true;
}

static void carry_out(struct order *order, const struct reader_result *read, struct arena *arena) {
  static order_handler *const handlers[CONTROL_VERB_END_] = {[CONTROL_CUT] = controller_cut,
                                                             [CONTROL_LIFT] = controller_lift,
                                                             [CONTROL_WINDOW_CLOSE] = controller_close_window,
                                                             [CONTROL_WINDOW_REOPEN] = controller_reopen_window,
                                                             [CONTROL_ACKNOWLEDGE] = controller_acknowledge};
  struct order_text text;
  if (read->verdict != READER_GOOD) {
    controller_answer_order(order, 3, read->message, NULL);
  } else if (!split_text(read->text, &text)) {
    controller_answer_order(order, 3, "the order names too much", NULL);
  } else {
    handlers[order->request.verb](order, &text, arena);
  }
}

static int on_read(sd_event_source *source, const siginfo_t *info, void *context) {
  (void)source;
  struct order *order = context;
  struct arena *arena = arena_new(0);
  struct reader_result read = {.verdict = READER_FAILED, .message = "no memory"};
  if (arena) {
    int status = child_status(info);
    policy_reader_finish(&order->reader, status, arena, &read);
  }
  if (arena) {
    carry_out(order, &read, arena);
  } else {
    controller_answer_order(order, 3, read.message, NULL);
  }
  json_decref(read.diagnostics);
  arena_free(arena);
  drop_order(order);
  return 0;
}

static size_t count_reading(const struct controller *controller) {
  size_t count = 0;
  for (const struct order *order = controller->reading; order; order = order->next) {
    count++;
  }
  return count;
}

static int start_reading(struct order *order, int text_fd, struct error *error) {
  struct controller *controller = order->controller;
  struct reader_request request = {.matter = READER_ORDER,
                                   .policy_fd = text_fd,
                                   .path = "order",
                                   .language = controller_order_language(order),
                                   .now = controller_now()};
  int result = policy_reader_start(&request, &order->reader, error);
  if (result == 0) {
    result = sd_event_add_child(controller->loop, &order->child, order->reader.pid, WEXITED, on_read, order);
  }
  return result < 0 ? error_set(error, -result, "the order cannot be read: %s", strerror(-result)) : 0;
}

/* A machine that cannot start a reader any more is one to be cut off: what needs no name is done without a reason. */
static void do_without_text(struct order *order, const struct error *error) {
  const struct control_request *request = &order->request;
  bool nameless = request->verb == CONTROL_CUT && (request->kind == CUT_HOST || request->kind == CUT_ALL);
  struct arena *arena = nameless ? arena_new(0) : NULL;
  const struct order_text text = {.why = "(the reason could not be read)"};
  if (arena) {
    controller_cut(order, &text, arena);
  } else {
    controller_answer_order(order, 3, error->message, NULL);
  }
  arena_free(arena);
}

void controller_take_order(struct controller *controller, uint64_t client, const struct control_request *request,
                           int text_fd) {
  struct error error = {0};
  struct order *order = calloc(1, sizeof *order);
  if (!order) {
    server_reply(controller->server, client, CONTROL_STEP_NONE, 3, NULL); /* we hang up */
    return;
  }
  *order = (struct order){.controller = controller,
                          .next = controller->reading,
                          .client = client,
                          .request = *request,
                          .by = server_person(controller->server, client),
                          .reader = {-1, -1, -1}};
  int result = count_reading(controller) >= ORDERS_READING_LIMIT ? error_set(&error, EBUSY, "too many orders at once")
                                                                 : start_reading(order, text_fd, &error);
  controller->reading = order;
  if (result < 0) {
    do_without_text(order, &error);
    drop_order(order);
  }
}

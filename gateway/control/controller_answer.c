/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/controller_parts.h"
#include "kernel/conntrack.h"
#include "rules/compile.h"

enum { EXPIRY_LIMIT = 100, EXPIRY_DAYS = 60 };

const char *force_state_name(enum force_state state) {
  static const char *const names[] = {
      [FORCE_YES] = "in-force", [FORCE_EXPIRED] = "expired", [FORCE_OUTSIDE_WINDOW] = "outside-window"};
  return names[state];
}

static json_t *instant_to_json(const struct policy *policy, struct instant instant) {
  char text[INSTANT_TEXT_SIZE];
  if (instant.seconds == INSTANT_NEVER.seconds) {
    return json_null();
  }
  return json_string(instant_format(policy->header.timezone, instant, text));
}

/* ---- status ---- */

static json_t *text_or_null(const char *text) {
  return text[0] == '\0' ? json_null() : json_string(text);
}

/* What a trial returns to. */
static json_t *returns_to(const struct controller *controller) {
  const struct generation *confirmed = controller_trial_confirmed(controller);
  if (!controller->trial || !confirmed) {
    return json_null();
  }
  return json_pack("{s:s?, s:s, s:I}", "number", confirmed->policy->header.number.text, "sha256",
                   confirmed->policy->sha256, "history", (json_int_t)confirmed->record.generation);
}

json_t *controller_policy_to_json(const struct controller *controller) {
  const struct generation *generation = controller->in_force;
  if (!generation) {
    return json_pack("{s:n, s:n, s:s, s:n, s:n, s:n, s:n, s:n, s:n}", "number", "sha256", "state", "none", "applied_at",
                     "name", "history", "by", "deadline", "returns_to");
  }
  const struct policy *policy = generation->policy;
  const struct confirmed_policy *record = &generation->record;
  bool trial = controller->trial != NULL, pending = trial || controller->load.proving;
  return json_pack("{s:s?, s:s, s:s, s:o, s:s?, s:o, s:o, s:o, s:o}", "number", policy->header.number.text, "sha256",
                   policy->sha256, "state", pending ? "pending" : "confirmed", "applied_at",
                   instant_to_json(policy, record->applied_at), "name", policy->header.name.text, "history",
                   record->generation > 0 ? json_integer((json_int_t)record->generation) : json_null(), "by",
                   text_or_null(record->by), "deadline",
                   trial ? instant_to_json(policy, controller_trial_deadline(controller)) : json_null(), "returns_to",
                   returns_to(controller));
}

/* The next change of each flow within EXPIRY_DAYS, nearest first. */
struct coming {
  const struct flow *flow;
  enum force_state state;
  struct instant at;
};

static int compare_coming(const void *left, const void *right) {
  const struct coming *a = left, *b = right;
  if (a->at.seconds != b->at.seconds) {
    return a->at.seconds < b->at.seconds ? -1 : 1;
  }
  return a->flow->index < b->flow->index ? -1 : 1;
}

static size_t find_coming(const struct policy *policy, const struct restrictions *restrictions, struct instant now,
                          struct coming *coming) {
  size_t count = 0;
  for (size_t i = 0; i < policy->flow_count; i++) {
    struct instant at = INSTANT_NEVER;
    enum force_state state = restricted_flow_force(policy, restrictions, &policy->flows[i], now, &at);
    if (state != FORCE_EXPIRED && at.seconds > now.seconds && at.seconds - now.seconds < (int64_t)EXPIRY_DAYS * 86400) {
      coming[count++] = (struct coming){&policy->flows[i], state, at};
    }
  }
  qsort(coming, count, sizeof *coming, compare_coming);
  return count;
}

static json_t *status_expiries(const struct controller *controller, struct arena *arena) {
  json_t *array = json_array();
  if (!controller->in_force) {
    return array;
  }
  const struct policy *policy = controller->in_force->policy;
  struct coming *coming = ARENA_ARRAY(arena, policy->flow_count, struct coming);
  size_t count = coming ? find_coming(policy, &controller->restrictions, controller_now(), coming) : 0;
  for (size_t i = 0; i < count && i < EXPIRY_LIMIT; i++) {
    json_array_append_new(array, json_pack("{s:s, s:o, s:s}", "flow", coming[i].flow->name, "at",
                                           instant_to_json(policy, coming[i].at), "kind",
                                           coming[i].state == FORCE_YES ? "ends" : "opens"));
  }
  return array;
}

static json_t *status_flows(const struct controller *controller) {
  const struct policy *policy = controller->in_force ? controller->in_force->policy : NULL;
  size_t counts[FORCE_OUTSIDE_WINDOW + 1] = {0};
  for (size_t i = 0; policy && i < policy->flow_count; i++) {
    counts[restricted_flow_force(policy, &controller->restrictions, &policy->flows[i], controller_now(), NULL)]++;
  }
  return json_pack("{s:I, s:I, s:I}", "in_force", (json_int_t)counts[FORCE_YES], "closed",
                   (json_int_t)counts[FORCE_OUTSIDE_WINDOW], "expired", (json_int_t)counts[FORCE_EXPIRED]);
}

static json_t *status_kidod(const struct controller *controller) {
  bool failing = controller->kernel_failures > 1;
  return json_pack("{s:s, s:s, s:I, s:b, s:b, s:s?, s:I, s:I, s:s?}", "state",
                   failing                                                                      ? "failing"
                   : controller->in_force && !controller->held_closed && !controller->reopening ? "open"
                                                                                                : "closed",
                   "version", KIDO_VERSION, "pid", (json_int_t)getpid(), "repair", controller->options->repair,
                   "loading", controller->load.origin != LOAD_NONE, "drift", controller->drift.what, "drift_count",
                   (json_int_t)controller->drift.count, "event_failures",
                   (json_int_t)event_log_failures(controller->log), "held_closed",
                   controller->held_closed || controller->reopening ? controller->held_reason : NULL);
}

json_t *controller_status(const struct controller *controller, enum language language) {
  struct arena *arena = arena_new(0);
  const char *name = language == LANGUAGE_JAPANESE ? "ja" : "en";
  json_t *status = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "schema", "kido.status/1", "policy",
                             controller_policy_to_json(controller), "proof", controller_proof_to_json(controller),
                             "expiries", arena ? status_expiries(controller, arena) : json_array(), "flows",
                             status_flows(controller), "kidod", status_kidod(controller), "language", name);
  controller_add_restrictions(controller, status);
  json_object_set_new(status, "other_tables", controller_other_tables_to_json(controller));
  arena_free(arena);
  return status;
}

/* ---- flows ---- */

static int compare_mark(const void *mark, const void *element) {
  return memcmp(mark, ((const struct element *)element)->key, sizeof(uint32_t));
}

/* Elements are sorted by the bytes of their keys. */
static const struct element *find_mark(const struct set *set, uint32_t mark) {
  if (!set || set->element_count == 0) {
    return NULL;
  }
  return bsearch(&mark, set->elements, set->element_count, sizeof *set->elements, compare_mark);
}

const struct element *controller_find_flow(const struct policy *policy, const struct flow *flow, uint32_t mark,
                                           const struct ruleset *held, struct arena *arena) {
  const char *set_name = in_force_set_name(policy, flow->from_zone, flow->to_zone, arena);
  return set_name ? find_mark(ruleset_find_set(held, set_name), mark) : NULL;
}

struct counting {
  const struct controller *controller;
  const struct policy *policy;
  const struct ruleset *held;
  const uint32_t *marks;
  const struct connection_counts *connections;
  struct arena *arena;
};

static json_t *flow_to_json(const struct counting *counting, const struct flow *flow) {
  const struct policy *policy = counting->policy;
  uint32_t mark = counting->marks[flow->index];
  const struct element *element = controller_find_flow(policy, flow, mark, counting->held, counting->arena);
  enum force_state state =
      restricted_flow_force(policy, &counting->controller->restrictions, flow, controller_now(), NULL);
  return json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:o, s:s, s:s?}", "flow", flow->name, "from_zone",
                   policy_zone_name(policy, flow->from_zone), "to_zone", policy_zone_name(policy, flow->to_zone),
                   "in_force", state == FORCE_YES, "packets", (json_int_t)(element ? element->packets : 0), "bytes",
                   (json_int_t)(element ? element->bytes : 0), "connections",
                   (json_int_t)connection_counts_of(counting->connections, mark), "last_seen",
                   instant_to_json(policy, controller_last_seen(counting->controller, mark)), "state",
                   force_state_name(state), "purpose", flow->purpose.text);
}

static json_t *flows_to_json(const struct counting *counting) {
  json_t *array = json_array();
  for (size_t i = 0; i < counting->policy->flow_count; i++) {
    json_array_append_new(array, flow_to_json(counting, &counting->policy->flows[i]));
  }
  return array;
}

/* A counter names no zone by "-", or not at all. */
static const char *counted_zone(const char *name) {
  return name[0] == '\0' || strcmp(name, "-") == 0 ? NULL : name;
}

static json_t *denied_to_json(const struct ruleset *held, struct arena *arena) {
  json_t *array = json_array();
  for (size_t i = 0; held && i < held->counter_count; i++) {
    const struct counter *counter = &held->counters[i];
    const char *from, *to, *reason;
    if (denied_counter_parse(counter->name, arena, &from, &to, &reason)) {
      json_array_append_new(array, json_pack("{s:s?, s:s?, s:s, s:I, s:I}", "from_zone", counted_zone(from), "to_zone",
                                             counted_zone(to), "reason", reason, "packets",
                                             (json_int_t)counter->packets, "bytes", (json_int_t)counter->bytes));
    }
  }
  return array;
}

static int collect(struct controller *controller, struct counting *counting, struct error *error) {
  struct ruleset *held = NULL;
  int result = gate_read(controller->gate, controller_now(), counting->arena, &held, error);
  counting->held = held;
  if (result < 0 || !counting->policy) {
    return result;
  }
  uint32_t *marks;
  if (flow_marks(counting->policy, counting->arena, &marks) < 0) {
    return error_set(error, ENOMEM, "no memory");
  }
  counting->marks = marks;
  controller_note_seen(controller, counting->policy, marks, held, counting->arena);
  return connection_counts_read(counting->arena, &counting->connections, error);
}

json_t *controller_flows(struct controller *controller, enum language language, struct error *error) {
  struct counting counting = {.controller = controller,
                              .policy = controller->in_force ? controller->in_force->policy : NULL,
                              .arena = arena_new(0)};
  json_t *answer = NULL;
  int result = counting.arena ? collect(controller, &counting, error) : error_set(error, ENOMEM, "no memory");
  if (result == 0) {
    answer = json_pack("{s:s, s:o, s:o, s:s}", "schema", "kido.flows/1", "flows",
                       counting.policy ? flows_to_json(&counting) : json_array(), "denied",
                       denied_to_json(counting.held, counting.arena), "language",
                       language == LANGUAGE_JAPANESE ? "ja" : "en");
  }
  arena_free(counting.arena);
  return answer;
}

/* ---- requests ---- */

enum language controller_request_language(const struct controller *controller, const struct control_request *request) {
  return request->language == 0 ? controller_language(controller) : (enum language)(request->language - 1);
}

json_t *controller_failure(const char *schema, const char *message) {
  return json_pack("{s:s, s:b, s:s}", "schema", schema, "ok", false, "message", message);
}

static void handle_status(struct controller *controller, uint64_t client, const struct control_request *request,
                          int policy_fd) {
  (void)policy_fd;
  json_t *answer = controller_status(controller, controller_request_language(controller, request));
  server_reply(controller->server, client, CONTROL_STEP_NONE, 0, answer);
}

static void handle_flows(struct controller *controller, uint64_t client, const struct control_request *request,
                         int policy_fd) {
  (void)policy_fd;
  struct error error = {0};
  json_t *answer = controller_flows(controller, controller_request_language(controller, request), &error);
  server_reply(controller->server, client, CONTROL_STEP_NONE, answer ? 0 : 3,
               answer ? answer : controller_failure("kido.flows/1", error.message));
}

static void handle_apply(struct controller *controller, uint64_t client, const struct control_request *request,
                         int policy_fd) {
  struct load load = {.origin = LOAD_CLIENT,
                      .client = client,
                      .by = server_person(controller->server, client),
                      .way = operator_way_of(request),
                      .allow_lockout = (request->flags & CONTROL_ALLOW_LOCKOUT) != 0,
                      .allow_unproven = (request->flags & CONTROL_ALLOW_UNPROVEN) != 0,
                      .seconds = request->seconds,
                      .language = controller_request_language(controller, request)};
  struct reader_request reading = {.policy_fd = policy_fd,
                                   .path = "policy",
                                   .language = load.language,
                                   .language_forced = request->language != 0,
                                   .now = controller_now()};
  struct error error = {0};
  int result = controller_load(controller, &load, &reading, &error);
  if (result < 0) {
    controller_refuse_load(controller, &load, result == -EBUSY ? 1 : 3, &error);
  }
}

void controller_handle(uint64_t client, const struct control_request *request, int policy_fd, void *context) {
  static control_handler *const handlers[CONTROL_VERB_END_] = {[CONTROL_STATUS] = handle_status,
                                                               [CONTROL_FLOWS] = handle_flows,
                                                               [CONTROL_APPLY] = handle_apply,
                                                               [CONTROL_CONFIRM] = controller_handle_confirm,
                                                               [CONTROL_ROLLBACK] = controller_handle_rollback,
                                                               [CONTROL_HISTORY] = controller_handle_history,
                                                               [CONTROL_PLAN] = controller_handle_plan,
                                                               [CONTROL_CUT] = controller_take_order,
                                                               [CONTROL_LIFT] = controller_take_order,
                                                               [CONTROL_WINDOW_CLOSE] = controller_take_order,
                                                               [CONTROL_WINDOW_REOPEN] = controller_take_order,
                                                               [CONTROL_ACKNOWLEDGE] = controller_take_order};
  struct controller *controller = context;
  if (handlers[request->verb]) {
    handlers[request->verb](controller, client, request, policy_fd);
  } else {
    struct error error = {0};
    error_set(&error, ENOSYS, "this kidod does not know the request %u", request->verb);
    server_reply(controller->server, client, CONTROL_STEP_NONE, 3, controller_failure("kido.error/1", error.message));
  }
  if (policy_fd >= 0) {
    close(policy_fd);
  }
}

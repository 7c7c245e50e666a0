/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "control/child.h"
#include "control/controller_parts.h"
#include "control/proof_text.h"

/*
 * Theory of operation. A child proves what the kernel holds (proof_worker.c): after each load, which waits for it, and
 * again whenever something moved: the ruleset by anybody's hand, interfaces and addresses, what holds the policy back,
 * and at an interval, for there are things that nobody tells.
 *
 * Time goes on while it works. What it found is about the generation that it names: when the kernel has another by
 * then, it is made again, three times at most, for somebody who changes the ruleset all the time must not keep it from
 * ever being told. And a difference counts only when a second look finds one too: kidod may have been about to bring
 * the kernel to an instant at which a flow ends or opens.
 *
 * Each result is told once, when it differs from the last one.
 */
enum { AGAIN_LIMIT = 3, SETTLE_MILLISECONDS = 100, PRIORITY = SD_EVENT_PRIORITY_NORMAL + 20 };

static const uint64_t milliseconds = 1000, seconds = 1000000; /* in microseconds */

static void start(struct controller *controller);

/* ---- what is told ---- */

static enum proof_state state_of(const json_t *answer) {
  const char *result = json_string_value(json_object_get(answer, "result"));
  return !result                          ? PROOF_STATE_NONE
         : strcmp(result, "proven") == 0  ? PROOF_STATE_PROVEN
         : strcmp(result, "refuted") == 0 ? PROOF_STATE_REFUTED
                                          : PROOF_STATE_UNDECIDED;
}

static const char *text_at(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

/* The packet, the way round or the rule that it is about: the first of each. */
static const char *subject_of(const json_t *answer, enum language language, struct arena *arena) {
  const json_t *example = json_object_get(answer, "counterexample");
  const json_t *bypass = json_array_get(json_object_get(answer, "bypasses"), 0);
  const json_t *gap = json_array_get(json_object_get(answer, "unmodelled"), 0);
  if (json_is_object(example)) {
    const char *rule = proof_rule_text(json_object_get(example, "rule"), language, arena);
    const char *text =
        arena_printf(arena, "%s%s%s", proof_packet_text(example, language, arena), rule[0] != '\0' ? "; " : "", rule);
    return text ? text : "";
  }
  const char *text = bypass ? arena_printf(arena, "%s: %s", text_at(bypass, "kind"), text_at(bypass, "detail"))
                     : gap  ? arena_printf(arena, "%s (%s)", proof_rule_text(gap, language, arena), text_at(gap, "why"))
                            : text_at(answer, "message");
  return text ? text : "";
}

static void announce(struct controller *controller, enum proof_state state, const json_t *answer, struct arena *arena) {
  static const struct {
    const char *kind;
    enum event_severity severity;
  } kinds[] = {[PROOF_STATE_NONE] = {"proof-undecided", EVENT_WARNING},
               [PROOF_STATE_PROVEN] = {"proof-proven", EVENT_NOTICE},
               [PROOF_STATE_REFUTED] = {"proof-refuted", EVENT_CRITICAL},
               [PROOF_STATE_UNDECIDED] = {"proof-undecided", EVENT_WARNING}};
  const json_t *example = json_object_get(answer, "counterexample");
  const char *from = json_string_value(json_object_get(example, "from_zone"));
  const char *to = json_string_value(json_object_get(example, "to_zone"));
  const char *subject = state == PROOF_STATE_PROVEN ? "" : subject_of(answer, controller_language(controller), arena);
  struct announcement announcement = {.kind = kinds[state].kind,
                                      .severity = kinds[state].severity,
                                      .flow = json_string_value(json_object_get(example, "flow")),
                                      .reason = json_string_value(json_object_get(example, "claim")),
                                      .zone = from,
                                      .other_zone = to,
                                      .advice_in_japanese = proof_advice(answer, LANGUAGE_JAPANESE, arena),
                                      .advice_in_english = proof_advice(answer, LANGUAGE_ENGLISH, arena)};
  if (announcement.advice_in_english[0] == '\0') {
    announcement.advice_in_japanese = announcement.advice_in_english = NULL;
  }
  controller_announce(controller, &announcement, "%s%s%s", "%s%s%s",
                      proof_headline(answer, controller_language(controller)), subject[0] != '\0' ? " — " : "",
                      subject);
}

/* That it was proven is worth a word only after something else was told. */
static void tell(struct controller *controller, const json_t *answer) {
  struct proving *proving = &controller->proving;
  enum proof_state before = proving->told, state = state_of(answer);
  struct arena *arena = arena_new(0);
  proving->told = state;
  if (arena && state != before && !(state == PROOF_STATE_PROVEN && before == PROOF_STATE_NONE)) {
    announce(controller, state, answer, arena);
  }
  arena_free(arena);
}

static bool holds(const json_t *array, const char *text) {
  size_t index;
  const json_t *item;
  json_array_foreach((json_t *)(uintptr_t)array, index, item) {
    if (strcmp(json_string_value(item), text) == 0) {
      return true;
    }
  }
  return false;
}

/* The kinds of ways round that could not be looked at with the rights that kidod has; not those at which nobody can. */
static json_t *kinds_not_seen(const json_t *answer) {
  json_t *kinds = json_array();
  const json_t *assumption;
  size_t index;
  json_array_foreach((json_t *)(uintptr_t)json_object_get(answer, "assumptions"), index, assumption) {
    const char *kind = text_at(assumption, "kind");
    if (strcmp(kind, "tun") != 0 && strcmp(kind, "boot") != 0 && !holds(kinds, kind)) {
      json_array_append_new(kinds, json_string(kind));
    }
  }
  return kinds;
}

json_t *controller_proof_to_json(const struct controller *controller) {
  const struct generation *generation = controller->in_force;
  const json_t *last = controller->proving.last;
  bool current = generation && last && strcmp(text_at(last, "policy_sha256"), generation->policy->sha256) == 0;
  enum language language = controller_language(controller);
  if (!current) {
    return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n, s:b, s:[]}", "result", "at", "generation", "policy_sha256", "gate",
                     "message", "running", controller->proving.running, "assumed");
  }
  struct arena *arena = arena_new(0);
  const char *subject =
      arena && controller->proving.told != PROOF_STATE_PROVEN ? subject_of(last, language, arena) : "";
  json_t *object = json_pack("{s:s, s:O?, s:O?, s:s, s:O?, s:s?, s:b, s:o}", "result", text_at(last, "result"), "at",
                             json_object_get(last, "at"), "generation", json_object_get(last, "kernel_generation"),
                             "policy_sha256", text_at(last, "policy_sha256"), "gate", json_object_get(last, "gate"),
                             "message", subject[0] != '\0' ? subject : NULL, "running", controller->proving.running,
                             "assumed", kinds_not_seen(last));
  arena_free(arena);
  return object;
}

/* ---- one proof ---- */

static struct proof_job make_job(const struct controller *controller) {
  return (struct proof_job){.policy = controller->in_force->policy,
                            .restrictions = &controller->restrictions,
                            .gate_closed = controller->held_closed,
                            .language = controller_language(controller),
                            .waited_for = controller->load.proving};
}

static void forget_worker(struct proving *proving) {
  proving->child = sd_event_source_disable_unref(proving->child);
  proving->patience = sd_event_source_disable_unref(proving->patience);
  proving->running = false;
}

static void accept(struct controller *controller, json_t *answer) {
  struct proving *proving = &controller->proving;
  json_decref(proving->last);
  proving->last = answer;
  proving->again = 0;
  proving->seen_twice = false;
  if (controller->load.origin != LOAD_REOPEN || state_of(answer) == PROOF_STATE_PROVEN) {
    tell(controller, answer); /* what it was held closed for was told then */
  }
  if (controller->load.proving) {
    controller_load_proven(controller, answer);
  }
  if (proving->wanted) {
    proving->wanted = false;
    controller_prove_soon(controller);
  }
}

/* Nobody knows the kernel's generation any more when it cannot be asked: then the answer stands. */
static bool kernel_moved(struct controller *controller, const json_t *answer) {
  struct error ignored = {0};
  uint32_t generation = 0;
  const json_t *then = json_object_get(answer, "kernel_generation");
  return json_is_integer(then) && gate_generation(controller->gate, &generation, &ignored) == 0 &&
         json_integer_value(then) != generation;
}

static bool is_worth_another(struct controller *controller, const json_t *answer) {
  struct proving *proving = &controller->proving;
  bool other = strcmp(text_at(answer, "policy_sha256"), controller->in_force->policy->sha256) != 0;
  if ((other || kernel_moved(controller, answer)) && proving->again < AGAIN_LIMIT) {
    proving->again++;
    return true;
  }
  if (state_of(answer) == PROOF_STATE_REFUTED && !proving->seen_twice) {
    proving->seen_twice = true;
    return true;
  }
  return false;
}

/* The gate was closed meanwhile, and there is nothing left to prove. */
static void end_without_policy(struct controller *controller) {
  proof_worker_end(&controller->proving.worker);
  if (controller->load.proving) {
    controller_load_proven(controller, NULL);
  }
}

static int on_end(sd_event_source *source, const siginfo_t *info, void *context) {
  (void)source;
  struct controller *controller = context;
  forget_worker(&controller->proving);
  if (!controller->in_force) {
    end_without_policy(controller);
    return 0;
  }
  struct proof_job job = make_job(controller);
  json_t *answer = proof_worker_finish(&controller->proving.worker, child_status(info), &job);
  if (is_worth_another(controller, answer)) {
    json_decref(answer);
    start(controller);
  } else {
    accept(controller, answer);
  }
  return 0;
}

/* The child ends itself before; this is for one that cannot. */
static int on_impatience(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  kill(controller->proving.worker.pid, SIGKILL);
  return 0;
}

static int watch_worker(struct controller *controller) {
  struct proving *proving = &controller->proving;
  int result = sd_event_add_child(controller->loop, &proving->child, proving->worker.pid, WEXITED, on_end, controller);
  if (result >= 0) {
    result = sd_event_add_time_relative(controller->loop, &proving->patience, CLOCK_MONOTONIC,
                                        PROOF_WORKER_SECONDS * seconds, seconds, on_impatience, controller);
  }
  return result;
}

static void start(struct controller *controller) {
  struct proving *proving = &controller->proving;
  struct proof_job job = make_job(controller);
  struct error error = {0};
  int result = proof_worker_start(&job, &proving->worker, &error);
  if (result == 0 && watch_worker(controller) < 0) {
    forget_worker(proving);
    proof_worker_end(&proving->worker);
    result = -ENOMEM;
  }
  proving->running = result == 0;
  if (result < 0) {
    accept(controller, proof_worker_answer_for_none(&job, error.message));
  }
}

/* ---- when ---- */

static bool is_needless(struct controller *controller) {
  const struct proving *proving = &controller->proving;
  const char *sha256 = controller->in_force->policy->sha256;
  return !proving->in_any_case && proving->last && strcmp(text_at(proving->last, "policy_sha256"), sha256) == 0 &&
         !kernel_moved(controller, proving->last);
}

static int on_soon(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  struct proving *proving = &controller->proving;
  proving->soon = sd_event_source_disable_unref(proving->soon);
  if (controller->in_force && !proving->running && !is_needless(controller)) {
    proving->in_any_case = false;
    start(controller);
  }
  return 0;
}

static void arm(struct controller *controller, uint64_t wait) {
  struct proving *proving = &controller->proving;
  if (!proving->soon && sd_event_add_time_relative(controller->loop, &proving->soon, CLOCK_MONOTONIC, wait,
                                                   milliseconds, on_soon, controller) >= 0) {
    sd_event_source_set_priority(proving->soon, PRIORITY);
  }
}

void controller_prove_if_moved(struct controller *controller) {
  struct proving *proving = &controller->proving;
  if (!proving->interval || !controller->in_force) {
    return; /* not yet, or no more */
  }
  if (proving->running) {
    proving->wanted = true;
  } else {
    arm(controller, SETTLE_MILLISECONDS * milliseconds);
  }
}

void controller_prove_soon(struct controller *controller) {
  controller->proving.in_any_case = true;
  controller_prove_if_moved(controller);
}

void controller_prove_now(struct controller *controller) {
  struct proving *proving = &controller->proving;
  forget_worker(proving);
  proof_worker_end(&proving->worker);
  proving->soon = sd_event_source_disable_unref(proving->soon);
  proving->again = 0;
  proving->seen_twice = proving->wanted = false;
  proving->in_any_case = true;
  arm(controller, 0);
}

static int on_interval(sd_event_source *source, uint64_t time, void *context) {
  struct controller *controller = context;
  controller_prove_soon(controller);
  controller_reopen_soon(controller);
  sd_event_source_set_time(source, time + controller->options->prove_interval * seconds);
  return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void controller_start_proving(struct controller *controller) {
  uint64_t interval = controller->options->prove_interval * seconds;
  if (sd_event_add_time_relative(controller->loop, &controller->proving.interval, CLOCK_MONOTONIC, interval, 0,
                                 on_interval, controller) >= 0) {
    sd_event_source_set_priority(controller->proving.interval, PRIORITY);
  }
}

void controller_stop_proving(struct controller *controller) {
  struct proving *proving = &controller->proving;
  forget_worker(proving);
  proof_worker_end(&proving->worker);
  proving->soon = sd_event_source_disable_unref(proving->soon);
  proving->interval = sd_event_source_disable_unref(proving->interval);
  json_decref(proving->last);
  proving->last = NULL;
}

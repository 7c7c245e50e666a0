/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/controller_parts.h"
#include "control/proof_text.h"
#include "control/sweeping.h"

/*
 * Theory of operation. At the start kidod may find that the kernel lets pass what the confirmed policy does not allow,
 * mostly by the doing of somebody else's table; then it holds the gate closed, but for the `gateway` flows. When
 * something has changed since, or some time has passed, it tries again: the rules of the policy are loaded while
 * forwarding stays off, so that nothing crosses whatever they are worth, and are proven. Only what is proven, or what
 * only drops too much, opens the gate; where nothing can be shown it stays closed, for there was a leak.
 *
 * An attempt is a load like another (LOAD_REOPEN), so that none other comes in between. Those that fail are not told
 * again: that the gate is closed, and why, stands in `kido status`.
 */
enum { SETTLE_MILLISECONDS = 200, BUSY_MILLISECONDS = 1000, PRIORITY = SD_EVENT_PRIORITY_NORMAL + 20 };

static const uint64_t milliseconds = 1000; /* in microseconds */

static void arm(struct controller *controller, uint64_t wait);

/* ---- closed ---- */

static void keep_reason(struct controller *controller, const json_t *proof) {
  struct arena *arena = arena_new(0);
  const json_t *example = json_object_get(proof, "counterexample");
  enum language language = controller_language(controller);
  free(controller->held_reason);
  controller->held_reason = NULL;
  if (arena && json_is_object(example)) {
    const char *rule = proof_rule_text(json_object_get(example, "rule"), language, arena);
    const char *text =
        arena_printf(arena, "%s%s%s", proof_packet_text(example, language, arena), rule[0] != '\0' ? "; " : "", rule);
    controller->held_reason = text ? strdup(text) : NULL;
  }
  arena_free(arena);
}

void controller_hold_closed(struct controller *controller, const json_t *proof) {
  struct error ignored = {0};
  keep_reason(controller, proof);
  controller->held_closed = true;
  controller->publications++;
  controller_refresh(controller);
  controller_publish(controller, PUBLICATION_CLOSED, NULL, &ignored);
}

void controller_stop_reopening(struct controller *controller) {
  controller->reopen_timer = sd_event_source_disable_unref(controller->reopen_timer);
  free(controller->held_reason);
  controller->held_reason = NULL;
}

/* ---- an attempt ---- */

static void give_up(struct controller *controller) {
  controller->reopening = false;
  controller->held_closed = true;
  controller_refresh(controller);
}

static void try_to_open(struct controller *controller) {
  struct error ignored = {0};
  controller->load =
      (struct load){.origin = LOAD_REOPEN, .by = person_none(), .language = controller_language(controller)};
  controller->reopening = true;
  controller->held_closed = false;
  if (controller_bring(controller, &ignored) < 0) {
    controller->load.origin = LOAD_NONE;
    give_up(controller);
    return;
  }
  controller->load.proving = true;
  controller_prove_now(controller);
}

static void announce_open(struct controller *controller, size_t ended) {
  struct announcement opened = {.kind = "policy-applied", .severity = EVENT_NOTICE, .reason = "reopened"};
  controller_announce(
      controller, &opened,
      "関門を閉じた原因がなくなったことを証明できたので、確定済みのポリシー %s で開きました (許可のない接続 %zu "
      "件を終わらせました)",
      "what the gate was closed for is gone, as was proven: it is open again by the confirmed policy "
      "%s (%zu connections without a right were ended)",
      controller->in_force->record.policy_number, ended);
}

/* While somebody else wrote marks, connections may have got one that opens: those would go on by it. */
static size_t end_unlawful(struct controller *controller) {
  struct arena *arena = arena_new(0);
  struct sweeping sweeping = {0};
  struct error ignored = {0};
  struct sweep_question question = {.policy = controller->in_force->policy,
                                    .restrictions = &controller->restrictions,
                                    .own = gate_own_addresses(controller->gate),
                                    .now = controller_now()};
  size_t ended = 0;
  if (arena && sweeping_take(&question, arena, &sweeping, &ignored) == 0) {
    for (size_t i = 0; i < sweeping.count; i++) {
      const struct sweep_finding *finding = &sweeping.findings[i];
      ended += finding->passes && conntrack_end(&sweeping.all.items[finding->connection], &ignored) == 0;
    }
  }
  arena_free(arena);
  return ended;
}

static void open_gate(struct controller *controller) {
  struct error ignored = {0};
  size_t ended = end_unlawful(controller);
  controller->reopening = false;
  free(controller->held_reason);
  controller->held_reason = NULL;
  controller->publications++;
  controller_publish(controller, PUBLICATION_PENDING, controller->in_force, &ignored);
  controller_refresh(controller);
  controller_publish(controller, PUBLICATION_IN_FORCE, controller->in_force, &ignored);
  announce_open(controller, ended);
}

/* Rules that drop too much stand, as they do at the start. */
static bool is_enough(const json_t *proof) {
  const char *result = json_string_value(json_object_get(proof, "result"));
  const json_t *example = json_object_get(proof, "counterexample");
  const char *kernel = json_string_value(json_object_get(example, "kernel"));
  if (!result || strcmp(result, "undecided") == 0) {
    return false;
  }
  return strcmp(result, "proven") == 0 || !kernel || strcmp(kernel, "allow") != 0;
}

void controller_reopen_proven(struct controller *controller, const json_t *proof) {
  controller->load.proving = false;
  controller->load.origin = LOAD_NONE;
  if (controller->in_force && is_enough(proof)) {
    open_gate(controller);
  } else {
    give_up(controller);
  }
  controller_say_ready(controller);
}

/* ---- when ---- */

static int on_time(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  controller->reopen_timer = sd_event_source_disable_unref(controller->reopen_timer);
  if (!controller->held_closed || !controller->in_force) {
    return 0;
  }
  if (controller->load.origin != LOAD_NONE) {
    arm(controller, BUSY_MILLISECONDS);
  } else {
    try_to_open(controller);
  }
  return 0;
}

static void arm(struct controller *controller, uint64_t wait) {
  if (!controller->reopen_timer &&
      sd_event_add_time_relative(controller->loop, &controller->reopen_timer, CLOCK_MONOTONIC, wait * milliseconds,
                                 milliseconds, on_time, controller) >= 0) {
    sd_event_source_set_priority(controller->reopen_timer, PRIORITY);
  }
}

void controller_reopen_soon(struct controller *controller) {
  if (controller->held_closed || controller->reopening) {
    arm(controller, SETTLE_MILLISECONDS);
  }
}

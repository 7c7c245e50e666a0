/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "control/child.h"
#include "control/controller_parts.h"
#include "control/history.h"
#include "control/keep.h"
#include "control/proof_text.h"
#include "control/restrictions_json.h"

/*
 * Theory of operation. A load goes through the steps of enum control_step. Until the kernel was read back and the
 * policy stands in the state directory, nothing of the old generation is given up: whatever fails on the way, the old
 * one is brought back, in the kernel and on the publication socket, and the load is refused.
 *
 *   read and check (child) -> compile -> publish PENDING -> load, read back -> publish IN_FORCE -> prove (child) ->
 *   write the state
 *
 * From the read-back on the new policy is the one in force for all of kidod: while the proof is made, time goes on,
 * cuts come, others change the rules, and all that is met as ever. The old one is kept beside it until the proof is
 * there. When it is refuted by a packet, the old one comes back: what stood before was proven when it came. A way round
 * the rules is no fault of the load, and the old rules would not close it: it is told, and the load stands. So it does
 * when nothing could be shown: a town is not cut off because the prover ran out of room. At the start there is nothing
 * to go back to: rules that let pass what they must not close the gate, but for the `gateway` flows; others stand.
 *
 * A policy on trial (controller_trial.c) goes the same way, but instead of being confirmed it is noted as a trial
 * before it goes into the kernel.
 */

enum { RECORD_ROOM = 64 * 1024 }; /* beside the policy itself, which is kept twice */

/* systemd waits for READY after a start and after each RELOADING. */
void controller_say_ready(const struct controller *controller) {
  const struct generation *generation = controller->in_force;
  sd_notifyf(0, "READY=1\nSTATUS=%s %s",
             !generation         ? "the gate is closed"
             : controller->trial ? "on trial:"
                                 : "in force:",
             generation ? generation->record.policy_number : "");
}

static void finish_load(struct controller *controller, struct outcome *outcome) {
  struct load *load = &controller->load;
  controller_announce_outcome(controller, outcome);
  if (load->client != 0) {
    server_reply(controller->server, load->client, load->step, outcome->code,
                 controller_outcome_to_json(controller, load, outcome));
  }
  json_decref(outcome->diagnostics);
  load->child = sd_event_source_disable_unref(load->child);
  load->arena = arena_free(load->arena);
  load->origin = LOAD_NONE;
  controller_say_ready(controller);
}

static void begin_step(struct controller *controller, enum control_step step) {
  controller->load.step = step;
  if (controller->load.client != 0) {
    server_step(controller->server, controller->load.client, step);
  }
}

/* The ends of a trial belong to the policy in force, and to no other. To be freed; NULL without memory. */
static char *restrictions_of(const struct controller *controller, const struct generation *generation) {
  struct restrictions restrictions = controller->restrictions;
  const struct policy *policy = generation->policy;
  if (generation != controller->in_force) {
    restrictions.flow_deadlines = restrictions.within_deadlines = NULL;
  }
  return restrictions_to_text(&restrictions, policy->flow_count, policy->zone_count);
}

int controller_publish(struct controller *controller, enum publication_phase phase, const struct generation *generation,
                       struct error *error) {
  struct publication publication = {.phase = phase, .generation = controller->publications};
  bool held = controller->held_closed && generation == controller->in_force;
  if (!generation || held || phase == PUBLICATION_CLOSED) {
    return publisher_publish(controller->publisher, &publication, NULL, 0, NULL, error);
  }
  const struct policy *policy = generation->policy;
  snprintf(publication.policy_sha256, sizeof publication.policy_sha256, "%s", policy->sha256);
  snprintf(publication.policy_number, sizeof publication.policy_number, "%s",
           policy->header.number.text ? policy->header.number.text : "");
  char *restrictions = restrictions_of(controller, generation);
  int result = restrictions ? publisher_publish(controller->publisher, &publication, generation->text, generation->size,
                                                restrictions, error)
                            : error_set(error, ENOMEM, "no memory to publish what holds the policy back");
  free(restrictions);
  return result;
}

int controller_close_gate(struct controller *controller, struct error *error) {
  struct gate_aim aim = {.policy = controller->in_force ? controller->in_force->policy : NULL,
                         .open = false,
                         .restrictions = &controller->restrictions};
  return gate_bring(controller->gate, &aim, controller_now(), NULL, NULL, NULL, error);
}

/* After a failed load: what was in force stands again, or the gate is closed. */
static void go_back(struct controller *controller) {
  struct error error = {0};
  enum publication_phase phase = controller->in_force ? PUBLICATION_IN_FORCE : PUBLICATION_CLOSED;
  controller_refresh(controller);
  controller_publish(controller, phase, controller->in_force, &error);
}

/* ---- from a policy in memory to a policy in force ---- */

static struct confirmed_policy make_record(const struct controller *controller, const struct generation *generation,
                                           const char *by) {
  static const enum state_origin origins[] = {
      [LOAD_CLIENT] = STATE_APPLY, [LOAD_RELOAD] = STATE_RELOAD, [LOAD_ROLLBACK] = STATE_ROLLBACK};
  const struct load *load = &controller->load;
  if (load->origin == LOAD_START) {
    return *load->record;
  }
  return (struct confirmed_policy){.text = generation->text,
                                   .size = generation->size,
                                   .applied_at = load->applied_at,
                                   .source = load->source,
                                   .origin = origins[load->origin],
                                   .by = by};
}

/* The old generation stays beside it until the proof is there. */
static int hand_over(struct controller *controller, struct generation *generation,
                     const struct confirmed_policy *record, struct error *error) {
  if (generation_set_record(generation, record) < 0) {
    return error_set(error, ENOMEM, "no memory");
  }
  controller->load.previous = controller->in_force;
  controller->load.previous_held = controller->held_closed;
  controller->in_force = generation;
  controller->held_closed = false;
  generation_update_forces(generation, &controller->restrictions, controller_now(), NULL, NULL);
  controller_schedule_change(controller);
  return 0;
}

/* What was in force is again; the kernel does not know it yet. */
static void swap_back(struct controller *controller) {
  struct generation *left = controller->in_force;
  controller->in_force = controller->load.previous;
  controller->load.previous = NULL;
  controller->held_closed = controller->load.previous_held;
  generation_free(left);
  if (controller->in_force) {
    generation_update_forces(controller->in_force, &controller->restrictions, controller_now(), NULL, NULL);
  }
  controller_schedule_change(controller);
}

static int bring(struct controller *controller, const struct generation *generation,
                 const struct restrictions *restrictions, struct arena *arena, struct outcome *outcome,
                 struct error *error) {
  struct gate_aim aim = {.policy = generation->policy, .open = true, .restrictions = restrictions};
  begin_step(controller, CONTROL_STEP_LOAD);
  controller->publications++;
  int result = controller_publish(controller, PUBLICATION_PENDING, generation, error);
  if (result == 0) {
    result = gate_bring(controller->gate, &aim, controller_now(), arena, &outcome->changes, &outcome->refusal, error);
  }
  controller->forwarding_stopped = controller->forwarding_stopped && result < 0;
  return result;
}

static int confirm(struct controller *controller, struct error *error) {
  struct generation *generation = controller->in_force;
  char by[PERSON_TEXT_SIZE];
  begin_step(controller, CONTROL_STEP_CONFIRM);
  if (controller->load.origin == LOAD_START) {
    return 0;
  }
  struct confirmed_policy record = make_record(controller, generation, person_text(&controller->load.by, by));
  keep_release(controller->options->state_directory);
  return controller_confirm(controller, generation, &record, error);
}

/* On a full disk nothing is loaded, rather than loaded and taken back. */
static int put_in_force(struct controller *controller, struct generation *generation,
                        const struct confirmed_policy *record, struct arena *arena, struct outcome *outcome,
                        struct error *error) {
  const char *directory = controller->options->state_directory;
  bool kept = controller->load.origin != LOAD_START;
  int result = kept ? keep_reserve(directory, 2 * generation->size + RECORD_ROOM, error) : 0;
  if (result < 0) {
    return result;
  }
  result = bring(controller, generation, &controller->restrictions, arena, outcome, error);
  if (result == 0) {
    result = hand_over(controller, generation, record, error);
  }
  if (result < 0) {
    if (kept) {
      keep_release(directory);
    }
    go_back(controller);
  }
  return result;
}

static int put_on_trial(struct controller *controller, struct generation *generation,
                        const struct confirmed_policy *record, struct arena *arena, struct outcome *outcome,
                        struct error *error) {
  struct trial *trial = NULL;
  int result = controller_trial_prepare(controller, generation, controller->load.seconds, record, &trial, error);
  if (result < 0) {
    return result;
  }
  struct restrictions restrictions = controller_trial_restrictions(controller, trial);
  result = bring(controller, generation, &restrictions, arena, outcome, error);
  if (result == 0) {
    result = controller_trial_begin(controller, trial, generation, error);
  }
  if (result < 0) {
    go_back(controller);
    controller_trial_drop(controller, trial);
  }
  return result;
}

static enum lockout judge_lockout(const struct controller *controller, const struct generation *generation) {
  const struct load *load = &controller->load;
  if (load->origin == LOAD_START || load->allow_lockout) {
    return LOCKOUT_NONE;
  }
  return lockout_judge(&(struct lockout_question){
      .before = {controller->in_force ? controller->in_force->policy : NULL, &controller->restrictions},
      .after = {generation->policy, &controller->restrictions},
      .way = load->way,
      .own = gate_own_addresses(controller->gate),
      .now = controller_now()});
}

static bool has_zone(const struct policy *policy, const char *name) {
  return !name || strcmp(name, "gateway") == 0 || policy_find_zone(policy, name) >= 0;
}

/* A cut names its zones: a policy without them would lift it in silence. */
static const struct cut *find_lost_cut(const struct controller *controller, const struct policy *policy) {
  const struct restrictions *restrictions = &controller->restrictions;
  for (size_t i = 0; controller->load.origin != LOAD_START && i < restrictions->cut_count; i++) {
    const struct cut *cut = &restrictions->cuts[i];
    if (!has_zone(policy, cut->zone) || !has_zone(policy, cut->other_zone)) {
      return cut;
    }
  }
  return NULL;
}

static int refuse_to_lose(const struct controller *controller, const struct policy *policy, const struct cut *cut,
                          struct error *error) {
  return error_set(
      error, EPERM,
      language_choose(controller->load.language,
                      "緊急遮断 %llu の領域「%s」が、このポリシーにありません。適用すると遮断が失われます。"
                      "領域を残すか、先に kido cut --lift %llu --why 理由 で解除してください",
                      "emergency cut %llu names the zone '%s', which this policy does not have, and would "
                      "be lost: keep the zone, or lift the cut first with kido cut --lift %llu --why TEXT"),
      (unsigned long long)cut->id, has_zone(policy, cut->zone) ? cut->other_zone : cut->zone,
      (unsigned long long)cut->id);
}

/* On success the generation is the controller's. */
static int go_on_with_generation(struct controller *controller, struct generation *generation, struct arena *arena,
                                 struct outcome *outcome, struct error *error) {
  char by[PERSON_TEXT_SIZE];
  const struct cut *lost = find_lost_cut(controller, generation->policy);
  if (lost) {
    outcome->loses_cut = true;
    return refuse_to_lose(controller, generation->policy, lost, error);
  }
  outcome->lockout = judge_lockout(controller, generation);
  if (outcome->lockout != LOCKOUT_NONE) {
    return error_set(error, EPERM, "%s", lockout_message(outcome->lockout, controller->load.language));
  }
  controller->load.applied_at = controller_now();
  struct confirmed_policy record = make_record(controller, generation, person_text(&controller->load.by, by));
  int result = controller->load.seconds > 0 ? put_on_trial(controller, generation, &record, arena, outcome, error)
                                            : put_in_force(controller, generation, &record, arena, outcome, error);
  struct error ignored = {0};
  if (result == 0) {
    controller_publish(controller, PUBLICATION_IN_FORCE, generation, &ignored);
  }
  return result;
}

/* The load goes on with controller_load_proven(). */
static void wait_for_proof(struct controller *controller, const struct outcome *outcome) {
  struct load *load = &controller->load;
  load->proving = true;
  load->changes = outcome->changes;
  load->diagnostics = json_incref(outcome->diagnostics);
  begin_step(controller, CONTROL_STEP_PROVE);
  controller_prove_now(controller);
}

static void go_on_with_text(struct controller *controller, const struct reader_result *read, struct arena *arena,
                            struct outcome *outcome) {
  struct error error = {0};
  struct generation *generation = NULL;
  begin_step(controller, CONTROL_STEP_COMPILE);
  int result = generation_new(read->text, read->size, &generation, &error);
  if (result == 0) {
    result = go_on_with_generation(controller, generation, arena, outcome, &error);
  }
  if (result == 0) {
    wait_for_proof(controller, outcome);
    return;
  }
  generation_free(generation);
  outcome->code = outcome->lockout != LOCKOUT_NONE || outcome->loses_cut ? 1 : 3;
  outcome->message = arena_strdup(arena, error.message);
  outcome->generation = controller->in_force;
}

static const char *first_error(const struct outcome *outcome, enum language language, struct arena *arena) {
  size_t index, errors = 0;
  json_t *diagnostic;
  const char *first = NULL;
  json_array_foreach(outcome->diagnostics, index, diagnostic) {
    const char *severity = json_string_value(json_object_get(diagnostic, "severity"));
    if (severity && strcmp(severity, "error") == 0 && errors++ == 0) {
      const char *subject = json_string_value(json_object_get(diagnostic, "subject"));
      const char *message = json_string_value(json_object_get(diagnostic, "message"));
      const char *code = json_string_value(json_object_get(diagnostic, "code"));
      first = arena_printf(arena, "%s %s %s", code ? code : "", subject ? subject : "", message ? message : "");
    }
  }
  return first ? arena_printf(arena, language_choose(language, "誤り %zu 件、最初は %s", "%zu errors, the first: %s"),
                              errors, first)
               : "?";
}

static void judge_reading(struct controller *controller, const struct reader_result *read, struct arena *arena) {
  struct outcome outcome = {.diagnostics = read->diagnostics, .generation = controller->in_force};
  switch (read->verdict) {
  case READER_GOOD:
    go_on_with_text(controller, read, arena, &outcome);
    break;
  case READER_ERRORS:
    outcome.code = 1;
    outcome.message = first_error(&outcome, controller->load.language, arena);
    break;
  case READER_FAILED:
    outcome.code = 3;
    outcome.message = read->message;
    break;
  }
  if (controller->load.proving) {
    json_decref(outcome.diagnostics); /* the load has its own */
    return;
  }
  if (outcome.code != 0 && controller->load.origin == LOAD_START) {
    struct error error = {0};
    controller_close_gate(controller, &error);
  }
  finish_load(controller, &outcome);
}

/* ---- what the proof says ---- */

static bool is_refuted(const json_t *proof) {
  const char *result = json_string_value(json_object_get(proof, "result"));
  return result && strcmp(result, "refuted") == 0;
}

/* By a packet, and not only by a way round the rules. */
static bool is_refuted_by_packet(const json_t *proof) {
  return is_refuted(proof) && json_is_object(json_object_get(proof, "counterexample"));
}

static bool is_leak(const json_t *proof) {
  const char *kernel = json_string_value(json_object_get(json_object_get(proof, "counterexample"), "kernel"));
  return is_refuted_by_packet(proof) && kernel && strcmp(kernel, "allow") == 0;
}

/* Followers accept either between the two. */
static void take_back(struct controller *controller) {
  struct error ignored = {0};
  controller->publications++;
  if (controller->load.previous) {
    controller_publish(controller, PUBLICATION_PENDING, controller->load.previous, &ignored);
  }
  keep_release(controller->options->state_directory);
  swap_back(controller);
  go_back(controller);
}

static void refuse_refuted(struct controller *controller, struct outcome *outcome) {
  if (controller->load.origin == LOAD_START) {
    controller_hold_closed(controller, outcome->proof);
  } else if (controller->trial) {
    controller_trial_undo(controller);
  } else {
    take_back(controller);
  }
  outcome->code = 1;
  outcome->refuted = true;
}

static bool must_refuse(const struct load *load, const json_t *proof) {
  return load->origin == LOAD_START ? is_leak(proof) : !load->allow_unproven && is_refuted_by_packet(proof);
}

/* Confirms what nothing speaks against; on trial it waits for its confirmation. */
static void settle(struct controller *controller, struct outcome *outcome, struct error *error) {
  const struct load *load = &controller->load;
  if (load->seconds > 0 && !controller->trial) {
    outcome->code = 1;
    error_set(
        error, ECANCELED,
        language_choose(load->language,
                        "試行の時間 (%llu 秒) が、証明が終わる前に過ぎました (証明に %lld 秒)。--confirm-within を"
                        "長くしてやり直してください",
                        "the time of the trial (%llu seconds) was over before the proof was made (in %lld "
                        "seconds): try again with a longer --confirm-within"),
        (unsigned long long)load->seconds, (long long)(controller_now().seconds - load->applied_at.seconds));
  } else if (load->seconds == 0 && confirm(controller, error) < 0) {
    take_back(controller);
    outcome->code = 3;
  } else {
    outcome->code = is_refuted(outcome->proof) && !load->allow_unproven && load->origin != LOAD_START ? 1 : 0;
  }
}

void controller_load_proven(struct controller *controller, const json_t *proof) {
  struct load *load = &controller->load;
  if (load->origin == LOAD_REOPEN) {
    controller_reopen_proven(controller, proof);
    return;
  }
  struct outcome outcome = {.diagnostics = load->diagnostics, .changes = load->changes, .proof = proof};
  struct error error = {0};
  if (must_refuse(load, proof)) {
    refuse_refuted(controller, &outcome);
    error_set(&error, EPERM, "%s", proof_headline(proof, load->language));
  } else {
    settle(controller, &outcome, &error);
  }
  load->proving = false;
  load->previous = generation_free(load->previous);
  load->diagnostics = NULL; /* the outcome's now */
  outcome.message = error.message[0] != '\0' ? error.message : NULL;
  outcome.generation = controller->in_force;
  finish_load(controller, &outcome);
}

void controller_load_abandon(struct controller *controller) {
  bool is_new = controller->load.origin != LOAD_START && controller->load.origin != LOAD_REOPEN;
  if (controller->load.proving && !controller->trial && is_new) {
    keep_release(controller->options->state_directory);
    swap_back(controller);
  }
}

bool controller_is_decided(const struct controller *controller) {
  return controller->load.origin == LOAD_NONE || controller->load.proving;
}

static int on_reader(sd_event_source *source, const siginfo_t *info, void *context) {
  (void)source;
  struct controller *controller = context;
  struct arena *arena = arena_new(0);
  struct reader_result read = {.verdict = READER_FAILED, .message = "no memory"};
  if (arena) {
    policy_reader_finish(&controller->load.reader, child_status(info), arena, &read);
  } else {
    policy_reader_close(&controller->load.reader);
  }
  judge_reading(controller, &read, arena); /* in any case, or no policy could be loaded ever after */
  arena_free(arena);
  return 0;
}

int controller_check_free(const struct controller *controller, enum language language, struct error *error) {
  char deadline[INSTANT_TEXT_SIZE], by[PERSON_TEXT_SIZE];
  if (controller->load.origin != LOAD_NONE) {
    return error_set(error, EBUSY,
                     language_choose(language,
                                     "別のポリシーを適用している最中です (操作 %s)。終わってからやり直してください",
                                     "another policy is being loaded (by %s): try again when that is done"),
                     person_text(&controller->load.by, by));
  }
  if (!controller->trial) {
    return 0;
  }
  struct person person = controller_trial_person(controller);
  instant_format(controller->in_force->policy->header.timezone, controller_trial_deadline(controller), deadline);
  return error_set(
      error, EBUSY,
      language_choose(language,
                      "ポリシー %s が確定待ちです (%s まで、操作 %s)。kido confirm で確定するか、kido rollback で"
                      "元に戻してからやり直してください",
                      "policy %s awaits its confirmation (until %s, by %s): confirm it with kido confirm or "
                      "go back with kido rollback first"),
      controller->in_force->record.policy_number, deadline, person_text(&person, by));
}

/* What goes back to an earlier policy has its approvals; everything else is compared with what is confirmed. */
static const struct policy *approved_before(const struct controller *controller) {
  enum load_origin origin = controller->load.origin;
  bool compared = origin == LOAD_CLIENT || origin == LOAD_RELOAD;
  return compared && controller->in_force ? controller->in_force->policy : NULL;
}

static int start_reader(struct controller *controller, const struct reader_request *asked, struct error *error) {
  struct load *load = &controller->load;
  struct reader_request request = *asked;
  request.confirmed = approved_before(controller);
  begin_step(controller, CONTROL_STEP_CHECK);
  int result = policy_reader_start(&request, &load->reader, error);
  if (result == 0) {
    result = sd_event_add_child(controller->loop, &load->child, load->reader.pid, WEXITED, on_reader, controller);
  }
  if (result < 0) {
    policy_reader_close(&load->reader);
  }
  return result;
}

int controller_load(struct controller *controller, const struct load *load, const struct reader_request *request,
                    struct error *error) {
  int result = controller_check_free(controller, load->language, error);
  if (result == 0) {
    controller->load = *load;
    result = start_reader(controller, request, error);
    controller->load.origin = result < 0 ? LOAD_NONE : load->origin;
  }
  if (result < 0) {
    arena_free(load->arena);
  }
  return result;
}

/* ---- at start ---- */

/* The text was confirmed once; it is judged again all the same. confirmed lives in arena, which the load takes. */
static int load_text(struct controller *controller, const struct confirmed_policy *confirmed, struct arena *arena,
                     struct error *error) {
  int fd = sealed_memfd("confirmed", confirmed->text, confirmed->size);
  if (fd < 0) {
    arena_free(arena);
    return error_set(error, -fd, "memfd: %s", strerror(-fd));
  }
  struct load load = {.origin = LOAD_START,
                      .by = person_none(),
                      .language = controller->options->language,
                      .record = confirmed,
                      .arena = arena};
  struct reader_request request = {.policy_fd = fd,
                                   .path = STATE_CONFIRMED,
                                   .language = controller->options->language,
                                   .language_forced = controller->options->language_forced,
                                   .now = controller_now()};
  int result = controller_load(controller, &load, &request, error);
  close(fd);
  return result;
}

static void announce_nothing_confirmed(struct controller *controller, int result, const struct error *error) {
  if (result == -ENOENT) {
    return;
  }
  struct announcement refused = {.kind = "policy-refused",
                                 .severity = EVENT_CRITICAL,
                                 .advice_in_japanese = "決裁済みのポリシーファイルを kido apply で適用し直す",
                                 .advice_in_english = "Apply the approved policy file again with kido apply"};
  controller_announce(controller, &refused, "確定済みポリシーを読めません。関門を閉じます: %s",
                      "the confirmed policy cannot be read, the gate is closed: %s", error->message);
}

static int load_confirmed(struct controller *controller, struct error *error) {
  const char *directory = controller->options->state_directory;
  struct error ignored = {0};
  struct arena *arena = arena_new(0);
  struct confirmed_policy *confirmed = arena ? ARENA_NEW(arena, struct confirmed_policy) : NULL;
  int result = confirmed ? state_load(directory, arena, confirmed, error) : error_set(error, ENOMEM, "no memory");
  controller->loads = history_newest(directory);
  controller->confirmed = result == 0 ? confirmed->generation : 0;
  controller_trial_recover(controller, result == 0 ? confirmed : NULL);
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  controller_note_past(controller, confirmed->confirmed_at);
  history_complete(directory, confirmed, &ignored);
  controller->loads = confirmed->generation > controller->loads ? confirmed->generation : controller->loads;
  return load_text(controller, confirmed, arena, error);
}

int controller_load_confirmed(struct controller *controller, struct error *error) {
  struct error reason = {0};
  int result = load_confirmed(controller, &reason);
  if (result < 0) {
    announce_nothing_confirmed(controller, result, &reason);
    result = controller_close_gate(controller, error);
    controller_say_ready(controller);
  }
  return result;
}

/* ---- SIGHUP ---- */

static void say_reloading(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void controller_reload(struct controller *controller) {
  struct load load = {.origin = LOAD_RELOAD, .by = person_none(), .language = controller_language(controller)};
  struct reader_request request = {.policy_fd = -1,
                                   .path = controller->options->policy_file,
                                   .language = controller->options->language,
                                   .language_forced = controller->options->language_forced,
                                   .now = controller_now()};
  struct error error = {0};
  say_reloading();
  if (controller_load(controller, &load, &request, &error) < 0) {
    struct announcement refused = {.kind = "policy-refused", .severity = EVENT_WARNING};
    controller_announce(controller, &refused, "再読み込みできません: %s", "cannot reload: %s", error.message);
    controller_say_ready(controller);
  }
}

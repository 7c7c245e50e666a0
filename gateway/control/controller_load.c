/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "control/controller_parts.h"
#include "control/state.h"

/*
 * Theory of operation. A load goes through the steps of enum control_step. Until the kernel was read back and the
 * policy stands in the state directory, nothing of the old generation is given up: whatever fails on the way, the old
 * one is brought back, in the kernel and on the publication socket, and the load is refused.
 *
 *   read and check (child) -> compile -> publish PENDING -> load, read back -> write the state -> publish IN_FORCE
 */

/* What goes back to whoever asked. */
struct outcome {
  int code; /* exit code of the client */
  const char *message;
  json_t *diagnostics;
  struct refusal refusal;
  size_t changes;
  const struct generation *generation;
};

static json_t *policy_to_json(const struct generation *generation) {
  if (!generation) {
    return json_null();
  }
  return json_pack("{s:s?, s:s}", "number", generation->policy->header.number.text, "sha256",
                   generation->policy->sha256);
}

static json_t *refusal_to_json(const struct refusal *refusal) {
  if (!refusal->known) {
    return json_null();
  }
  return json_pack("{s:s?, s:s?, s:s?, s:I}", "what", refusal->what, "subject", refusal->origin.subject, "file",
                   refusal->origin.place.file, "line", (json_int_t)refusal->origin.place.line);
}

static json_t *outcome_to_json(const struct load *load, const struct outcome *outcome) {
  return json_pack("{s:s, s:b, s:s, s:o, s:I, s:s?, s:o, s:O?}", "schema", "kido.apply/1", "ok", outcome->code == 0,
                   "step", control_step_name(load->step), "policy", policy_to_json(outcome->generation), "changes",
                   (json_int_t)outcome->changes, "message", outcome->message, "refusal",
                   refusal_to_json(&outcome->refusal), "diagnostics", outcome->diagnostics);
}

/* systemd waits for READY after a start and after each RELOADING. */
static void say_ready(struct controller *controller) {
  const struct generation *generation = controller->in_force;
  sd_notifyf(0, "READY=1\nSTATUS=%s %s", generation ? "in force:" : "the gate is closed",
             generation && generation->policy->header.number.text ? generation->policy->header.number.text : "");
}

static void announce_outcome(struct controller *controller, const struct outcome *outcome) {
  if (outcome->code == 0) {
    struct announcement applied = {.kind = "policy-applied", .severity = EVENT_NOTICE};
    controller_announce(
        controller, &applied, "ポリシー %s を適用しました (%.12s、変更 %zu 件)",
        "policy %s is in force (%.12s, %zu changes)",
        outcome->generation->policy->header.number.text ? outcome->generation->policy->header.number.text : "-",
        outcome->generation->policy->sha256, outcome->changes);
    return;
  }
  struct announcement refused = {.kind = "policy-refused",
                                 .severity = controller->in_force ? EVENT_WARNING : EVENT_CRITICAL,
                                 .flow = outcome->refusal.known ? outcome->refusal.origin.subject : NULL,
                                 .advice_in_japanese = "kido check で誤りを確かめて直し、kido apply をやり直す",
                                 .advice_in_english = "See what is wrong with kido check, correct it, and apply again"};
  controller_announce(controller, &refused, "ポリシーを受け付けませんでした: %s", "the policy was refused: %s",
                      outcome->message ? outcome->message : "");
}

static void finish_load(struct controller *controller, struct outcome *outcome) {
  struct load *load = &controller->load;
  announce_outcome(controller, outcome);
  if (load->origin == LOAD_CLIENT) {
    server_reply(controller->server, load->client, load->step, outcome->code, outcome_to_json(load, outcome));
  }
  json_decref(outcome->diagnostics);
  load->child = sd_event_source_disable_unref(load->child);
  load->origin = LOAD_NONE;
  say_ready(controller);
}

static void begin_step(struct controller *controller, enum control_step step) {
  controller->load.step = step;
  if (controller->load.origin == LOAD_CLIENT) {
    server_step(controller->server, controller->load.client, step);
  }
}

int controller_publish(struct controller *controller, enum publication_phase phase, const struct generation *generation,
                       struct error *error) {
  struct publication publication = {.phase = phase, .generation = controller->publications};
  if (generation && phase != PUBLICATION_CLOSED) {
    const struct policy *policy = generation->policy;
    snprintf(publication.policy_sha256, sizeof publication.policy_sha256, "%s", policy->sha256);
    snprintf(publication.policy_number, sizeof publication.policy_number, "%s",
             policy->header.number.text ? policy->header.number.text : "");
    return publisher_publish(controller->publisher, &publication, generation->text, generation->size, error);
  }
  return publisher_publish(controller->publisher, &publication, NULL, 0, error);
}

int controller_close_gate(struct controller *controller, struct error *error) {
  struct gate_aim aim = {.policy = controller->in_force ? controller->in_force->policy : NULL,
                         .open = false,
                         .restrictions = &controller->restrictions};
  struct arena *arena = arena_new(0);
  int result = arena ? gate_bring(controller->gate, &aim, controller_now(), arena, NULL, NULL, error)
                     : error_set(error, ENOMEM, "no memory");
  arena_free(arena);
  return result;
}

/* After a failed load: what was in force stands again, or the gate is closed. */
static void go_back(struct controller *controller) {
  struct error error = {0};
  enum publication_phase phase = controller->in_force ? PUBLICATION_IN_FORCE : PUBLICATION_CLOSED;
  controller_refresh(controller);
  controller_publish(controller, phase, controller->in_force, &error);
}

static int store(const struct controller *controller, struct generation *generation, struct error *error) {
  if (controller->load.origin == LOAD_START) {
    generation->applied_at = controller->load.applied_at;
    generation->number = controller->load.number;
    return 0;
  }
  generation->applied_at = controller_now();
  generation->number = controller->loads + 1;
  struct confirmed_policy confirmed = {.text = generation->text,
                                       .size = generation->size,
                                       .applied_at = generation->applied_at,
                                       .generation = generation->number};
  return state_save(controller->options->state_directory, &confirmed, error);
}

static void take_over(struct controller *controller, struct generation *generation) {
  generation_free(controller->in_force);
  controller->in_force = generation;
  controller->loads = generation->number;
  generation_update_forces(generation, &controller->restrictions, controller_now(), NULL, NULL);
  controller_schedule_change(controller);
}

/* From a policy in memory to a policy in force. */
static int put_in_force(struct controller *controller, struct generation *generation, struct arena *arena,
                        struct outcome *outcome, struct error *error) {
  struct gate_aim aim = {.policy = generation->policy, .open = true, .restrictions = &controller->restrictions};
  begin_step(controller, CONTROL_STEP_LOAD);
  controller->publications++;
  int result = controller_publish(controller, PUBLICATION_PENDING, generation, error);
  if (result == 0) {
    result = gate_bring(controller->gate, &aim, controller_now(), arena, &outcome->changes, &outcome->refusal, error);
  }
  if (result == 0) {
    begin_step(controller, CONTROL_STEP_CONFIRM);
    result = store(controller, generation, error);
  }
  if (result < 0) {
    go_back(controller);
    return result;
  }
  take_over(controller, generation);
  return controller_publish(controller, PUBLICATION_IN_FORCE, generation, error);
}

static void go_on_with_text(struct controller *controller, const struct reader_result *read, struct arena *arena,
                            struct outcome *outcome) {
  struct error error = {0};
  struct generation *generation = NULL;
  begin_step(controller, CONTROL_STEP_COMPILE);
  int result = generation_new(read->text, read->size, &generation, &error);
  if (result == 0) {
    result = put_in_force(controller, generation, arena, outcome, &error);
  }
  if (result < 0 && controller->in_force != generation) {
    generation_free(generation);
  }
  outcome->code = result == 0 ? 0 : 3;
  outcome->message = result == 0 ? NULL : arena_strdup(arena, error.message);
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
    outcome.message = first_error(&outcome, controller_language(controller), arena);
    break;
  case READER_FAILED:
    outcome.code = 3;
    outcome.message = read->message;
    break;
  }
  if (outcome.code != 0 && controller->load.origin == LOAD_START) {
    struct error error = {0};
    controller_close_gate(controller, &error);
  }
  finish_load(controller, &outcome);
}

static int status_of(const siginfo_t *info) {
  return info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8 : info->si_status & 0x7f;
}

static int on_reader(sd_event_source *source, const siginfo_t *info, void *context) {
  (void)source;
  struct controller *controller = context;
  struct arena *arena = arena_new(0);
  if (!arena) {
    return -ENOMEM;
  }
  struct reader_result read;
  policy_reader_finish(&controller->load.reader, status_of(info), arena, &read);
  judge_reading(controller, &read, arena);
  arena_free(arena);
  return 0;
}

int controller_load(struct controller *controller, const struct load *load, const struct reader_request *request,
                    struct error *error) {
  if (controller->load.origin != LOAD_NONE) {
    return error_set(error, EBUSY, "another policy is being loaded");
  }
  controller->load = *load;
  begin_step(controller, CONTROL_STEP_CHECK);
  int result = policy_reader_start(request, &controller->load.reader, error);
  if (result == 0) {
    result = sd_event_add_child(controller->loop, &controller->load.child, controller->load.reader.pid, WEXITED,
                                on_reader, controller);
  }
  if (result < 0) {
    policy_reader_close(&controller->load.reader);
    controller->load.origin = LOAD_NONE;
    return result;
  }
  return 0;
}

/* The text was confirmed once; it is judged again all the same. */
static int load_text(struct controller *controller, const struct confirmed_policy *confirmed, struct error *error) {
  int fd = sealed_memfd("confirmed", confirmed->text, confirmed->size);
  if (fd < 0) {
    return error_set(error, -fd, "memfd: %s", strerror(-fd));
  }
  struct load load = {.origin = LOAD_START, .applied_at = confirmed->applied_at, .number = confirmed->generation};
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

int controller_load_confirmed(struct controller *controller, struct error *error) {
  struct arena *arena = arena_new(0);
  struct confirmed_policy confirmed;
  struct error reason = {0};
  int result = arena ? state_load(controller->options->state_directory, arena, &confirmed, &reason) : -ENOMEM;
  if (result == 0) {
    result = load_text(controller, &confirmed, &reason);
  }
  if (result < 0) {
    announce_nothing_confirmed(controller, result, &reason);
    result = controller_close_gate(controller, error);
    say_ready(controller);
  }
  arena_free(arena);
  return result;
}

static void say_reloading(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void controller_reload(struct controller *controller) {
  struct load load = {.origin = LOAD_RELOAD};
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
    say_ready(controller);
  }
}

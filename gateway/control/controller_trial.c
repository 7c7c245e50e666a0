/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/controller_parts.h"
#include "rules/trial.h"

/*
 * Theory of operation. A policy on trial is in force like any other, with one difference in the kernel: what the
 * confirmed policy does not allow carries a timeout to the deadline. So it ends with nobody alive. With kidod alive the
 * whole confirmed policy comes back at the deadline.
 *
 * The deadline is kept by CLOCK_BOOTTIME, which no step of the wall clock moves and which goes on in suspend. What the
 * compiler gets are instants of the wall clock; they are made anew when the two clocks went apart.
 *
 * In the state directory the confirmed policy stays what it was. The note of the trial comes before the policy goes
 * into the kernel and is removed behind everything else; a start that finds it knows that a trial was cut short, unless
 * the confirmed policy is a later one than the note knows: then it was confirmed, and only the removal is missing.
 */
struct trial {
  struct generation *confirmed; /* what it returns to; NULL: the gate is closed */
  bool held_closed;             /* and it was held closed */
  struct confirmed_policy record;
  char by[PERSON_TEXT_SIZE];
  struct person person;
  uint64_t deadline;      /* microseconds of CLOCK_BOOTTIME */
  struct instant instant; /* the same by the wall clock */
  struct arena *arena;    /* of the deadlines */
  struct restrictions deadlines;
  sd_event_source *timer;
};

enum { EARLY_MICROSECONDS = 20 * 1000 };

static const uint64_t SECOND = 1000000;

static uint64_t clock_microseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec / 1000;
}

/* ---- deadlines ---- */

/* pending, confirmed (NULL: none): the policies. The restrictions of an earlier call are given up. */
static int make_deadlines(struct trial *trial, const struct policy *pending, const struct generation *confirmed,
                          struct error *error) {
  struct restrictions deadlines = {0};
  struct arena *arena = arena_new(0);
  int result = arena ? trial_deadlines(pending, confirmed ? confirmed->policy : NULL, trial->instant, controller_now(),
                                       arena, &deadlines)
                     : -ENOMEM;
  if (result < 0) {
    arena_free(arena);
    return error_set(error, -result, "no memory for the deadlines of a trial");
  }
  arena_free(trial->arena);
  trial->arena = arena;
  trial->deadlines = deadlines;
  return 0;
}

/* Both clocks run alike but for steps; a second is what rounding may make of nothing. */
void controller_trial_follow_clock(struct controller *controller) {
  struct error ignored = {0};
  struct trial *trial = controller->trial;
  if (!trial) {
    return;
  }
  uint64_t now = clock_microseconds(CLOCK_BOOTTIME);
  uint64_t left = trial->deadline > now ? trial->deadline - now : 0;
  int64_t end = (int64_t)((clock_microseconds(CLOCK_REALTIME) + left + SECOND / 2) / SECOND);
  struct instant before = trial->instant;
  if (llabs(end - before.seconds) > 1) {
    trial->instant.seconds = end;
    if (make_deadlines(trial, controller->in_force->policy, trial->confirmed, &ignored) < 0) {
      trial->instant = before; /* to be tried again */
      return;
    }
    controller->restrictions = controller_trial_restrictions(controller, trial);
    controller_publish(controller, PUBLICATION_IN_FORCE, controller->in_force, &ignored);
  }
}

struct restrictions controller_trial_restrictions(const struct controller *controller, const struct trial *trial) {
  struct restrictions restrictions = controller->restrictions;
  restrictions.flow_deadlines = trial ? trial->deadlines.flow_deadlines : NULL;
  restrictions.within_deadlines = trial ? trial->deadlines.within_deadlines : NULL;
  return restrictions;
}

struct instant controller_trial_deadline(const struct controller *controller) {
  return controller->trial->instant;
}

struct person controller_trial_person(const struct controller *controller) {
  return controller->trial->person;
}

const struct generation *controller_trial_confirmed(const struct controller *controller) {
  bool is_new = controller->load.proving && controller->load.origin != LOAD_REOPEN;
  return controller->trial ? controller->trial->confirmed : is_new ? controller->load.previous : controller->in_force;
}

/* ---- before it is loaded ---- */

static struct trial *trial_free(struct trial *trial) {
  if (trial) {
    sd_event_source_disable_unref(trial->timer);
    generation_free(trial->confirmed);
    arena_free(trial->arena);
    free(trial);
  }
  return NULL;
}

static int note(const struct controller *controller, const struct trial *trial, const struct generation *pending,
                struct error *error) {
  const char *number = pending->policy->header.number.text;
  struct state_trial kept = {.confirmed = controller->confirmed,
                             .policy_number = number ? number : "",
                             .sha256 = pending->policy->sha256,
                             .by = trial->by,
                             .begun_at = trial->record.applied_at,
                             .deadline = trial->instant};
  return state_trial_begin(controller->options->state_directory, &kept, error);
}

/* The deadline lies on a whole second of the wall clock, for so the kernel's ends are given. */
static void set_deadline(struct trial *trial, uint64_t seconds) {
  uint64_t now = clock_microseconds(CLOCK_REALTIME);
  uint64_t end = (now + SECOND - 1) / SECOND + seconds;
  trial->instant.seconds = (int64_t)end;
  trial->deadline = clock_microseconds(CLOCK_BOOTTIME) + (end * SECOND - now);
}

int controller_trial_prepare(struct controller *controller, const struct generation *pending, uint64_t seconds,
                             const struct confirmed_policy *record, struct trial **ret_trial, struct error *error) {
  struct trial *trial = calloc(1, sizeof *trial);
  if (!trial) {
    return error_set(error, ENOMEM, "no memory");
  }
  trial->record = *record;
  trial->person = controller->load.by;
  trial->record.by = person_text(&trial->person, trial->by);
  set_deadline(trial, seconds);
  int result = make_deadlines(trial, pending->policy, controller->in_force, error);
  if (result == 0) {
    result = note(controller, trial, pending, error);
  }
  if (result < 0) {
    trial_free(trial);
    return result;
  }
  *ret_trial = trial;
  return 0;
}

void controller_trial_drop(struct controller *controller, struct trial *trial) {
  struct error ignored = {0};
  state_trial_end(controller->options->state_directory, &ignored);
  trial_free(trial);
}

/* ---- while it goes on ---- */

static int on_deadline(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct error told = {0};
  controller_trial_return(context, NULL, &told);
  return 0;
}

int controller_trial_begin(struct controller *controller, struct trial *trial, struct generation *pending,
                           struct error *error) {
  int result = generation_set_record(pending, &trial->record);
  if (result == 0) {
    result = sd_event_add_time(controller->loop, &trial->timer, CLOCK_BOOTTIME, trial->deadline, EARLY_MICROSECONDS / 2,
                               on_deadline, controller);
  }
  if (result < 0) {
    return error_set(error, -result, "the end of the trial cannot be watched: %s", strerror(-result));
  }
  trial->confirmed = controller->in_force;
  trial->held_closed = controller->held_closed;
  controller->held_closed = false;
  controller->in_force = pending;
  controller->trial = trial;
  controller->restrictions = controller_trial_restrictions(controller, trial);
  generation_update_forces(pending, &controller->restrictions, controller_now(), NULL, NULL);
  controller_schedule_change(controller);
  return 0;
}

bool controller_trial_end_if_due(struct controller *controller) {
  const struct trial *trial = controller->trial;
  if (!trial || clock_microseconds(CLOCK_BOOTTIME) + EARLY_MICROSECONDS < trial->deadline) {
    return false;
  }
  struct error told = {0};
  controller_trial_return(controller, NULL, &told);
  return true;
}

/* ---- its end ---- */

static void announce_return(struct controller *controller, const struct trial *trial, const struct generation *left,
                            const struct person *by) {
  const struct generation *back = controller->in_force;
  const char *number = left->record.policy_number;
  char name[PERSON_TEXT_SIZE];
  struct announcement returned = {
      .kind = "policy-rolled-back",
      .severity = by ? EVENT_NOTICE : EVENT_WARNING,
      .reason = by ? "withdrawn" : "not-confirmed",
      .advice_in_japanese =
          by ? NULL : "必要なら kido apply --confirm-within でやり直し、期限内に kido confirm で確定する",
      .advice_in_english = by ? NULL : "If it is wanted, apply it again with --confirm-within and confirm it in time",
      .by = by};
  const char *to =
      back ? back->record.policy_number
           : language_choose(controller_language(controller), "なし (関門を閉じました)", "none (the gate is closed)");
  if (by) {
    controller_announce(controller, &returned, "試行中のポリシー %s を取り下げ、確定済みに戻しました: %s (操作 %s)",
                        "policy %s, on trial, was withdrawn, back to the confirmed one: %s (by %s)", number, to,
                        person_text(by, name));
  } else {
    controller_announce(controller, &returned,
                        "ポリシー %s は期限までに確定されず、確定済みに戻しました: %s (適用は %s)",
                        "policy %s was not confirmed in time, back to the confirmed one: %s (it was applied by %s)",
                        number, to, trial->by);
  }
}

/* Takes what waited in the place of what was on trial; returns the latter. */
static struct generation *swap_back(struct controller *controller, struct trial *trial) {
  struct generation *left = controller->in_force;
  controller->in_force = trial->confirmed;
  trial->confirmed = NULL;
  controller->held_closed = trial->held_closed;
  controller->trial = NULL;
  controller->restrictions = controller_trial_restrictions(controller, NULL);
  controller->last_trial.at = controller_now();
  snprintf(controller->last_trial.policy_number, sizeof controller->last_trial.policy_number, "%s",
           left->record.policy_number);
  return left;
}

static int load_confirmed(struct controller *controller, struct error *error) {
  struct error ignored = {0};
  struct generation *back = controller->in_force;
  controller->publications++;
  if (back) {
    controller_publish(controller, PUBLICATION_PENDING, back, &ignored);
  }
  int result = controller_bring(controller, error);
  controller_publish(controller, back ? PUBLICATION_IN_FORCE : PUBLICATION_CLOSED, back, &ignored);
  if (back) {
    generation_update_forces(back, &controller->restrictions, controller_now(), NULL, NULL);
  }
  controller_schedule_change(controller);
  return result;
}

/* What only the trial allowed ends with its deadline in any case. */
static void announce_not_back(struct controller *controller, const struct generation *left,
                              const struct error *reason) {
  struct announcement failed = {
      .kind = "policy-rolled-back",
      .severity = EVENT_CRITICAL,
      .reason = "kernel",
      .advice_in_japanese = "kido status で元に戻ったか確かめる。急ぐなら kido cut で遮断し、保守業者に連絡する",
      .advice_in_english = "See in kido status whether it is back; if it is urgent, kido cut, and call support"};
  controller_announce(
      controller, &failed,
      "ポリシー %s の試行は終わりましたが、確定済みのルールをまだカーネルに戻せません (繰り返し試みます): %s",
      "the trial of policy %s has ended, but the rules of the confirmed one cannot be loaded yet (it is "
      "tried again and again): %s",
      left->record.policy_number, reason->message);
}

int controller_trial_return(struct controller *controller, const struct person *by, struct error *error) {
  struct error ignored = {0};
  struct trial *trial = controller->trial;
  struct generation *left = swap_back(controller, trial);
  int result = load_confirmed(controller, error);
  if (result < 0) {
    announce_not_back(controller, left, error);
  } else {
    announce_return(controller, trial, left, by);
  }
  state_trial_end(controller->options->state_directory, &ignored);
  generation_free(left);
  trial_free(trial);
  controller_say_ready(controller);
  return result;
}

void controller_trial_undo(struct controller *controller) {
  struct error ignored = {0};
  struct trial *trial = controller->trial;
  struct generation *left = swap_back(controller, trial);
  load_confirmed(controller, &ignored); /* what fails is told, and tried again */
  state_trial_end(controller->options->state_directory, &ignored);
  generation_free(left);
  trial_free(trial);
}

void controller_trial_abandon(struct controller *controller) {
  struct error ignored = {0};
  struct trial *trial = controller->trial;
  if (!trial) {
    return;
  }
  struct generation *left = swap_back(controller, trial);
  struct announcement ended = {.kind = "policy-rolled-back", .severity = EVENT_WARNING, .reason = "stopped"};
  controller_announce(controller, &ended, "kidod の停止により、確定待ちのポリシー %s の試行を打ち切りました",
                      "kidod stops: the trial of policy %s ended unconfirmed", left->record.policy_number);
  state_trial_end(controller->options->state_directory, &ignored);
  generation_free(left);
  trial_free(trial);
}

/* ---- confirming ---- */

static json_t *confirm_answer(const struct controller *controller, bool ok, const char *message,
                              enum language language) {
  return json_pack("{s:s, s:b, s:o, s:s?, s:s}", "schema", "kido.confirm/1", "ok", ok, "policy",
                   controller_policy_to_json(controller), "message", message, "language",
                   language == LANGUAGE_JAPANESE ? "ja" : "en");
}

static int explain_lost(const struct controller *controller, enum language language, struct error *error) {
  const struct trial_end *last = &controller->last_trial;
  if (last->at.seconds == 0) {
    return error_set(
        error, ENOENT, "%s",
        language_choose(language, "確定を待っているポリシーはありません", "no policy awaits its confirmation"));
  }
  return error_set(
      error, ENOENT,
      language_choose(language,
                      "確定を待っているポリシーはありません。ポリシー %s は確定されないまま終わり、元に"
                      "戻っています",
                      "no policy awaits its confirmation: the trial of policy %s has ended unconfirmed, and "
                      "what was confirmed before is in force again"),
      last->policy_number);
}

/* Whether this person may confirm now. */
static int check_confirm(struct controller *controller, const struct person *by, enum language language,
                         struct error *error) {
  controller_trial_end_if_due(controller);
  const struct trial *trial = controller->trial;
  if (!trial) {
    return explain_lost(controller, language, error);
  }
  if (controller->load.proving) {
    return error_set(error, EBUSY, "%s",
                     language_choose(language, "まだ証明しています。終わってからやり直してください",
                                     "it is still being proven: try again when that is done"));
  }
  if (!person_same(by, &trial->person)) {
    return error_set(error, EPERM,
                     language_choose(language, "このポリシーを確定できるのは、適用した %s だけです",
                                     "this policy can only be confirmed by who applied it: %s"),
                     trial->by);
  }
  return 0;
}

static void announce_confirmed(struct controller *controller, const struct person *by) {
  char name[PERSON_TEXT_SIZE];
  struct announcement confirmed = {.kind = "policy-confirmed", .severity = EVENT_NOTICE, .by = by};
  controller_announce(controller, &confirmed, "ポリシー %s を確定しました (履歴 %llu、操作 %s)",
                      "policy %s is confirmed (history %llu, by %s)", controller->in_force->record.policy_number,
                      (unsigned long long)controller->in_force->record.generation, person_text(by, name));
}

/* On the disk first: whoever is killed then comes up on it, with its deadlines or without. */
static int confirm(struct controller *controller, const struct person *by, struct error *error) {
  struct error ignored = {0};
  char name[PERSON_TEXT_SIZE];
  struct trial *trial = controller->trial;
  struct confirmed_policy record = trial->record;
  record.confirmed_by = person_text(by, name);
  int result = controller_confirm(controller, controller->in_force, &record, error);
  if (result < 0) {
    return result;
  }
  controller->trial = NULL;
  controller->restrictions = controller_trial_restrictions(controller, NULL);
  state_trial_end(controller->options->state_directory, &ignored);
  trial_free(trial);
  announce_confirmed(controller, by);
  controller_schedule_change(controller);
  controller_say_ready(controller);
  return controller_bring(controller, error);
}

void controller_handle_confirm(struct controller *controller, uint64_t client, const struct control_request *request,
                               int text_fd) {
  (void)text_fd;
  enum language language = controller_request_language(controller, request);
  struct person by = server_person(controller->server, client);
  struct error error = {0};
  int code = check_confirm(controller, &by, language, &error) < 0 ? 1 : 0;
  if (code == 0 && confirm(controller, &by, &error) < 0) {
    code = 3;
  }
  server_reply(controller->server, client, CONTROL_STEP_CONFIRM, code,
               confirm_answer(controller, code == 0, code == 0 ? NULL : error.message, language));
}

/* ---- after a crash ---- */

static void announce_cut_short(struct controller *controller, const struct state_trial *trial) {
  struct announcement returned = {
      .kind = "policy-rolled-back",
      .severity = EVENT_WARNING,
      .reason = "cut-short",
      .advice_in_japanese = "必要なら kido apply --confirm-within でやり直し、期限内に kido confirm で確定する",
      .advice_in_english = "If it is wanted, apply it again with --confirm-within and confirm it in time"};
  controller_announce(
      controller, &returned,
      "確定待ちのポリシー %s の試行が、kidod の停止か再起動で途切れました (適用は %s)。最後に確定した状態に"
      "戻します",
      "the trial of policy %s was cut short by the end of kidod or of the machine (applied by %s); what "
      "was confirmed last comes back",
      trial->policy_number, trial->by);
}

/* Confirmed by a kidod that could not remove the note any more, or the same as what was confirmed before. */
static bool was_confirmed(const struct state_trial *trial, const struct confirmed_policy *confirmed) {
  return confirmed && (confirmed->generation > trial->confirmed || strcmp(confirmed->sha256, trial->sha256) == 0);
}

void controller_trial_recover(struct controller *controller, const struct confirmed_policy *confirmed) {
  const char *directory = controller->options->state_directory;
  struct error ignored = {0};
  struct state_trial trial = {.policy_number = "?", .sha256 = "", .by = "?"};
  struct arena *arena = arena_new(0);
  int result = arena ? state_trial_load(directory, arena, &trial, &ignored) : -ENOMEM;
  if (result == -ENOENT) {
    arena_free(arena);
    return;
  }
  if (result < 0 || !was_confirmed(&trial, confirmed)) {
    announce_cut_short(controller, &trial);
  }
  state_trial_end(directory, &ignored);
  arena_free(arena);
}

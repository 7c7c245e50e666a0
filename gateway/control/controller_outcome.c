/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/controller_parts.h"

/* What a load ended in, for whoever asked and for the record. */

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

static const char *state_of(const struct controller *controller, const struct outcome *outcome) {
  return !outcome->generation ? "none" : controller->trial ? "pending" : "confirmed";
}

json_t *controller_outcome_to_json(const struct controller *controller, const struct load *load,
                                   const struct outcome *outcome) {
  json_int_t number = outcome->generation ? (json_int_t)outcome->generation->record.generation : 0;
  return json_pack(
      "{s:s, s:b, s:s, s:o, s:I, s:s?, s:o, s:O?, s:s, s:o, s:o, s:s?, s:s, s:O?}", "schema", "kido.apply/1", "ok",
      outcome->code == 0, "step", control_step_name(load->step), "policy", policy_to_json(outcome->generation),
      "changes", (json_int_t)outcome->changes, "message", outcome->message, "refusal",
      refusal_to_json(&outcome->refusal), "diagnostics", outcome->diagnostics, "state", state_of(controller, outcome),
      "history", number > 0 ? json_integer(number) : json_null(), "deadline",
      controller->trial ? controller_instant_to_json(controller, controller_trial_deadline(controller)) : json_null(),
      "lockout", outcome->lockout == LOCKOUT_NONE ? NULL : lockout_name(outcome->lockout), "language",
      load->language == LANGUAGE_JAPANESE ? "ja" : "en", "proof", outcome->proof);
}

void controller_refuse_load(struct controller *controller, const struct load *load, int code,
                            const struct error *error) {
  struct outcome outcome = {.code = code, .message = error->message, .generation = controller->in_force};
  server_reply(controller->server, load->client, CONTROL_STEP_NONE, code,
               controller_outcome_to_json(controller, load, &outcome));
}

static const char *number_of(const struct generation *generation) {
  const char *number = generation->policy->header.number.text;
  return number ? number : "-";
}

static void announce_trial(struct controller *controller, const struct outcome *outcome) {
  const struct load *load = &controller->load;
  char deadline[INSTANT_TEXT_SIZE], by[PERSON_TEXT_SIZE];
  struct announcement applied = {
      .kind = load->origin == LOAD_ROLLBACK ? "policy-rolled-back" : "policy-applied",
      .severity = EVENT_NOTICE,
      .reason = "trial",
      .advice_in_japanese = "動作を確かめ、期限までに kido confirm で確定する。しなければ元のポリシーに戻る",
      .advice_in_english = "Try what matters, and keep it with kido confirm before the deadline; else it goes back",
      .by = &load->by};
  instant_format(outcome->generation->policy->header.timezone, controller_trial_deadline(controller), deadline);
  controller_announce(controller, &applied, "ポリシー %s を試しに適用しました (%.12s、変更 %zu 件、%s まで、操作 %s)",
                      "policy %s is in force on trial (%.12s, %zu changes, until %s, by %s)",
                      number_of(outcome->generation), outcome->generation->policy->sha256, outcome->changes, deadline,
                      person_text(&load->by, by));
}

static void announce_in_force(struct controller *controller, const struct outcome *outcome) {
  const struct load *load = &controller->load;
  const struct generation *generation = outcome->generation;
  char by[PERSON_TEXT_SIZE];
  struct announcement applied = {.kind = "policy-applied", .severity = EVENT_NOTICE};
  if (load->origin == LOAD_START) {
    controller_announce(controller, &applied, "確定済みのポリシー %s を適用しました (%.12s、変更 %zu 件)",
                        "the confirmed policy %s is in force (%.12s, %zu changes)", number_of(generation),
                        generation->policy->sha256, outcome->changes);
    return;
  }
  bool rollback = load->origin == LOAD_ROLLBACK;
  applied.kind = rollback ? "policy-rolled-back" : "policy-applied";
  applied.by = &load->by;
  const char *what = !rollback ? language_choose(controller_language(controller), "適用しました", "is in force")
                               : language_choose(controller_language(controller), "履歴から戻しました",
                                                 "is in force again, out of the history");
  controller_announce(controller, &applied, "ポリシー %s を%s (%.12s、変更 %zu 件、操作 %s)",
                      "policy %s %s (%.12s, %zu changes, by %s)", number_of(generation), what,
                      generation->policy->sha256, outcome->changes, person_text(&load->by, by));
}

/* What stood before stands again; at the start that is nothing but the `gateway` flows. */
static void announce_refuted(struct controller *controller, const struct outcome *outcome) {
  const struct load *load = &controller->load;
  bool start = load->origin == LOAD_START;
  struct announcement refused = {
      .kind = "policy-refused",
      .severity = EVENT_CRITICAL,
      .reason = "proof",
      .advice_in_japanese = "直前の proof-refuted の内容を調べる。原因を除けないまま適用するなら kido apply "
                            "--allow-unproven",
      .advice_in_english = "See the proof-refuted before this one; to apply it although the cause stays: kido apply "
                           "--allow-unproven",
      .by = start ? NULL : &load->by};
  controller_announce(controller, &refused,
                      start ? "カーネルが確定済みのポリシーのとおりに動かないため、関門を閉じました: %s"
                            : "カーネルがポリシーのとおりに動かないため、元に戻しました: %s",
                      start ? "the kernel does not do what the confirmed policy says, and the gate was closed: %s"
                            : "the kernel does not do what the policy says, and what stood before was put back: %s",
                      outcome->message ? outcome->message : "");
}

static void announce_refusal(struct controller *controller, const struct outcome *outcome) {
  const struct load *load = &controller->load;
  struct announcement refused = {.kind = "policy-refused",
                                 .severity = controller->in_force ? EVENT_WARNING : EVENT_CRITICAL,
                                 .flow = outcome->refusal.known ? outcome->refusal.origin.subject : NULL,
                                 .reason = outcome->loses_cut                 ? "cut"
                                           : outcome->lockout == LOCKOUT_NONE ? NULL
                                                                              : lockout_name(outcome->lockout),
                                 .advice_in_japanese = "kido check で誤りを確かめて直し、kido apply をやり直す",
                                 .advice_in_english = "See what is wrong with kido check, correct it, and apply again",
                                 .by = load->origin == LOAD_START ? NULL : &load->by};
  controller_announce(controller, &refused, "ポリシーを受け付けませんでした: %s", "the policy was refused: %s",
                      outcome->message ? outcome->message : "");
}

void controller_announce_outcome(struct controller *controller, const struct outcome *outcome) {
  bool loaded = outcome->code == 0 || (outcome->proof && !outcome->refuted && !outcome->message);
  if (outcome->refuted) {
    announce_refuted(controller, outcome);
  } else if (!loaded) {
    announce_refusal(controller, outcome);
  } else if (controller->trial) {
    announce_trial(controller, outcome);
  } else {
    announce_in_force(controller, outcome);
  }
}

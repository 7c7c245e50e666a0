/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/applying.h"

#include <errno.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/proof_print.h"
#include "control/proof_text.h"
#include "control/publication.h"
#include "policy/print.h"

enum { DIGIT_LIMIT = 7 };

bool duration_parse(const char *text, uint64_t *ret_seconds) {
  static const struct {
    char unit;
    uint64_t seconds;
  } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
  uint64_t number = 0;
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > DIGIT_LIMIT || text[digits] == '\0' || text[digits + 1] != '\0') {
    return false;
  }
  for (size_t i = 0; i < digits; i++) {
    number = number * 10 + (uint64_t)(text[i] - '0');
  }
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
    if (text[digits] == units[i].unit && number > 0 && number * units[i].seconds <= CONTROL_TRIAL_SECONDS_MAX) {
      *ret_seconds = number * units[i].seconds;
      return true;
    }
  }
  return false;
}

int applying_take_options(const struct invocation *invocation, struct control_request *request) {
  const char *within = invocation_value(invocation, "confirm-within");
  if (within && !duration_parse(within, &request->seconds)) {
    return invocation_usage(invocation,
                            "--confirm-within は 90s、10m、2h のように書きます (最長 7 日)。「%.20s」は使えません",
                            "--confirm-within is written like 90s, 10m or 2h, at most 7 days; not '%.20s'", within);
  }
  if (invocation_has(invocation, "allow-lockout")) {
    request->flags |= CONTROL_ALLOW_LOCKOUT;
  }
  if (invocation_has(invocation, "allow-unproven")) {
    request->flags |= CONTROL_ALLOW_UNPROVEN;
  }
  return EXIT_CODE_YES;
}

void applying_show_step(const struct invocation *invocation, enum control_step step) {
  static const struct {
    const char *japanese, *english;
  } steps[] = {
      [CONTROL_STEP_NONE] = {"", ""},
      [CONTROL_STEP_CHECK] = {"検査しています", "checking"},
      [CONTROL_STEP_COMPILE] = {"ルールを作っています", "compiling"},
      [CONTROL_STEP_LOAD] = {"カーネルに入れ、読み戻して照合しています", "loading, reading back, comparing"},
      [CONTROL_STEP_CONFIRM] = {"確定しています", "confirming"},
      [CONTROL_STEP_PROVE] = {"カーネルがポリシーのとおりか証明しています",
                              "proving that the kernel does what it says"},
  };
  if (!invocation->json && step != CONTROL_STEP_NONE) {
    fprintf(stderr, "%s ...\n", language_choose(invocation->language, steps[step].japanese, steps[step].english));
  }
}

int applying_seal_policy(const struct invocation *invocation, const struct policy *policy, struct error *error) {
  size_t size = 0;
  char *text = policy_print(policy, invocation->arena, &size);
  if (!text) {
    return error_set(error, ENOMEM, "no memory");
  }
  int fd = sealed_memfd("policy", text, size);
  return fd < 0 ? error_set(error, -fd, "memfd: %s", strerror(-fd)) : fd;
}

/* What kidod alone can find wrong: it knows what is confirmed. */
static void print_error(const struct invocation *invocation, const json_t *error) {
  const json_t *related, *all = json_object_get(error, "related");
  struct arena *arena = invocation->arena;
  size_t index;
  fprintf(stderr, "%s:%lld: %s %s: %s\n", answer_escape(arena, answer_text(error, "file")),
          json_integer_value(json_object_get(error, "line")), answer_text(error, "code"),
          answer_escape(arena, answer_text(error, "subject")), answer_escape(arena, answer_text(error, "message")));
  json_array_foreach((json_t *)(uintptr_t)all, index, related) {
    fprintf(stderr, "  %s\n", answer_escape(arena, answer_text(related, "message")));
  }
  if (answer_text(error, "hint")[0] != '\0') {
    fprintf(stderr, "  %s\n", answer_escape(arena, answer_text(error, "hint")));
  }
}

static void print_errors(const struct invocation *invocation, const json_t *diagnostics) {
  const json_t *diagnostic;
  size_t index;
  json_array_foreach((json_t *)(uintptr_t)diagnostics, index, diagnostic) {
    if (strcmp(answer_text(diagnostic, "severity"), "error") == 0) {
      print_error(invocation, diagnostic);
    }
  }
}

static void print_refusal(const struct invocation *invocation, const json_t *body) {
  const json_t *refusal = json_object_get(body, "refusal");
  invocation_complain(invocation, "適用されませんでした。いままでのルールがそのまま有効です: %s",
                      "not applied, the rules in force are as they were: %s", answer_text(body, "message"));
  print_errors(invocation, json_object_get(body, "diagnostics"));
  if (json_is_object(refusal) && answer_text(refusal, "file")[0] != '\0') {
    fprintf(stderr, "%s:%lld: %s: %s\n", answer_escape(invocation->arena, answer_text(refusal, "file")),
            json_integer_value(json_object_get(refusal, "line")),
            answer_escape(invocation->arena, answer_text(refusal, "subject")),
            answer_escape(invocation->arena, answer_text(refusal, "what")));
  }
}

static void print_trial(const struct invocation *invocation, const json_t *body) {
  const json_t *policy = json_object_get(body, "policy");
  printf(
      language_choose(invocation->language,
                      "試しに適用しました: ポリシー %s (%.12s)、変更 %lld 件\n"
                      "%s までに kido confirm で確定しなければ、元に戻ります。すぐ戻すには kido rollback\n",
                      "in force on trial: policy %s (%.12s), %lld changes\n"
                      "unless kido confirm keeps it before %s, it goes back by itself; kido rollback goes back now\n"),
      answer_escape(invocation->arena, answer_text(policy, "number")), answer_text(policy, "sha256"),
      json_integer_value(json_object_get(body, "changes")), answer_text(body, "deadline"));
}

/* One line when it is proven; all of it when it is not. */
static void print_proof(const struct invocation *invocation, const json_t *body) {
  const json_t *proof = json_object_get(body, "proof");
  if (json_is_object(proof) && strcmp(answer_text(proof, "result"), "proven") == 0) {
    fprintf(stderr, "%s\n", proof_headline(proof, invocation->language));
  } else if (json_is_object(proof)) {
    proof_print(stderr, invocation, proof, invocation->colour_diagnostics);
  }
}

/* It did not come into force: what is told with code 1 beside a proof that stands is a way round. */
static bool is_refused(const struct client_answer *answer) {
  return answer->code != EXIT_CODE_YES &&
         (!json_is_object(json_object_get(answer->body, "proof")) || answer_text(answer->body, "message")[0] != '\0');
}

int applying_print_answer(const struct invocation *invocation, const struct client_answer *answer) {
  if (invocation->json) {
    return invocation_print_json(invocation, json_incref(answer->body), answer->code);
  }
  if (is_refused(answer)) {
    print_refusal(invocation, answer->body);
    print_proof(invocation, answer->body);
    return answer->code;
  }
  print_proof(invocation, answer->body);
  const json_t *policy = json_object_get(answer->body, "policy");
  if (strcmp(answer_text(answer->body, "state"), "pending") == 0) {
    print_trial(invocation, answer->body);
  } else if (strcmp(answer_text(answer->body, "state"), "none") == 0) {
    fputs(language_choose(invocation->language, "確定済みのポリシーがないため、関門を閉じました\n",
                          "no policy was ever confirmed: the gate is closed\n"),
          stdout);
  } else {
    printf(language_choose(invocation->language, "適用しました: ポリシー %s (%.12s)、変更 %lld 件\n",
                           "in force: policy %s (%.12s), %lld changes\n"),
           answer_escape(invocation->arena, answer_text(policy, "number")), answer_text(policy, "sha256"),
           json_integer_value(json_object_get(answer->body, "changes")));
  }
  return invocation_finish(invocation, answer->code);
}

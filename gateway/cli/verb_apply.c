/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/client.h"
#include "control/publication.h"
#include "policy/check.h"
#include "policy/print.h"

/*
 * The policy is read and checked here first, where @include and the operator's own lines are at hand. What kidod gets
 * is the canonical form; it judges that again by itself. When the kernel refuses, kidod names the flow, and its place
 * in the operator's file is found here.
 */

static void show_step(const struct invocation *invocation, enum control_step step) {
  static const struct {
    const char *japanese, *english;
  } steps[] = {
      [CONTROL_STEP_NONE] = {"", ""},
      [CONTROL_STEP_CHECK] = {"検査しています", "checking"},
      [CONTROL_STEP_COMPILE] = {"ルールを作っています", "compiling"},
      [CONTROL_STEP_LOAD] = {"カーネルに入れ、読み戻して照合しています", "loading, reading back, comparing"},
      [CONTROL_STEP_CONFIRM] = {"確定しています", "confirming"},
  };
  if (!invocation->json && step != CONTROL_STEP_NONE) {
    fprintf(stderr, "%s ...\n", language_choose(invocation->language, steps[step].japanese, steps[step].english));
  }
}

static int seal_policy(const struct invocation *invocation, const struct policy *policy, struct error *error) {
  size_t size = 0;
  char *text = policy_print(policy, invocation->arena, &size);
  if (!text) {
    return error_set(error, ENOMEM, "no memory");
  }
  int fd = sealed_memfd("policy", text, size);
  return fd < 0 ? error_set(error, -fd, "memfd: %s", strerror(-fd)) : fd;
}

/* Where the operator's file names a flow, a zone or a host. */
static struct place place_of_subject(const struct policy *policy, const char *subject) {
  const struct flow *flow = policy_find_flow(policy, subject);
  if (flow) {
    return flow->place;
  }
  const struct host *host = policy_find_host(policy, subject);
  if (host) {
    return host->place;
  }
  zone_index zone = policy_find_zone(policy, subject);
  return zone >= 0 ? policy->zones[zone].place : (struct place){0};
}

/* Puts the operator's own file and line into the refusal. */
static void locate_refusal(const struct policy *policy, json_t *body) {
  json_t *refusal = json_object_get(body, "refusal");
  const char *subject = json_string_value(json_object_get(refusal, "subject"));
  struct place place = subject ? place_of_subject(policy, subject) : (struct place){0};
  if (json_is_object(refusal)) {
    json_object_set_new(refusal, "file", place.file ? json_string(place.file) : json_null());
    json_object_set_new(refusal, "line", json_integer((json_int_t)place.line));
  }
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static const char *escape(const struct invocation *invocation, const char *text) {
  const char *escaped = text_escape(invocation->arena, text);
  return escaped ? escaped : "";
}

static void print_refusal(const struct invocation *invocation, const json_t *body) {
  const json_t *refusal = json_object_get(body, "refusal");
  invocation_complain(invocation, "適用されませんでした。いままでのルールがそのまま有効です: %s",
                      "not applied, the rules in force are as they were: %s", text_of(body, "message"));
  if (json_is_object(refusal) && text_of(refusal, "file")[0] != '\0') {
    fprintf(stderr, "%s:%lld: %s: %s\n", escape(invocation, text_of(refusal, "file")),
            json_integer_value(json_object_get(refusal, "line")), escape(invocation, text_of(refusal, "subject")),
            escape(invocation, text_of(refusal, "what")));
  }
}

static int print_answer(const struct invocation *invocation, const struct client_answer *answer) {
  if (invocation->json) {
    return invocation_print_json(invocation, json_incref(answer->body), answer->code);
  }
  if (answer->code != EXIT_CODE_YES) {
    print_refusal(invocation, answer->body);
    return answer->code;
  }
  const json_t *policy = json_object_get(answer->body, "policy");
  printf(language_choose(invocation->language, "適用しました: ポリシー %s (%.12s)、変更 %lld 件\n",
                         "in force: policy %s (%.12s), %lld changes\n"),
         escape(invocation, text_of(policy, "number")), text_of(policy, "sha256"),
         json_integer_value(json_object_get(answer->body, "changes")));
  return invocation_finish(invocation, EXIT_CODE_YES);
}

/* A policy with errors is refused before anybody is asked. */
static int refuse(const struct invocation *invocation, struct policy_reading *reading) {
  invocation_print_diagnostics(invocation, &reading->diagnostics);
  if (!invocation->json) {
    invocation_complain(invocation, "適用されませんでした。いままでのルールがそのまま有効です",
                        "not applied, the rules in force are as they were");
    return EXIT_CODE_NO;
  }
  return invocation_print_json(invocation,
                               json_pack("{s:s, s:b, s:s, s:n, s:i, s:n, s:n, s:o}", "schema", "kido.apply/1", "ok",
                                         false, "step", "check", "policy", "changes", 0, "message", "refusal",
                                         "diagnostics", diagnostics_to_json(&reading->diagnostics)),
                               EXIT_CODE_NO);
}

static int send_policy(const struct invocation *invocation, const struct policy *policy) {
  struct error error = {0};
  struct client_answer answer = {0};
  int fd = seal_policy(invocation, policy, &error);
  if (fd < 0) {
    invocation_complain(invocation, "%s", "%s", error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  int result = client_ask(invocation, &(struct control_request){.verb = CONTROL_APPLY}, fd, show_step, &answer, &error);
  close(fd);
  if (result < 0) {
    client_complain(invocation, &error);
    return EXIT_CODE_NO_ANSWER;
  }
  locate_refusal(policy, answer.body);
  int code = print_answer(invocation, &answer);
  json_decref(answer.body);
  return code;
}

/* From here on the language is that of the policy, unless another was asked for. */
static int apply(const struct invocation *invocation, struct policy_reading *reading) {
  if (reading->policy) {
    struct check_options options = {.now = invocation->now};
    policy_check(reading->policy, &options, &reading->diagnostics);
  }
  if (!reading->policy || reading->diagnostics.errors > 0 || reading->diagnostics.out_of_memory) {
    return refuse(invocation, reading);
  }
  if (!invocation->json) {
    invocation_print_diagnostics(invocation, &reading->diagnostics);
  }
  return send_policy(invocation, reading->policy);
}

int verb_apply(const struct invocation *invocation) {
  struct policy_reading reading = {0};
  const char *positional = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
  int code = invocation_read_policy(invocation, positional, &reading);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  struct invocation speaking = *invocation;
  speaking.language = reading.diagnostics.language;
  return apply(&speaking, &reading);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <unistd.h>

#include "cli/applying.h"
#include "policy/check.h"

/*
 * The policy is read and checked here first, where @include and the operator's own lines are at hand. What kidod gets
 * is the canonical form; it judges that again by itself. When the kernel refuses, kidod names the flow, and its place
 * in the operator's file is found here.
 */

/* Where the operator's file names a flow, a zone or a host. */
static struct place place_of_subject(const struct policy *policy, const char *subject) {
  if (strcmp(subject, "policy") == 0) {
    return policy->header.number.place;
  }
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

/* The same for what it found wrong: it read the canonical form, whose lines are others. */
static void locate_diagnostics(const struct policy *policy, json_t *body) {
  json_t *diagnostic, *related;
  size_t index, other;
  json_array_foreach(json_object_get(body, "diagnostics"), index, diagnostic) {
    const char *subject = json_string_value(json_object_get(diagnostic, "subject"));
    struct place place = subject ? place_of_subject(policy, subject) : (struct place){0};
    if (!place.file) {
      continue;
    }
    json_object_set_new(diagnostic, "file", json_string(place.file));
    json_object_set_new(diagnostic, "line", json_integer((json_int_t)place.line));
    json_array_foreach(json_object_get(diagnostic, "related"), other, related) {
      json_object_set_new(related, "file", json_string(place.file));
      json_object_set_new(related, "line", json_integer((json_int_t)place.line));
    }
  }
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

static int send_policy(const struct invocation *invocation, const struct policy *policy,
                       const struct control_request *request) {
  struct error error = {0};
  struct client_answer answer = {0};
  int fd = applying_seal_policy(invocation, policy, &error);
  if (fd < 0) {
    invocation_complain(invocation, "%s", "%s", error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  int result = client_ask(invocation, request, fd, applying_show_step, &answer, &error);
  close(fd);
  if (result < 0) {
    client_complain(invocation, &error);
    return EXIT_CODE_NO_ANSWER;
  }
  locate_refusal(policy, answer.body);
  locate_diagnostics(policy, answer.body);
  int code = applying_print_answer(invocation, &answer);
  json_decref(answer.body);
  return code;
}

/* From here on the language is that of the policy, unless another was asked for. */
static int apply(const struct invocation *invocation, struct policy_reading *reading,
                 const struct control_request *request) {
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
  return send_policy(invocation, reading->policy, request);
}

int verb_apply(const struct invocation *invocation) {
  struct control_request request = {.verb = CONTROL_APPLY};
  struct policy_reading reading = {0};
  int code = applying_take_options(invocation, &request);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  const char *positional = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
  code = invocation_read_policy(invocation, positional, &reading);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  struct invocation speaking = *invocation;
  speaking.language = reading.diagnostics.language;
  return apply(&speaking, &reading, &request);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "control/child.h"
#include "control/controller_parts.h"

/*
 * `kido plan`: the policy is read and judged by the same child as a load, and compared with what is loaded; nothing is
 * changed. A plan has a child of its own, so that it is in nobody's way.
 */
struct planning {
  struct controller *controller;
  uint64_t client;
  enum language language;
  struct operator_way way;
  struct policy_reader reader;
  sd_event_source *child;
};

/* ---- the answer ---- */

static struct plan_question question_of(const struct controller *controller, const struct generation *planned,
                                        const struct restrictions *restrictions) {
  return (struct plan_question){
      .before = {controller->in_force ? controller->in_force->policy : NULL, &controller->restrictions},
      .after = {planned->policy, restrictions},
      .own = gate_own_addresses(controller->gate),
      .now = controller_now()};
}

static enum lockout judge_lockout(const struct plan_question *question, const struct operator_way *way) {
  return lockout_judge(&(struct lockout_question){.before = {question->before.policy, question->before.restrictions},
                                                  .after = {question->after.policy, question->after.restrictions},
                                                  .way = *way,
                                                  .own = question->own,
                                                  .now = question->now});
}

static int answer_plan(struct planning *planning, const struct generation *planned, struct arena *arena,
                       json_t **ret_body, int *ret_code, struct error *error) {
  struct controller *controller = planning->controller;
  struct restrictions restrictions = controller_trial_restrictions(controller, NULL);
  struct plan_question question = question_of(controller, planned, &restrictions);
  struct connection_list connections = {0};
  struct plan plan;
  struct plan_effect effect;
  int result = conntrack_read(arena, &connections, error);
  if (result < 0) {
    return result;
  }
  if (plan_compare(&question, arena, &plan) < 0 ||
      plan_judge_connections(&question, &connections, arena, &effect) < 0) {
    return error_set(error, ENOMEM, "no memory");
  }
  *ret_body = controller_plan_to_json(controller, &question, &plan, &effect, judge_lockout(&question, &planning->way),
                                      planning->language);
  *ret_code = plan.equal ? 0 : 1;
  return *ret_body ? 0 : error_set(error, ENOMEM, "no memory");
}

static void answer(struct planning *planning, const struct reader_result *read, struct arena *arena) {
  struct error error = {0};
  struct generation *planned = NULL;
  json_t *body = NULL;
  int code = 3;
  if (read->verdict == READER_GOOD) {
    if (generation_new(read->text, read->size, &planned, &error) == 0) {
      answer_plan(planning, planned, arena, &body, &code, &error);
    }
  } else {
    error_set(&error, EINVAL, "%s",
              read->verdict == READER_FAILED
                  ? read->message
                  : language_choose(planning->language, "ポリシーに誤りがあります", "the policy has errors"));
  }
  if (!body) {
    body = controller_failure("kido.plan/1", error.message);
    json_object_set(body, "diagnostics", read->diagnostics);
  }
  server_reply(planning->controller->server, planning->client, CONTROL_STEP_NONE, code, body);
  generation_free(planned);
}

/* ---- reading ---- */

static void end_planning(struct planning *planning) {
  sd_event_source_disable_unref(planning->child);
  policy_reader_close(&planning->reader);
  planning->controller->planning = NULL;
  free(planning);
}

void controller_drop_plan(struct controller *controller) {
  if (controller->planning) {
    end_planning(controller->planning);
  }
}

static int on_read(sd_event_source *source, const siginfo_t *info, void *context) {
  (void)source;
  struct planning *planning = context;
  struct arena *arena = arena_new(0);
  struct reader_result read = {.verdict = READER_FAILED, .message = "no memory"};
  int status = child_status(info);
  if (arena) {
    policy_reader_finish(&planning->reader, status, arena, &read);
  }
  answer(planning, &read, arena);
  json_decref(read.diagnostics);
  arena_free(arena);
  end_planning(planning);
  return 0;
}

static int start_planning(struct planning *planning, const struct control_request *request, int text_fd,
                          struct error *error) {
  struct controller *controller = planning->controller;
  struct reader_request reading = {.policy_fd = text_fd,
                                   .path = "policy",
                                   .language = planning->language,
                                   .language_forced = request->language != 0,
                                   .now = controller_now()};
  int result = policy_reader_start(&reading, &planning->reader, error);
  if (result == 0 &&
      sd_event_add_child(controller->loop, &planning->child, planning->reader.pid, WEXITED, on_read, planning) < 0) {
    result = error_set(error, ENOMEM, "no memory");
  }
  return result;
}

void controller_handle_plan(struct controller *controller, uint64_t client, const struct control_request *request,
                            int text_fd) {
  struct error error = {0};
  enum language language = controller_request_language(controller, request);
  struct planning *planning = controller->planning ? NULL : calloc(1, sizeof *planning);
  if (!planning) {
    const char *why = controller->planning
                          ? language_choose(language, "別の kido plan を処理しています。終わってからやり直してください",
                                            "another plan is being made: try again when that is done")
                          : "no memory";
    server_reply(controller->server, client, CONTROL_STEP_NONE, 3, controller_failure("kido.plan/1", why));
    return;
  }
  *planning = (struct planning){.controller = controller,
                                .client = client,
                                .language = language,
                                .way = operator_way_of(request),
                                .reader = {-1, -1, -1}};
  controller->planning = planning;
  if (start_planning(planning, request, text_fd, &error) < 0) {
    server_reply(controller->server, client, CONTROL_STEP_NONE, 3, controller_failure("kido.plan/1", error.message));
    end_planning(planning);
  }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/applying.h"

/* `confirm`, `rollback` and `history`: what was put in force before, and whether it stays. */

/* Asks and leaves the language of the answer in *ret_speaking. EXIT_CODE_YES, or EXIT_CODE_NO_ANSWER. */
static int ask(const struct invocation *invocation, const struct control_request *request, client_progress *progress,
               struct client_answer *ret_answer, struct invocation *ret_speaking) {
  struct error error = {0};
  if (client_ask(invocation, request, -1, progress, ret_answer, &error) < 0) {
    client_complain(invocation, &error);
    return EXIT_CODE_NO_ANSWER;
  }
  *ret_speaking = *invocation;
  ret_speaking->language = client_language(invocation, ret_answer->body);
  return EXIT_CODE_YES;
}

/* ---- confirm ---- */

static int print_confirmed(const struct invocation *invocation, const struct client_answer *answer) {
  const json_t *policy = json_object_get(answer->body, "policy");
  if (invocation->json) {
    return invocation_print_json(invocation, json_incref(answer->body), answer->code);
  }
  if (answer->code != EXIT_CODE_YES) {
    invocation_complain(invocation, "確定できません: %s", "not confirmed: %s", answer_text(answer->body, "message"));
    return answer->code;
  }
  printf(language_choose(invocation->language, "確定しました: ポリシー %s (%.12s)、履歴 %" PRId64 "\n",
                         "confirmed: policy %s (%.12s), number %" PRId64 " of the history\n"),
         answer_escape(invocation->arena, answer_text(policy, "number")), answer_text(policy, "sha256"),
         (int64_t)json_integer_value(json_object_get(policy, "history")));
  return invocation_finish(invocation, EXIT_CODE_YES);
}

int verb_confirm(const struct invocation *invocation) {
  struct client_answer answer = {0};
  struct invocation speaking;
  int code = ask(invocation, &(struct control_request){.verb = CONTROL_CONFIRM}, NULL, &answer, &speaking);
  if (code == EXIT_CODE_YES) {
    code = print_confirmed(&speaking, &answer);
  }
  json_decref(answer.body);
  return code;
}

/* ---- rollback ---- */

static bool parse_number(const char *text, uint64_t *ret_number) {
  char *end;
  errno = 0;
  uint64_t number = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number == 0) {
    return false;
  }
  *ret_number = number;
  return true;
}

int verb_rollback(const struct invocation *invocation) {
  struct control_request request = {.verb = CONTROL_ROLLBACK};
  struct client_answer answer = {0};
  struct invocation speaking;
  if (invocation->argument_count > 0 && !parse_number(invocation->arguments[0], &request.number)) {
    return invocation_usage(invocation, "履歴の番号を指定してください (kido history)。「%.20s」は番号ではありません",
                            "give a number of the history (kido history); '%.20s' is none", invocation->arguments[0]);
  }
  int code = applying_take_options(invocation, &request);
  if (code == EXIT_CODE_YES) {
    code = ask(invocation, &request, applying_show_step, &answer, &speaking);
  }
  if (code == EXIT_CODE_YES) {
    code = applying_print_answer(&speaking, &answer);
  }
  json_decref(answer.body);
  return code;
}

/* ---- history ---- */

static const char *state_label(enum language language, const char *state) {
  static const struct {
    const char *state, *japanese, *english;
  } labels[] = {{"pending", "確定待ち", "on trial"},      {"confirmed", "確定", "confirmed"},
                {"superseded", "旧", "superseded"},       {"rolled-back", "取り消し", "rolled back"},
                {"unconfirmed", "未確定", "unconfirmed"}, {"damaged", "破損", "damaged"}};
  for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
    if (strcmp(labels[i].state, state) == 0) {
      return language_choose(language, labels[i].japanese, labels[i].english);
    }
  }
  return state;
}

static const char *origin_label(const struct invocation *invocation, const json_t *entry) {
  static const struct {
    const char *origin, *japanese, *english;
  } labels[] = {{"apply", "適用", "apply"}, {"reload", "再読み込み", "reload"}, {"rollback", "復元", "rollback"}};
  json_int_t source = json_integer_value(json_object_get(entry, "source"));
  for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
    if (strcmp(labels[i].origin, answer_text(entry, "origin")) == 0) {
      const char *label = language_choose(invocation->language, labels[i].japanese, labels[i].english);
      return source > 0 ? arena_printf(invocation->arena, "%s (%" PRId64 ")", label, (int64_t)source) : label;
    }
  }
  return "";
}

static void add_entry(const struct invocation *invocation, struct table *table, const json_t *entry) {
  json_int_t number = json_integer_value(json_object_get(entry, "number"));
  const char *cells[] = {number > 0 ? arena_printf(invocation->arena, "%" PRId64, (int64_t)number) : "",
                         answer_text(entry, "policy_number"),
                         arena_printf(invocation->arena, "%.12s", answer_text(entry, "sha256")),
                         answer_text(entry, "applied_at"),
                         answer_text(entry, "by"),
                         origin_label(invocation, entry),
                         state_label(invocation->language, answer_text(entry, "state"))};
  table_add(table, cells);
}

static int print_history(const struct invocation *invocation, const json_t *body) {
  static const char *const japanese[] = {">番号", "ポリシー", "SHA-256", "適用日時", "操作", "経緯", "状態"};
  static const char *const english[] = {">number", "policy", "SHA-256", "applied at", "by", "how", "state"};
  const json_t *entries = json_object_get(body, "entries");
  bool in_japanese = invocation->language == LANGUAGE_JAPANESE;
  struct table *table =
      table_new(invocation->arena, in_japanese ? japanese : english, sizeof japanese / sizeof japanese[0]);
  size_t index;
  json_t *entry;
  if (!table) {
    return EXIT_CODE_NO_ANSWER;
  }
  json_array_foreach(entries, index, entry) {
    add_entry(invocation, table, entry);
  }
  table_print(stdout, table, invocation->colour_output);
  return invocation_finish(invocation, EXIT_CODE_YES);
}

int verb_history(const struct invocation *invocation) {
  struct client_answer answer = {0};
  struct invocation speaking;
  int code = ask(invocation, &(struct control_request){.verb = CONTROL_HISTORY}, NULL, &answer, &speaking);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  if (invocation->json) {
    code = invocation_print_json(&speaking, json_incref(answer.body), answer.code);
  } else if (answer.code != EXIT_CODE_YES) {
    invocation_complain(&speaking, "履歴を読めません: %s", "the history cannot be read: %s",
                        answer_text(answer.body, "message"));
    code = answer.code;
  } else {
    code = print_history(&speaking, answer.body);
  }
  json_decref(answer.body);
  return code;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "cli/order.h"
#include "policy/restrictions.h"

/*
 * The emergency cut, from the operator's side: what stops is asked for and shown first, then, at a terminal, whether
 * that is meant, then it is done. Without a terminal it is done at once: a script or a remote command in an emergency
 * must not hang at a question that nobody sees.
 */

struct target_words {
  enum cut_kind kind;
  size_t arguments; /* behind the kind */
};

static bool find_kind(const char *word, struct target_words *ret_words) {
  static const size_t arguments[CUT_KIND_COUNT_] = {[CUT_HOST] = 1, [CUT_PAIR] = 2, [CUT_ZONE] = 1, [CUT_ALL] = 0};
  for (int kind = 0; kind < CUT_KIND_COUNT_; kind++) {
    if (strcmp(word, cut_kind_name((enum cut_kind)kind)) == 0) {
      *ret_words = (struct target_words){(enum cut_kind)kind, arguments[kind]};
      return true;
    }
  }
  return false;
}

/* ---- what stops, what returns ---- */

static void print_flows(const struct invocation *invocation, const json_t *flows, bool counted) {
  static const char *const japanese[] = {"通信", "から", "へ", "範囲", ">接続"};
  static const char *const english[] = {"flow", "from", "to", "extent", ">connections"};
  struct table *table =
      table_new(invocation->arena, invocation->language == LANGUAGE_JAPANESE ? japanese : english, counted ? 5 : 4);
  size_t index;
  const json_t *flow;
  json_array_foreach(flows, index, flow) {
    bool whole = json_is_true(json_object_get(flow, "whole"));
    const char *cells[] = {order_text(invocation, flow, "flow"), order_text(invocation, flow, "from_zone"),
                           order_text(invocation, flow, "to_zone"),
                           whole ? language_choose(invocation->language, "全体", "all of it")
                                 : language_choose(invocation->language, "一部", "a part"),
                           arena_printf(invocation->arena, "%" JSON_INTEGER_FORMAT,
                                        json_integer_value(json_object_get(flow, "connections")))};
    if (table) {
      table_add(table, cells);
    }
  }
  if (table) {
    table_print(stdout, table, invocation->colour_output);
  }
}

static void print_stops(const struct invocation *invocation, const json_t *stops) {
  const json_t *flows = json_object_get(stops, "flows"), *connections = json_object_get(stops, "connections");
  if (!json_is_object(stops)) {
    puts(language_choose(invocation->language, "適用中のポリシーがないため、止まる通信は分かりません",
                         "no policy is in force: what stops is not known"));
    return;
  }
  printf(language_choose(invocation->language, "止まる通信 %zu 件、いまの接続 %" JSON_INTEGER_FORMAT " 件\n",
                         "this stops %zu flows, %" JSON_INTEGER_FORMAT " connections live now\n"),
         json_array_size(flows), json_integer_value(connections));
  if (json_array_size(flows) > 0) {
    print_flows(invocation, flows, json_is_integer(connections));
  }
}

static void print_returns(const struct invocation *invocation, const json_t *returns) {
  const json_t *flows = json_object_get(returns, "flows");
  printf(language_choose(invocation->language, "解除すると通れるようになる通信 %zu 件\n",
                         "lifting gives back %zu flows\n"),
         json_array_size(flows));
  if (json_array_size(flows) > 0) {
    print_flows(invocation, flows, false);
  }
}

/* ---- asking ---- */

/* Whether the operator means it. Without a terminal nobody is asked. */
static bool is_meant(const struct invocation *invocation, const char *japanese, const char *english) {
  if (invocation_has(invocation, "yes") || !isatty(STDIN_FILENO)) {
    return true;
  }
  char line[16];
  fflush(stdout);
  fprintf(stderr, "%s [y/N] ", language_choose(invocation->language, japanese, english));
  return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* ---- answers ---- */

/* "stops" of the question goes into the answer: one object says both. */
static int print_json(const struct invocation *invocation, const json_t *question, struct client_answer *answer) {
  static const char *const keys[] = {"stops", "returns"};
  for (size_t i = 0; question && i < sizeof keys / sizeof keys[0]; i++) {
    json_t *value = json_object_get(question, keys[i]);
    if (value && !json_is_null(value)) {
      json_object_set(answer->body, keys[i], value);
    }
  }
  return invocation_print_json(invocation, answer->body, answer->code);
}

static int refuse(const struct invocation *invocation, struct client_answer *answer) {
  if (invocation->json) {
    return invocation_print_json(invocation, answer->body, answer->code);
  }
  const char *message = order_text(invocation, answer->body, "message");
  invocation_complain(invocation, "%s", "%s", message);
  json_decref(answer->body);
  return answer->code;
}

static int finish(const struct invocation *invocation, const json_t *question, struct client_answer *answer) {
  if (invocation->json) {
    return print_json(invocation, question, answer);
  }
  if (answer->code != EXIT_CODE_YES) {
    return refuse(invocation, answer);
  }
  size_t index;
  const json_t *cut, *cuts = json_object_get(answer->body, "cuts");
  puts(json_array_size(cuts) > 0 ? language_choose(invocation->language, "緊急遮断中:", "cut off:")
                                 : language_choose(invocation->language, "緊急遮断はありません", "nothing is cut off"));
  json_array_foreach(cuts, index, cut) {
    order_print_cut(invocation, cut);
  }
  order_print_clock(invocation, answer->body);
  json_decref(answer->body);
  return invocation_finish(invocation, EXIT_CODE_YES);
}

/* ---- the ways through ---- */

static int list(const struct invocation *invocation) {
  struct client_answer answer = {0};
  const struct control_request request = {.verb = CONTROL_LIFT, .flags = CONTROL_DRY_RUN};
  int code = order_send(invocation, &request, "", "", &answer);
  if (code != 0) {
    return code;
  }
  struct invocation speaking = order_speaking(invocation, answer.body);
  return finish(&speaking, NULL, &answer);
}

/* The first part: what would stop or return. Prints it; the exit code when that is all, else -1. */
static int show(const struct invocation *invocation, const struct control_request *request, const char *names,
                struct client_answer *question) {
  bool lifting = request->verb == CONTROL_LIFT;
  if (question->code != EXIT_CODE_YES) {
    return refuse(invocation, question);
  }
  if (!invocation->json && lifting && names[0] == '\0') {
    print_returns(invocation, json_object_get(question->body, "returns"));
  } else if (!invocation->json && !lifting) {
    print_stops(invocation, json_object_get(question->body, "stops"));
  }
  if (!invocation_has(invocation, "dry-run")) {
    return -1;
  }
  if (invocation->json) {
    return invocation_print_json(invocation, question->body, EXIT_CODE_YES);
  }
  json_decref(question->body);
  return invocation_finish(invocation, EXIT_CODE_YES);
}

/* A cut does not depend on the list of what it stops; a kidod in distress may do it without being able to say. */
static int show_and_do(const struct invocation *invocation, const struct control_request *request, const char *names,
                       const char *why) {
  struct client_answer question = {0}, answer = {0};
  struct control_request dry = *request;
  dry.flags |= CONTROL_DRY_RUN;
  bool lifting = request->verb == CONTROL_LIFT;
  int code = order_send(invocation, &dry, names, why, &question);
  struct invocation speaking = question.body ? order_speaking(invocation, question.body) : *invocation;
  if (code != 0 && (lifting || invocation_has(invocation, "dry-run"))) {
    return code;
  }
  if (code != 0) {
    invocation_complain(invocation, "何が止まるかは分かりませんが、遮断します",
                        "what stops is not known; cutting all the same");
  }
  if (code == 0 && (code = show(&speaking, request, names, &question)) >= 0) {
    return code;
  }
  if (!is_meant(&speaking, lifting ? "解除しますか" : "遮断しますか", lifting ? "lift it?" : "cut it off?")) {
    json_decref(question.body);
    invocation_complain(&speaking, "何もしませんでした", "nothing was done");
    return EXIT_CODE_NO;
  }
  code = order_send(&speaking, request, names, why, &answer);
  if (code == 0) {
    code = finish(&speaking, question.body, &answer);
  }
  json_decref(question.body);
  return code;
}

static int lift(const struct invocation *invocation) {
  struct control_request request = {.verb = CONTROL_LIFT};
  const char *id = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
  bool clock = id && strcmp(id, "clock") == 0 && invocation->argument_count == 1;
  if (id && !clock) {
    char *end;
    request.number = strspn(id, "0123456789") == strlen(id) ? strtoull(id, &end, 10) : 0;
    if (request.number == 0 || invocation->argument_count > 1) {
      return invocation_usage(invocation,
                              "使い方: kido cut --lift [番号|clock] --why 理由。番号は kido cut で分かります",
                              "usage: kido cut --lift [ID|clock] --why TEXT; kido cut lists the ids");
    }
  }
  const char *why = invocation_has(invocation, "dry-run") ? "" : order_reason(invocation);
  return why ? show_and_do(invocation, &request, clock ? "clock" : "", why) : EXIT_CODE_USAGE;
}

static struct control_address numbers_of(const struct address *address) {
  struct control_address numbers = {.family = address->family == FAMILY_IPV6 ? AF_INET6 : AF_INET};
  memcpy(numbers.bytes, address->bytes, address_length(address->family));
  return numbers;
}

static int cut(const struct invocation *invocation, const struct target_words *words) {
  const char *const *arguments = invocation->arguments + 1;
  struct control_request request = {.verb = CONTROL_CUT,
                                    .kind = words->kind,
                                    .flags = invocation_has(invocation, "allow-lockout") ? CONTROL_ALLOW_LOCKOUT : 0};
  const char *names = "";
  struct address address;
  if (words->kind == CUT_HOST && !address_parse(arguments[0], &address)) {
    return invocation_usage(invocation, "「%s」はIPアドレスではありません", "'%s' is not an IP address", arguments[0]);
  }
  if (words->kind == CUT_HOST) {
    request.address = numbers_of(&address);
  } else if (words->arguments > 0) {
    names = arena_printf(invocation->arena, "%s %s", arguments[0], words->arguments > 1 ? arguments[1] : "");
  }
  const char *why = invocation_has(invocation, "dry-run") ? "" : order_reason(invocation);
  return why && names ? show_and_do(invocation, &request, names, why) : EXIT_CODE_USAGE;
}

int verb_cut(const struct invocation *invocation) {
  struct target_words words;
  if (invocation_has(invocation, "lift")) {
    return lift(invocation);
  }
  if (invocation->argument_count == 0) {
    return list(invocation);
  }
  if (!find_kind(invocation->arguments[0], &words) || invocation->argument_count != words.arguments + 1) {
    return invocation_usage(invocation, "使い方: kido cut host アドレス | pair 領域 領域 | zone 領域 | all",
                            "usage: kido cut host ADDRESS | pair ZONE ZONE | zone ZONE | all");
  }
  return cut(invocation, &words);
}

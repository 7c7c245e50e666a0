/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/applying.h"
#include "cli/plan_exact.h"

/* What a policy would change, in the words of its flows, and which live connections it would cut. */
enum { EXAMPLES_SHOWN = 10, HOSTS_SHOWN = 20 };

struct sheet {
  const struct invocation *invocation;
  enum language language;
};

static const char *choose(const struct sheet *sheet, const char *japanese, const char *english)
    __attribute__((format_arg(2), format_arg(3)));

static const char *choose(const struct sheet *sheet, const char *japanese, const char *english) {
  return language_choose(sheet->language, japanese, english);
}

static const char *paint(const struct sheet *sheet, const char *colour) {
  return sheet->invocation->colour_output ? colour : "";
}

/* The texts of an array, with commas between. */
static const char *list(const struct sheet *sheet, const json_t *array) {
  const char *joined = "";
  size_t index;
  json_t *item;
  json_array_foreach(array, index, item) {
    const char *text = answer_escape(sheet->invocation->arena, json_string_value(item) ? json_string_value(item) : "");
    joined = arena_printf(sheet->invocation->arena, "%s%s%s", joined, index == 0 ? "" : ", ", text);
    if (!joined) {
      return "";
    }
  }
  return joined;
}

/* ---- flows ---- */

struct kind_words {
  const char *kind, *sign, *colour, *japanese, *english;
};

static const struct kind_words *words_of(const char *kind) {
  static const struct kind_words words[] = {
      {"added", "+", "\033[32m", "追加", "added"},
      {"removed", "-", "\033[31m", "削除", "removed"},
      {"widened", "+", "\033[32m", "拡大", "widened"},
      {"narrowed", "-", "\033[31m", "縮小", "narrowed"},
      {"moved", "~", "\033[33m", "変更", "changed"},
      {"repinned", "~", "\033[33m", "MACアドレスまたは領域の変更", "other MAC addresses or zones"},
      {"retimed", "~", "\033[33m", "期間または上限の変更", "other times or limits"},
      {"renamed", "=", "", "名称の変更", "renamed"},
  };
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (strcmp(words[i].kind, kind) == 0) {
      return &words[i];
    }
  }
  return &words[0];
}

static void print_boxes(const struct sheet *sheet, const json_t *boxes, bool opened) {
  size_t index;
  json_t *box;
  json_array_foreach(boxes, index, box) {
    printf("      %s%s %s → %s  %s%s\n", paint(sheet, opened ? "\033[32m" : "\033[31m"),
           opened ? choose(sheet, "許可", "allows") : choose(sheet, "停止", "stops"),
           list(sheet, json_object_get(box, "source")), list(sheet, json_object_get(box, "destination")),
           list(sheet, json_object_get(box, "service")), paint(sheet, "\033[0m"));
  }
}

static const char *force_words(const struct sheet *sheet, const json_t *force) {
  const char *state = answer_text(force, "state"), *until = answer_text(force, "until");
  const char *name = strcmp(state, "in-force") == 0  ? choose(sheet, "有効", "in force")
                     : strcmp(state, "expired") == 0 ? choose(sheet, "期限切れ", "expired")
                                                     : choose(sheet, "時間外", "outside its window");
  const char *text = until[0] == '\0' ? name
                                      : arena_printf(sheet->invocation->arena,
                                                     choose(sheet, "%s (%s まで)", "%s until %s"), name, until);
  return text ? text : "";
}

/* When it ends, where that differs; of a new flow, when it does not last. */
static void print_times(const struct sheet *sheet, const json_t *flow) {
  const json_t *before = json_object_get(flow, "before"), *after = json_object_get(flow, "after");
  if (json_is_true(json_object_get(flow, "times_differ"))) {
    printf("      %s: %s → %s\n", choose(sheet, "期間", "times"), force_words(sheet, before),
           force_words(sheet, after));
  } else if (!json_is_object(before) && answer_text(after, "until")[0] != '\0') {
    printf("      %s: %s\n", choose(sheet, "期間", "times"), force_words(sheet, after));
  }
  if (json_is_true(json_object_get(flow, "limit_differs"))) {
    printf("      %s\n", choose(sheet, "limit が変わります", "its limit is another one"));
  }
}

static void print_flow(const struct sheet *sheet, const json_t *flow) {
  const struct kind_words *words = words_of(answer_text(flow, "kind"));
  printf("  %s%s %s%s  %s → %s  %s", paint(sheet, words->colour), words->sign,
         answer_escape(sheet->invocation->arena, answer_text(flow, "flow")), paint(sheet, "\033[0m"),
         list(sheet, json_object_get(flow, "from")), list(sheet, json_object_get(flow, "to")),
         choose(sheet, words->japanese, words->english));
  if (answer_text(flow, "before_name")[0] != '\0') {
    printf(choose(sheet, " (旧 %s)", " (was %s)"),
           answer_escape(sheet->invocation->arena, answer_text(flow, "before_name")));
  }
  printf("  %s\n", answer_escape(sheet->invocation->arena, answer_text(flow, "purpose")));
  print_boxes(sheet, json_object_get(flow, "opened"), true);
  print_boxes(sheet, json_object_get(flow, "closed"), false);
  print_times(sheet, flow);
}

static void print_flows(const struct sheet *sheet, const json_t *plan) {
  const json_t *flows = json_object_get(plan, "flows");
  size_t index;
  json_t *flow;
  if (json_array_size(flows) == 0) {
    return;
  }
  puts(choose(sheet, "通信", "flows"));
  json_array_foreach(flows, index, flow) {
    print_flow(sheet, flow);
  }
}

/* ---- zones, hosts, keys ---- */

static void print_nodes(const struct sheet *sheet, const json_t *nodes, const char *title, const char *key) {
  size_t index;
  json_t *node;
  json_array_foreach(nodes, index, node) {
    if (index == 0) {
      puts(title);
    }
    if (index == HOSTS_SHOWN) {
      printf(choose(sheet, "  ほか %zu 件\n", "  and %zu more\n"), json_array_size(nodes) - HOSTS_SHOWN);
      break;
    }
    const char *kind = answer_text(node, "kind");
    printf("  ~ %s  %s  %s\n", answer_escape(sheet->invocation->arena, answer_text(node, key)),
           strcmp(kind, "added") == 0     ? choose(sheet, "追加", "added")
           : strcmp(kind, "removed") == 0 ? choose(sheet, "削除", "removed")
                                          : choose(sheet, "変更", "changed"),
           list(sheet, json_object_get(node, "keys")));
  }
}

static void print_keys(const struct sheet *sheet, const json_t *plan) {
  const json_t *keys = json_object_get(plan, "policy_keys");
  if (json_array_size(keys) > 0) {
    printf("%s  %s\n", choose(sheet, "ポリシー全体の設定の変更", "keys of the policy"), list(sheet, keys));
  }
}

/* ---- connections ---- */

static void print_connection(const struct sheet *sheet, const json_t *connection) {
  int64_t protocol = answer_number(connection, "protocol");
  const char *name = protocol == 6 ? "tcp" : protocol == 17 ? "udp" : protocol == 1 || protocol == 58 ? "icmp" : "";
  printf("      %s:%" PRId64 " → %s:%" PRId64 " %s\n",
         answer_escape(sheet->invocation->arena, answer_text(connection, "src")), answer_number(connection, "sport"),
         answer_escape(sheet->invocation->arena, answer_text(connection, "dst")), answer_number(connection, "dport"),
         name);
}

static void print_effect(const struct sheet *sheet, const json_t *effect, bool cut) {
  const json_t *flows = json_object_get(effect, "flows"), *examples = json_object_get(effect, "connections");
  size_t index;
  json_t *item;
  printf("  %s%" PRId64 "%s %s\n", paint(sheet, answer_number(effect, "count") > 0 && cut ? "\033[1;31m" : ""),
         answer_number(effect, "count"), paint(sheet, "\033[0m"),
         cut ? choose(sheet, "件の接続が切れます", "would be cut")
             : choose(sheet, "件の接続が新たに許可されます", "would newly be permitted"));
  json_array_foreach(flows, index, item) {
    const char *name = answer_text(item, "flow");
    printf("    %s: %" PRId64 "\n",
           name[0] == '\0' ? choose(sheet, "領域内", "within a zone") : answer_escape(sheet->invocation->arena, name),
           answer_number(item, "count"));
  }
  json_array_foreach(examples, index, item) {
    if (index == EXAMPLES_SHOWN) {
      puts("      ...");
      break;
    }
    print_connection(sheet, item);
  }
}

static void print_connections(const struct sheet *sheet, const json_t *plan) {
  const json_t *connections = json_object_get(plan, "connections");
  const json_t *cut = json_object_get(connections, "cut"), *opened = json_object_get(connections, "opened");
  printf(choose(sheet, "いま流れている接続 %" PRId64 " 件のうち\n", "of %" PRId64 " live connections\n"),
         answer_number(connections, "total"));
  print_effect(sheet, cut, true);
  if (answer_number(opened, "count") > 0) {
    print_effect(sheet, opened, false);
  }
  if (answer_number(connections, "unjudged") > 0) {
    printf(choose(sheet, "  %" PRId64 " 件は多すぎて調べられませんでした\n",
                  "  %" PRId64 " could not be looked at, for there are too many\n"),
           answer_number(connections, "unjudged"));
  }
}

/* ---- the whole ---- */

static const char *number_or_none(const struct sheet *sheet, const json_t *policy) {
  return json_is_object(policy) ? answer_escape(sheet->invocation->arena, answer_text(policy, "number"))
                                : choose(sheet, "なし (関門は閉じている)", "none (the gate is closed)");
}

static int print_plan(const struct invocation *invocation, const json_t *plan, const struct plan_exact *exact,
                      int code) {
  struct sheet sheet = {.invocation = invocation, .language = invocation->language};
  printf(choose(&sheet, "いまのポリシー %s から %s へ: ", "from the policy loaded now, %s, to %s: "),
         number_or_none(&sheet, json_object_get(plan, "before")),
         number_or_none(&sheet, json_object_get(plan, "after")));
  puts(json_is_true(json_object_get(plan, "same_text")) ? choose(&sheet, "同じものです", "they are the same")
       : json_is_true(json_object_get(plan, "equal"))
           ? choose(&sheet, "許可する通信に違いはありません", "no difference in what may pass")
           : choose(&sheet, "違いがあります", "they differ"));
  print_flows(&sheet, plan);
  print_nodes(&sheet, json_object_get(plan, "zones"), choose(&sheet, "領域", "zones"), "zone");
  print_nodes(&sheet, json_object_get(plan, "hosts"), choose(&sheet, "MACアドレスを固定した機器", "pinned hosts"),
              "host");
  print_keys(&sheet, plan);
  if (exact) {
    plan_exact_print(invocation, exact, sheet.language);
  }
  print_connections(&sheet, plan);
  const json_t *lockout = json_object_get(plan, "lockout");
  if (json_is_object(lockout)) {
    printf("%s%s%s: %s\n", paint(&sheet, "\033[1;31m"), choose(&sheet, "注意", "take care"), paint(&sheet, "\033[0m"),
           answer_escape(invocation->arena, answer_text(lockout, "message")));
  }
  return invocation_finish(invocation, code);
}

static int show(const struct invocation *invocation, const struct policy *policy, const struct client_answer *answer) {
  struct plan_exact exact;
  bool known = json_is_true(json_object_get(answer->body, "ok")) && plan_exact_find(invocation, policy, &exact);
  if (invocation->json) {
    plan_exact_to_json(known ? &exact : NULL, answer->body);
    return invocation_print_json(invocation, json_incref(answer->body), answer->code);
  }
  if (!json_is_true(json_object_get(answer->body, "ok"))) {
    invocation_complain(invocation, "比較できません: %s", "cannot compare: %s", answer_text(answer->body, "message"));
    return answer->code;
  }
  return print_plan(invocation, answer->body, known ? &exact : NULL, answer->code);
}

static int ask(const struct invocation *invocation, const struct policy *policy) {
  struct error error = {0};
  struct client_answer answer = {0};
  int fd = applying_seal_policy(invocation, policy, &error);
  if (fd < 0) {
    invocation_complain(invocation, "%s", "%s", error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  int result = client_ask(invocation, &(struct control_request){.verb = CONTROL_PLAN}, fd, NULL, &answer, &error);
  close(fd);
  if (result < 0) {
    client_complain(invocation, &error);
    return EXIT_CODE_NO_ANSWER;
  }
  int code = show(invocation, policy, &answer);
  json_decref(answer.body);
  return code;
}

int verb_plan(const struct invocation *invocation) {
  struct policy_reading reading = {0};
  const char *positional = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
  int code = invocation_read_valid_policy(invocation, positional, &reading);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  struct invocation speaking = *invocation;
  speaking.language = reading.diagnostics.language;
  return ask(&speaking, reading.policy);
}

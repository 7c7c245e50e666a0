/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/proof_print.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cli/answer.h"
#include "control/proof_text.h"

enum { LABEL_WIDTH = 14, SHOWN_LIMIT = 20, EXAMPLES_SHOWN = 3 };

struct page {
  FILE *stream;
  const struct invocation *invocation;
  enum language language;
  bool colour;
};

static const char *choose(const struct page *page, const char *japanese, const char *english)
    __attribute__((format_arg(2), format_arg(3)));

static const char *choose(const struct page *page, const char *japanese, const char *english) {
  return language_choose(page->language, japanese, english);
}

static const char *escape(const struct page *page, const char *text) {
  return answer_escape(page->invocation->arena, text);
}

static bool is_result(const json_t *object, const char *result) {
  return strcmp(answer_text(object, "result"), result) == 0;
}

static const char *paint_result(const struct page *page, const json_t *answer) {
  return !page->colour                  ? ""
         : is_result(answer, "proven")  ? "\033[1;32m"
         : is_result(answer, "refuted") ? "\033[1;31m"
                                        : "\033[1;33m";
}

static void print_label(const struct page *page, const char *japanese, const char *english) {
  const char *label = choose(page, japanese, english);
  fputs(label, page->stream);
  for (size_t width = text_width(label); width < LABEL_WIDTH; width++) {
    fputc(' ', page->stream);
  }
}

static void print_heading(const struct page *page, const char *japanese, const char *english) {
  fprintf(page->stream, "\n%s%s%s\n", page->colour ? "\033[1m" : "", choose(page, japanese, english),
          page->colour ? "\033[0m" : "");
}

static void print_beyond(const struct page *page, size_t count) {
  if (count > SHOWN_LIMIT) {
    fprintf(page->stream, choose(page, "  ほか %zu 件 (--json ですべて)\n", "  and %zu more (--json has them)\n"),
            count - SHOWN_LIMIT);
  }
}

/* ---- what was compared ---- */

static const char *source_text(const struct page *page, const json_t *answer) {
  const char *source = answer_text(answer, "policy_source");
  return strcmp(source, "file") == 0        ? choose(page, "指定されたファイル", "the file that was named")
         : strcmp(source, "published") == 0 ? choose(page, "kidod が公表しているもの", "what kidod publishes")
         : strcmp(source, "confirmed") == 0
             ? choose(page, "状態ディレクトリの確定済みポリシー (kidod は動いていません)",
                      "the confirmed policy of the state directory (kidod is not running)")
             : "";
}

static void print_held_back(const struct page *page, const json_t *answer) {
  const json_t *held = json_object_get(answer, "restrictions");
  int64_t cuts = answer_number(held, "cuts"), windows = answer_number(held, "closed_windows");
  if (cuts > 0) {
    fprintf(page->stream, choose(page, "、緊急遮断 %" PRId64 " 件", ", %" PRId64 " emergency cuts"), cuts);
  }
  if (windows > 0) {
    fprintf(page->stream, choose(page, "、早期終了 %" PRId64 " 件", ", %" PRId64 " windows closed early"), windows);
  }
  if (json_is_true(json_object_get(held, "clock_doubtful"))) {
    fputs(choose(page, "、時計を信用していない", ", the clock is not believed"), page->stream);
  }
  if (json_is_true(json_object_get(held, "trial"))) {
    fputs(choose(page, "、試行中", ", on trial"), page->stream);
  }
}

static void print_origin(const struct page *page, const json_t *answer) {
  print_label(page, "ポリシー", "policy");
  fprintf(page->stream, "%s  SHA-256 %.16s…  %s", escape(page, answer_text(answer, "policy_number")),
          answer_text(answer, "policy_sha256"), source_text(page, answer));
  print_held_back(page, answer);
  fputc('\n', page->stream);
  print_label(page, "カーネル", "kernel");
  if (!json_is_integer(json_object_get(answer, "kernel_generation"))) {
    fputs(choose(page, "読めませんでした\n", "could not be read\n"), page->stream);
    return;
  }
  bool offline = json_is_true(json_object_get(answer, "offline"));
  fprintf(page->stream,
          offline ? choose(page, "世代 %" PRId64 " の記録 (この装置のいまではありません)  %s\n",
                           "a record of generation %" PRId64 " (not this machine as it is now)  %s\n")
                  : choose(page, "世代 %" PRId64 "  %s\n", "generation %" PRId64 "  %s\n"),
          answer_number(answer, "kernel_generation"), answer_text(answer, "at"));
}

/* ---- the packet ---- */

static void print_verdict(const struct page *page, const json_t *example, const char *who) {
  bool allow = strcmp(answer_text(example, who), "allow") == 0;
  fputs(allow ? choose(page, "許可", "allow") : choose(page, "拒否", "deny"), page->stream);
}

static void print_place(const struct page *page, const json_t *at) {
  if (json_is_object(at)) {
    fprintf(page->stream, "  %s:%" PRId64, escape(page, answer_text(at, "file")), answer_number(at, "line"));
  }
}

static void print_policy_side(const struct page *page, const json_t *example) {
  print_label(page, "  ポリシー", "  policy");
  print_verdict(page, example, "policy");
  fprintf(page->stream, " — %s", answer_text(example, "reason_text"));
  if (answer_text(example, "flow")[0] != '\0') {
    fprintf(page->stream, " (%s)", escape(page, answer_text(example, "flow")));
  }
  print_place(page, json_object_get(example, "at"));
  fputc('\n', page->stream);
}

static void print_example(const struct page *page, const json_t *example) {
  struct arena *arena = page->invocation->arena;
  const char *rule = proof_rule_text(json_object_get(example, "rule"), page->language, arena);
  const json_t *opener = json_object_get(example, "opener");
  if (answer_text(example, "message")[0] != '\0') {
    fprintf(page->stream, "  %s\n", escape(page, answer_text(example, "message")));
  }
  print_label(page, "  パケット", "  packet");
  fprintf(page->stream, "%s\n", escape(page, proof_packet_text(example, page->language, arena)));
  print_label(page, "  状態", "  state");
  fprintf(page->stream, "%s\n", escape(page, proof_state_text(example, page->language)));
  if (json_is_object(opener)) {
    print_label(page, "  開いたもの", "  opened by");
    fprintf(page->stream, "%s  (mark 0x%08" PRIx64 ")\n",
            escape(page, proof_packet_text(opener, page->language, arena)), answer_number(example, "mark"));
  }
  print_policy_side(page, example);
  print_label(page, "  カーネル", "  kernel");
  print_verdict(page, example, "kernel");
  fprintf(page->stream, "%s%s\n", rule[0] != '\0' ? " — " : "", escape(page, rule));
}

static void print_examples(const struct page *page, const json_t *answer) {
  const json_t *example, *examples = json_object_get(answer, "counterexamples");
  size_t index;
  json_array_foreach((json_t *)(uintptr_t)examples, index, example) {
    if (index == EXAMPLES_SHOWN) {
      fprintf(page->stream,
              choose(page, "\nほかに %zu 例 (--json ですべて)\n", "\n%zu more examples (--json has them)\n"),
              json_array_size(examples) - index);
      break;
    }
    print_heading(page, index == 0 ? "食い違うパケット" : "もう一つ",
                  index == 0 ? "The packet on which they differ" : "Another");
    print_example(page, example);
  }
}

/* ---- lists ---- */

static void print_pairs(const struct page *page, const json_t *answer) {
  const json_t *pair, *pairs = json_object_get(answer, "pairs");
  size_t index, proven = 0, shown = 0;
  json_array_foreach((json_t *)(uintptr_t)pairs, index, pair) {
    proven += is_result(pair, "proven") ? 1 : 0;
  }
  print_label(page, "領域の組", "zone pairs");
  fprintf(page->stream, choose(page, "%zu 組のうち %zu 組を証明\n", "%zu, of which %zu are proven\n"), index, proven);
  const char *const headers[] = {choose(page, "  から", "  from"), choose(page, "へ", "to"),
                                 choose(page, "結果", "result")};
  struct table *table = table_new(page->invocation->arena, headers, 3);
  json_array_foreach((json_t *)(uintptr_t)pairs, index, pair) {
    if (table && !is_result(pair, "proven") && shown++ < SHOWN_LIMIT) {
      const char *from = answer_text(pair, "from_zone"), *to = answer_text(pair, "to_zone");
      const char *indented = arena_printf(page->invocation->arena, "  %s", from[0] ? from : "-");
      table_add(table, (const char *const[]){indented, to[0] ? to : "-",
                                             is_result(pair, "refuted") ? choose(page, "食い違い", "refuted")
                                                                        : choose(page, "判定できない", "undecided")});
    }
  }
  if (table && shown > 0) {
    table_print(page->stream, table, page->colour);
    print_beyond(page, shown);
  }
}

static void print_bypasses(const struct page *page, const json_t *answer) {
  const json_t *bypass, *bypasses = json_object_get(answer, "bypasses");
  size_t index;
  if (json_array_size(bypasses) > 0) {
    print_heading(page, "関門を通らない道", "Ways round the gate");
  }
  json_array_foreach((json_t *)(uintptr_t)bypasses, index, bypass) {
    if (index < SHOWN_LIMIT) {
      bool open = strcmp(answer_text(bypass, "state"), "open") == 0;
      const char *rule = proof_rule_text(json_object_get(bypass, "rule"), page->language, page->invocation->arena);
      fprintf(page->stream, "  %s %s: %s%s%s\n", open ? choose(page, "あり", "open") : choose(page, "不明", "unknown"),
              escape(page, answer_text(bypass, "kind")), escape(page, answer_text(bypass, "detail")),
              rule[0] != '\0' ? "  " : "", escape(page, rule));
    }
  }
  print_beyond(page, json_array_size(bypasses));
}

/* What stands open when no rule can be named: a budget that was spent, or a check of the proof itself. */
static void print_open_claims(const struct page *page, const json_t *answer) {
  const json_t *result;
  const char *claim;
  if (!is_result(answer, "undecided")) {
    return;
  }
  print_label(page, "未判定の項目", "open claims");
  json_object_foreach((json_t *)(uintptr_t)json_object_get(answer, "claims"), claim, result) {
    if (strcmp(json_string_value(result) ? json_string_value(result) : "", "undecided") == 0) {
      fprintf(page->stream, "%s ", claim);
    }
  }
  fputc('\n', page->stream);
}

static void print_gaps(const struct page *page, const json_t *answer) {
  const json_t *gap, *gaps = json_object_get(answer, "unmodelled");
  size_t index;
  if (json_array_size(gaps) > 0) {
    print_heading(page, "意味を確かめられないルール", "Rules whose meaning could not be followed");
  }
  json_array_foreach((json_t *)(uintptr_t)gaps, index, gap) {
    if (index < SHOWN_LIMIT) {
      fprintf(page->stream, "  %s  (%s)\n", escape(page, proof_rule_text(gap, page->language, page->invocation->arena)),
              escape(page, answer_text(gap, "why")));
    }
  }
  print_beyond(page, json_array_size(gaps));
}

static void print_conditions(const struct page *page, const json_t *answer) {
  const json_t *condition, *conditions = json_object_get(answer, "conditions");
  size_t index;
  if (json_array_size(conditions) > 0) {
    print_heading(page, "条件: 次のルールは、許された通信を減らすことだけがある",
                  "Conditions: these rules may drop some of what is allowed, and can do nothing else");
  }
  json_array_foreach((json_t *)(uintptr_t)conditions, index, condition) {
    if (index < SHOWN_LIMIT) {
      const char *from = answer_text(condition, "from_zone"), *to = answer_text(condition, "to_zone");
      fprintf(page->stream, "  %s  %s → %s  %s %s handle %" PRId64 "\n", escape(page, answer_text(condition, "what")),
              from[0] ? from : "-", to[0] ? to : "-", escape(page, answer_text(condition, "table")),
              escape(page, answer_text(condition, "chain")), answer_number(condition, "handle"));
    }
  }
  print_beyond(page, json_array_size(conditions));
}

static void print_connections(const struct page *page, const json_t *answer) {
  const json_t *connections = json_object_get(answer, "connections");
  const json_t *one, *examples = json_object_get(connections, "examples");
  size_t index;
  if (json_array_size(examples) > 0) {
    print_heading(page, "今のポリシーなら開かない、続いている通信",
                  "Live connections that the policy would not open now");
  }
  json_array_foreach((json_t *)(uintptr_t)examples, index, one) {
    if (index < SHOWN_LIMIT) {
      const char *flow = answer_text(one, "flow");
      fprintf(page->stream, "  %s:%" PRId64 " → %s:%" PRId64 "  %s%s%s  %s\n", escape(page, answer_text(one, "src")),
              answer_number(one, "sport"), escape(page, answer_text(one, "dst")), answer_number(one, "dport"),
              escape(page, flow), flow[0] != '\0' ? "  " : "", escape(page, answer_text(one, "reason")),
              json_is_true(json_object_get(one, "passes")) ? choose(page, "まだ通ります", "still passes")
                                                           : choose(page, "もう通りません", "passes no more"));
    }
  }
  print_beyond(page, (size_t)answer_number(connections, "found"));
}

static void print_assumptions(const struct page *page, const json_t *answer) {
  const json_t *assumption, *assumptions = json_object_get(answer, "assumptions");
  size_t index;
  if (json_array_size(assumptions) > 0) {
    print_heading(page, "前提: 調べていないこと", "Assumed, not looked at");
  }
  json_array_foreach((json_t *)(uintptr_t)assumptions, index, assumption) {
    if (index < SHOWN_LIMIT) {
      fprintf(page->stream, "  %s: %s\n", escape(page, answer_text(assumption, "kind")),
              escape(page, answer_text(assumption, "detail")));
    }
  }
  print_beyond(page, json_array_size(assumptions));
}

void proof_print(FILE *stream, const struct invocation *invocation, const json_t *answer, bool colour) {
  struct page page = {.stream = stream,
                      .invocation = invocation,
                      .language =
                          strcmp(answer_text(answer, "language"), "en") == 0 ? LANGUAGE_ENGLISH : LANGUAGE_JAPANESE,
                      .colour = colour};
  const char *advice = proof_advice(answer, page.language, invocation->arena);
  fprintf(stream, "%s%s%s\n", paint_result(&page, answer), proof_headline(answer, page.language),
          colour ? "\033[0m" : "");
  if (answer_text(answer, "message")[0] != '\0') {
    fprintf(stream, "%s\n", escape(&page, answer_text(answer, "message")));
  }
  if (advice[0] != '\0') {
    print_label(&page, "まずすること", "do first");
    fprintf(stream, "%s\n", escape(&page, advice));
  }
  print_origin(&page, answer);
  print_pairs(&page, answer);
  print_examples(&page, answer);
  print_open_claims(&page, answer);
  print_bypasses(&page, answer);
  print_gaps(&page, answer);
  print_conditions(&page, answer);
  print_connections(&page, answer);
  print_assumptions(&page, answer);
}

int proof_exit_code(const json_t *answer) {
  return is_result(answer, "proven")    ? EXIT_CODE_YES
         : is_result(answer, "refuted") ? EXIT_CODE_NO
                                        : EXIT_CODE_NO_ANSWER;
}

/* The kinds of ways round that kidod could not look at, each once. */
static void print_status_assumptions(const struct page *page, const json_t *proof) {
  const json_t *kind, *kinds = json_object_get(proof, "assumed");
  size_t index;
  if (json_array_size(kinds) == 0) {
    return;
  }
  print_label(page, "", "");
  fputs(choose(page, "kidod には見えないもの: ", "kidod does not see: "), page->stream);
  json_array_foreach((json_t *)(uintptr_t)kinds, index, kind) {
    fprintf(page->stream, "%s%s", index > 0 ? ", " : "", escape(page, json_string_value(kind)));
  }
  fputs(choose(page, " (root の kido verify はもっと見る)\n", " (kido verify by root sees more)\n"), page->stream);
}

void proof_print_status(const struct invocation *invocation, const json_t *proof, enum language language) {
  struct page page = {
      .stream = stdout, .invocation = invocation, .language = language, .colour = invocation->colour_output};
  if (answer_text(proof, "result")[0] == '\0') {
    printf("%s\n", choose(&page, "まだありません", "none yet"));
    return;
  }
  printf("%s%s%s  %s", paint_result(&page, proof),
         is_result(proof, "proven") ? choose(&page, "証明済み", "proven")
         : is_result(proof, "refuted") ? choose(&page, "食い違いがあります (kido verify)", "REFUTED (kido verify)")
                                       : choose(&page, "判定できません (kido verify)", "undecided (kido verify)"),
         page.colour ? "\033[0m" : "", answer_text(proof, "at"));
  if (json_is_integer(json_object_get(proof, "generation"))) {
    printf(choose(&page, "  カーネル世代 %" PRId64, "  kernel generation %" PRId64),
           answer_number(proof, "generation"));
  }
  fputc('\n', stdout);
  print_status_assumptions(&page, proof);
}

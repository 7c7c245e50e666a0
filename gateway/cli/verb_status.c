/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/answer.h"
#include "cli/client.h"
#include "cli/event_query.h"
#include "cli/order.h"
#include "cli/proof_print.h"
#include "cli/watch_state.h"

enum { EXPIRIES_SHOWN = 5 };

/* ---- alerts ---- */

static size_t count_alerts(const struct event_hits *hits, const char *severity) {
  size_t count = 0;
  for (size_t i = 0; i < hits->count; i++) {
    json_t *event = event_hit_object(&hits->items[i]);
    count += strcmp(answer_text(event, "severity"), severity) == 0;
    json_decref(event);
  }
  return count;
}

/* Those that nobody has acknowledged; null when the events cannot be read. */
static json_t *alerts(const struct invocation *invocation) {
  const struct event_query query = {.least = EVENT_WARNING};
  struct event_hits hits = {.items = NULL};
  struct error error = {0};
  json_t *object = NULL;
  if (event_hits_ask_open(invocation->state_directory, &query, &hits, &error) == 0) {
    object = json_pack("{s:I, s:I}", "critical", (json_int_t)count_alerts(&hits, "critical"), "warning",
                       (json_int_t)count_alerts(&hits, "warning"));
  } else {
    object = json_pack("{s:n, s:n, s:s}", "critical", "warning", "message", error.message);
  }
  event_hits_free(&hits);
  return object;
}

/* ---- the screen ---- */

struct screen {
  const struct invocation *invocation;
  enum language language;
};

static const char *choose(const struct screen *screen, const char *japanese, const char *english)
    __attribute__((format_arg(2), format_arg(3)));

static const char *choose(const struct screen *screen, const char *japanese, const char *english) {
  return language_choose(screen->language, japanese, english);
}

static void print_label(const struct screen *screen, const char *japanese, const char *english) {
  const char *label = choose(screen, japanese, english);
  fputs(label, stdout);
  for (size_t width = text_width(label); width < 14; width++) {
    fputc(' ', stdout);
  }
}

static const char *paint(const struct screen *screen, const char *colour) {
  return screen->invocation->colour_output ? colour : "";
}

static void print_trial(const struct screen *screen, const json_t *policy) {
  const json_t *back = json_object_get(policy, "returns_to");
  print_label(screen, "試行期限", "on trial until");
  printf("%s%s%s  ", paint(screen, "\033[1;33m"), answer_text(policy, "deadline"), paint(screen, "\033[0m"));
  printf(choose(screen, "kido confirm で確定。しなければ元に戻る: %s\n", "kido confirm keeps it; else back to: %s\n"),
         json_is_object(back) ? answer_escape(screen->invocation->arena, answer_text(back, "number"))
                              : choose(screen, "なし", "none"));
}

static void print_policy(const struct screen *screen, const json_t *status) {
  const json_t *policy = json_object_get(status, "policy");
  print_label(screen, "ポリシー", "policy");
  if (strcmp(answer_text(policy, "state"), "none") == 0) {
    printf("%s%s%s\n", paint(screen, "\033[1;31m"),
           choose(screen, "なし (関門は閉じています。kido apply FILE で適用してください)",
                  "none (the gate is closed; kido apply FILE puts one in force)"),
           paint(screen, "\033[0m"));
    return;
  }
  printf("%s  %s\n", answer_escape(screen->invocation->arena, answer_text(policy, "number")),
         answer_escape(screen->invocation->arena, answer_text(policy, "name")));
  print_label(screen, "", "");
  bool pending = strcmp(answer_text(policy, "state"), "pending") == 0;
  bool trial = pending && answer_text(policy, "deadline")[0] != '\0';
  printf("SHA-256 %.16s…  %s\n", answer_text(policy, "sha256"),
         trial     ? choose(screen, "確定待ち", "on trial")
         : pending ? choose(screen, "証明中", "being proven")
                   : choose(screen, "確定済み", "confirmed"));
  print_label(screen, "適用日時", "applied at");
  printf("%s", answer_text(policy, "applied_at"));
  if (answer_number(policy, "history") > 0) {
    printf(choose(screen, "  履歴 %" PRId64, "  history %" PRId64), answer_number(policy, "history"));
  }
  printf("  %s\n", answer_escape(screen->invocation->arena, answer_text(policy, "by")));
  if (trial) {
    print_trial(screen, policy);
  }
}

static void print_kidod(const struct screen *screen, const json_t *status) {
  const json_t *kidod = json_object_get(status, "kidod"), *flows = json_object_get(status, "flows");
  const char *state = answer_text(kidod, "state");
  bool failing = strcmp(state, "failing") == 0, open = strcmp(state, "open") == 0;
  print_label(screen, "関門", "gate");
  printf("%s%s%s  kidod %s (pid %" PRId64 ")\n",
         paint(screen, failing ? "\033[1;31m"
                       : open  ? "\033[32m"
                               : "\033[33m"),
         failing ? choose(screen, "更新できません", "cannot be brought up to date")
         : open  ? choose(screen, "開いています", "open")
                 : choose(screen, "閉じています", "closed"),
         paint(screen, "\033[0m"), answer_text(kidod, "version"), answer_number(kidod, "pid"));
  print_label(screen, "通信", "flows");
  printf(choose(screen, "有効 %" PRId64 "、時間外 %" PRId64 "、期限切れ %" PRId64 "\n",
                "%" PRId64 " in force, %" PRId64 " outside their window, %" PRId64 " expired\n"),
         answer_number(flows, "in_force"), answer_number(flows, "closed"), answer_number(flows, "expired"));
}

/* Found at the start: what it is about, and what opens it again. */
static void print_held_closed(const struct screen *screen, const json_t *status) {
  const char *reason = answer_text(json_object_get(status, "kidod"), "held_closed");
  if (reason[0] == '\0') {
    return;
  }
  print_label(screen, "閉じた理由", "closed because");
  printf(choose(screen, "カーネルが確定済みのポリシーのとおりに動きません: %s%s%s\n",
                "the kernel does not do what the confirmed policy says: %s%s%s\n"),
         paint(screen, "\033[1;31m"), answer_escape(screen->invocation->arena, reason), paint(screen, "\033[0m"));
  print_label(screen, "", "");
  puts(choose(screen, "原因を除けば自動で開きます。それでも開くなら kido apply FILE --allow-unproven",
              "it opens by itself when the cause is gone; to open it all the same: kido apply FILE --allow-unproven"));
}

static void print_drift(const struct screen *screen, const json_t *status) {
  const char *drift = answer_text(json_object_get(status, "kidod"), "drift");
  if (drift[0] == '\0') {
    return;
  }
  print_label(screen, "改変", "drift");
  printf("%s%s%s\n", paint(screen, "\033[1;31m"), answer_escape(screen->invocation->arena, drift),
         paint(screen, "\033[0m"));
}

static void print_unwatched(const struct screen *screen, const json_t *interface) {
  static const struct {
    const char *state, *japanese, *english;
  } states[] = {{"missing", "インターフェースがありません", "there is no such interface"},
                {"down", "インターフェースが停止しています", "the interface is down"},
                {"failed", "取り込みを開けません", "its capture cannot be opened"},
                {"blind", "見えていないものがあります", "not everything is seen"}};
  for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
    if (strcmp(states[i].state, answer_text(interface, "state")) == 0) {
      print_label(screen, "", "");
      printf("%s%s (%s): %s  %s%s\n", paint(screen, "\033[1;31m"),
             answer_escape(screen->invocation->arena, answer_text(interface, "name")),
             answer_escape(screen->invocation->arena, answer_text(interface, "zone")),
             choose(screen, states[i].japanese, states[i].english),
             answer_escape(screen->invocation->arena, answer_text(interface, "reason")), paint(screen, "\033[0m"));
    }
  }
}

/* One line for each vantage that sees some kinds in part only. */
static void print_vantage(const struct screen *screen, const json_t *interfaces, const char *vantage) {
  const json_t *interface, *kinds = NULL, *kind;
  size_t index, count = 0;
  json_array_foreach(interfaces, index, interface) {
    if (strcmp(answer_text(interface, "vantage"), vantage) == 0) {
      kinds = json_object_get(interface, "sees_in_part");
      count++;
    }
  }
  if (json_array_size(kinds) == 0) {
    return;
  }
  print_label(screen, "", "");
  printf(choose(screen, "%s (%zu 本): 次は同報と本機を通るものだけ見えます:",
                "%s (%zu wires) shows only what is broadcast or touches the gateway of:"),
         vantage, count);
  json_array_foreach(kinds, index, kind) {
    printf(" %s", json_string_value(kind));
  }
  fputc('\n', stdout);
}

static void print_wires(const struct screen *screen, const json_t *watch) {
  static const char *const vantages[] = {"port", "mirror", "tap"};
  const json_t *interface, *interfaces = json_object_get(watch, "interfaces");
  size_t index;
  print_label(screen, "", "");
  printf(choose(screen, "これらの線の %.2f %% を監視 (%s から)\n",
                "watched %.2f %% of the time on these wires (since %s)\n"),
         100 * json_real_value(json_object_get(watch, "watched")), answer_text(watch, "started"));
  json_array_foreach(interfaces, index, interface) {
    print_unwatched(screen, interface);
  }
  for (size_t i = 0; i < sizeof vantages / sizeof vantages[0]; i++) {
    print_vantage(screen, interfaces, vantages[i]);
  }
}

/* Only what there was: on an ordinary day nothing. */
static void print_crowded_out(const struct screen *screen, const json_t *counts) {
  const char *table;
  json_t *count;
  json_object_foreach((json_t *)(uintptr_t)counts, table, count) {
    if (json_integer_value(count) > 0) {
      printf(choose(screen, "              表があふれました: %s(早く消えたもの %lld 件)\n",
                    "              a table was full: %s (%lld went too early)\n"),
             table, (long long)json_integer_value(count));
    }
  }
}

static void print_watch(const struct screen *screen, const json_t *status) {
  static const struct {
    const char *state, *japanese, *english, *colour;
  } states[] = {{"watching", "監視しています", "watching", "\033[32m"},
                {"degraded", "一部しか監視できていません", "degraded", "\033[33m"},
                {"blind", "監視できていません", "blind", "\033[1;31m"}};
  const json_t *watch = json_object_get(status, "watch");
  size_t interfaces = json_array_size(json_object_get(watch, "interfaces"));
  print_label(screen, "木戸番", "watchman");
  for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
    if (strcmp(states[i].state, answer_text(watch, "state")) == 0) {
      printf("%s%s%s", paint(screen, states[i].colour), choose(screen, states[i].japanese, states[i].english),
             paint(screen, "\033[0m"));
    }
  }
  if (json_is_false(json_object_get(watch, "running"))) {
    printf("  %s", choose(screen, "(kidoban が動いていません。systemctl start kidoban)",
                          "(kidoban is not running: systemctl start kidoban)"));
  } else {
    printf(choose(screen, "  %zu インターフェース", "  %zu interfaces"), interfaces);
  }
  fputc('\n', stdout);
  if (interfaces > 0) {
    print_wires(screen, watch);
  }
  print_crowded_out(screen, json_object_get(watch, "crowded_out"));
}

static void print_alerts(const struct screen *screen, const json_t *status) {
  const json_t *counts = json_object_get(status, "alerts");
  print_label(screen, "警報", "alerts");
  if (!json_is_integer(json_object_get(counts, "critical"))) {
    printf("%s: %s\n", choose(screen, "読めません", "cannot be read"),
           answer_escape(screen->invocation->arena, answer_text(counts, "message")));
    return;
  }
  bool critical = answer_number(counts, "critical") > 0;
  bool any = critical || answer_number(counts, "warning") > 0;
  printf(choose(screen, "%s緊急 %" PRId64 "、警告 %" PRId64 "%s 未確認%s\n",
                "%s%" PRId64 " critical, %" PRId64 " warning%s not acknowledged%s\n"),
         paint(screen, critical ? "\033[1;31m" : ""), answer_number(counts, "critical"),
         answer_number(counts, "warning"), paint(screen, critical ? "\033[0m" : ""),
         any ? choose(screen, " (kido events --open、kido ack)", " (kido events --open, kido ack)") : "");
}

static void print_expiries(const struct screen *screen, const json_t *status) {
  const json_t *expiries = json_object_get(status, "expiries");
  size_t index;
  json_t *expiry;
  json_array_foreach(expiries, index, expiry) {
    if (index == EXPIRIES_SHOWN) {
      break;
    }
    bool ends = strcmp(answer_text(expiry, "kind"), "ends") == 0;
    print_label(screen, index == 0 ? "次の変化" : "", index == 0 ? "next changes" : "");
    printf("%s  %s %s\n", answer_text(expiry, "at"),
           answer_escape(screen->invocation->arena, answer_text(expiry, "flow")),
           ends ? choose(screen, "終了", "ends") : choose(screen, "開始", "opens"));
  }
  if (json_array_size(expiries) > EXPIRIES_SHOWN) {
    print_label(screen, "", "");
    printf(choose(screen, "ほか %zu 件\n", "and %zu more\n"), json_array_size(expiries) - EXPIRIES_SHOWN);
  }
}

/* ---- what is held back by order ---- */

static void print_cuts(const struct screen *screen, const json_t *status) {
  const json_t *cut, *cuts = json_object_get(status, "cuts");
  size_t index;
  json_array_foreach(cuts, index, cut) {
    print_label(screen, index == 0 ? "緊急遮断" : "", index == 0 ? "CUT OFF" : "");
    order_print_cut(screen->invocation, cut);
  }
}

static void print_closed_windows(const struct screen *screen, const json_t *status) {
  const json_t *closed, *windows = json_object_get(status, "closed_windows");
  size_t index;
  json_array_foreach(windows, index, closed) {
    print_label(screen, index == 0 ? "早期終了" : "", index == 0 ? "closed early" : "");
    printf(choose(screen, "%s  %s まで  %s: %s\n", "%s  until %s  %s: %s\n"),
           answer_escape(screen->invocation->arena, answer_text(closed, "flow")), answer_text(closed, "until"),
           answer_escape(screen->invocation->arena, answer_text(closed, "by")),
           answer_escape(screen->invocation->arena, answer_text(closed, "why")));
  }
}

static void print_other_tables(const struct screen *screen, const json_t *status) {
  const json_t *table, *tables = json_object_get(status, "other_tables");
  size_t index, shown = 0;
  json_array_foreach(tables, index, table) {
    if (json_is_true(json_object_get(table, "matters"))) {
      print_label(screen, shown == 0 ? "他のテーブル" : "", shown == 0 ? "other tables" : "");
      printf(choose(screen, "%s%s %s がパケットに触れます%s\n", "%s%s %s sees the packets%s\n"),
             paint(screen, "\033[33m"), answer_escape(screen->invocation->arena, answer_text(table, "family")),
             answer_escape(screen->invocation->arena, answer_text(table, "name")), paint(screen, "\033[0m"));
      shown++;
    }
  }
}

static int print_screen(const struct invocation *invocation, const json_t *status) {
  struct screen screen = {.invocation = invocation, .language = client_language(invocation, status)};
  print_cuts(&screen, status);
  order_print_clock(invocation, status);
  print_policy(&screen, status);
  print_kidod(&screen, status);
  print_held_closed(&screen, status);
  print_drift(&screen, status);
  print_other_tables(&screen, status);
  print_closed_windows(&screen, status);
  print_label(&screen, "証明", "proof");
  proof_print_status(invocation, json_object_get(status, "proof"), screen.language);
  print_watch(&screen, status);
  print_alerts(&screen, status);
  print_expiries(&screen, status);
  return invocation_finish(invocation, EXIT_CODE_YES);
}

/* The members in the order of the contract. */
static json_t *assemble(const struct invocation *invocation, json_t *body) {
  static const char *const more[] = {"cuts", "closed_windows", "clock", "other_tables"};
  json_t *status = json_pack("{s:s, s:O, s:O, s:o, s:o, s:O, s:O, s:O, s:O}", "schema", "kido.status/1", "policy",
                             json_object_get(body, "policy"), "proof", json_object_get(body, "proof"), "watch",
                             watch_state(invocation), "alerts", alerts(invocation), "expiries",
                             json_object_get(body, "expiries"), "flows", json_object_get(body, "flows"), "kidod",
                             json_object_get(body, "kidod"), "language", json_object_get(body, "language"));
  for (size_t i = 0; status && i < sizeof more / sizeof more[0]; i++) {
    json_object_set(status, more[i], json_object_get(body, more[i]));
  }
  return status;
}

static int print_object(const struct invocation *invocation, json_t *object, int code) {
  return invocation_has(invocation, "watch") ? invocation_print_json_line(invocation, object, code)
                                             : invocation_print_json(invocation, object, code);
}

/* Without kidod there is no answer, but what is known without it is not kept back. */
static int without_kidod(const struct invocation *invocation, const struct error *error) {
  client_complain(invocation, error);
  if (!invocation->json) {
    return EXIT_CODE_NO_ANSWER;
  }
  json_t *policy = json_pack("{s:n, s:n, s:s, s:n}", "number", "sha256", "state", "none", "applied_at");
  json_t *proof = json_pack("{s:n, s:n}", "result", "at");
  return print_object(invocation,
                      json_pack("{s:s, s:o, s:o, s:o, s:o, s:[], s:n, s:{s:s, s:s}}", "schema", "kido.status/1",
                                "policy", policy, "proof", proof, "watch", watch_state(invocation), "alerts",
                                alerts(invocation), "expiries", "flows", "kidod", "state", "not-running", "message",
                                error->message),
                      EXIT_CODE_NO_ANSWER);
}

static int show(const struct invocation *invocation) {
  struct client_answer answer = {0};
  struct error error = {0};
  if (client_ask(invocation, &(struct control_request){.verb = CONTROL_STATUS}, -1, NULL, &answer, &error) < 0) {
    return without_kidod(invocation, &error);
  }
  json_t *status = assemble(invocation, answer.body);
  json_decref(answer.body);
  if (invocation->json || !status) {
    return print_object(invocation, status, EXIT_CODE_YES);
  }
  int code = print_screen(invocation, status);
  json_decref(status);
  return code;
}

/* Goes on while kidod is away, for it may come back; ends when nobody reads any more. */
static int watch(const struct invocation *invocation) {
  static const struct timespec pause = {.tv_sec = 2};
  struct invocation each = *invocation;
  bool screen = !invocation->json && isatty(STDOUT_FILENO) == 1;
  int code;
  do {
    if (screen) {
      fputs("\033[H\033[2J", stdout);
    }
    if (!invocation->now_given) {
      each.now.seconds = time(NULL);
    }
    each.arena = arena_new(0);
    code = each.arena ? show(&each) : EXIT_CODE_NO_ANSWER;
    each.arena = arena_free(each.arena);
    nanosleep(&pause, NULL);
  } while (ferror(stdout) == 0);
  return code;
}

int verb_status(const struct invocation *invocation) {
  return invocation_has(invocation, "watch") ? watch(invocation) : show(invocation);
}

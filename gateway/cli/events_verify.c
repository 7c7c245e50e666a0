/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/events_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "events/verify.h"

static const char *const daemons[] = {"kidod", "kidoban"};

enum { DAEMON_COUNT = sizeof daemons / sizeof daemons[0] };

/* What came of one daemon's log. */
struct verdict {
  const char *daemon;
  int code; /* an exit code; EXIT_CODE_NO_ANSWER also when there is nothing to read */
  bool absent;
  struct chain_report report;
  struct error error;
};

/* Anchors were given, and none of them speaks of this log. */
static bool is_unanchored(const struct chain_report *report) {
  return report->anchors + report->anchors_before == 0;
}

static void judge(const struct invocation *invocation, const struct chain_anchors *anchors, struct verdict *verdict) {
  int result = chain_verify(invocation->state_directory, verdict->daemon, anchors, &verdict->report, &verdict->error);
  verdict->absent = result == -ENOENT;
  if (result < 0) {
    verdict->code = EXIT_CODE_NO_ANSWER;
  } else if (verdict->report.fault != CHAIN_FAULT_NONE) {
    verdict->code = EXIT_CODE_NO;
  } else if (verdict->report.foreign > 0) { /* who exchanges the key can make a log that agrees with what follows */
    verdict->code = EXIT_CODE_NO_ANSWER;
    error_set(&verdict->error, ENODATA,
              "anchors of another key; if the machine was set up anew, give only its anchors since");
  } else if (verdict->report.records == 0) {
    verdict->code = EXIT_CODE_NO_ANSWER;
    error_set(&verdict->error, ENODATA, "no record has a hash yet");
  } else if (anchors && is_unanchored(&verdict->report)) {
    verdict->code = EXIT_CODE_NO_ANSWER;
    error_set(&verdict->error, ENODATA, "no anchor speaks of this log");
  }
}

/* ---- as JSON ---- */

static json_t *number_or_null(uint64_t number) {
  return number > 0 ? json_integer((json_int_t)number) : json_null();
}

static json_t *verdict_to_json(const struct verdict *verdict) {
  const struct chain_report *report = &verdict->report;
  bool bad = verdict->code == EXIT_CODE_NO;
  const char *result = verdict->code == EXIT_CODE_YES ? "whole" : bad ? "altered" : "unknown";
  return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:s?, s:I, s:o, s:I, s:o, s:I, s:s?, s:s?, s:o, s:o, s:s?}",
                   "daemon", verdict->daemon, "result", result, "records", (json_int_t)report->records, "unchained",
                   (json_int_t)report->unchained, "first", number_or_null(report->first), "last",
                   number_or_null(report->last), "head", report->records > 0 ? report->head : NULL, "lost",
                   (json_int_t)report->lost, "pruned_to", number_or_null(report->pruned), "anchors",
                   (json_int_t)report->anchors, "last_anchor", number_or_null(report->last_anchor), "foreign",
                   (json_int_t)report->foreign, "fault", bad ? chain_fault_name(report->fault) : NULL, "file",
                   bad ? report->file : NULL, "line", number_or_null(bad ? report->line : 0), "sequence",
                   number_or_null(bad ? report->sequence : 0), "message",
                   verdict->error.message[0] != '\0' ? verdict->error.message : NULL);
}

static int print_json(const struct invocation *invocation, const struct verdict *verdicts, int code) {
  json_t *array = json_array();
  for (size_t i = 0; i < DAEMON_COUNT; i++) {
    if (!verdicts[i].absent) {
      json_array_append_new(array, verdict_to_json(&verdicts[i]));
    }
  }
  const char *result = code == EXIT_CODE_YES ? "whole" : code == EXIT_CODE_NO ? "altered" : "unknown";
  return invocation_print_json(
      invocation, json_pack("{s:s, s:s, s:o}", "schema", "kido.chain/1", "result", result, "logs", array), code);
}

/* ---- as text ---- */

static const char *describe(enum chain_fault fault, enum language language) {
  static const struct {
    const char *japanese, *english;
  } words[CHAIN_FAULT_COUNT_] = {
      [CHAIN_FAULT_NONE] = {"", ""},
      [CHAIN_FAULT_UNREADABLE] = {"記録として読めない行です", "the line is no record"},
      [CHAIN_FAULT_ALTERED] = {"書かれた後に変えられています", "it was altered after it was written"},
      [CHAIN_FAULT_LINK] = {"直前の記録につながりません (削除、追加、入れ替え、改変のいずれか)",
                            "it does not follow the record before it (one was removed, added, moved or altered)"},
      [CHAIN_FAULT_ORDER] = {"番号が直前の記録より先に進んでいません",
                             "its sequence does not go on from the one before"},
      [CHAIN_FAULT_UNCHAINED] = {"ハッシュがありません", "it has no hash"},
      [CHAIN_FAULT_BEGINNING] = {"これより前の記録がなく、削除の記録もありません",
                                 "what stood before it is gone, and no checkpoint says so"},
      [CHAIN_FAULT_CHECKPOINT] = {"削除の記録の署名が正しくありません", "the checkpoint is not one of this log"},
      [CHAIN_FAULT_ANCHOR] = {"ログサーバーに送ったものと違います", "it is not what was sent to the log server"},
      [CHAIN_FAULT_CUT_OFF] = {"ログサーバーに送った記録がここにありません",
                               "the log ends before a record that was sent to the log server"},
  };
  return language_choose(language, words[fault].japanese, words[fault].english);
}

static void print_notes(const struct invocation *invocation, const struct chain_report *report) {
  const struct {
    uint64_t number;
    const char *japanese, *english;
  } notes[] = {
      {report->unchained, "鎖のない古い記録 (確かめられません)", "older records without a hash, not verified"},
      {report->pruned, "保存期間を過ぎて削除済み (署名あり)、この番号まで", "pruned, with a signature, up to sequence"},
      {report->lost, "書けずに失われた記録 (鎖は切れていません)", "records lost for want of room (the chain is whole)"},
      {report->unfinished, "最後にある書きかけの行、バイト数", "bytes of an unfinished line at the end"},
      {report->foreign, "別の鍵による記録 (ログサーバーにあり、比べられません)、件数",
       "heads at the log server that are of another key, not compared"},
      {report->last_anchor, "ログサーバーの記録と一致、この番号まで", "agrees with the log server up to sequence"},
  };
  for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
    if (notes[i].number > 0) {
      printf("  %s: %" PRIu64 "\n", language_choose(invocation->language, notes[i].japanese, notes[i].english),
             notes[i].number);
    }
  }
}

static void print_fault(const struct invocation *invocation, const struct verdict *verdict) {
  const struct chain_report *report = &verdict->report;
  printf(language_choose(invocation->language, "%s%s: 改変されています%s  %s", "%s%s: ALTERED%s  %s"),
         invocation->colour_output ? "\033[1;31m" : "", verdict->daemon, invocation->colour_output ? "\033[0m" : "",
         report->file);
  if (report->line > 0) {
    printf(":%" PRIu64, report->line);
  }
  if (report->sequence > 0) {
    printf(language_choose(invocation->language, " (番号 %" PRIu64 ")", " (sequence %" PRIu64 ")"), report->sequence);
  }
  printf(": %s\n", describe(report->fault, invocation->language));
}

static void print_verdict(const struct invocation *invocation, const struct verdict *verdict) {
  const struct chain_report *report = &verdict->report;
  if (verdict->code == EXIT_CODE_NO_ANSWER) {
    invocation_complain(invocation, "%s: 確かめられません: %s", "%s: could not be verified: %s", verdict->daemon,
                        verdict->error.message);
    print_notes(invocation, report);
    return;
  }
  if (verdict->code == EXIT_CODE_NO) {
    print_fault(invocation, verdict);
  } else {
    printf(language_choose(invocation->language, "%s: 記録 %" PRIu64 " 件、改変なし\n",
                           "%s: %" PRIu64 " records, unaltered\n"),
           verdict->daemon, report->records);
  }
  print_notes(invocation, report);
  if (report->records > 0) {
    printf(language_choose(invocation->language, "  先頭の値 %s (番号 %" PRIu64 ")\n",
                           "  head %s (sequence %" PRIu64 ")\n"),
           report->head, report->last);
  }
}

/* ---- the whole ---- */

/* Altered goes before unknown: both are no, and this one is certain. */
static int worst(const struct verdict *verdicts) {
  int code = EXIT_CODE_YES;
  bool any = false;
  for (size_t i = 0; i < DAEMON_COUNT; i++) {
    any = any || !verdicts[i].absent;
    if (!verdicts[i].absent && code != EXIT_CODE_NO && verdicts[i].code != EXIT_CODE_YES) {
      code = verdicts[i].code;
    }
  }
  return any ? code : EXIT_CODE_NO_ANSWER;
}

int events_verify(const struct invocation *invocation) {
  const char *file = invocation_value(invocation, "anchor");
  struct chain_anchors *anchors = NULL;
  struct error error = {0};
  if (file && chain_anchors_read(file, &anchors, &error) < 0) {
    invocation_complain(invocation, "送った記録を読めません: %s", "cannot read what was sent: %s", error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  struct verdict verdicts[DAEMON_COUNT] = {0};
  for (size_t i = 0; i < DAEMON_COUNT; i++) {
    verdicts[i].daemon = daemons[i];
    judge(invocation, anchors, &verdicts[i]);
  }
  chain_anchors_free(anchors);
  int code = worst(verdicts);
  if (invocation->json) {
    return print_json(invocation, verdicts, code);
  }
  bool none = true;
  for (size_t i = 0; i < DAEMON_COUNT; i++) {
    none = none && verdicts[i].absent;
    if (!verdicts[i].absent) {
      print_verdict(invocation, &verdicts[i]);
    }
  }
  if (none) {
    invocation_complain(invocation, "事象の記録がありません: %s", "there are no events in %s",
                        invocation->state_directory);
  }
  return invocation_finish(invocation, code);
}

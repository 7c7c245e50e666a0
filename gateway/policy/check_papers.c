/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Purpose, owner, approval, review (D06), author and approver apart (D13), compensation. */
#include "policy/check_parts.h"

#include <string.h>

/* What a flow lacks, as one list. */
struct missing {
  const char *text;
  size_t count;
};

static void note_missing(const struct check *check, struct missing *missing, bool present, const char *japanese,
                         const char *key) {
  if (present)
    return;
  const char *item = check->language == LANGUAGE_JAPANESE ? arena_printf(check->scratch, "%s（%s）", japanese, key)
                                                          : arena_printf(check->scratch, "'%s'", key);
  item = item != NULL ? item : key;
  const char *text = missing->count == 0
                         ? item
                         : arena_printf(check->scratch, "%s%s%s", missing->text, check_words(check, "、", ", "), item);
  missing->text = text != NULL ? text : item;
  missing->count++;
}

/* Written, right or wrong: what is wrong in it was told while reading. */
static bool is_written(const struct place *place, bool understood) {
  return understood || place->line != 0;
}

static void note_approval(const struct check *check, struct missing *missing, const struct approval *approval) {
  note_missing(check, missing, check_text_present(&approval->by), "承認者", "approval.by");
  note_missing(check, missing, is_written(&approval->role_place, approval->role != ROLE_NONE), "承認者の役割",
               "approval.role");
  note_missing(check, missing, check_text_present(&approval->document), "決裁番号", "approval.document");
  note_missing(check, missing, is_written(&approval->date.place, approval->date.set), "承認日", "approval.date");
  note_missing(check, missing, check_text_present(&approval->author), "起案者", "approval.author");
}

static void check_missing(struct check *check, const struct flow *flow) {
  struct missing missing = {0};
  note_missing(check, &missing, check_text_present(&flow->purpose), "目的", "purpose");
  note_missing(check, &missing, check_text_present(&flow->owner), "所管課", "owner");
  if (flow->approval.present)
    note_approval(check, &missing, &flow->approval);
  else
    note_missing(check, &missing, false, "承認", "approval");
  note_missing(check, &missing, is_written(&flow->review.place, flow->review.set), "見直し日", "review");
  if (missing.count == 0)
    return;
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D06", check_at_name(check, flow->place, flow->name),
                     flow->name, "通信に必要な記載がありません: %s", "the flow lacks: %s", missing.text);
  diagnostic_hint(check->diagnostics, found,
                  "決裁文書を見て書き足してください。決裁がまだなら、この通信は許可できません",
                  "copy them from the decision; without a decision the flow cannot be allowed");
}

static const char *skip_blanks(const char *text) {
  static const char wide_blank[] = "\xe3\x80\x80";
  for (;;) {
    if (*text == ' ' || *text == '\t')
      text++;
    else if (strncmp(text, wide_blank, strlen(wide_blank)) == 0)
      text += strlen(wide_blank);
    else
      return text;
  }
}

/* Blanks between family and given name do not make another person. */
static bool same_person(const char *one, const char *other) {
  for (;; one++, other++) {
    one = skip_blanks(one);
    other = skip_blanks(other);
    if (*one != *other)
      return false;
    if (*one == '\0')
      return true;
  }
}

static void check_author(struct check *check, const struct flow *flow) {
  const struct text *by = &flow->approval.by, *author = &flow->approval.author;
  if (!check_text_present(by) || !check_text_present(author) || !same_person(by->text, author->text))
    return;
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D13", check_at(check, author->place, author->text),
                     flow->name, "起案者と承認者が同じ「%s」です。承認は起案者以外の者が行わなければなりません（6(1)）",
                     "author and approver are the same, '%s'; another person must approve (6(1))", author->text);
  diagnostic_hint(check->diagnostics, found, "起案者（author）と承認者（by）を決裁文書で確かめてください",
                  "compare 'author' and 'by' with the decision");
}

static void check_compensation(struct check *check, const struct flow *flow) {
  if (!flow->method_known || flow->method != METHOD_EXCEPTION ||
      check_text_present(&(struct text){.text = flow_note_text(flow, "compensation")}) ||
      check->flows[flow->index].over)
    return;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W04", check_at(check, flow->method_place, flow_method_name(flow->method)),
      flow->name, "例外措置に代替措置（compensation）の記載がありません", "the exception names no 'compensation'");
  diagnostic_hint(check->diagnostics, found,
                  "危険を補う措置（記録の確認、機能の停止など）を compensation に書いてください",
                  "write into 'compensation' what makes up for the risk");
}

void check_papers(struct check *check) {
  for (size_t i = 0; i < check->policy->flow_count; i++) {
    check_missing(check, &check->policy->flows[i]);
    check_author(check, &check->policy->flows[i]);
    check_compensation(check, &check->policy->flows[i]);
  }
}

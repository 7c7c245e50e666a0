/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/proof_subject.h"

#include <errno.h>
#include <string.h>

#include "cli/published.h"
#include "control/clock.h"
#include "control/orders.h"
#include "control/state.h"
#include "policy/read.h"

/* ---- a text as a policy ---- */

/* NULL when it is not a policy without errors of form: what kidod wrote always is. */
static const struct policy *read_text(const struct invocation *invocation, const char *name, const char *text) {
  struct diagnostic_list diagnostics;
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, invocation->arena, invocation->language);
  int result = policy_read_text(name, text, strlen(text), invocation->arena, invocation->language_forced, &policy,
                                &diagnostics, NULL);
  return result == 0 && diagnostics.errors == 0 && !diagnostics.out_of_memory ? policy : NULL;
}

/* The same policy out of the operator's own file: then places are lines that he knows. */
static const struct policy *in_own_words(const struct invocation *invocation, const struct policy *policy) {
  struct diagnostic_list diagnostics;
  const struct policy *own = NULL;
  diagnostic_list_init(&diagnostics, invocation->arena, invocation->language);
  bool same =
      policy_read(DEFAULT_POLICY_FILE, invocation->arena, invocation->language_forced, &own, &diagnostics, NULL) == 0 &&
      own && diagnostics.errors == 0 && strcmp(own->sha256, policy->sha256) == 0;
  return same ? own : policy;
}

/* ---- the state directory ---- */

/* The first line of the file is what is known about the policy: its lines are counted with it. */
static const struct policy *read_confirmed(const struct invocation *invocation) {
  struct confirmed_policy confirmed;
  struct error error = {0};
  const char *name = arena_printf(invocation->arena, "%s/%s", invocation->state_directory, STATE_CONFIRMED);
  if (state_load(invocation->state_directory, invocation->arena, &confirmed, &error) < 0) {
    return NULL;
  }
  const char *text = arena_printf(invocation->arena, "#\n%s", confirmed.text);
  return text && name ? read_text(invocation, name, text) : NULL;
}

/* What outlives kidod: cuts, closed windows, and a clock that stands before the last time seen. */
static void read_kept(const struct invocation *invocation, struct proof_subject *subject) {
  struct restrictions *restrictions = ARENA_NEW(invocation->arena, struct restrictions);
  struct instant seen;
  struct error error = {0};
  if (!restrictions || orders_load(invocation->state_directory, invocation->now, &subject->orders, &error) < 0) {
    return;
  }
  *restrictions = subject->orders->restrictions;
  if (clock_load(invocation->state_directory, &seen, &error) == 0) {
    restrictions->clock_doubtful = clock_is_doubtful(seen, invocation->now);
  }
  subject->restrictions = restrictions;
}

void proof_subject_release(struct proof_subject *subject) {
  orders_free(subject->orders);
  *subject = (struct proof_subject){.policy = NULL};
}

static bool left_in_trial(const struct invocation *invocation) {
  struct state_trial trial;
  struct error error = {0};
  return state_trial_load(invocation->state_directory, invocation->arena, &trial, &error) == 0;
}

static int find_confirmed(const struct invocation *invocation, struct proof_subject *ret_subject) {
  const struct policy *policy = read_confirmed(invocation);
  if (!policy) {
    invocation_complain(invocation,
                        "どのポリシーと比べるか分かりません: kidod は応答せず、%s に確定済みポリシーもありません。"
                        "--policy ファイル で指定してください",
                        "no policy to compare with: kidod does not answer, and %s holds no confirmed policy; name one "
                        "with --policy FILE",
                        invocation->state_directory);
    return EXIT_CODE_NO_ANSWER;
  }
  *ret_subject = (struct proof_subject){.policy = in_own_words(invocation, policy),
                                        .source = "confirmed",
                                        .may_be_closed = true,
                                        .was_on_trial = left_in_trial(invocation)};
  read_kept(invocation, ret_subject);
  return EXIT_CODE_YES;
}

/* ---- what kidod publishes ---- */

/* The gate is closed: what still passes are the confirmed policy's flows with the gateway. */
static int find_closed(const struct invocation *invocation, struct proof_subject *ret_subject) {
  struct proof_subject subject = {0};
  int code = find_confirmed(invocation, &subject);
  if (code == EXIT_CODE_YES) {
    subject.source = "published";
    subject.gate_closed = true;
    subject.may_be_closed = subject.was_on_trial = false;
    *ret_subject = subject;
  }
  return code;
}

static int find_in_force(const struct invocation *invocation, const struct published *published,
                         struct proof_subject *ret_subject) {
  const struct policy *policy = read_text(invocation, "policy", published->text);
  if (!policy) {
    invocation_complain(invocation, "kidod が公表しているポリシーを読めません", "what kidod publishes is no policy");
    return EXIT_CODE_NO_ANSWER;
  }
  const struct policy *confirmed = read_confirmed(invocation);
  const struct policy *placed = confirmed && strcmp(confirmed->sha256, policy->sha256) == 0 ? confirmed : policy;
  *ret_subject = (struct proof_subject){.policy = in_own_words(invocation, placed),
                                        .restrictions = published_restrictions_of(invocation, published, policy),
                                        .source = "published",
                                        .moving = published->publication.phase == PUBLICATION_PENDING};
  return EXIT_CODE_YES;
}

static int find_published(const struct invocation *invocation, const struct published *published,
                          struct proof_subject *ret_subject) {
  struct proof_subject subject = {0};
  int code = published->text ? find_in_force(invocation, published, &subject) : find_closed(invocation, &subject);
  if (code == EXIT_CODE_YES) {
    subject.heard = true;
    subject.publications = published->publication.generation;
    *ret_subject = subject;
  }
  return code;
}

/* ---- a file ---- */

/* A file that is in force is held back as kidod says; one that is confirmed, as is kept. */
static int find_file(const struct invocation *invocation, const struct published *published,
                     struct proof_subject *ret_subject) {
  struct policy_reading reading;
  int code = invocation_read_valid_policy(invocation, NULL, &reading);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  struct proof_subject subject = {.policy = reading.policy, .source = "file"};
  const struct policy *confirmed = published ? NULL : read_confirmed(invocation);
  if (published && strcmp(published->publication.policy_sha256, reading.policy->sha256) == 0) {
    subject.restrictions = published_restrictions_of(invocation, published, reading.policy);
  } else if (confirmed && strcmp(confirmed->sha256, reading.policy->sha256) == 0) {
    read_kept(invocation, &subject);
    subject.may_be_closed = true;
  }
  subject.heard = published != NULL;
  subject.publications = published ? published->publication.generation : 0;
  *ret_subject = subject;
  return EXIT_CODE_YES;
}

int proof_subject_find(const struct invocation *invocation, struct proof_subject *ret_subject) {
  struct published published;
  bool offline = invocation_has(invocation, "ruleset"), heard = !offline && published_read(invocation, &published) == 0;
  if (invocation->policy_file) {
    return find_file(invocation, heard ? &published : NULL, ret_subject);
  }
  return heard ? find_published(invocation, &published, ret_subject) : find_confirmed(invocation, ret_subject);
}

bool proof_subject_stands(const struct invocation *invocation, const struct proof_subject *subject) {
  struct published published;
  if (published_read(invocation, &published) < 0) {
    return !subject->heard;
  }
  return subject->heard && !subject->moving && published.publication.generation == subject->publications;
}

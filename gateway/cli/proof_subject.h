/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_PROOF_SUBJECT_H
#define KIDO_CLI_PROOF_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/verb.h"
#include "policy/restrictions.h"

struct orders;

/*
 * What the kernel is to be held to. --policy FILE as it stands, with the restrictions that are known for that very
 * policy; else what kidod publishes; else, when kidod does not answer, what the state directory has confirmed.
 */
struct proof_subject {
  const struct policy *policy;
  const struct restrictions *restrictions; /* NULL: none */
  const char *source;                      /* "file", "published", "confirmed" */
  bool gate_closed;                        /* kidod says that it closed the gate */
  bool may_be_closed;                      /* kidod is not there: it may have closed the gate when it ended */
  bool was_on_trial;                       /* the same, and it left in a trial: more may stand than is confirmed */
  bool heard;                              /* kidod published; `publications` says what */
  bool moving;                             /* it is about to put something else in force */
  uint64_t publications;
  struct orders *orders; /* holds the restrictions; NULL: they live in the arena of the invocation */
};

/* EXIT_CODE_YES; else after a complaint EXIT_CODE_NO (the policy has errors) or EXIT_CODE_NO_ANSWER. */
int proof_subject_find(const struct invocation *invocation, struct proof_subject *ret_subject);

void proof_subject_release(struct proof_subject *subject);

/* Whether kidod still publishes what it did; true when it did not and does not. */
bool proof_subject_stands(const struct invocation *invocation, const struct proof_subject *subject);

#endif

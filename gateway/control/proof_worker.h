/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PROOF_WORKER_H
#define KIDO_CONTROL_PROOF_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/error.h"
#include "base/language.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/*
 * Theory of operation. The proof takes time and reads what anybody may have put into the kernel. It is made in a child
 * of kidod, which has the policy by the fork: it takes the snapshot while it still may, then steps down for good
 * (privilege_drop_all: no rights, bounded time and memory), proves, and writes a kido.verify/1 of bounded size.
 * Whatever becomes of the child, kidod goes on; a child that crashed, was too slow or needed too much has shown
 * nothing: "undecided".
 */
struct proof_worker {
  pid_t pid; /* -1: none */
  int report_fd;
};

struct proof_job {
  const struct policy *policy;
  const struct restrictions *restrictions;
  bool gate_closed;
  enum language language;
  bool waited_for; /* somebody waits: it runs as fast as kidod; else it gives way to all else */
};

enum { PROOF_WORKER_SECONDS = 75 }; /* longer than the child gives itself; who waits ends it then */

/* 0 or a negative errno with *error. */
int proof_worker_start(const struct proof_job *job, struct proof_worker *ret_worker, struct error *error);

/* After waitpid(): a kido.verify/1, a new reference; NULL without memory. Closes the worker. */
json_t *proof_worker_finish(struct proof_worker *worker, int wait_status, const struct proof_job *job);

/* The same for a proof that was never made, and why. */
json_t *proof_worker_answer_for_none(const struct proof_job *job, const char *why);

/* Ends it, answer or not, and waits for that. */
void proof_worker_end(struct proof_worker *worker);

#endif

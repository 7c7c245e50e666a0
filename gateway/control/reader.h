/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_READER_H
#define KIDO_CONTROL_READER_H

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/instant.h"
#include "base/language.h"

/*
 * Theory of operation. A policy is text from outside. kidod, which holds CAP_NET_ADMIN, lets a child look at it first:
 * the child steps down (privilege_drop_all), parses and checks, and writes two memfds: the canonical form and a report
 * with the diagnostics. kidod takes both as bytes, seals them, and goes on with the canonical form, which our own
 * printer wrote. A parser that is overrun dies in the child, and the policy is refused.
 */
struct policy_reader {
  pid_t pid;
  int policy_fd; /* canonical form, written by the child */
  int report_fd;
};

enum reader_matter {
  READER_POLICY,
  READER_ORDER, /* the text of an order (protocol.h); its canonical form: names with a blank between, '\n', reason */
};

struct reader_request {
  enum reader_matter matter;
  int policy_fd;    /* the text as a sealed memfd, -1: read `path` */
  const char *path; /* stands for the policy in diagnostics */
  enum language language;
  bool language_forced;
  struct instant now;
  const struct policy *confirmed; /* what approvals are compared with (approval.h); NULL: nothing */
};

/* What the child found. */
enum reader_verdict {
  READER_GOOD,
  READER_ERRORS, /* the diagnostics say what */
  READER_FAILED, /* it could not be read; `message` says why */
};

struct reader_result {
  enum reader_verdict verdict;
  json_t *diagnostics; /* an array, to be released */
  const char *message;
  char *text; /* canonical, only for READER_GOOD */
  size_t size;
};

/* Starts the child. 0 or a negative errno with *error. */
int policy_reader_start(const struct reader_request *request, struct policy_reader *ret_reader, struct error *error);

/* After waitpid(): what it found, with texts in the arena. Closes the reader. */
void policy_reader_finish(struct policy_reader *reader, int wait_status, struct arena *arena,
                          struct reader_result *ret_result);

/* Closes without waiting for an answer. */
void policy_reader_close(struct policy_reader *reader);

#endif

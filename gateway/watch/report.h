/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_REPORT_H
#define KIDO_WATCH_REPORT_H

#include "watch/aggregate.h"

/* What an alert is told with: names that the numbers in it stand for. */
struct report_names {
  const struct policy *policy;
  enum language language;
  const char *const *wires; /* by wire number */
};

enum { REPORT_TEXT_SIZE = 1024 };

/* Room for the texts of one event; it must live as long as the event. */
struct report_texts {
  char message[REPORT_TEXT_SIZE], what_to_do[REPORT_TEXT_SIZE], community[32];
};

/* Turns an alert into the record of the contract, with what happened and what to do first, in words. */
void report_event(const struct alert *alert, const struct report_names *names, int64_t now, struct report_texts *texts,
                  struct event *ret_event);

#endif

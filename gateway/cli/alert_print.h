/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_ALERT_PRINT_H
#define KIDO_CLI_ALERT_PRINT_H

#include <stdio.h>

#include "events/event.h"

/* One alert for people, in one to three lines: when, how bad, what, what to do first. Flushed at once. */
void alert_print(FILE *stream, const struct event *event, const struct timezone *timezone, enum language language,
                 bool colour);

#endif

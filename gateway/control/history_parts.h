/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_HISTORY_PARTS_H
#define KIDO_CONTROL_HISTORY_PARTS_H

#include "control/history.h"

/* Inside state.c: the history as one half of confirming. directory: descriptor of the state directory. */
int history_add(int directory, const struct confirmed_policy *policy);
/* What is wrong with the directory of the history. */
const char *history_explain(int result);
void history_take_back(int directory, uint64_t number);

#endif

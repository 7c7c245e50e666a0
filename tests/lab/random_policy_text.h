/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_RANDOM_POLICY_TEXT_H
#define KIDO_TESTS_LAB_RANDOM_POLICY_TEXT_H

#include "base/arena.h"
#include "base/instant.h"
#include "dice.h"

/* A policy as text, in the arena. It reads without error; whether the doctrine would let it through is nobody's
 * concern here. */
char *random_policy_text(struct dice *dice, struct instant now, struct arena *arena);

/* The same policy changed a little: flows gone, renamed, moved, ended, narrowed. */
char *random_policy_vary(struct dice *dice, const char *text, struct instant now, struct arena *arena);

#endif

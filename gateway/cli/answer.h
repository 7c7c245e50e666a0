/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_ANSWER_H
#define KIDO_CLI_ANSWER_H

#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"

/* What stands in the answers of the daemons. */

/* "" where there is no text. */
const char *answer_text(const json_t *object, const char *key);
/* 0 where there is no number. */
int64_t answer_number(const json_t *object, const char *key);
/* As a terminal may see it; "" without memory. */
const char *answer_escape(struct arena *arena, const char *text);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_CODES_H
#define KIDO_POLICY_CODES_H

#include <stddef.h>

/* A diagnostic code: the same in every language, never used for something else once given. */
struct policy_code {
  const char *code;
  const char *title_ja, *title_en; /* what the code stands for, one clause */
};

/* All codes that a policy can raise, in the order of the documentation. */
const struct policy_code *policy_codes(size_t *ret_count);
/* NULL when there is no such code. */
const struct policy_code *policy_code_find(const char *code);

#endif

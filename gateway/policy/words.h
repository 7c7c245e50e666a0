/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_WORDS_H
#define KIDO_POLICY_WORDS_H

#include "policy/policy.h"

/* The words of the policy file for its enumerations, by value: read, printed and shown from the same tables. */
extern const char *const zone_class_words[CLASS_COUNT_];
extern const char *const connection_model_words[MODEL_COUNT_];
extern const char *const flow_method_words[METHOD_COUNT_];
extern const char *const approval_role_words[ROLE_COUNT_]; /* ROLE_NONE has none: NULL */

#endif

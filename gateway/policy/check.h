/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_CHECK_H
#define KIDO_POLICY_CHECK_H

#include "base/diagnostic.h"
#include "policy/policy.h"

struct check_options {
  struct instant now;
  /* Interfaces of this machine, NULL-terminated, when asked about this machine; else NULL. */
  const char *const *interfaces;
};

struct expectation_result {
  size_t passed, failed;
};

/* The doctrine: D01 to D17 and the warnings, over the whole model (1-policy.md, "What is refused"). */
void policy_check(const struct policy *policy, const struct check_options *options,
                  struct diagnostic_list *diagnostics);

/* Runs the `expect` cases; a failed one is an error with code E01 and says what the policy does instead. */
struct expectation_result policy_check_expectations(const struct policy *policy, struct instant now,
                                                    struct diagnostic_list *diagnostics);

/* The table "Which classes may speak". ZONE_GATEWAY's side is passed as CLASS_COUNT_.
 * Returns the methods that the pair may use in that direction, as a bit set of 1 << enum flow_method. */
unsigned class_pair_methods(enum zone_class from, enum zone_class to, enum connection_model model,
                            enum approval_role *ret_role);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_EXPRESSION_H
#define KIDO_KERNEL_NFTABLES_EXPRESSION_H

#include "base/arena.h"
#include "kernel/nftables_attributes.h"
#include "rules/ruleset.h"

/*
 * One expression as the kernel dumps it (NFTA_EXPR_NAME, NFTA_EXPR_DATA). Whatever is not exactly what our struct can
 * say, unknown attributes and values included, becomes EXPRESSION_FOREIGN. Returns 0 or -ENOMEM.
 */
int nftables_expression_parse(const struct nlattr *nest, struct arena *arena, struct expression *ret_expression);

/* A NFTA_DATA_VERDICT inside the nest; false when it is something else. */
bool nftables_verdict_parse(const struct nlattr *nest, struct arena *arena, struct verdict *ret_verdict);
/* A NFTA_DATA_VALUE of at most `room` bytes inside the nest; false when it is something else. */
bool nftables_value_parse(const struct nlattr *nest, size_t room, const void **ret_data, size_t *ret_length);

#endif

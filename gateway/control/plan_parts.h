/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PLAN_PARTS_H
#define KIDO_CONTROL_PLAN_PARTS_H

#include "control/plan.h"

/* Inside plan*.c. All return 0 or -ENOMEM. */
int plan_compare_flows(const struct plan_question *question, struct arena *arena, struct plan *plan);
int plan_compare_nodes(const struct plan_question *question, struct arena *arena, struct plan *plan);
/* What the one flow covers and the other does not; other NULL: all. */
int plan_flow_subtract(const struct policy *policy, const struct flow *flow, const struct policy *other_policy,
                       const struct flow *other, struct arena *arena, struct plan_box ret_boxes[static PLAN_BOX_LIMIT],
                       size_t *ret_count);

#endif

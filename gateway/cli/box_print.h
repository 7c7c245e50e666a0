/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_BOX_PRINT_H
#define KIDO_CLI_BOX_PRINT_H

#include "cli/verb.h"
#include "proof/exact.h"

/* Sets of packets for people: by pair of zones, each box in one line, its example behind it. */
struct box_page {
  const struct invocation *invocation;
  const struct policy *policy; /* that has the zones and flows of the boxes */
  enum language language;
  const char *sign;   /* before each line: "+", "-" or "" */
  const char *colour; /* escape sequence, when the output is coloured */
};

void box_print_all(const struct box_page *page, const struct exact_box *boxes, size_t count);

#endif

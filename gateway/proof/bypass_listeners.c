/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "proof/bypass_parts.h"

int find_listeners(struct search *search) {
  (void)search;
  return 0;
}

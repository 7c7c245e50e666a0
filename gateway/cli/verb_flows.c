/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/verb.h"

int verb_flows(const struct invocation *invocation) {
  invocation_complain(invocation, "この版ではまだ使えません", "not available in this version yet");
  return EXIT_CODE_NO_ANSWER;
}

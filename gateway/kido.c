/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/verb.h"

int main(int argument_count, char **arguments) {
  return kido_run(argument_count, arguments);
}

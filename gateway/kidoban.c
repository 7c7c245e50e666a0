/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/kidoban_command.h"

int main(int argument_count, char **arguments) {
  return kidoban_run(argument_count, arguments);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/kidod_command.h"

int main(int argument_count, char **arguments) {
  return kidod_run(argument_count, arguments);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <unistd.h>

#include "cli/kidoban_command.h"

/* Ends without what libraries and sanitizers do at the end of a process: the sandbox does not let them. */
int main(int argument_count, char **arguments) {
  int code = kidoban_run(argument_count, arguments);
  fflush(NULL);
  _exit(code);
}

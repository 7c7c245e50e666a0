/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shell.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 32 << 20 };

char *shell_output(struct arena *arena, const char *command, int *ret_status) {
  FILE *pipe = popen(command, "r");
  if (pipe == NULL)
    return NULL;
  char *output = malloc(ROOM), *copy = NULL;
  if (output != NULL) {
    size_t length = fread(output, 1, ROOM - 1, pipe);
    output[length] = '\0';
    copy = arena_strdup(arena, output);
  }
  free(output);
  *ret_status = pclose(pipe);
  return copy;
}

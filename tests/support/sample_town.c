/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample_town.h"

#include <stdio.h>

#include "policy/read.h"

static const char path[] = KIDO_SOURCE_DIRECTORY "/config/examples/town.conf";

char *sample_town_text(struct arena *arena) {
  enum { ROOM = 256 * 1024 };
  char *text = arena_alloc(arena, ROOM);
  FILE *file = text != NULL ? fopen(path, "re") : NULL;
  if (file == NULL)
    return NULL;
  size_t length = fread(text, 1, ROOM - 1, file);
  fclose(file);
  text[length] = '\0';
  return length < ROOM - 1 ? text : NULL;
}

const struct policy *sample_town(struct arena *arena) {
  const struct policy *policy = NULL;
  struct diagnostic_list diagnostics;
  struct error error;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  int result = policy_read(path, arena, false, &policy, &diagnostics, &error);
  return result == 0 && diagnostics.errors == 0 ? policy : NULL;
}

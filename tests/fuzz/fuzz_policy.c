/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/check.h"
#include "policy/print.h"
#include "policy/read.h"

/*
 * Any bytes as a policy: read, checked and complained about without a crash; and what is accepted must print to a form
 * that is accepted and prints itself again.
 */

enum { MEMORY_LIMIT = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void complain(const struct diagnostic_list *list) {
  char *text = NULL;
  size_t length;
  FILE *stream = open_memstream(&text, &length);
  if (!stream)
    return;
  diagnostic_print(stream, list, false);
  fclose(stream);
  free(text);
}

static void must_hold(const struct policy *policy, struct arena *arena) {
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *again = NULL;
  size_t length, length_again;
  const char *text = policy_print(policy, arena, &length);
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  if (!text || policy_read_text("again", text, length, arena, true, &again, &list, &error) < 0)
    return;
  if (list.errors > 0)
    complain(&list), abort();
  const char *text_again = policy_print(again, arena, &length_again);
  if (text_again && strcmp(text, text_again) != 0)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *arena = arena_new(MEMORY_LIMIT);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  const struct check_options options = {.now = {1795000000}};
  diagnostic_list_init(&list, arena, LANGUAGE_JAPANESE);
  int result = policy_read_text("fuzz", (const char *)data, size, arena, false, &policy, &list, &error);
  if (result == 0 && policy && list.errors == 0)
    must_hold(policy, arena);
  if (result == 0 && policy)
    policy_check(policy, &options, &list);
  if (result == 0 && !list.out_of_memory)
    complain(&list);
  arena_free(arena);
  return 0;
}

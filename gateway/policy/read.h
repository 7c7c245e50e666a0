/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_READ_H
#define KIDO_POLICY_READ_H

#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/error.h"
#include "policy/policy.h"

/*
 * Reads a policy file (libconfig) into a model. What is wrong with its form (syntax, unknown keys, types, values,
 * names that do not resolve) goes into the diagnostics, all in one run; a file that does not parse gives its first
 * syntax error and *ret_policy NULL.
 *
 * Returns 0 when the file could be read, right or wrong (look at diagnostics->errors), and a negative errno with
 * *error when it could not: missing, not permitted, not a regular file, too large (POLICY_FILE_LIMIT).
 * The language of the diagnostics becomes that of the policy unless language_forced.
 */
enum { POLICY_FILE_LIMIT = 64 * 1024 * 1024 };

int policy_read(const char *path, struct arena *arena, bool language_forced, const struct policy **ret_policy,
                struct diagnostic_list *diagnostics, struct error *error);

/* The same from memory; name stands for the file in diagnostics, @include is refused. */
int policy_read_text(const char *name, const char *text, size_t length, struct arena *arena, bool language_forced,
                     const struct policy **ret_policy, struct diagnostic_list *diagnostics, struct error *error);

/* The built-in catalogue of common services (name, then definitions as in the file), for `show services`. */
struct catalogue_entry {
  const char *name;
  const char *definition; /* "tcp/443", several separated by blanks */
};
const struct catalogue_entry *service_catalogue(size_t *ret_count);

#endif

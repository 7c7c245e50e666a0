/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_RESTRICTIONS_JSON_H
#define KIDO_CONTROL_RESTRICTIONS_JSON_H

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "policy/restrictions.h"

/*
 * Restrictions as JSON: how kidod keeps them and how it tells them to those who follow it. Instants are seconds.
 *
 *   {cuts: [{id, kind, address, zone, other_zone, at, by, why}], closed_windows: [{flow, until, at, by, why}],
 *    clock_doubtful, flow_deadlines: [seconds or null, by index] or null, within_deadlines}
 */
enum { RESTRICTIONS_LIMIT = 10000, RESTRICTIONS_TEXT_LIMIT = 4096 };

/* A new reference; NULL without memory. flow_count, zone_count: lengths of the deadlines, 0 to leave them out. */
json_t *restrictions_to_json(const struct restrictions *restrictions, size_t flow_count, size_t zone_count);

/*
 * Believes nothing: every key, type, length and name is checked; deadlines must have the lengths given, unless they
 * are null. Returns 0, -ENOMEM, or -EBADMSG with *error.
 */
int restrictions_from_json(const json_t *object, size_t flow_count, size_t zone_count, struct arena *arena,
                           struct restrictions *ret_restrictions, struct error *error);

/* The same as text; to be freed by the caller, NULL without memory. */
char *restrictions_to_text(const struct restrictions *restrictions, size_t flow_count, size_t zone_count);
int restrictions_from_text(const char *text, size_t size, size_t flow_count, size_t zone_count, struct arena *arena,
                           struct restrictions *ret_restrictions, struct error *error);

#endif

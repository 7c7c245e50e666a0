/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_DIAGNOSTIC_JSON_H
#define KIDO_CONTROL_DIAGNOSTIC_JSON_H

#include <jansson.h>

#include "base/diagnostic.h"

/* The array `diagnostics` of the contract; a new reference, NULL when there is no memory. */
json_t *diagnostics_to_json(const struct diagnostic_list *list);

#endif

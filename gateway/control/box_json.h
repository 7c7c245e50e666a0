/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_BOX_JSON_H
#define KIDO_CONTROL_BOX_JSON_H

#include <jansson.h>

#include "proof/exact.h"

enum { BOX_SERVICE_SIZE = 40 };

/* "tcp/443", "udp/5000-5010", "icmp/echo-request", "proto/47", "proto/2-5". */
const char *box_service_text(const struct exact_box *box, char text[static BOX_SERVICE_SIZE]);

/* {from_zone, to_zone, source, destination, service, mac, flow, example: {packet}}. mac: null (any), a MAC, or "other":
 * any but those that the sender is pinned to. A new reference; NULL without memory. */
json_t *box_to_json(const struct policy *policy, const struct exact_box *box);
json_t *boxes_to_json(const struct policy *policy, const struct exact_box *boxes, size_t count);

#endif

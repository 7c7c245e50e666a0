/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_WATCH_STATE_H
#define KIDO_CLI_WATCH_STATE_H

#include <jansson.h>

#include "cli/verb.h"

/* What kidoban says of itself, the member `watch` of the status; without kidoban nothing is watched: "blind". */
json_t *watch_state(const struct invocation *invocation);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_SETTINGS_H
#define KIDO_EVENTS_SETTINGS_H

#include <libconfig.h>

#include "base/arena.h"
#include "base/error.h"
#include "events/scribe.h"

/*
 * The groups `events`, `sinks` and `evidence` of a settings file: how long events are kept, where else they go, and
 * what is kept of the frames of a finding. Both daemons have the first two.
 */
bool event_settings_has(const char *name);

/* Takes one of these groups over what *settings holds; texts go into the arena. 0 or -EINVAL with *error: file, line.
 */
int event_settings_take(const config_setting_t *group, const char *path, struct arena *arena,
                        struct scribe_settings *settings, struct error *error);

#endif

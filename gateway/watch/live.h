/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_LIVE_H
#define KIDO_WATCH_LIVE_H

#include "watch/live_settings.h"
#include "watch/status.h"
#include "watch/watch.h"

/*
 * The captures of a running watchman: one on every interface of every zone, and on the listen-only ports of the
 * settings; opened again when an interface comes back. For every time in which a wire was not seen there is a `blind`,
 * within a second, and it is counted.
 */
struct live;

/* settings: outlives it; buffer of 0: the default. 0 or a negative errno with *error. */
int live_new(struct watch *watch, const struct live_settings *settings, struct live **ret_live, struct error *error);
struct live *live_free(struct live *live);

/* Takes up the interfaces of a policy, before watch_set_policy(); pending: beside those that are watched already.
 * 0 or a negative errno with *error. */
int live_set_policy(struct live *live, const struct policy *policy, bool pending, struct error *error);

/* A descriptor that becomes readable when any capture has frames. */
int live_descriptor(const struct live *live);

/* Judges what has come, at most `most` frames. Returns how many. */
size_t live_read(struct live *live, size_t most);

/* A descriptor that becomes readable when an interface was changed: then live_look_after() at once. */
int live_interface_descriptor(const struct live *live);

/* To be called every 100 ms or so, after live_set_policy() and watch_set_policy(): looks after interfaces, drops,
 * canaries and the gateway's own addresses, and lets time pass. now: of the day, in nanoseconds. */
void live_look_after(struct live *live, int64_t now);

/* Frames that the kernel dropped for want of room on that interface, so far. */
uint64_t live_drops(const struct live *live, const char *interface);

/* A policy was read or laid out, which may take a while: what came meanwhile waited and will be judged. It is not told
 * as a time that was not watched, it shows as drops if there was no room for it. */
void live_excuse(struct live *live);

void live_status(const struct live *live, struct watch_status *status);

#endif

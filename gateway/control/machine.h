/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_MACHINE_H
#define KIDO_CONTROL_MACHINE_H

#include "base/error.h"

/*
 * Looks at an interval whether the kernel settings that the ruleset relies on (kernel/system.h) are as kidod set them,
 * and whether the machine forwards just when the gate is open. What is not is told as `drift`, and set right again
 * unless repair is turned off. The kernel does not say who changed a setting.
 *
 * Keeps the neighbour table's entries of pinned hosts as the policy says (kernel/neighbours.h); they go with the watch.
 *
 * Also whether events can be written and the disk of the state directory has room: `log-degraded`.
 */
struct controller;
struct machine_watch;

int machine_watch_start(struct controller *controller, struct machine_watch **ret_watch, struct error *error);
struct machine_watch *machine_watch_stop(struct machine_watch *watch); /* NULL is allowed; returns NULL */

#endif

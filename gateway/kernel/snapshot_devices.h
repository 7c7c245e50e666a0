/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_SNAPSHOT_DEVICES_H
#define KIDO_KERNEL_SNAPSHOT_DEVICES_H

#include <stddef.h>

/*
 * Interfaces that nft text must find where it is loaded: those of `device`, `devices`, `iif` and `oif` (names of
 * `iifname` and `oifname` are only names). Makes them in the network namespace of the caller, which must be one that
 * was made for the text alone. What cannot be made is missed by nft, which says so. More than needed does no harm.
 */
void snapshot_make_devices(const char *text, size_t length);

#endif

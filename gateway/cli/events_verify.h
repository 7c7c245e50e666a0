/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_EVENTS_VERIFY_H
#define KIDO_CLI_EVENTS_VERIFY_H

#include "cli/verb.h"

/* `kido events --verify-chain [--anchor FILE]`: an exit code. */
int events_verify(const struct invocation *invocation);

#endif

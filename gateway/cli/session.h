/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_SESSION_H
#define KIDO_CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/*
 * The connection by which the operator came, from SSH_CONNECTION: that of our own environment, else of the nearest
 * ancestor that has one, for sudo takes it away. It serves the operator's own protection: whoever forges it locks
 * nobody out but himself.
 */
struct session {
  struct address operator_address, gateway_address;
  uint16_t operator_port, gateway_port;
};

/* "192.0.2.7 50022 10.0.0.1 22". */
bool session_parse(const char *text, struct session *ret_session);

/* The value of SSH_CONNECTION in an environment as /proc shows it (NAME=value, each ended by NUL); NULL: not there. */
const char *session_find_variable(const char *environment, size_t size);

/* False at the console, from a service, or where /proc does not tell. */
bool session_find(struct session *ret_session);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_LOCKOUT_H
#define KIDO_CONTROL_LOCKOUT_H

#include "base/address.h"
#include "base/instant.h"
#include "base/language.h"
#include "control/protocol.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/*
 * Would a change shut out those who could take it back? A new policy, a rollback and an emergency cut ask here before
 * anything is changed.
 */

/* What lets packets through: before the change, and after it. */
struct lockout_side {
  const struct policy *policy;             /* NULL: the gate is closed */
  const struct restrictions *restrictions; /* of that policy; NULL: none */
};

/* The connection by which an operator reached the gateway. */
struct operator_way {
  bool known; /* false: at the console, or by a service */
  struct address operator_address, gateway_address;
  uint16_t operator_port, gateway_port;
};

struct lockout_question {
  struct lockout_side before, after;
  struct operator_way way;
  const struct address_set *own; /* the gateway's addresses; NULL: not known */
  struct instant now;
};

enum lockout {
  LOCKOUT_NONE,
  LOCKOUT_LAST_WAY_IN, /* management had a flow to the gateway in force, and would have none */
  LOCKOUT_CONNECTION,  /* the connection by which the operator came passes, and would not */
};

enum lockout lockout_judge(const struct lockout_question *question);

/* "last-way-in", "connection"; "" for none. */
const char *lockout_name(enum lockout lockout);
/* One sentence for people: what would happen, and what to do who means it. */
const char *lockout_message(enum lockout lockout, enum language language);

/* What a request says about the operator's connection. */
struct operator_way operator_way_of(const struct control_request *request);

#endif

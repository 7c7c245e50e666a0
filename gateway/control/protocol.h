/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PROTOCOL_H
#define KIDO_CONTROL_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * How `kido` speaks to `kidod`: a SOCK_SEQPACKET Unix socket in the run directory, CONTROL_SOCKET, for root, the
 * daemon's own user and the members of the group `kido` (SO_PEERCRED, SO_PEERGROUPS), but never for the watchman, who
 * is in the group only to follow the policy: the user kidoban, or nobody where there is no such user.
 *
 *   client  struct control_request     with a sealed memfd for the verbs that take a text, without otherwise
 *   kidod   struct control_reply ...   any number with final = 0: the step that begins now
 *   kidod   struct control_reply       final = 1, code, and a sealed memfd with one JSON object
 *
 * One request per connection. Requests are numbers only; kidod checks each field, closes the connection on anything
 * else, serves CONTROL_CLIENT_LIMIT connections at once and gives each CONTROL_REQUEST_SECONDS to ask.
 */
#define CONTROL_SOCKET "kidod.sock"

enum control_verb {
  CONTROL_STATUS = 1,   /* kido.status/1 */
  CONTROL_FLOWS = 2,    /* kido.flows/1 */
  CONTROL_APPLY = 3,    /* kido.apply/1; text: the policy, canonical. seconds: confirm within, 0: confirmed at once */
  CONTROL_CONFIRM = 4,  /* kido.confirm/1 */
  CONTROL_ROLLBACK = 5, /* kido.apply/1; number: of the history, 0: the confirmed one, or the one before it */
  CONTROL_HISTORY = 6,  /* kido.history/1 */
  CONTROL_PLAN = 7,     /* kido.plan/1; text: the policy */
  CONTROL_CUT = 8,      /* kido.cut/1; kind, address; text: an order */
  CONTROL_LIFT = 9,     /* kido.cut/1; number: of the cut, 0: all; text: an order */
  CONTROL_WINDOW_CLOSE = 10, /* kido.window/1; text: an order */
  CONTROL_WINDOW_REOPEN = 11,
  CONTROL_ACKNOWLEDGE = 12, /* kido.ack/1; text: an order */
  CONTROL_VERB_END_
};

/* Bits of control_request.flags. */
enum control_flag {
  CONTROL_ALLOW_LOCKOUT = 1 << 0,  /* even if the operator cuts his own way in */
  CONTROL_DRY_RUN = 1 << 1,        /* CUT, LIFT: only say what would stop or come back */
  CONTROL_ALLOW_UNPROVEN = 1 << 2, /* APPLY, ROLLBACK: even if the proof refutes it */
  CONTROL_FLAGS_ALL_ = (1 << 3) - 1,
};

enum control_step {
  CONTROL_STEP_NONE = 0,
  CONTROL_STEP_CHECK = 1,   /* the unprivileged reader judges the policy */
  CONTROL_STEP_COMPILE = 2, /* the ruleset is made */
  CONTROL_STEP_LOAD = 3,    /* it goes into the kernel and is read back */
  CONTROL_STEP_CONFIRM = 4, /* it is written to the state directory */
  CONTROL_STEP_PROVE = 5,   /* between LOAD and CONFIRM: whether the kernel does what the policy says */
  CONTROL_STEP_END_
};

enum {
  CONTROL_MAGIC = 0x4b49444b,
  CONTROL_VERSION = 3,
  CONTROL_CLIENT_LIMIT = 16,
  CONTROL_REQUEST_SECONDS = 5,
  CONTROL_POLICY_LIMIT = 64 * 1024 * 1024,
  CONTROL_ORDER_LIMIT = 4096,
  CONTROL_TRIAL_SECONDS_MAX = 7 * 86400,
  CONTROL_BODY_LIMIT = 256 * 1024 * 1024,
};

/* An address as numbers; family 0: none. */
struct control_address {
  uint32_t family; /* AF_INET, AF_INET6 or 0 */
  uint8_t bytes[16];
};

/*
 * The text of an order (CUT, LIFT, WINDOW_*, ACKNOWLEDGE), at most CONTROL_ORDER_LIMIT bytes of UTF-8 without control
 * characters but the line ends: a line with the names that the verb needs, separated by blanks (pair: two zones; zone:
 * one; WINDOW_*: the flow; LIFT: "clock" lifts what a doubtful clock holds back; ACKNOWLEDGE: the id of an event; empty
 * otherwise), and a line with the reason.
 */
struct control_request {
  uint32_t magic;                 /* CONTROL_MAGIC */
  uint32_t version;               /* CONTROL_VERSION */
  uint32_t verb;                  /* enum control_verb */
  uint32_t language;              /* 0: that of the policy; else enum language + 1 */
  uint32_t flags;                 /* enum control_flag */
  uint32_t kind;                  /* CUT: enum cut_kind */
  uint64_t number;                /* ROLLBACK, LIFT */
  uint64_t seconds;               /* APPLY, ROLLBACK: confirm within; at most CONTROL_TRIAL_SECONDS_MAX */
  struct control_address address; /* CUT: the host */
  /* The connection that the operator came by, when he is not at the console: family 0. For the lock-out check. */
  struct control_address operator_address, gateway_address;
  uint32_t operator_port, gateway_port;
};

struct control_reply {
  uint32_t magic;
  uint32_t version;
  uint32_t final; /* 0 or 1 */
  uint32_t step;  /* enum control_step: begins now, or was the last one reached */
  uint32_t code;  /* exit code of the client, 0 to 3 */
  uint32_t reserved;
  uint64_t body_size;
};

/* Both sides check what they receive. Return 0, -EAGAIN, -ECONNRESET, or -EPROTO with *error. */
int control_request_send(int socket, const struct control_request *request, int policy_fd);
int control_request_receive(int socket, struct control_request *ret_request, int *ret_policy_fd, struct error *error);
int control_reply_send(int socket, const struct control_reply *reply, int body_fd);
int control_reply_receive(int socket, struct control_reply *ret_reply, int *ret_body_fd, struct error *error);

/* "check", "compile", "load", "prove", "confirm"; "" for none. */
const char *control_step_name(enum control_step step);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PUBLICATION_H
#define KIDO_CONTROL_PUBLICATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * What kidod publishes and kidoban follows: which policy is in force, and what holds it back. A SOCK_SEQPACKET Unix
 * socket in the run directory, PUBLICATION_SOCKET; each message is this struct with one sealed memfd (SCM_RIGHTS): the
 * policy in canonical form, and behind it the restrictions (restrictions_json.h), which may be empty. kidod sends the
 * current one at once to who connects, and to everyone before a swap (PENDING) and after the read-back (IN_FORCE), also
 * when only the restrictions change; followers accept what either allows between the two.
 */
#define PUBLICATION_SOCKET "in-force.sock"

enum publication_phase {
  PUBLICATION_CLOSED = 0,   /* no policy is in force; no memfd */
  PUBLICATION_PENDING = 1,  /* is about to be in force */
  PUBLICATION_IN_FORCE = 2, /* was read back from the kernel */
};

enum {
  PUBLICATION_MAGIC = 0x4b494450,
  PUBLICATION_POLICY_LIMIT = 64 * 1024 * 1024, /* bytes, of each part */
};

struct publication {
  uint32_t magic; /* PUBLICATION_MAGIC */
  uint32_t phase;
  uint64_t generation; /* kidod's count of loads since it started, not the kernel's */
  uint64_t policy_size, restrictions_size;
  char policy_sha256[65];
  char policy_number[63];
};

/* Sends one message on a connected socket; fd -1 for none. 0 or a negative errno. */
int publication_send(int socket, const struct publication *publication, int fd);

/*
 * Receives one message; checks magic, phase, sizes, seals (the memfd must be sealed against writing, growing and
 * shrinking). *ret_fd is -1 or to be closed by the caller. Returns 0, -EAGAIN, -ECONNRESET at the end, or
 * -EPROTO with *error for a message that breaks the contract.
 */
int publication_receive(int socket, struct publication *ret_publication, int *ret_fd, struct error *error);

/* A sealed memfd with these bytes, or a negative errno. */
int sealed_memfd(const char *name, const void *data, size_t size);

#endif

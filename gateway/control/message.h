/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_MESSAGE_H
#define KIDO_CONTROL_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/*
 * What the sockets of kidod have in common: SOCK_SEQPACKET, messages of a fixed size, and with each at most one sealed
 * memfd. None of these functions waits on a socket that is non-blocking.
 */

/* Sends one message; fd -1 for none. Returns 0 or a negative errno (-EAGAIN: the other side does not read). */
int message_send(int socket, const void *data, size_t size, int fd);

/*
 * Receives one message of exactly `size` bytes. *ret_fd is -1 or to be closed by the caller. Returns 0, -EAGAIN,
 * -ECONNRESET at the end, -EPROTO with *error (may be NULL) for any other length or for more than one descriptor.
 */
int message_receive(int socket, void *data, size_t size, int *ret_fd, struct error *error);

/* Whether fd is a memfd that nobody can change any more, of at most `limit` bytes. 0, or -EPROTO with *error. */
int sealed_check(int fd, uint64_t limit, uint64_t *ret_size, struct error *error);

/* The bytes of such a memfd, with a NUL behind them, in the arena. 0, -EPROTO, -ENOMEM or the errno of reading. */
int sealed_read(int fd, uint64_t limit, struct arena *arena, char **ret_text, size_t *ret_size, struct error *error);

/* Seals a memfd that was written by somebody else. 0 or a negative errno. */
int memfd_seal(int fd);

/* Sockets by path. Both return a descriptor or a negative errno with *error. */
int message_connect(const char *directory, const char *name, struct error *error);
/* A listening, non-blocking socket with mode 0660; an old socket of that name is replaced. */
int message_listen(const char *directory, const char *name, struct error *error);

#endif

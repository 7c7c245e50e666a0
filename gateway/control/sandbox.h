/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_SANDBOX_H
#define KIDO_CONTROL_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * What is left to a process that reads frames from hostile wires: no capability, an unprivileged user, the system calls
 * of a list, no new files but in its directories, no program to run.
 *
 * Captures must be opened again when an interface comes back, which needs CAP_NET_RAW. The opener, a small process
 * beside it, keeps that and nothing else. The sandbox catches the one call that needs it (socket() of the family
 * AF_PACKET), the opener makes the socket and hands it over in the place of the call's result: libpcap does not notice.
 */
struct sandbox;

struct sandbox_options {
  const char *user;               /* to step down to when started as root; NULL: kidoban, else nobody */
  const char *own_files;          /* the name of the daemon, with which those of its own files in them begin */
  const char *const *directories; /* where it may write */
  size_t directory_count;
  const char *kidod;  /* a socket to which it may still connect as who it was; NULL: none */
  const char *policy; /* a file that it may still open as who it was; NULL: none */
};

/*
 * While still privileged: finds the user, lets it into the directories (they get its group), and starts the opener. 0
 * or a negative errno with *error.
 */
int sandbox_prepare(const struct sandbox_options *options, struct sandbox **ret_sandbox, struct error *error);

/* From here on; its own files are the user's. Only a process of one thread may do this. 0 or a negative errno with
 * *error: then end the process. */
int sandbox_enter(struct sandbox *sandbox, struct error *error);

/* Whom it will be; leaves both alone where there is nobody to step down to. */
void sandbox_user(const struct sandbox *sandbox, uid_t *ret_user, gid_t *ret_group);

/* Whether it steps down to nobody, for want of a user kidoban: then whatever else runs as nobody can reach its files.
 */
bool sandbox_is_nobody(const struct sandbox *sandbox);

/* A connection to kidod, or the policy file opened for reading, made by the opener. A descriptor or a negative errno.
 */
int sandbox_connect_kidod(struct sandbox *sandbox);
int sandbox_open_policy(struct sandbox *sandbox);

/* Becomes readable when the opener may have ended, after which no capture can be opened; -1: there is none. */
int sandbox_descriptor(const struct sandbox *sandbox);
bool sandbox_opener_lives(const struct sandbox *sandbox);

struct sandbox *sandbox_free(struct sandbox *sandbox);

/* Whether the directories are also guarded by Landlock, which not every kernel has. */
bool sandbox_has_landlock(const struct sandbox *sandbox);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_STATE_H
#define KIDO_CONTROL_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/instant.h"

/*
 * Policies across restarts, crashes and power cuts. The last confirmed one is one file, STATE_CONFIRMED, so that the
 * policy and what is known about it change in one rename. Its first line is a comment with the metadata as JSON, among
 * them the SHA-256 of all that follows; what follows is the policy in canonical form. Every policy that was ever
 * confirmed stands in STATE_HISTORY, in a file of the same form named by its number (history.h).
 *
 * Confirming writes the entry of the history first, and then the confirmed policy: whoever is killed between the two
 * leaves an entry that no confirmed policy names. It is recognised by that (history.h), never loaded, and the next
 * number is one behind the newest entry.
 *
 * A policy on trial stands in no such file. STATE_TRIAL says that there is one: it is made before the policy goes into
 * the kernel and removed when the trial has ended either way, so that the next start can tell that one was cut short.
 */
#define STATE_CONFIRMED "confirmed.conf"
#define STATE_HISTORY "history"
#define STATE_TRIAL "trial"

enum { STATE_POLICY_LIMIT = 64 * 1024 * 1024 };

/* What brought a policy. */
enum state_origin {
  STATE_APPLY,    /* `kido apply` */
  STATE_RELOAD,   /* SIGHUP */
  STATE_ROLLBACK, /* `kido rollback` */
  STATE_ORIGIN_COUNT_,
};
const char *state_origin_name(enum state_origin origin); /* "apply" */

struct confirmed_policy {
  const char *text; /* canonical, NUL-terminated; NULL where only the metadata were read */
  size_t size;
  char sha256[SHA256_TEXT_SIZE]; /* of text */
  struct instant applied_at;     /* went into the kernel */
  struct instant confirmed_at;
  uint64_t generation; /* its number in the history: count of confirmed loads over the life of the state directory */
  uint64_t previous;   /* of the one that was confirmed before it; 0: none */
  uint64_t source;     /* STATE_ROLLBACK: whose text this is; else 0 */
  enum state_origin origin;
  const char *by, *confirmed_by;           /* people; never NULL once loaded, "" for not known */
  const char *policy_number, *policy_name; /* what the policy calls itself, "" for nothing */
};

/* Makes the directory (0750) when it is not there. 0 or a negative errno with *error. */
int state_prepare(const char *directory, struct error *error);

/*
 * Confirms: writes the entry of the history and then the confirmed policy, each beside, flushed to the disk, renamed,
 * the directory flushed. Whoever is killed on the way leaves the old confirmed policy or the new one. On an error the
 * old one stands. sha256 is computed here and returned in *confirmed.
 */
int state_save(const char *directory, struct confirmed_policy *confirmed, struct error *error);

/* Returns 0, -ENOENT when nothing was ever confirmed, -EBADMSG with *error when the file is not whole. */
int state_load(const char *directory, struct arena *arena, struct confirmed_policy *ret_confirmed, struct error *error);

/* A trial that goes on. */
struct state_trial {
  uint64_t confirmed;        /* number of the confirmed policy to which it returns; 0: none */
  const char *policy_number; /* of the policy on trial; never NULL once loaded */
  const char *sha256;
  const char *by;
  struct instant begun_at, deadline;
};

int state_trial_begin(const char *directory, const struct state_trial *trial, struct error *error);
int state_trial_end(const char *directory, struct error *error); /* no trial is no error */
/* Returns 0, -ENOENT when no trial was under way, -EBADMSG when the note cannot be read. */
int state_trial_load(const char *directory, struct arena *arena, struct state_trial *ret_trial, struct error *error);

#endif

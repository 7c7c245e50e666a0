/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_CHECKPOINT_H
#define KIDO_EVENTS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

/*
 * The key of a daemon's log, and what pruning leaves behind: which record was the last one removed, its hash, and a
 * signature (Ed25519). The private key never leaves the state directory; the public one goes out with each heartbeat,
 * so that who collects them knows a checkpoint of this log from one that was made with another key.
 */
#define CHAIN_KEY_NAME "%s-chain.key"          /* the daemon's name */
#define CHECKPOINT_NAME "%s-events.checkpoint" /* the daemon's name */

enum { CHAIN_KEY_SIZE = 32, CHAIN_KEY_TEXT_SIZE = 65, CHAIN_SIGNATURE_SIZE = 64 };

struct chain_key {
  uint8_t secret[CHAIN_KEY_SIZE], open[CHAIN_KEY_SIZE];
  char text[CHAIN_KEY_TEXT_SIZE]; /* the open one, in hexadecimal */
};

/* For the daemon: reads its key, or makes one. `directory` is a descriptor. 0 or a negative errno with *error: -EPERM
 * when another user made it, who then knows it. */
int chain_key_load(int directory, const char *daemon, struct chain_key *ret_key, struct error *error);

/* For who verifies: of whichever user, and none is made. */
int chain_key_read(int directory, const char *daemon, struct chain_key *ret_key, struct error *error);

struct checkpoint {
  uint64_t sequence; /* of the last record that was removed */
  char hash[SHA256_TEXT_SIZE];
  int64_t time; /* when, in seconds since 1970 */
  char key[CHAIN_KEY_TEXT_SIZE];
  bool genuine; /* the signature is right, with that key */
};

/* Signs and writes it, flushed to the disk. */
int checkpoint_write(int directory, const char *daemon, const struct chain_key *key,
                     const struct checkpoint *checkpoint, struct error *error);

/* 0, -ENOENT when nothing was ever pruned, -EBADMSG when the file is none, or the errno of reading; error may be NULL.
 */
int checkpoint_read(int directory, const char *daemon, struct checkpoint *ret_checkpoint, struct error *error);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_CHAIN_H
#define KIDO_EVENTS_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

/*
 * The chain of records. The last two keys of a record are `previous`, the hash of the record before it, and `hash`,
 * the SHA-256 of the line without that key: what stands before it, closed by a brace. Whoever changes, removes, adds or
 * moves a record has to compute all later ones anew, and those no longer agree with a head that has left the box.
 */
struct chain_link {
  char previous[SHA256_TEXT_SIZE], hash[SHA256_TEXT_SIZE];
};

/* `previous` of the very first record. */
#define CHAIN_GENESIS "0000000000000000000000000000000000000000000000000000000000000000"

/* Bytes that sealing adds to a line. */
enum { CHAIN_SEAL_SIZE = sizeof ",\"previous\":\"\",\"hash\":\"\"" - 1 + SHA256_TEXT_SIZE - 1 + SHA256_TEXT_SIZE - 1 };

/*
 * Adds both keys to the JSON object in line[0..length), behind which there is room for CHAIN_SEAL_SIZE bytes and a NUL.
 * Returns the new length; *ret_hash is the new head.
 */
size_t chain_seal(char *line, size_t length, const char previous[static SHA256_TEXT_SIZE],
                  char ret_hash[static SHA256_TEXT_SIZE]);

enum chain_state {
  CHAIN_NONE,   /* not chained: written before there was a chain, or no record at all */
  CHAIN_BROKEN, /* its hash is not that of the line */
  CHAIN_WHOLE,
};

/* The line is without its newline. *ret_link is set unless CHAIN_NONE. */
enum chain_state chain_check(const char *line, size_t length, struct chain_link *ret_link);

/* The number behind "sequence" in a line of ours; 0 when there is none. */
uint64_t chain_sequence(const char *line, size_t length);

#endif

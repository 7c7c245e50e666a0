/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_DUEL_PARTS_H
#define KIDO_TESTS_LAB_DUEL_PARTS_H

#include "duel.h"

/* What the files of duels share. */

zone_index duel_zone_of_interface(const struct duel_field *field, int interface);

/* The first interface of a zone by the policy in question (the lab may have been built from another); -1. */
int duel_zone_interface(const struct duel_field *field, zone_index zone);

/* ---- tallies of counters ---- */

enum { TALLY_MAX = 2048, KEY_SIZE = 64 };

struct tally_entry {
  char key[KEY_SIZE];   /* "lgwan/spoofed-source" */
  uint64_t least, most; /* expected */
  uint64_t seen;
};

struct tally {
  struct tally_entry entries[TALLY_MAX];
  size_t count;
};

void duel_tally_expect(const struct duel_field *field, const struct duel *duel, struct tally *tally);
void duel_tally_see(struct tally *tally, const struct lab_counters *before, const struct lab_counters *after);

/* What is denied between interfaces that no flow joins is counted without the names of their zones. */
void duel_tally_spread(struct tally *tally);

/* What the gateway's own stack answers is not ours to predict: only too few is wrong there. */
bool duel_tally_holds(const struct tally *tally, const char **ret_key);

#endif

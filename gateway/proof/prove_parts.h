/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_PROVE_PARTS_H
#define KIDO_PROOF_PROVE_PARTS_H

#include "proof/authorised.h"
#include "proof/diagram.h"
#include "proof/prove.h"
#include "proof/symbolic.h"
#include "proof/witness.h"

/* Inside of prove*.c. */

/* ---- interfaces ---- */

struct proof_interface {
  const char *name; /* NULL: any that neither policy nor rules name */
  zone_index zone;  /* ZONE_NONE: of no zone */
  bool loopback;
};

struct proof_interfaces {
  struct proof_interface *items;
  size_t count;
};

/* Those of the policy, those that rules name beside, and one that stands for all others. 0 or -ENOMEM. */
int proof_interfaces_list(const struct policy *policy, const struct live_ruleset *ruleset,
                          const struct surroundings *surroundings, struct arena *arena,
                          struct proof_interfaces *ret_interfaces);

/* ---- words: values of the connection mark, and the flows that they stand for ---- */

/* The flows that cover every connection that may bear this word: found out, not read from anywhere. */
struct word {
  uint32_t value;
  const struct flow **flows; /* by index; empty: nothing covers them all */
  size_t flow_count;
  bool accepted; /* an opener was accepted and bears it */
};

struct words {
  struct arena *arena;
  struct word *items;
  size_t count, capacity;
  uint32_t *slots; /* hash: index + 1 */
  size_t slot_count;
  struct mark_word rewrites[8]; /* what rules make of a word that is borne already; more of them are not credited */
  size_t rewrite_count;
  struct words_past *past; /* not NULL: what is changed can be taken back */
};

/* So that an attempt may leave no trace: words as they were at words_remember(), when words_restore() is said. */
void words_remember(struct words *words);
void words_restore(struct words *words);
void words_forget(struct words *words); /* what has changed since stays */
void words_accept(struct words *words, struct word *word);

bool words_know_rewrite(const struct words *words, struct mark_word rewrite);
void words_note_rewrite(struct words *words, struct mark_word rewrite);
/* It takes few bits away, and no more: what it makes a word of stands for the same. */
bool words_only_loosens(struct mark_word rewrite);

/* Narrows what the word stands for by the flows of one more packet that bears it. False when there is no memory;
 * *ret_emptied: it stands for nothing any more, and did before. */
bool words_narrow(struct words *words, uint32_t value, struct flow_list flows, bool *ret_emptied);
struct word *words_find(const struct words *words, uint32_t value); /* NULL */

/* ---- the prover ---- */

enum { TIMER_TOLERANCE_MILLISECONDS = 2000 }; /* between an end in the kernel and in the policy */

struct prover {
  const struct proof_question *question;
  struct instant now;
  struct arena *arena;
  struct error *error;
  struct proof *proof;
  size_t counterexample_capacity, gap_capacity, condition_capacity, pair_capacity;
  struct proof_interfaces interfaces;
  const struct address_set *own;
  const bool *in_force; /* by index of the flow; while ends are looked at: those that have none */
  bool timers_have_run;
  int64_t timers_left_until; /* milliseconds: when the last of those goes that have not run; 0: all have */
  struct words words;
  bool words_missing; /* of a pair that was too large: what a mark stands for may be more than is known */
  const uint32_t *sorted_identities; /* of all flows; NULL: none are known */
  bool in_full;                      /* never by classes */
  unsigned tried, doubted;           /* pairs by classes; of these, those that were asked again in full */
};

/*
 * The tools for one or several pairs: a store, and all that lives in it. By classes: diagrams are small, and what is
 * empty is proven; what is not empty is no finding, but makes the pair doubtful: it is asked again in full.
 */
struct bench {
  struct classes *classes; /* NULL: in full */
  struct arena *arena;
  struct diagram_store *store;
  struct space *space;
  struct symbolic *machine;
  struct authorised *authorised;
};

/* The result of one situation, with what is known of it beside. */
struct cell {
  struct situation situation;
  struct zone_pair pair;
  struct symbolic_result kernel;
  diagram possible; /* less what is undecided */
};

/* One unordered pair of zones, both directions, all families, interfaces and trackings. */
struct pair_work {
  struct prover *prover;
  struct bench *bench;
  zone_index left, right;
  bool openers_only; /* no cells but of first packets, from left to right */
  struct cell *cells;
  size_t cell_count, cell_capacity;
  bool failed;   /* memory or budget */
  bool doubtful; /* something was found by classes, which may be none */
  /* The same for every cell; made when first asked for, which is when all words have been found. */
  bool has_words, has_reported_words;
  diagram words;          /* in force between the two zones */
  diagram reported_words; /* of any connection of the zone to which the gateway reports */
  unsigned covering;      /* operation; 0: none yet */
};

/* All claims about packets, for two zones. False: doubtful by classes, or no memory for that; nothing was noted. */
bool prove_pair(struct prover *prover, struct bench *bench, zone_index left, zone_index right);

/* Claim 5 of single fragments. 0 or -ENOMEM. */
int prove_fragments(struct prover *prover);

/* Claim 4. Words must have been found. */
void prove_times(struct prover *prover);

/* That the proof can fail: a single element of the kernel's maps left out must be found to matter. */
void prove_canary(struct prover *prover);

enum bench_kind { BENCH_IN_FULL, BENCH_BY_CLASSES };
struct bench *bench_new(const struct prover *prover, enum bench_kind kind);
/* The same one, or a new one in its place where it has grown; NULL without memory. NULL may be given. */
struct bench *bench_renew(const struct prover *prover, struct bench *bench, enum bench_kind kind);
struct bench *bench_free(struct bench *bench); /* NULL is allowed; returns NULL */

/* Parts of prove_pair() that others use: openers (later packets) that may pass beyond what flows of prover->in_force,
 * words and `within` give. Empty where all is well. */
bool pair_work_fill(struct pair_work *work);
diagram pair_work_excess(struct pair_work *work, const struct cell *cell);
/* Openers that shall pass and may not. */
diagram pair_work_lack(struct pair_work *work, const struct cell *cell);
/* All that may pass against flows or guard. */
diagram pair_work_breach(struct pair_work *work, const struct cell *cell);
/* Openers that flows of prover->in_force give, and that may not pass. */
diagram pair_work_loss(struct pair_work *work, const struct cell *cell);

/* Each flow of the words in force between two zones; other ZONE_NONE: between `zone` and any other. As a set over the
 * connection mark. */
diagram words_in_force(const struct prover *prover, struct bench *bench, zone_index zone, zone_index other);

/* Whether a flow of the policy has this documented identity. */
bool identities_have(const struct prover *prover, uint32_t value);
bool identities_sort(struct prover *prover); /* before the above; false without memory */

/* Adds the marks of flows that no rule writes now. When all pairs have been looked at. False without memory. */
bool words_add_identities(struct prover *prover);

/* ---- outcomes ---- */

void prover_note_pair(struct prover *prover, zone_index from, zone_index to, enum proof_result result, size_t nodes);
void prover_note_claim(struct prover *prover, enum proof_claim claim, enum proof_result result);
void prover_note_gap(struct prover *prover, const struct proof_gap *gap);
/* The gap, and that for it the claim and the pair of zones of the gap are undecided. */
void prover_note_undecided(struct prover *prover, enum proof_claim claim, const struct proof_gap *gap);
void prover_note_condition(struct prover *prover, const struct proof_condition *condition);

/*
 * Something was found in a cell: a packet of the set is chosen, asked of the other two judges, and kept. kernel_allows:
 * what the rules were found to do with all of the set. subject: the flow concerned, or NULL. An empty set is nothing.
 */
void prover_refute(struct pair_work *work, const struct cell *cell, enum proof_claim claim, diagram set,
                   bool kernel_allows, const struct flow *subject);
/* Without a packet of its own: an end in the kernel (a timer) that is not the policy's. */
void prover_refute_time(struct prover *prover, const struct flow *flow, const struct live_set *set,
                        const char *message);

#endif

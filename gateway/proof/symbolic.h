/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_SYMBOLIC_H
#define KIDO_PROOF_SYMBOLIC_H

#include "base/arena.h"
#include "proof/classes.h"
#include "proof/diagram.h"
#include "proof/live.h"
#include "proof/space.h"
#include "proof/surroundings.h"

/*
 * What the decoded rules do with all packets at once. Knows nothing of policies, nor of the other meaning
 * (concrete.h), which is written apart from it on purpose: each is tested against the other, and both against a kernel.
 *
 * One symbolic machine serves one ruleset and one store; it remembers the sets that it has drawn.
 */
struct symbolic;
struct symbolic *symbolic_new(const struct live_ruleset *ruleset, const struct surroundings *surroundings,
                              struct space *space, struct diagram_store *store, struct arena *arena);

/* A word that a rule may have written into the connection mark: (mark before & keep) ^ flip. A constant keeps nothing.
 */
struct mark_word {
  uint32_t keep, flip;
  bool unknown; /* anything may have been written */
};

/* Something that the machine cannot follow, met by packets of `where` (over-approximated). */
struct unmodelled {
  const struct live_chain *chain;
  const struct live_rule *rule; /* NULL: the chain, a set or the table itself */
  const char *why;
  diagram where;
};

/*
 * The answer for one situation, over all hooks of the path in their order. Sets over the packet's bits, unknown
 * variables quantified away.
 */
struct symbolic_result {
  diagram early; /* what base chains before the last one accept: all below is of these packets, whether or not it was
                    cut to them. Everything, unless classes are used: then to cut is most of the work, and seldom
                    needed */
  diagram may;   /* these may be accepted: whatever the unknown answers are */
  diagram must;  /* these are accepted, unless a throttle strikes; never more than `may` */
  diagram throttled; /* of must: those that a throttle may drop */
  diagram undecided; /* what met something that cannot be followed: nothing is said about these */
  diagram mark;      /* of `must`: the mark of the connection afterwards, where no throttle strikes; leaf for
                        symbolic_mark(), 0 outside of must */
  /* Every word that may be written to the mark, accepted or not (a later packet meets it), with the packets for which
   * it may be. One entry for each writing rule on the way. */
  struct mark_write {
    const struct live_chain *chain;
    const struct live_rule *rule;
    diagram words; /* leaf: index for symbolic_mark(), 0 where this rule writes nothing */
  } * writes;
  size_t write_count;
  const struct unmodelled *unmodelled;
  size_t unmodelled_count;
  const unsigned *throttles; /* variables of space_unknown() that were met */
  size_t throttle_count;
};

/* Only the hooks before routing (priority < conntrack included): `in` and family of the situation count. For the claims
 * about the guard, where fragments are judged one by one. packets: those that are asked about. */
int symbolic_early(struct symbolic *machine, const struct situation *situation, diagram packets,
                   int32_t before_priority, struct symbolic_result *ret_result);

/* 0, or -ENOMEM (also when the store's budget is spent). Of packets that arrive whole, and for
 * RELATED of ICMP: may and must hold no others. */
int symbolic_judge(struct symbolic *machine, const struct situation *situation, struct symbolic_result *ret_result);

struct mark_word symbolic_mark(const struct symbolic *machine, uint32_t leaf);

/* Elements for which the function says yes are taken for absent, from now on: what the rules do when timers have run,
 * or when one element had been forgotten. To be said before the first question. */
typedef bool (*symbolic_absent_function)(void *context, const struct live_set *set, const struct live_element *element);
void symbolic_leave_out(struct symbolic *machine, symbolic_absent_function absent, void *context);

/* Maps of values whose elements do not overlap are drawn over the classes of their keys, from now on. To be said before
 * the first question. */
void symbolic_use_classes(struct symbolic *machine, struct classes *classes);

/* What the rules could never tell apart from `name` among interfaces: whether any rule or set names it, by name, prefix
 * or index. */
bool symbolic_names_interface(const struct symbolic *machine, const char *name);

#endif

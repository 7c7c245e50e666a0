/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_DUEL_H
#define KIDO_TESTS_LAB_DUEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "kernel/nftables.h"
#include "lab.h"
#include "policy/decide.h"

/*
 * One packet, two judges: policy_decide() and the kernel with the compiled ruleset. A duel names the packet; running it
 * says whether both agree on the verdict and, by the named counters that moved, on the reason.
 *
 * Duels that share a connection (opener, reply, error about it) form a scene: they stand one behind the other, the
 * first one starts it. Scenes do not see each other's connections.
 */
struct duel {
  struct lab_probe probe;
  bool starts_scene;
  unsigned back; /* this many duels back stands the opener of its connection; 0: opens one itself */
  bool about;    /* an ICMP error that quotes the opener */
  const struct lab_probe
      *carried; /* belongs to the connection that this probe opened under an earlier policy; or NULL */
  char label[96];
  /* filled in by duel_run(): */
  struct query query;
  struct decision decision;
  enum lab_outcome expected;
  int expected_out;
  enum lab_route_kind route;
  bool uncounted; /* the kernel itself drops it before any rule: no counter has to move */
  bool unseen;    /* from the gateway to itself: nobody watches there */
  bool loose;     /* goes nowhere; the reference cannot be asked why */
};

struct duel_list {
  struct duel *items;
  size_t count, capacity;
};

struct duel_field {
  struct lab *lab;
  const struct policy *policy;
  struct circumstances circumstances;
  struct arena *scratch;
  uint32_t half_open_seconds; /* see struct compile_options */
  bool verdicts_only;         /* the counters are not looked at: reasons may differ */
  bool errors_may_be_lost;    /* duel_lost_error() is no disagreement */
  FILE *log;                  /* disagreements; NULL: none printed */
  size_t log_limit;           /* at most so many printed in full */
  size_t compared;            /* packets so far */
  size_t allowed;             /* of those, decided as allowed */
  size_t reasons_compared;
  size_t disagreements;
  size_t per_reason[REASON_COUNT_];
};

/* Compiles the policy for this gateway and this moment and brings the kernel to it. 0, or a negative errno with *error
 * (also when the kernel refused something of it). */
int duel_load(struct duel_field *field, struct nftables *nftables, struct error *error);

/* The expectation for each duel, by the reference and the lab's routing. */
void duel_expect(const struct duel_field *field, struct duel *duels, size_t count);

/* Sends everything, compares, prints disagreements, counts them in the field. Returns their number or a negative errno
 * when the laboratory itself failed. */
long duel_run(struct duel_field *field, struct duel *duels, size_t count);

/* Whether it was an ICMP error that the policy lets pass, and the kernel did not. */
bool duel_lost_error(const struct duel *duel);

/* Opens connections anew, in an empty connection table. Returns 0, or -EPROTO when one does not pass. */
int duel_open_connections(struct duel_field *field, struct lab_probe *openers, size_t count);

/*
 * Sends a later packet in each direction of connections that were opened under an earlier policy and compares the
 * verdicts: what the policy in force covers goes on, the rest ends at once. Returns as duel_run().
 */
long duel_follow_connections(struct duel_field *field, const struct lab_probe *openers, size_t count);

/* The openers of the list that passed, at most `limit`, none of which shares a connection or a slot with another. */
size_t duel_choose_connections(const struct duel_field *field, const struct duel *duels, size_t count,
                               struct lab_probe *ret_openers, size_t limit);

/* A new duel at the end of the list, zeroed, starting a scene; NULL when there is no memory. */
struct duel *duel_add(struct duel_list *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
void duel_list_clear(struct duel_list *list);

/* Fills in a probe as a lawful sender of that address on that interface would send it. number makes it distinct: source
 * port, ICMP id. */
void duel_set_packet(const struct duel_field *field, struct duel *duel, int interface, const struct address *source,
                     const struct address *destination, uint8_t protocol, uint16_t port_or_type, unsigned number);

/* Adds the answer to the duel `back` places before as a further duel of its scene; NULL when there is no memory. */
struct duel *duel_add_answer(const struct duel_field *field, struct duel_list *list, unsigned back, const char *label);

/* Adds an ICMP error from the destination of the duel `back` places before, about it. */
struct duel *duel_add_error(const struct duel_field *field, struct duel_list *list, unsigned back, uint8_t type,
                            uint8_t code, const char *label);

/* Openers, answers and near misses of one flow, in every family that it has. */
void duel_add_flow(const struct duel_field *field, const struct flow *flow, struct duel_list *list);

/* A representative of every pair of zones, in every protocol and family. */
void duel_add_matrix(const struct duel_field *field, struct duel_list *list);

void duel_print(FILE *stream, const struct duel_field *field, const struct duel *duel);
void duel_print_summary(FILE *stream, const struct duel_field *field, const char *title);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TOOLS_BENCH_H
#define KIDO_TOOLS_BENCH_H

#include "base/arena.h"
#include "lab.h"
#include "policy/policy.h"
#include "rules/ruleset.h"

/* Measurements for tools/bench. Each verb prints one line of JSON; a failure ends the program with a message. */

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
double bench_milliseconds(void);           /* since some moment */
double bench_processor_milliseconds(void); /* that this thread has used, the kernel's work for it included */
/* The policy, which must be without errors, and its ruleset at this moment. */
const struct policy *bench_policy(const char *path, struct arena *arena);
struct ruleset *bench_compile(const struct policy *policy, struct arena *arena);
/* An IPv4 packet of the protocol that opens a connection between zones, by a flow from the middle of the file on. */
void bench_choose_packet(const struct policy *policy, const struct lab *lab, uint8_t protocol,
                         struct packet *ret_packet);
/* The same packet, but to a zone that no flow joins to the sender's. */
void bench_choose_stranger(const struct policy *policy, const struct lab *lab, const struct packet *packet,
                           struct packet *ret_packet);

int bench_measure(int count, char **arguments); /* COMMAND…: its time, processor time and peak memory, in a namespace */
int bench_text(int count, char **arguments);    /* POLICY: the ruleset as text for nft */
int bench_load(int count, char **arguments);    /* POLICY: from the file to loaded and read back */
int bench_change(int count, char **arguments);   /* POLICY: one flow taken out and put in again, on a loaded kernel */
int bench_window(int count, char **arguments);   /* POLICY: a window that closes and opens again, by kidod's own way */
int bench_prove(int count, char **arguments);    /* POLICY [ROUNDS]: what it takes to prove a loaded kernel */
int bench_forward(int count, char **arguments);  /* POLICY [ROUNDS [FILE]]: nanoseconds a packet, a line a round;
                                                  FILE: another ruleset for `nft -f`, or a script (.sh) that loads one */
int bench_exchange(int count, char **arguments); /* POLICY DIRECTORY RELOADS RATE: traffic while scripts reload */

#endif

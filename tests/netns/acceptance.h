/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_NETNS_ACCEPTANCE_H
#define KIDO_TESTS_NETNS_ACCEPTANCE_H

#include <check.h>

#include "duel.h"

/*
 * What a firewall between zones must do whatever its policy says: the acceptance list drawn from the standards, item by
 * item, with real packets. Names of tests carry the ids. Expectations stand here as written in the list;
 * policy_decide() is not asked.
 *
 * One gateway at a time: the sample town with IPv6, or a small policy with echo flows.
 */
void open_town(void);
void open_town_with(const struct lab_options *options);
void open_echo(const struct lab_options *options); /* zones left, right, and away, which is told of denials */
/* half_open_seconds: see struct compile_options. */
void open_policy(const char *text, const struct lab_options *options, uint32_t half_open_seconds);
void close_town(void);
struct lab *the_lab(void);
const struct policy *the_policy(void);
struct arena *the_arena(void);

struct address address_of(const char *text);
/* "10.1.2.3" or its IPv6 twin. */
struct address in_family(const char *ipv4, enum address_family family);

/* A probe from an address on a wire, lawful but for what the caller changes. */
struct lab_probe probe_from(const char *wire, struct address source, struct address destination, uint8_t protocol,
                            uint16_t port);
/* In the town: LGWAN's DNS asks upstream, flow F-101, by UDP or TCP. */
struct lab_probe lawful(enum address_family family, uint8_t protocol);
struct lab_probe echo_probe(enum address_family family, uint8_t type);

/* A later packet of the connection that `opener` opened; forward: in its direction. */
struct lab_probe later(const struct lab_probe *opener, bool forward, uint8_t flags, uint32_t sequence,
                       uint32_t acknowledgement);
/* SYN, SYN+ACK, ACK over the gateway; returns the opener. Tails are data of 16 bytes, also in the SYN. */
enum { OPENER_SEQUENCE = 1000, ANSWER_SEQUENCE = 9000 };
struct lab_probe shake_hands(enum address_family family);
/* An ICMP error from the destination of `about`, quoting it. */
struct lab_probe error_about(const struct lab_probe *about, uint8_t type, uint8_t code);

bool passes(struct lab_probe *probe);
uint64_t counter(const char *name);
/* Dropped, and exactly that counter moved by one. */
void assert_denied(struct lab_probe *probe, const char *name, const char *what);

TCase *add_case(Suite *suite, const char *name);

/* The groups of the list. */
void add_state(Suite *suite);     /* C */
void add_addresses(Suite *suite); /* D, E */
void add_shapes(Suite *suite);    /* B, D */
void add_icmp(Suite *suite);      /* H, J */
void add_gateway(Suite *suite);   /* F, I */
void add_flood(Suite *suite);     /* F */

#endif

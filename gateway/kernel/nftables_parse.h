/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_PARSE_H
#define KIDO_KERNEL_NFTABLES_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "rules/ruleset.h"

/*
 * Messages of nf_tables become a ruleset. Pure: no socket. Feed the dumps in this order: table, chains, rules, sets,
 * elements of each set, objects, flowtables. What is of another table or family is passed over; what our structs
 * cannot say is kept as foreign, never dropped in silence.
 */
struct nftables_parser;

/* now: milliseconds since 1970; remaining times of elements become instants. All lives in the arena. NULL: no memory.
 */
struct nftables_parser *nftables_parser_new(struct arena *arena, const char *table, int64_t now);

/*
 * Whole netlink messages one after another, aligned as netlink aligns them. Returns 0, -ENOMEM, or -EBADMSG for bytes
 * that no kernel would send. The bytes must stay until nftables_parser_finish().
 */
int nftables_parser_feed(struct nftables_parser *parser, const void *data, size_t length, struct error *error);

/* Sorts, pairs the ends of intervals, and gives the ruleset. The parser is spent. */
int nftables_parser_finish(struct nftables_parser *parser, uint32_t generation, struct ruleset **ret_ruleset,
                           struct error *error);

#endif

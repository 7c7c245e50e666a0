/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_DECODE_PARTS_H
#define KIDO_PROOF_DECODE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "proof/live.h"

/*
 * Parts that the files of the decoder share.
 *
 * Everything in nftables netlink is a nest of attributes. What a nest may hold is a table of `attribute_spec`: the
 * type, how its value is read, and the member of a struct that it goes to. attributes_take() walks the nest by its
 * table and answers why it is not understood: a type that is not in the table, one twice, a value of another size, one
 * missing. Lengths that do not add up are no question of understanding: they fail the decoder as a whole.
 */
struct decoder {
  struct arena *arena;
  struct error *error;
  int status; /* 0, or the first failure: -ENOMEM, -EBADMSG */
  struct live_ruleset *ruleset;
  struct name_index *names;
  unsigned depth; /* of expressions within expressions */
};

/* Notes a failure; the first one stays. */
void decoder_fail(struct decoder *decoder, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Words for `unmodelled`; never NULL. */
const char *decoder_reason(struct decoder *decoder, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- attributes ---- */

struct bytes {
  const uint8_t *data;
  unsigned length;
};

enum attribute_format {
  FORMAT_SKIP, /* understood, of no meaning here */
  FORMAT_PAD,  /* the same, may come more than once */
  FORMAT_U8,   /* these three to unsigned */
  FORMAT_U16,
  FORMAT_U32,
  FORMAT_U64,      /* uint64_t */
  FORMAT_TEXT,     /* const char *, terminated */
  FORMAT_BYTES,    /* struct bytes, as it is; a nest to be walked later too */
  FORMAT_REGISTER, /* unsigned: its byte */
  FORMAT_VALUE,    /* a nest with NFTA_DATA_VALUE in it: struct bytes */
};

struct attribute_spec {
  unsigned type;
  enum attribute_format format;
  bool required;
  const char *name;
  size_t offset; /* of the member */
};

#define SPEC(type_, format_, required_, name_, struct_, member_)                                                       \
  {                                                                                                                    \
    .type = (type_), .format = (format_), .required = (required_), .name = (name_),                                    \
    .offset = offsetof(struct_, member_)                                                                               \
  }
#define SPEC_IGNORED(type_, format_, name_)                                                                            \
  { .type = (type_), .format = (format_), .name = (name_) }

struct attribute_table {
  const char *what; /* "payload", "chain": for reasons */
  const struct attribute_spec *specs;
  size_t count;
};
#define ATTRIBUTE_TABLE(what_, specs_)                                                                                 \
  { .what = (what_), .specs = (specs_), .count = sizeof(specs_) / sizeof((specs_)[0]) }

/* Reads a nest into *target. *ret_seen (may be NULL): a bit for each type whose value was taken. Returns NULL, or the
 * first reason why the nest is not understood; the rest of it was read all the same. */
const char *attributes_take(struct decoder *decoder, struct bytes nest, const struct attribute_table *table,
                            void *target, uint64_t *ret_seen);
#define SEEN(seen_, type_) (((seen_) >> (type_)&1) != 0)

/* The attributes of a nest one after another, for lists. */
struct attribute {
  unsigned type; /* without the flag bits */
  struct bytes value;
};
bool attribute_next(struct decoder *decoder, struct bytes *rest, struct attribute *ret_attribute);
size_t attribute_count(struct decoder *decoder, struct bytes nest); /* of a list, 0 when malformed */

uint32_t number_be32(const uint8_t *bytes);

/* The first reason wins. */
const char *first_reason(const char *left, const char *right);

/* ---- names ---- */

enum name_kind { NAME_TABLE, NAME_CHAIN, NAME_SET, NAME_OBJECT, NAME_FLOWTABLE };

struct name_index *name_index_new(struct arena *arena, size_t names); /* room for so many; NULL without memory */
/* False when it is there already. parent: the table; for a table NULL. */
bool name_index_add(struct name_index *index, enum name_kind kind, const void *parent, unsigned family,
                    const char *name, void *node);
void *name_index_find(const struct name_index *index, enum name_kind kind, const void *parent, unsigned family,
                      const char *name);

/* ---- nodes ---- */

/* A nest NFTA_DATA_*: a value or a verdict (jump targets are looked up in the table). Returns why not. */
struct decoded_data {
  bool has_value, has_verdict;
  struct bytes value;
  struct live_verdict verdict;
};
const char *decode_data(struct decoder *decoder, const struct live_table *table, struct bytes nest,
                        struct decoded_data *ret_data);

/* A nest NFTA_EXPR_*, and a list of them. What is not understood is said in each expression. */
void decode_expression(struct decoder *decoder, const struct live_table *table, struct bytes nest,
                       struct live_expression *ret_expression);
void decode_expressions(struct decoder *decoder, const struct live_table *table, struct bytes list,
                        const struct live_expression **ret_expressions, size_t *ret_count);
/* The first reason among expressions, NULL when all are understood. */
const char *expressions_reason(const struct live_expression *expressions, size_t count);

/* One message each. The node's table is named by the message, and holds the node afterwards. */
struct message {
  unsigned family;
  struct bytes attributes;
};
/* ret_node: the struct of the kind, zeroed, behind the one before. */
void decode_table(struct decoder *decoder, const struct message *message, void *ret_node);
void decode_chain(struct decoder *decoder, const struct message *message, void *ret_node);
void decode_rule(struct decoder *decoder, const struct message *message, void *ret_node);
void decode_object(struct decoder *decoder, const struct message *message, void *ret_node);
void decode_flowtable(struct decoder *decoder, const struct message *message, void *ret_node);
void decode_set(struct decoder *decoder, const struct message *message, void *ret_node);
/* All messages with elements; those of one set come one after another. */
void decode_elements(struct decoder *decoder, const struct message *messages, size_t count);

/* The table that a message names; NULL, and the decoder fails, when there is none. */
struct live_table *find_table(struct decoder *decoder, unsigned family, const char *name);
/* Makes a node known by its name, of which there is one; table may be NULL after a failure. */
void enter_name(struct decoder *decoder, enum name_kind kind, const struct live_table *table, unsigned family,
                const char *name, void *node);
/* Fails the decoder unless `in_order`: nodes of a table that do not come one after another. */
void check_order(struct decoder *decoder, bool in_order, const char *what);
/* Flags that are not among the known ones. */
const char *judge_flags(struct decoder *decoder, const char *what, uint32_t flags, uint32_t known);

#endif

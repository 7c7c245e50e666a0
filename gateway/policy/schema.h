/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_SCHEMA_H
#define KIDO_POLICY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The one table of keys of the policy language. Reading, the search for unknown keys, the canonical form and the
 * documentation all walk it; a key is added here and nowhere else. The order of keys is that of the canonical form.
 */

/* What a key holds. read_value.c knows how to read each kind, print.c how to print it. */
enum schema_kind {
  KIND_TEXT,         /* struct text: any string */
  KIND_WORD,         /* struct text: lower-case letters, digits, '-', '_' */
  KIND_STRING,       /* const char *: any string */
  KIND_TEXTS,        /* struct text array: one or a list of strings */
  KIND_INTERFACES,   /* struct text array: kernel interface names */
  KIND_CHOICE,       /* an enum: one of schema_key.choices */
  KIND_FLAG,         /* bool: true or false */
  KIND_VERDICT,      /* bool: "deny" or "allow", choices 0 and 1 */
  KIND_NUMBER,       /* unsigned, 1 to schema_key.maximum */
  KIND_LARGE,        /* uint64_t, 1 to schema_key.maximum */
  KIND_TIMEZONE,     /* of the header: a name of the tz database */
  KIND_DATE,         /* struct date */
  KIND_DAY_END,      /* of a flow, `expires`: a date (its end) or a moment */
  KIND_START,        /* of a window: a date (its beginning) or a moment */
  KIND_END,          /* of a window: a date (its end) or a moment */
  KIND_AT,           /* of an expectation: a date (its beginning) or a moment */
  KIND_PREFIXES,     /* struct placed_range array: addresses and CIDR */
  KIND_ADDRESSES,    /* struct placed_range array: addresses, CIDR and ranges */
  KIND_MACS,         /* struct mac array */
  KIND_ZONE,         /* zone_index: the name of a zone */
  KIND_ENDS,         /* struct endpoint array */
  KIND_SERVICES,     /* struct service array */
  KIND_HOURS,        /* struct hours */
  KIND_NOTE,         /* of a flow: free text, kept under its key */
  KIND_GROUP,        /* a nested group: schema_key.section */
  KIND_WINDOWS,      /* of a flow: one or a list of groups: schema_key.section */
  KIND_CASE_END,     /* struct expectation_end: host, address or CIDR */
  KIND_CASE_ZONE,    /* struct expectation_end: a zone as a whole */
  KIND_CASE_SERVICE, /* of an expectation: one service */
  KIND_COUNT_,
};

struct schema_choices {
  const char *const *names; /* index: value of the enum; NULL where it has no name in the file */
  unsigned count;
};

struct schema_key {
  const char *name;
  enum schema_kind kind;
  bool required;
  bool always;           /* in the canonical form also when it equals the default */
  uint16_t offset;       /* of the value in the struct of the section */
  uint16_t count_offset; /* of the size_t count of an array */
  uint16_t place_offset; /* of a struct place for the key; 0: none */
  uint16_t set_offset;   /* of a bool that says that the key was there; 0: none */
  uint64_t maximum;
  const struct schema_choices *choices;
  const struct schema_section *section;
  const char *doc_ja, *doc_en; /* one line */
};

struct schema_section {
  const char *name; /* as in the documentation: "zone" */
  const char *title_ja, *title_en;
  const struct schema_key *keys;
  size_t key_count;
  bool free_keys;   /* x_... is allowed and kept as a note */
  bool inline_form; /* on one line in the canonical form */
};

enum schema_section_id {
  SECTION_POLICY,
  SECTION_ZONE,
  SECTION_HOST,
  SECTION_FLOW,
  SECTION_APPROVAL,
  SECTION_SHAPE,
  SECTION_WINDOW,
  SECTION_LIMIT,
  SECTION_EXPECT,
  SECTION_COUNT_,
};

const struct schema_section *schema_section(enum schema_section_id id);
/* NULL when the section has no such key. */
const struct schema_key *schema_find_key(const struct schema_section *section, const char *name);
/* One clause on what a kind accepts, for messages and documentation; not for KIND_CHOICE. */
const char *schema_kind_label_ja(enum schema_kind kind);
const char *schema_kind_label_en(enum schema_kind kind);

/* The sections of the file itself, in the order of the canonical form: policy, zones, hosts, services, flows, expect.
 */
struct schema_top {
  const char *name;
  bool is_list; /* a list of groups instead of a group of named members */
  bool required;
  const char *doc_ja, *doc_en;
};
enum { TOP_POLICY, TOP_ZONES, TOP_HOSTS, TOP_SERVICES, TOP_FLOWS, TOP_EXPECT, TOP_COUNT_ };
const struct schema_top *schema_top(size_t index);

/* Address translation does not exist in this language (D11). */
bool schema_is_translation_key(const char *name);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_READER_H
#define KIDO_POLICY_READER_H

#include <libconfig.h>

#include "base/arena.h"
#include "base/diagnostic.h"
#include "policy/names.h"
#include "policy/policy.h"
#include "policy/read_source.h"
#include "policy/schema.h"

/*
 * Inside of policy_read(): shared by read*.c alone. The parts of a file are read in the order policy, zones, hosts,
 * services, flows, expect, wherever they stand, so that a name is always known before it is used.
 */
struct reader {
  struct arena *arena;
  struct diagnostic_list *diagnostics;
  const struct source *source;
  struct policy *policy;
  struct name_table zones, hosts, services, flows, catalogue; /* name to index */
  unsigned line_base;                                         /* lines of the source before the piece being read */
  const char *subject;                                        /* the entity being read */
  const struct schema_key *key;                               /* the key being read */
  const struct address_set *default_space; /* of the zone that takes the default route; NULL until asked for */
  bool *zone_holes;                        /* by zone: its own reading gave an error, so that it may lack networks */
  const char **host_names;                 /* for did-you-mean; NULL until asked for */
  struct service *scratch;                 /* services of the list being read; reused, freed with the reader */
  size_t scratch_capacity;
  unsigned suggestions_left, columns_left; /* the search for them is bounded */
  bool out_of_memory;
  bool overwhelmed;
  bool unreadable; /* libconfig refused a piece: there is no model */
};

/* Keys of a section that were there: bit i is keys[i]. */
typedef uint64_t key_set;

/* One error of form. The arguments behind `place` are those of diagnostic_add() behind its subject. */
#define PROBLEM(reader, code, place, ...)                                                                              \
  diagnostic_add((reader)->diagnostics, SEVERITY_ERROR, (code), (place), (reader)->subject, __VA_ARGS__)
#define HINT(reader, diagnostic, ...) diagnostic_hint((reader)->diagnostics, (diagnostic), __VA_ARGS__)

/* ---- read.c ---- */

/* Reads a group by its schema into the object; returns the keys that were there. */
key_set reader_section(struct reader *reader, enum schema_section_id id, config_setting_t *group, void *object);
bool reader_saw(enum schema_section_id id, key_set keys, const char *name);

/* ---- places, names, memory (read_common.c) ---- */

struct place reader_place(const struct reader *reader, const config_setting_t *setting);
/* With the column of the token, for a diagnostic. */
struct place reader_place_of(struct reader *reader, const config_setting_t *setting, const char *token);
/* The same, searched behind a place on the same line. */
struct place reader_place_behind(struct reader *reader, const config_setting_t *setting, struct place before,
                                 const char *token);
/* A place of the model with the column of a token on its line. */
struct place reader_point(struct reader *reader, struct place place, const char *token);
/* With the column of the setting's own name. */
struct place reader_place_of_name(struct reader *reader, const config_setting_t *setting);
const char *reader_keep(struct reader *reader, const char *text, size_t length);
/* P07: the second of two that are the same. */
void reader_twice(struct reader *reader, config_setting_t *setting, const char *text, struct place first);
/* Nobody reads ten thousand complaints: true, after one last, when there are more. */
bool reader_is_overwhelmed(struct reader *reader);
/* Name of a setting as it stands in the file, in the arena; NULL when it is to be skipped. */
const char *reader_setting_name(struct reader *reader, const config_setting_t *setting);
/* Items of an array in the arena, never NULL in effect: without memory the reader is marked and NULL returned. */
void *reader_array(struct reader *reader, size_t count, size_t size);
bool reader_find(const struct name_table *table, const char *name, size_t *ret_index);
void reader_index(struct reader *reader, struct name_table *table, const char *name, size_t index);
void reader_suggest(struct reader *reader, struct diagnostic *diagnostic, const char *word,
                    const char *const *candidates, size_t count);
void reader_suggest_host(struct reader *reader, struct diagnostic *diagnostic, const char *word);
void reader_suggest_zone(struct reader *reader, struct diagnostic *diagnostic, const char *word);

/* ---- values (read_value.c) ---- */

void reader_value(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
/* The string of a setting; NULL after a diagnostic when it is no string or not fit to be shown. */
const char *reader_string(struct reader *reader, config_setting_t *setting);
/* "One or a list of": number of items, and one of them. -1 after a diagnostic when it is neither. */
int reader_list_length(struct reader *reader, config_setting_t *setting);
config_setting_t *reader_list_item(config_setting_t *setting, int index);
/* P03: what was found and what was expected. */
void reader_wrong_type(struct reader *reader, const config_setting_t *setting);
/* "drop, reject" */
const char *reader_list_choices(struct reader *reader, const struct schema_choices *choices);
void reader_bad_word(struct reader *reader, config_setting_t *setting, const char *word,
                     const struct schema_choices *choices);

/* ---- dates (read_date.c) ---- */

void read_date(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
void read_moment(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
void read_hours(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
void read_timezone(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);

/* ---- services (read_service.c) ---- */

void read_services(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
void reader_named_service(struct reader *reader, config_setting_t *setting, struct named_service *service);
void reader_index_catalogue(struct reader *reader);

/* ---- zones and hosts (read_zone.c) ---- */

void reader_zone(struct reader *reader, config_setting_t *setting, struct zone *zone);
void reader_host(struct reader *reader, config_setting_t *setting, struct host *host);
/* Routers, DHCP servers and switches may name hosts: looked at when those are known. */
void reader_check_speakers(struct reader *reader);

/* ---- flows (read_flow.c) ---- */

void reader_flow(struct reader *reader, config_setting_t *setting, struct flow *flow);
void read_ends(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
void read_windows(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
void read_note(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);

/* ---- expectations (read_expect.c) ---- */

void reader_expectation(struct reader *reader, config_setting_t *setting, struct expectation *expectation,
                        size_t index);
void read_case_end(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);
void read_case_zone(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);

#endif

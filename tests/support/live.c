/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/snapshot.h"
#include "proof/decode.h"
#include "rules/print.h"

static void must(int status, const struct error *error) {
  if (status < 0) {
    fprintf(stderr, "no live ruleset: %s\n", error->message);
    abort();
  }
}

static struct live_ruleset *decode(const struct snapshot *snapshot, struct arena *arena) {
  struct live_ruleset *ruleset = NULL;
  struct error error = {0};
  must(decode_ruleset(snapshot, arena, &ruleset, &error), &error);
  return ruleset;
}

struct live_ruleset *live_from_text(const char *text, struct arena *arena) {
  struct snapshot snapshot;
  struct error error = {0};
  must(snapshot_of_text(text, strlen(text), arena, &snapshot, &error), &error);
  return decode(&snapshot, arena);
}

char *nft_text_of_policy(const struct policy *policy, const struct compile_options *options, struct arena *arena) {
  struct ruleset *compiled;
  struct error error = {0};
  char *text = NULL;
  size_t length = 0;
  must(ruleset_compile(policy, options, arena, &compiled, &error), &error);
  FILE *stream = open_memstream(&text, &length);
  if (stream == NULL || ruleset_print_nft(stream, compiled, options->now) < 0 || fclose(stream) != 0) {
    perror("the text of a ruleset");
    abort();
  }
  return text;
}

struct live_ruleset *live_from_policy(const struct policy *policy, const struct compile_options *options,
                                      struct arena *arena) {
  char *text = nft_text_of_policy(policy, options, arena);
  struct live_ruleset *ruleset = live_from_text(text, arena);
  free(text);
  return ruleset;
}

struct live_ruleset *live_from_kernel(struct arena *arena) {
  struct snapshot snapshot;
  struct error error = {0};
  must(snapshot_take(arena, &snapshot, &error), &error);
  return decode(&snapshot, arena);
}

static char *read_file(const char *path, struct arena *arena, size_t *ret_length) {
  enum { FILE_MOST = 64 * 1024 * 1024 };
  char *bytes = malloc(FILE_MOST);
  FILE *stream = fopen(path, "r");
  if (bytes == NULL || stream == NULL) {
    perror(path);
    abort();
  }
  *ret_length = fread(bytes, 1, FILE_MOST, stream);
  fclose(stream);
  char *copy = arena_alloc(arena, *ret_length + 1);
  if (copy == NULL) {
    abort();
  }
  memcpy(copy, bytes, *ret_length);
  free(bytes);
  return copy;
}

struct live_ruleset *live_from_file(const char *path, struct arena *arena) {
  static const char recorded[] = "kido-ruleset/";
  size_t length;
  struct snapshot snapshot;
  struct error error = {0};
  char *bytes = read_file(path, arena, &length);
  if (strncmp(bytes, recorded, strlen(recorded)) != 0) {
    return live_from_text(bytes, arena);
  }
  must(snapshot_parse((const uint8_t *)bytes, length, arena, &snapshot, &error), &error);
  return decode(&snapshot, arena);
}

const struct live_rule *live_rule_at(const struct live_ruleset *ruleset, const char *table, const char *chain,
                                     size_t place) {
  for (size_t i = 0; i < ruleset->table_count; i++) {
    const struct live_chain *found =
        strcmp(ruleset->tables[i].name, table) == 0 ? live_find_chain(&ruleset->tables[i], chain) : NULL;
    if (found != NULL && place < found->rule_count) {
      return &found->rules[place];
    }
  }
  fprintf(stderr, "no rule %zu in chain %s of table %s\n", place, chain, table);
  abort();
}

/* ---- complaints ---- */

struct complaints {
  struct arena *arena;
  const char *text;
};

static void complain(struct complaints *complaints, const char *node, const char *name, const char *reason) {
  if (reason != NULL) {
    complaints->text = arena_printf(complaints->arena, "%s%s %s: %s\n", complaints->text, node, name, reason);
  }
}

static void complain_of_rules(struct complaints *complaints, const struct live_chain *chain) {
  for (size_t i = 0; i < chain->rule_count; i++) {
    const struct live_rule *rule = &chain->rules[i];
    complain(complaints, "rule of", chain->name, rule->unmodelled);
    for (size_t j = 0; j < rule->expression_count; j++) {
      complain(complaints, "expression in", chain->name, rule->expressions[j].unmodelled);
    }
  }
}

static void complain_of_table(struct complaints *complaints, const struct live_table *table) {
  complain(complaints, "table", table->name, table->unmodelled);
  for (size_t i = 0; i < table->chain_count; i++) {
    complain(complaints, "chain", table->chains[i].name, table->chains[i].unmodelled);
    complain_of_rules(complaints, &table->chains[i]);
  }
  for (size_t i = 0; i < table->set_count; i++) {
    complain(complaints, "set", table->sets[i].name, table->sets[i].unmodelled);
  }
  for (size_t i = 0; i < table->object_count; i++) {
    complain(complaints, "object", table->objects[i].name, table->objects[i].unmodelled);
  }
  for (size_t i = 0; i < table->flowtable_count; i++) {
    complain(complaints, "flowtable", table->flowtables[i].name, table->flowtables[i].unmodelled);
  }
}

const char *live_complaints(const struct live_ruleset *ruleset, struct arena *arena) {
  struct complaints complaints = {.arena = arena, .text = ""};
  for (size_t i = 0; i < ruleset->table_count; i++) {
    complain_of_table(&complaints, &ruleset->tables[i]);
  }
  return complaints.text;
}

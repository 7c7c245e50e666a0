/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "policy/codes.h"
#include "policy/read.h"
#include "policy/schema.h"

/*
 * docs/policy-language.md holds a row for every key of the schema, every code and every service of the catalogue, word
 * for word. A failing test names the missing row; with KIDO_UPDATE_GOLDEN=1 in the environment all rows are printed,
 * to be put into the document.
 */

static struct arena *arena;
static char *document;

static char *read_document(void) {
  enum { LIMIT = 1024 * 1024 };
  char *text = calloc(1, LIMIT);
  FILE *stream = fopen(KIDO_SOURCE_DIRECTORY "/docs/policy-language.md", "r");
  ck_assert_ptr_nonnull(text);
  ck_assert_ptr_nonnull(stream);
  ck_assert_uint_lt(fread(text, 1, LIMIT - 1, stream), LIMIT - 1);
  fclose(stream);
  return text;
}

static void setup(void) {
  arena = arena_new(0);
  document = read_document();
}

static void teardown(void) {
  free(document);
  arena_free(arena);
}

/* The row must stand behind the heading and before the next one. */
static void must_hold(const char *heading, const char *row) {
  if (getenv("KIDO_UPDATE_GOLDEN")) {
    printf("%s\n", row);
    return;
  }
  const char *start = strstr(document, arena_printf(arena, "\n%s\n", heading));
  ck_assert_msg(start, "no heading: %s", heading);
  const char *end = strstr(start + 1, "\n#"), *found = strstr(start, arena_printf(arena, "\n%s\n", row));
  ck_assert_msg(found && (!end || found < end), "under %s there is no row:\n%s", heading, row);
}

static const char *words(const struct schema_choices *choices) {
  const char *list = "";
  for (unsigned i = 0; i < choices->count; i++)
    if (choices->names[i])
      list = arena_printf(arena, "%s%s`%s`", list, list[0] ? ", " : "", choices->names[i]);
  return list;
}

START_TEST(every_key_has_its_row) {
  for (int id = 0; id < SECTION_COUNT_; id++) {
    const struct schema_section *section = schema_section((enum schema_section_id)id);
    const char *heading = arena_printf(arena, "### Keys of `%s`", section->name);
    if (getenv("KIDO_UPDATE_GOLDEN"))
      printf("%s\n", heading);
    for (size_t i = 0; i < section->key_count; i++) {
      const struct schema_key *key = &section->keys[i];
      must_hold(heading, arena_printf(arena, "| `%s`%s | %s | %s | %s |", key->name, key->required ? " *" : "",
                                      key->choices ? words(key->choices) : schema_kind_label_en(key->kind), key->doc_en,
                                      key->doc_ja));
    }
  }
}
END_TEST

START_TEST(every_part_has_its_row) {
  for (size_t i = 0; i < TOP_COUNT_; i++) {
    const struct schema_top *top = schema_top(i);
    must_hold("## Parts", arena_printf(arena, "| `%s`%s | %s | %s |", top->name, top->required ? " *" : "", top->doc_en,
                                       top->doc_ja));
  }
}
END_TEST

START_TEST(every_code_has_its_row) {
  size_t count;
  const struct policy_code *code = policy_codes(&count);
  for (size_t i = 0; i < count; i++)
    must_hold("## Codes", arena_printf(arena, "| %s | %s | %s |", code[i].code, code[i].title_en, code[i].title_ja));
}
END_TEST

START_TEST(every_service_of_the_catalogue_has_its_row) {
  size_t count;
  const struct catalogue_entry *entry = service_catalogue(&count);
  for (size_t i = 0; i < count; i++)
    must_hold("## Catalogue of services", arena_printf(arena, "| `%s` | %s |", entry[i].name, entry[i].definition));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("policy document");
  TCase *cases = tcase_create("rows");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, every_key_has_its_row);
  tcase_add_test(cases, every_part_has_its_row);
  tcase_add_test(cases, every_code_has_its_row);
  tcase_add_test(cases, every_service_of_the_catalogue_has_its_row);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

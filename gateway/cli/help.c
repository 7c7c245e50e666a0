/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>

#include "base/text.h"
#include "cli/verb.h"

enum { HELP_COLUMN = 30 };

static void print_padded(FILE *stream, const char *text, size_t column) {
  size_t width = text_width(text);
  fputs(text, stream);
  do {
    fputc(' ', stream);
  } while (++width < column);
}

static void print_rules(FILE *stream, struct option_table table, enum language language) {
  for (size_t i = 0; i < table.count; i++) {
    const struct option_rule *rule = &table.rules[i];
    char left[80];
    snprintf(left, sizeof left, "  --%s%s%s", rule->name, rule->value_name ? " " : "",
             rule->value_name ? rule->value_name : "");
    print_padded(stream, left, HELP_COLUMN);
    fprintf(stream, "%s\n", language_choose(language, rule->japanese, rule->english));
  }
}

void help_print(FILE *stream, enum language language) {
  size_t count;
  const struct verb *verbs = verb_table(&count);
  fprintf(
      stream, "%s\n\n%s\n",
      language_choose(language, "使い方: kido [VERB] [引数] [オプション]", "usage: kido [VERB] [ARGUMENTS] [OPTIONS]"),
      language_choose(language, "動詞(略記可、なければ status):", "verbs (may be abbreviated; none: status):"));
  for (size_t i = 0; i < count; i++) {
    char left[80];
    snprintf(left, sizeof left, "  %s", verbs[i].name);
    print_padded(stream, left, 12);
    fprintf(stream, "%s\n", language_choose(language, verbs[i].japanese, verbs[i].english));
  }
  fprintf(stream, "\n%s\n", language_choose(language, "オプション:", "options:"));
  print_rules(stream, global_option_table(), language);
  fprintf(stream, "\n%s\n",
          language_choose(language, "終了コード: 0 肯定・完了、1 否定、2 使い方の誤り、3 答えられない",
                          "exit codes: 0 yes or done, 1 no, 2 usage, 3 could not answer"));
}

void help_print_verb(FILE *stream, const struct verb *verb, enum language language) {
  fprintf(stream, "%s kido %s %s\n\n%s\n", language_choose(language, "使い方:", "usage:"), verb->name, verb->synopsis,
          language_choose(language, verb->japanese, verb->english));
  if (verb->options.count > 0) {
    fprintf(stream, "\n%s\n", language_choose(language, "この動詞のオプション:", "options of this verb:"));
    print_rules(stream, verb->options, language);
  }
  fprintf(stream, "\n%s\n", language_choose(language, "共通のオプション:", "global options:"));
  print_rules(stream, global_option_table(), language);
}

/* A sentence of the manual. */
static void print_sentence(FILE *stream, const char *text) {
  fprintf(stream, "%c%s.\n", toupper((unsigned char)text[0]), text + 1);
}

static void print_mdoc_rules(FILE *stream, struct option_table table) {
  if (table.count == 0) {
    return;
  }
  fprintf(stream, ".Bl -tag -width Ds\n");
  for (size_t i = 0; i < table.count; i++) {
    const struct option_rule *rule = &table.rules[i];
    fprintf(stream, ".It Fl \\-%s", rule->name);
    if (rule->value_name) {
      fprintf(stream, " Ar %s", rule->value_name);
    }
    fputc('\n', stream);
    print_sentence(stream, rule->english);
  }
  fprintf(stream, ".El\n");
}

void help_print_mdoc(FILE *stream) {
  size_t count;
  const struct verb *verbs = verb_table(&count);
  fprintf(stream, ".Sh VERBS\n.Bl -tag -width Ds\n");
  for (size_t i = 0; i < count; i++) {
    fprintf(stream, ".It Cm %s", verbs[i].name);
    fprintf(stream, verbs[i].synopsis[0] ? " Ar %s\n" : "%s\n", verbs[i].synopsis);
    print_sentence(stream, verbs[i].english);
    print_mdoc_rules(stream, verbs[i].options);
  }
  fprintf(stream, ".El\n.Sh OPTIONS\n");
  print_mdoc_rules(stream, global_option_table());
}

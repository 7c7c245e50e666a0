/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion for shells, from the same table as --help. The three scripts know the verbs, the words and options that
 * each takes, and the values of options that have few; everything else completes as file names.
 */
#include <ctype.h>
#include <string.h>

#include "cli/verb.h"

/* ---- what the table says, in pieces ---- */

static bool is_choice(const char *value_name) {
  return value_name && strchr(value_name, '|') && islower((unsigned char)value_name[0]);
}

/* Prints the words of a text that are to be typed as they stand (lower case), each between `before` and `after`. */
static void print_words(FILE *stream, const char *text, const char *before, const char *after) {
  static const char separators[] = " |[]";
  for (const char *word = text + strspn(text, separators); *word; word += strspn(word, separators)) {
    size_t length = strcspn(word, separators);
    size_t lower = strspn(word, "abcdefghijklmnopqrstuvwxyz-");
    if (lower == length && word[0] != '-') {
      fprintf(stream, "%s%.*s%s", before, (int)length, word, after);
    }
    word += length;
  }
}

static bool has_words(const char *text) {
  return islower((unsigned char)text[strspn(text, "[ ")]);
}

/* In single quotes of a shell. */
static void print_quoted(FILE *stream, const char *text, const char *escaped) {
  for (; *text; text++) {
    if (*text == '\'') {
      fputs("'\\''", stream);
    } else {
      if (strchr(escaped, *text)) {
        fputc('\\', stream);
      }
      fputc(*text, stream);
    }
  }
}

/* ---- bash ---- */

static void print_bash_values(FILE *stream, struct option_table table) {
  for (size_t i = 0; i < table.count; i++) {
    const struct option_rule *rule = &table.rules[i];
    if (is_choice(rule->value_name)) {
      fprintf(stream, "    --%s) COMPREPLY=($(compgen -W '", rule->name);
      print_words(stream, rule->value_name, "", " ");
      fputs("' -- \"$current\")); return ;;\n", stream);
    } else if (rule->value_name && strcmp(rule->value_name, "DIRECTORY") == 0) {
      fprintf(stream, "    --%s) COMPREPLY=($(compgen -d -- \"$current\")); return ;;\n", rule->name);
    } else if (rule->value_name) {
      fprintf(stream, "    --%s) return ;;\n", rule->name);
    }
  }
}

static void print_bash_options(FILE *stream, struct option_table table) {
  for (size_t i = 0; i < table.count; i++) {
    fprintf(stream, " --%s", table.rules[i].name);
  }
}

static void print_bash(FILE *stream, const struct verb *verbs, size_t count) {
  fputs("# bash completion for kido; made by: kido --help=bash\n"
        "_kido() {\n"
        "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb= word words= options\n"
        "  COMPREPLY=()\n"
        "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
        "    case $word in ",
        stream);
  for (size_t i = 0; i < count; i++) {
    fprintf(stream, "%s%s", i > 0 ? "|" : "", verbs[i].name);
  }
  fputs(") verb=$word; break ;; esac\n  done\n  options='", stream);
  print_bash_options(stream, global_option_table());
  fputs("'\n  case $previous in\n", stream);
  print_bash_values(stream, global_option_table());
  fputs("  esac\n  case $verb in\n    '') words='", stream);
  for (size_t i = 0; i < count; i++) {
    fprintf(stream, " %s", verbs[i].name);
  }
  fputs("' ;;\n", stream);
  for (size_t i = 0; i < count; i++) {
    fprintf(stream, "    %s) words='", verbs[i].name);
    print_words(stream, verbs[i].synopsis, " ", "");
    fputs("' options+='", stream);
    print_bash_options(stream, verbs[i].options);
    fputs("'\n      case $previous in\n", stream);
    print_bash_values(stream, verbs[i].options);
    fputs("      esac ;;\n", stream);
  }
  fputs("  esac\n"
        "  if [[ $current == -* ]]; then words=$options; fi\n"
        "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
        "}\n"
        "complete -o default -F _kido kido\n",
        stream);
}

/* ---- zsh ---- */

static void print_zsh_options(FILE *stream, struct option_table table, const char *indent) {
  for (size_t i = 0; i < table.count; i++) {
    const struct option_rule *rule = &table.rules[i];
    fprintf(stream, "%s'*--%s[", indent, rule->name);
    print_quoted(stream, rule->english, "[]:\\");
    fputc(']', stream);
    if (is_choice(rule->value_name)) {
      fprintf(stream, ":%s:(", rule->name);
      print_words(stream, rule->value_name, "", " ");
      fputc(')', stream);
    } else if (rule->value_name) {
      fprintf(stream, ":%s:%s", rule->name, strcmp(rule->value_name, "DIRECTORY") == 0 ? "_files -/" : "_files");
    }
    fputs("' \\\n", stream);
  }
}

static void print_zsh_verb(FILE *stream, const struct verb *verb) {
  fprintf(stream, "        %s) _arguments \\\n", verb->name);
  print_zsh_options(stream, verb->options, "          ");
  print_zsh_options(stream, global_option_table(), "          ");
  fputs("          '*:argument:", stream);
  if (has_words(verb->synopsis)) {
    fputc('(', stream);
    print_words(stream, verb->synopsis, "", " ");
    fputc(')', stream);
  } else {
    fputs("_files", stream);
  }
  fputs("' ;;\n", stream);
}

static void print_zsh(FILE *stream, const struct verb *verbs, size_t count) {
  fputs("#compdef kido\n"
        "# zsh completion for kido; made by: kido --help=zsh\n"
        "_kido() {\n"
        "  local context state state_descr line\n"
        "  local -a verbs\n"
        "  typeset -A opt_args\n"
        "  verbs=(\n",
        stream);
  for (size_t i = 0; i < count; i++) {
    fprintf(stream, "    '%s:", verbs[i].name);
    print_quoted(stream, verbs[i].english, ":\\");
    fputs("'\n", stream);
  }
  fputs("  )\n  _arguments -C \\\n", stream);
  print_zsh_options(stream, global_option_table(), "    ");
  fputs("    '1:verb:->verb' '*::argument:->argument'\n"
        "  case $state in\n"
        "    verb) _describe -t verbs verb verbs ;;\n"
        "    argument)\n"
        "      case $words[1] in\n",
        stream);
  for (size_t i = 0; i < count; i++) {
    print_zsh_verb(stream, &verbs[i]);
  }
  fputs("      esac ;;\n  esac\n}\n_kido \"$@\"\n", stream);
}

/* ---- fish ---- */

static void print_fish_options(FILE *stream, struct option_table table, const char *condition) {
  for (size_t i = 0; i < table.count; i++) {
    const struct option_rule *rule = &table.rules[i];
    fprintf(stream, "complete -c kido%s -l %s", condition, rule->name);
    if (is_choice(rule->value_name)) {
      fputs(" -x -a '", stream);
      print_words(stream, rule->value_name, "", " ");
      fputc('\'', stream);
    } else if (rule->value_name) {
      fputs(" -r", stream);
    }
    fputs(" -d '", stream);
    for (const char *letter = rule->english; *letter; letter++) {
      fprintf(stream, *letter == '\'' || *letter == '\\' ? "\\%c" : "%c", *letter);
    }
    fputs("'\n", stream);
  }
}

static void print_fish(FILE *stream, const struct verb *verbs, size_t count) {
  fputs("# fish completion for kido; made by: kido --help=fish\n", stream);
  print_fish_options(stream, global_option_table(), "");
  for (size_t i = 0; i < count; i++) {
    char condition[80];
    fprintf(stream, "complete -c kido -n __fish_use_subcommand -f -a %s -d \"%s\"\n", verbs[i].name, verbs[i].english);
    snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", verbs[i].name);
    print_fish_options(stream, verbs[i].options, condition);
    if (has_words(verbs[i].synopsis)) {
      fprintf(stream, "complete -c kido%s -a '", condition);
      print_words(stream, verbs[i].synopsis, "", " ");
      fputs("'\n", stream);
    }
  }
}

/* ---- all ---- */

static const struct {
  const char *name;
  void (*print)(FILE *stream, const struct verb *verbs, size_t count);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

bool help_print_completion(FILE *stream, const char *shell) {
  size_t count;
  const struct verb *verbs = verb_table(&count);
  for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
    if (strcmp(shells[i].name, shell) == 0) {
      shells[i].print(stream, verbs, count);
      return true;
    }
  }
  return false;
}

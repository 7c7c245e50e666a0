/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_LANGUAGE_H
#define KIDO_BASE_LANGUAGE_H

/* The language in which messages are written for people. Codes, keys and JSON keys are the same in both. */
enum language {
  LANGUAGE_JAPANESE,
  LANGUAGE_ENGLISH,
};

/* Returns the text in the language asked for; both are string constants. Two formats must take the same arguments. */
const char *language_choose(enum language language, const char *japanese, const char *english)
    __attribute__((format_arg(2), format_arg(3)));

#endif

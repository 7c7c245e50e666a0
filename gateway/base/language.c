/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/language.h"

const char *language_choose(enum language language, const char *japanese, const char *english) {
  return language == LANGUAGE_JAPANESE ? japanese : english;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hex.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse(const char *text) {
  fprintf(stderr, "not hexadecimal, or too long: %s\n", text);
  abort();
}

static unsigned digit(char letter, const char *text) {
  static const char digits[] = "0123456789abcdef";
  const char *at = strchr(digits, letter);
  if (at == NULL || letter == '\0')
    refuse(text);
  return (unsigned)(at - digits);
}

size_t hex_read(const char *text, uint8_t *bytes, size_t most) {
  size_t count = 0;
  for (const char *at = text; *at != '\0'; at++) {
    if (*at == ' ')
      continue;
    char *end = NULL;
    unsigned long zeros = *at == '(' ? strtoul(at + 1, &end, 10) : 0;
    if (count + (end != NULL ? zeros : 1) > most)
      refuse(text);
    if (end != NULL) {
      memset(bytes + count, 0, zeros);
      count += zeros;
      at = end;
      continue;
    }
    unsigned high = digit(*at++, text);
    bytes[count++] = (uint8_t)(high << 4 | digit(*at, text));
  }
  return count;
}

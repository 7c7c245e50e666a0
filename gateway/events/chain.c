/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREVIOUS_KEY ",\"previous\":\""
#define HASH_KEY ",\"hash\":\""
#define SEQUENCE_KEY "\"sequence\":"

enum {
  DIGITS = SHA256_TEXT_SIZE - 1,
  PREVIOUS_SIZE = sizeof PREVIOUS_KEY - 1 + DIGITS + 1, /* with the closing quote */
  HASH_SIZE = sizeof HASH_KEY - 1 + DIGITS + 1,
  SEQUENCE_AT_MOST = 160, /* only the schema and our own id stand before it */
};

size_t chain_seal(char *line, size_t length, const char previous[static SHA256_TEXT_SIZE],
                  char ret_hash[static SHA256_TEXT_SIZE]) {
  char *end = stpcpy(stpcpy(stpcpy(line + length - 1, PREVIOUS_KEY), previous), "\"}");
  sha256_text(line, (size_t)(end - line), ret_hash);
  end = stpcpy(stpcpy(stpcpy(end - 1, HASH_KEY), ret_hash), "\"}");
  return (size_t)(end - line);
}

static bool take_hash(const char *text, const char *key, char ret_hash[static SHA256_TEXT_SIZE]) {
  size_t key_size = strlen(key);
  if (memcmp(text, key, key_size) != 0 || text[key_size + DIGITS] != '"')
    return false;
  memcpy(ret_hash, text + key_size, DIGITS);
  ret_hash[DIGITS] = '\0';
  return strspn(ret_hash, "0123456789abcdef") == DIGITS;
}

static bool hash_is(const char *line, size_t length, const char *hash) {
  char *sealed = malloc(length + 1), computed[SHA256_TEXT_SIZE];
  if (sealed == NULL)
    return false;
  memcpy(sealed, line, length);
  sealed[length] = '}';
  sha256_text(sealed, length + 1, computed);
  free(sealed);
  return strcmp(computed, hash) == 0;
}

enum chain_state chain_check(const char *line, size_t length, struct chain_link *ret_link) {
  struct chain_link link;
  if (length < PREVIOUS_SIZE + HASH_SIZE + 2 || line[length - 1] != '}')
    return CHAIN_NONE;
  size_t body = length - 1 - HASH_SIZE; /* all that the hash covers, but its brace */
  if (!take_hash(line + body, HASH_KEY, link.hash) ||
      !take_hash(line + body - PREVIOUS_SIZE, PREVIOUS_KEY, link.previous))
    return CHAIN_NONE;
  *ret_link = link;
  return hash_is(line, body, link.hash) ? CHAIN_WHOLE : CHAIN_BROKEN;
}

uint64_t chain_sequence(const char *line, size_t length) {
  size_t most = length < SEQUENCE_AT_MOST ? length : SEQUENCE_AT_MOST;
  const char *key = memmem(line, most, SEQUENCE_KEY, sizeof SEQUENCE_KEY - 1);
  uint64_t sequence = 0;
  if (key == NULL)
    return 0;
  const char *at = key + sizeof SEQUENCE_KEY - 1;
  at += at < line + length && *at == ' ';
  for (; at < line + length && *at >= '0' && *at <= '9'; at++) {
    if (sequence > (UINT64_MAX - 9) / 10)
      return 0;
    sequence = sequence * 10 + (uint64_t)(*at - '0');
  }
  return sequence;
}

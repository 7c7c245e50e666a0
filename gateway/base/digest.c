/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/digest.h"

#include <nettle/sha2.h>

void sha256(const void *data, size_t length, uint8_t ret_digest[static SHA256_SIZE]) {
  struct sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, length, data);
  sha256_digest(&context, SHA256_DIGEST_SIZE, ret_digest);
}

void sha256_text(const void *data, size_t length, char ret_text[static SHA256_TEXT_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  uint8_t digest[SHA256_SIZE];
  sha256(data, length, digest);
  for (size_t i = 0; i < SHA256_SIZE; i++) {
    ret_text[2 * i] = digits[digest[i] >> 4];
    ret_text[2 * i + 1] = digits[digest[i] & 15];
  }
  ret_text[SHA256_TEXT_SIZE - 1] = '\0';
}

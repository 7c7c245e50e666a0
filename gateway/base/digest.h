/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_DIGEST_H
#define KIDO_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_TEXT_SIZE = 65 };

void sha256(const void *data, size_t length, uint8_t ret_digest[static SHA256_SIZE]);
/* Lower-case hexadecimal with a NUL. */
void sha256_text(const void *data, size_t length, char ret_text[static SHA256_TEXT_SIZE]);

#endif

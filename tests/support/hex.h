/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_SUPPORT_HEX_H
#define KIDO_SUPPORT_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Hexadecimal to bytes: blanks mean nothing, (N) stands for N bytes of zero. Returns how many; aborts on what is
 * neither, or too much. */
size_t hex_read(const char *text, uint8_t *bytes, size_t most);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int(error_set)(struct error *error, int code, const char *format, ...) {
  if (error == NULL)
    return -code;
  va_list arguments;
  va_start(arguments, format);
  error->code = code;
  vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  return -code;
}

/* What does not fit is lost: the context in front says more than the end. */
static void append(char *text, size_t size, const char *more) {
  size_t used = strlen(text), length = strlen(more);
  if (length > size - used - 1)
    length = size - used - 1;
  memcpy(text + used, more, length);
  text[used + length] = '\0';
}

int(error_wrap)(struct error *error, const char *format, ...) {
  if (error == NULL)
    return -1;
  char inner[sizeof(error->message)];
  memcpy(inner, error->message, sizeof(inner));
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  append(error->message, sizeof(error->message), ": ");
  append(error->message, sizeof(error->message), inner);
  return -error->code;
}

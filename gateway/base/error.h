/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_ERROR_H
#define KIDO_BASE_ERROR_H

/*
 * Why an operation could not be done (as opposed to what is wrong in a file: that is a diagnostic).
 * The message lives in a fixed buffer, so that reporting a failure never allocates. It is built from the inside out:
 * the function that fails sets it, each caller that knows more wraps it, the top prints it once.
 */
struct error {
  int code; /* a positive errno value; 0 when nothing was set */
  char message[480];
};

/* Both return -code, so that a caller may write: return error_set(...). error may be NULL. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message; returns -error->code. */
int error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* which looks at one file at a time, and must know that they return what is below zero */
#define error_set(...) ((error_set)(__VA_ARGS__), -1)
#define error_wrap(...) ((error_wrap)(__VA_ARGS__), -1)
#endif

#endif

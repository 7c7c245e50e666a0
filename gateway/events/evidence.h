/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_EVIDENCE_H
#define KIDO_EVENTS_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "events/scribe.h"

/*
 * Frames of findings, kept as pcapng in EVIDENCE_DIRECTORY: one file for each event, named by its id. The daemon that
 * reads frames only sends them to the scribe, which never makes it wait; the scribe writes. The directory has a size:
 * the oldest files go first.
 */
#define EVIDENCE_DIRECTORY "evidence"

enum { EVIDENCE_NAME_SIZE = 80, EVIDENCE_ID_SIZE = 40, EVIDENCE_INTERFACE_SIZE = 32, EVIDENCE_BYTES_MAX = 65535 };

/* "evidence/kidoban-19ac1b2c3d4-42.pcapng", below the state directory; "" for an id that is none. */
const char *evidence_name(const char *id, char ret_name[static EVIDENCE_NAME_SIZE]);

struct evidence_frame {
  char id[EVIDENCE_ID_SIZE];
  char interface[EVIDENCE_INTERFACE_SIZE];
  int64_t time; /* nanoseconds */
  uint32_t captured, length, link_type;
  uint64_t interface_drops; /* of the kernel, so far */
};

/* Sends one; false when it was not taken. Never waits. */
bool evidence_send(int socket, const struct evidence_frame *frame, const void *bytes);

/* ---- inside the scribe ---- */

struct evidence;

struct evidence *evidence_open(const char *state_directory, const char *daemon,
                               const struct evidence_settings *settings);
struct evidence *evidence_close(struct evidence *evidence); /* NULL is allowed; returns NULL */
/* Writes what has come. 1, 0 when nothing came, or the negative errno of what could not be written, with *error. */
int evidence_take(struct evidence *evidence, int socket, struct error *error);

#endif

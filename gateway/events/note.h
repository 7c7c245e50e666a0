/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_NOTE_H
#define KIDO_EVENTS_NOTE_H

#include "events/scribe.h"

/* Notes from the scribe to its daemon: one message each. A daemon that does not read them loses them. */
void note_send(int socket, const char *sink, enum scribe_state state, uint64_t records, const char *message);
/* 1, 0: none now, or a negative errno: -EPROTO for what is no note, -ECONNRESET at the end. */
int note_receive(int socket, struct scribe_note *ret_note);

#endif

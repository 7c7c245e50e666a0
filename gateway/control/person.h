/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PERSON_H
#define KIDO_CONTROL_PERSON_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Who asks for something: the user of the process behind a control socket, and the user who logged in, which sudo and
 * su leave alone (/proc/PID/loginuid, where the kernel keeps it).
 */
enum { PERSON_TEXT_SIZE = 128 };
#define PERSON_NOBODY UINT32_MAX

struct person {
  uint32_t uid;       /* PERSON_NOBODY: kidod itself */
  uint32_t login_uid; /* PERSON_NOBODY: not known, or nobody logged in (a service, a console without a session) */
};

struct person person_of_peer(int socket);

/* kidod itself, of its own accord or for a signal. */
struct person person_none(void);

/* Whether both are the same person: by who logged in, where that is known of both, else by the user. */
bool person_same(const struct person *left, const struct person *right);

/* "taro", "taro (root)" after sudo, "uid 1234" without a name, "kidod". */
const char *person_text(const struct person *person, char text[static PERSON_TEXT_SIZE]);

#endif

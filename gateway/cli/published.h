/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_PUBLISHED_H
#define KIDO_CLI_PUBLISHED_H

#include "cli/verb.h"
#include "control/publication.h"
#include "policy/restrictions.h"

/*
 * What holds the policy back now, when kidod has this very policy in force and lets us hear it; else NULL: a file that
 * is not in force is judged as it stands. Never complains, and waits a second at most.
 */
const struct restrictions *published_restrictions(const struct invocation *invocation, const struct policy *policy);

/* What kidod publishes at this moment. Texts live in the arena of the invocation. */
struct published {
  struct publication publication;
  const char *text; /* of the policy, canonical, ended by NUL; NULL when none is in force */
  const char *restrictions;
};

/* 0, or a negative errno: kidod cannot be heard. Never complains, and waits a second at most. */
int published_read(const struct invocation *invocation, struct published *ret_published);

/* Those that go with the policy that was published; NULL when they are damaged, or there are none. */
const struct restrictions *published_restrictions_of(const struct invocation *invocation,
                                                     const struct published *published, const struct policy *policy);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_GENERATOR_H
#define KIDO_TESTS_LAB_GENERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "lab.h"

/*
 * UDP over IPv4 at hundreds of thousands of packets a second, and what becomes of each. A generator makes an interface
 * of the lab receive frames; the sieve counts what the gateway sends, and takes it away before it fills a queue. Every
 * frame says in its payload of which kind it is.
 */
enum { GENERATOR_KINDS = 16 }; /* 0: anything that no generator made */

struct generator_kind {
  unsigned kind; /* 1 … GENERATOR_KINDS - 1 */
  struct packet packet;
  struct mac source_mac;
  bool varies; /* another source port in each frame */
};

struct generator;

/* The frames take turns. */
int generator_new(struct lab *lab, int interface, const struct generator_kind *kinds, size_t count,
                  struct generator **ret_generator, struct error *error);
struct generator *generator_free(struct generator *generator);

/* `turns` frames of each kind; the gateway has handled them all when this returns. */
int generator_run(struct generator *generator, uint32_t turns, struct error *error);

struct sieve;

/* From now on nothing that leaves an interface of the lab is read from its TAP. */
int sieve_new(struct lab *lab, struct sieve **ret_sieve, struct error *error);
struct sieve *sieve_free(struct sieve *sieve);
int sieve_read(const struct sieve *sieve, uint64_t ret_counts[static GENERATOR_KINDS], struct error *error);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * BPF_PROG_TEST_RUN with live frames makes the kernel treat a frame as received by an interface, as fast as one
 * processor can: no network card, no second machine. An XDP program writes the headers of the kind whose turn it is
 * and passes the frame on to the stack, which has handled it when the call returns.
 *
 * A TAP runs a socket filter on each frame that the gateway sends there. Ours reads the kind, counts it and drops the
 * frame: so the count is exact, by kind, and no queue can lose anything.
 *
 * The programs are written as instructions: nothing is needed to compile them.
 */
#include "generator.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bpf.h"

enum {
  PORTS = 40000,           /* source ports of a kind that varies, counted up in the byte order of the machine */
  SOURCE_PORT_OFFSET = 34, /* in an Ethernet frame with an IPv4 header without options */
  CHECKSUM_OFFSET = 40,
  KIND_OFFSET = 42,
  HEADERS_SIZE = 44,
};

/* Register 0: address of the map's entry whose number stands at the top of the stack; leaves with `code` without it. */
static void append_lookup(struct bpf_program *program, int map, int code) {
  BPF_APPEND(program, MOVE(2, 10), ALU(BPF_ADD, 2, -4), LOAD_MAP(1, map), CALL(BPF_FUNC_map_lookup_elem),
             JUMP(BPF_JNE, 0, 0, 2), CONSTANT(0, code), EXIT);
}

/* ---- the generator ---- */

struct generator {
  int map, program;
  unsigned ifindex;
  size_t kind_count;
  struct lab_frame first;
};

/* Registers: 6 the context, 7 the number of this frame, 2 its headers, all of which may be written. */
static void append_start(struct bpf_program *program, int map) {
  BPF_APPEND(program, MOVE(6, 1), STORE_CONSTANT(10, -4, 0));
  append_lookup(program, map, XDP_ABORTED);
  BPF_APPEND(program, LOAD(BPF_DW, 7, 0, 0), MOVE(8, 7), ALU(BPF_ADD, 8, 1), STORE(BPF_DW, 0, 0, 8),
             LOAD(BPF_W, 2, 6, offsetof(struct xdp_md, data)), LOAD(BPF_W, 3, 6, offsetof(struct xdp_md, data_end)),
             MOVE(4, 2), ALU(BPF_ADD, 4, HEADERS_SIZE),
             {.code = BPF_JMP | BPF_JLE | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 2}, CONSTANT(0, XDP_ABORTED), EXIT);
}

static void append_frame(struct bpf_program *program, const struct lab_frame *frame, bool varies) {
  for (int16_t at = 0; at < HEADERS_SIZE; at = (int16_t)(at + 4)) {
    int32_t word;
    memcpy(&word, frame->data + at, sizeof(word));
    BPF_APPEND(program, STORE_CONSTANT(2, at, word));
  }
  if (varies)
    BPF_APPEND(program, ALU(BPF_MOD, 7, PORTS), ALU(BPF_ADD, 7, 1), STORE(BPF_H, 2, SOURCE_PORT_OFFSET, 7));
  BPF_APPEND(program, CONSTANT(0, XDP_PASS), EXIT);
}

/* The frames one behind the other; register 8: whose turn it is. */
static void append_frames(struct bpf_program *program, const struct lab_frame *frames,
                          const struct generator_kind *kinds, size_t count) {
  BPF_APPEND(program, MOVE(8, 7), ALU(BPF_MOD, 8, (int32_t)count), ALU(BPF_DIV, 7, (int32_t)count));
  for (size_t i = 0; i < count; i++) {
    size_t jump = program->count;
    BPF_APPEND(program, JUMP(BPF_JNE, 8, (int32_t)i, 0));
    append_frame(program, &frames[i], kinds[i].varies);
    program->instructions[jump].off = (int16_t)(program->count - jump - 1);
  }
  BPF_APPEND(program, CONSTANT(0, XDP_ABORTED), EXIT);
}

static int build_frame(const struct generator_kind *kind, const struct mac *destination, struct lab_frame *ret_frame) {
  uint8_t payload[2] = {0, (uint8_t)kind->kind};
  struct lab_frame_recipe recipe = {.packet = kind->packet,
                                    .source_mac = kind->source_mac,
                                    .destination_mac = *destination,
                                    .payload = payload,
                                    .payload_length = sizeof(payload)};
  int status = lab_frame_build(&recipe, ret_frame);
  if (status == 0)
    memset(ret_frame->data + CHECKSUM_OFFSET, 0, 2); /* none: the port varies */
  return status;
}

static int build_program(struct generator *generator, const struct lab_interface *interface,
                         const struct generator_kind *kinds, size_t count, struct error *error) {
  struct lab_frame frames[GENERATOR_KINDS] = {0};
  struct bpf_program program = {0};
  for (size_t i = 0; i < count; i++)
    if (build_frame(&kinds[i], &interface->mac, &frames[i]) < 0)
      return error_set(error, EINVAL, "a frame cannot be built");
  generator->first = frames[0];
  append_start(&program, generator->map);
  append_frames(&program, frames, kinds, count);
  generator->program = bpf_program_load(&program, BPF_PROG_TYPE_XDP, error);
  return generator->program < 0 ? generator->program : 0;
}

int generator_new(struct lab *lab, int interface, const struct generator_kind *kinds, size_t count,
                  struct generator **ret_generator, struct error *error) {
  if (count == 0 || count > GENERATOR_KINDS)
    return error_set(error, EINVAL, "%zu kinds of frames", count);
  struct generator *generator = calloc(1, sizeof(*generator));
  if (generator == NULL)
    return error_set(error, ENOMEM, "no memory for a generator");
  const struct lab_interface *wire = lab_interface(lab, (size_t)interface);
  generator->program = -1;
  generator->kind_count = count;
  generator->ifindex = if_nametoindex(wire->name);
  generator->map = bpf_map_new(1, error);
  int status = generator->map < 0 ? generator->map : build_program(generator, wire, kinds, count, error);
  if (status < 0)
    generator_free(generator);
  else
    *ret_generator = generator;
  return status;
}

struct generator *generator_free(struct generator *generator) {
  if (generator != NULL) {
    close(generator->map);
    close(generator->program);
    free(generator);
  }
  return NULL;
}

/* The kernel ends an injection between two frames when something interrupts it; the map holds how many there were. */
int generator_run(struct generator *generator, uint32_t turns, struct error *error) {
  uint64_t made = 0;
  int status = bpf_map_read(generator->map, 0, &made, error);
  uint64_t wanted = made + turns * generator->kind_count;
  while (status == 0 && made < wanted) {
    status = bpf_inject(generator->program, generator->first.data, generator->first.length, generator->ifindex,
                        (uint32_t)(wanted - made), error);
    if (status == 0 || status == -EINTR)
      status = bpf_map_read(generator->map, 0, &made, error);
  }
  return status;
}

/* ---- the sieve ---- */

struct sieve {
  int map, program;
};

static int build_sieve(struct sieve *sieve, struct error *error) {
  struct bpf_program program = {0};
  BPF_APPEND(&program, MOVE(6, 1), {.code = BPF_LD | BPF_ABS | BPF_H, .imm = KIND_OFFSET},
             JUMP(BPF_JLT, 0, GENERATOR_KINDS, 1), CONSTANT(0, 0), STORE(BPF_W, 10, -4, 0));
  append_lookup(&program, sieve->map, 0);
  BPF_APPEND(&program, CONSTANT(1, 1),
             {.code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 0, .src_reg = 1, .imm = BPF_ADD}, CONSTANT(0, 0), EXIT);
  sieve->program = bpf_program_load(&program, BPF_PROG_TYPE_SOCKET_FILTER, error);
  return sieve->program < 0 ? sieve->program : 0;
}

static int attach_sieve(struct lab *lab, const struct sieve *sieve, struct error *error) {
  for (size_t i = 0; i < lab_interface_count(lab); i++) {
    int program = sieve->program;
    if (ioctl(lab_descriptor(lab, (int)i), TUNSETFILTEREBPF, &program) < 0)
      return error_set(error, errno, "no filter for '%s': %s", lab_interface(lab, i)->name, strerror(errno));
    (void)lab_command("tc qdisc replace dev %s root noqueue 2>/dev/null", lab_interface(lab, i)->name);
  }
  return 0;
}

int sieve_new(struct lab *lab, struct sieve **ret_sieve, struct error *error) {
  struct sieve *sieve = calloc(1, sizeof(*sieve));
  if (sieve == NULL)
    return error_set(error, ENOMEM, "no memory for a sieve");
  sieve->program = -1;
  sieve->map = bpf_map_new(GENERATOR_KINDS, error);
  int status = sieve->map < 0 ? sieve->map : build_sieve(sieve, error);
  if (status == 0)
    status = attach_sieve(lab, sieve, error);
  if (status < 0)
    sieve_free(sieve);
  else
    *ret_sieve = sieve;
  return status;
}

struct sieve *sieve_free(struct sieve *sieve) {
  if (sieve != NULL) {
    close(sieve->map);
    close(sieve->program);
    free(sieve);
  }
  return NULL;
}

int sieve_read(const struct sieve *sieve, uint64_t ret_counts[static GENERATOR_KINDS], struct error *error) {
  for (uint32_t kind = 0; kind < GENERATOR_KINDS; kind++) {
    int status = bpf_map_read(sieve->map, kind, &ret_counts[kind], error);
    if (status < 0)
      return status;
  }
  return 0;
}

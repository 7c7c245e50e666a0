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
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  BATCH = 64,
  PORTS = 40000,           /* source ports of a kind that varies */
  SOURCE_PORT_OFFSET = 34, /* in an Ethernet frame with an IPv4 header without options */
  CHECKSUM_OFFSET = 40,
  KIND_OFFSET = 42,
  HEADERS_SIZE = 44,
  PROGRAM_MAX = 512,
  LOG_ROOM = 8192,
};

/* ---- BPF ---- */

static long bpf(enum bpf_cmd command, union bpf_attr *attributes) {
  return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int make_map(uint32_t entries, struct error *error) {
  union bpf_attr attributes = {0};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(uint32_t);
  attributes.value_size = sizeof(uint64_t);
  attributes.max_entries = entries;
  long fd = bpf(BPF_MAP_CREATE, &attributes);
  return fd < 0 ? error_set(error, errno, "no BPF map: %s", strerror(errno)) : (int)fd;
}

static int read_map(int map, uint32_t key, uint64_t *ret_value, struct error *error) {
  union bpf_attr attributes = {0};
  attributes.map_fd = (uint32_t)map;
  attributes.key = (uintptr_t)&key;
  attributes.value = (uintptr_t)ret_value;
  return bpf(BPF_MAP_LOOKUP_ELEM, &attributes) < 0 ? error_set(error, errno, "BPF map: %s", strerror(errno)) : 0;
}

struct program {
  struct bpf_insn instructions[PROGRAM_MAX];
  size_t count;
};

static void append(struct program *program, const struct bpf_insn *instructions, size_t count) {
  if (program->count + count > PROGRAM_MAX)
    abort();
  memcpy(program->instructions + program->count, instructions, count * sizeof(*instructions));
  program->count += count;
}

#define APPEND(program, ...)                                                                                           \
  append((program), (const struct bpf_insn[]){__VA_ARGS__},                                                            \
         sizeof((const struct bpf_insn[]){__VA_ARGS__}) / sizeof(struct bpf_insn))
#define MOVE(to, from)                                                                                                 \
  { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from) }
#define CONSTANT(to, value)                                                                                            \
  { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value) }
#define ALU(operation, to, value)                                                                                      \
  { .code = BPF_ALU64 | (operation) | BPF_K, .dst_reg = (to), .imm = (value) }
#define JUMP(condition, left, value, over)                                                                             \
  { .code = BPF_JMP | (condition) | BPF_K, .dst_reg = (left), .imm = (value), .off = (over) }
#define LOAD(size, to, from, at)                                                                                       \
  { .code = BPF_LDX | BPF_MEM | (size), .dst_reg = (to), .src_reg = (from), .off = (at) }
#define STORE(size, to, at, from)                                                                                      \
  { .code = BPF_STX | BPF_MEM | (size), .dst_reg = (to), .src_reg = (from), .off = (at) }
#define STORE_CONSTANT(to, at, value)                                                                                  \
  { .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = (to), .off = (at), .imm = (value) }
#define CALL(function)                                                                                                 \
  { .code = BPF_JMP | BPF_CALL, .imm = (function) }
#define EXIT                                                                                                           \
  { .code = BPF_JMP | BPF_EXIT }

static int load_program(const struct program *program, enum bpf_prog_type type, struct error *error) {
  static char log[LOG_ROOM];
  union bpf_attr attributes = {0};
  attributes.prog_type = type;
  attributes.insns = (uintptr_t)program->instructions;
  attributes.insn_cnt = (uint32_t)program->count;
  attributes.license = (uintptr_t) "GPL";
  attributes.log_buf = (uintptr_t)log;
  attributes.log_size = sizeof(log);
  attributes.log_level = 1;
  long fd = bpf(BPF_PROG_LOAD, &attributes);
  return fd < 0 ? error_set(error, errno, "no BPF program: %s: %.300s", strerror(errno), log) : (int)fd;
}

/* Register 0: address of the map's entry whose number stands at the top of the stack; leaves with `code` without it. */
static void append_lookup(struct program *program, int map, int code) {
  APPEND(program, MOVE(2, 10), ALU(BPF_ADD, 2, -4),
         {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map}, {0},
         CALL(BPF_FUNC_map_lookup_elem), JUMP(BPF_JNE, 0, 0, 2), CONSTANT(0, code), EXIT);
}

/* ---- the generator ---- */

struct generator {
  int map, program;
  unsigned ifindex;
  size_t kind_count;
  struct lab_frame first;
};

/* Registers: 6 the context, 7 the number of this frame, 2 its headers, all of which may be written. */
static void append_start(struct program *program, int map) {
  APPEND(program, MOVE(6, 1), STORE_CONSTANT(10, -4, 0));
  append_lookup(program, map, XDP_ABORTED);
  APPEND(program, LOAD(BPF_DW, 7, 0, 0), MOVE(8, 7), ALU(BPF_ADD, 8, 1), STORE(BPF_DW, 0, 0, 8),
         LOAD(BPF_W, 2, 6, offsetof(struct xdp_md, data)), LOAD(BPF_W, 3, 6, offsetof(struct xdp_md, data_end)),
         MOVE(4, 2), ALU(BPF_ADD, 4, HEADERS_SIZE),
         {.code = BPF_JMP | BPF_JLE | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 2}, CONSTANT(0, XDP_ABORTED), EXIT);
}

static void append_frame(struct program *program, const struct lab_frame *frame, bool varies) {
  for (int16_t at = 0; at < HEADERS_SIZE; at = (int16_t)(at + 4)) {
    int32_t word;
    memcpy(&word, frame->data + at, sizeof(word));
    APPEND(program, STORE_CONSTANT(2, at, word));
  }
  if (varies)
    APPEND(program, ALU(BPF_MOD, 7, PORTS), ALU(BPF_ADD, 7, 1), STORE(BPF_H, 2, SOURCE_PORT_OFFSET, 7));
  APPEND(program, CONSTANT(0, XDP_PASS), EXIT);
}

/* The frames one behind the other; register 8: whose turn it is. */
static void append_frames(struct program *program, const struct lab_frame *frames, const struct generator_kind *kinds,
                          size_t count) {
  APPEND(program, MOVE(8, 7), ALU(BPF_MOD, 8, (int32_t)count), ALU(BPF_DIV, 7, (int32_t)count));
  for (size_t i = 0; i < count; i++) {
    size_t jump = program->count;
    APPEND(program, JUMP(BPF_JNE, 8, (int32_t)i, 0));
    append_frame(program, &frames[i], kinds[i].varies);
    program->instructions[jump].off = (int16_t)(program->count - jump - 1);
  }
  APPEND(program, CONSTANT(0, XDP_ABORTED), EXIT);
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
  struct program program = {0};
  for (size_t i = 0; i < count; i++)
    if (build_frame(&kinds[i], &interface->mac, &frames[i]) < 0)
      return error_set(error, EINVAL, "a frame cannot be built");
  generator->first = frames[0];
  append_start(&program, generator->map);
  append_frames(&program, frames, kinds, count);
  generator->program = load_program(&program, BPF_PROG_TYPE_XDP, error);
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
  generator->map = make_map(1, error);
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

int generator_run(struct generator *generator, uint32_t turns, struct error *error) {
  struct xdp_md context = {.data_end = (uint32_t)generator->first.length, .ingress_ifindex = generator->ifindex};
  uint32_t count = turns * (uint32_t)generator->kind_count;
  union bpf_attr attributes = {0};
  attributes.test.prog_fd = (uint32_t)generator->program;
  attributes.test.data_in = (uintptr_t)generator->first.data;
  attributes.test.data_size_in = (uint32_t)generator->first.length;
  attributes.test.ctx_in = (uintptr_t)&context;
  attributes.test.ctx_size_in = sizeof(context);
  attributes.test.repeat = count;
  attributes.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  attributes.test.batch_size = count < BATCH ? count : BATCH;
  return bpf(BPF_PROG_TEST_RUN, &attributes) < 0
             ? error_set(error, errno, "frames cannot be injected: %s", strerror(errno))
             : 0;
}

/* ---- the sieve ---- */

struct sieve {
  int map, program;
};

static int build_sieve(struct sieve *sieve, struct error *error) {
  struct program program = {0};
  APPEND(&program, MOVE(6, 1), {.code = BPF_LD | BPF_ABS | BPF_H, .imm = KIND_OFFSET},
         JUMP(BPF_JLT, 0, GENERATOR_KINDS, 1), CONSTANT(0, 0), STORE(BPF_W, 10, -4, 0));
  append_lookup(&program, sieve->map, 0);
  APPEND(&program, CONSTANT(1, 1), {.code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 0, .src_reg = 1, .imm = BPF_ADD},
         CONSTANT(0, 0), EXIT);
  sieve->program = load_program(&program, BPF_PROG_TYPE_SOCKET_FILTER, error);
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
  sieve->map = make_map(GENERATOR_KINDS, error);
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
    int status = read_map(sieve->map, kind, &ret_counts[kind], error);
    if (status < 0)
      return status;
  }
  return 0;
}

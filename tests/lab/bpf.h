/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_BPF_H
#define KIDO_TESTS_LAB_BPF_H

#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

#include "base/error.h"

/* Small BPF programs, written out instruction by instruction; maps are arrays of numbers of eight bytes. */

enum { BPF_PROGRAM_MAX = 512 };

struct bpf_program {
  struct bpf_insn instructions[BPF_PROGRAM_MAX];
  size_t count;
};

/* A program that is too long ends the process. */
void bpf_program_append(struct bpf_program *program, const struct bpf_insn *instructions, size_t count);

/* File descriptors, or a negative errno. */
int bpf_map_new(uint32_t entries, struct error *error);
int bpf_program_load(const struct bpf_program *program, enum bpf_prog_type type, struct error *error);

int bpf_map_read(int map, uint32_t key, uint64_t *ret_value, struct error *error);
int bpf_map_write(int map, uint32_t key, uint64_t value, struct error *error);

/* Lets the interface of that index receive `count` frames that the XDP program makes of this one. */
int bpf_inject(int program, const uint8_t *frame, size_t length, unsigned interface, uint32_t count,
               struct error *error);

#define BPF_APPEND(program, ...)                                                                                       \
  bpf_program_append((program), (const struct bpf_insn[]){__VA_ARGS__},                                                \
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
#define LOAD_MAP(to, map)                                                                                              \
  {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = (to), .src_reg = BPF_PSEUDO_MAP_FD, .imm = (map)}, {                  \
    0                                                                                                                  \
  }
#define CALL(function)                                                                                                 \
  { .code = BPF_JMP | BPF_CALL, .imm = (function) }
#define EXIT                                                                                                           \
  { .code = BPF_JMP | BPF_EXIT }

#endif

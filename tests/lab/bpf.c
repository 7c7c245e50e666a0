/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bpf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BATCH = 64, LOG_ROOM = 8192 };

static long bpf(enum bpf_cmd command, union bpf_attr *attributes) {
  return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

/* ---- maps ---- */

int bpf_map_new(uint32_t entries, struct error *error) {
  union bpf_attr attributes = {0};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(uint32_t);
  attributes.value_size = sizeof(uint64_t);
  attributes.max_entries = entries;
  long fd = bpf(BPF_MAP_CREATE, &attributes);
  return fd < 0 ? error_set(error, errno, "no BPF map: %s", strerror(errno)) : (int)fd;
}

static int use_map(enum bpf_cmd command, int map, uint32_t key, uint64_t *value, struct error *error) {
  union bpf_attr attributes = {0};
  attributes.map_fd = (uint32_t)map;
  attributes.key = (uintptr_t)&key;
  attributes.value = (uintptr_t)value;
  return bpf(command, &attributes) < 0 ? error_set(error, errno, "BPF map: %s", strerror(errno)) : 0;
}

int bpf_map_read(int map, uint32_t key, uint64_t *ret_value, struct error *error) {
  return use_map(BPF_MAP_LOOKUP_ELEM, map, key, ret_value, error);
}

int bpf_map_write(int map, uint32_t key, uint64_t value, struct error *error) {
  return use_map(BPF_MAP_UPDATE_ELEM, map, key, &value, error);
}

/* ---- programs ---- */

void bpf_program_append(struct bpf_program *program, const struct bpf_insn *instructions, size_t count) {
  if (program->count + count > BPF_PROGRAM_MAX)
    abort();
  memcpy(program->instructions + program->count, instructions, count * sizeof(*instructions));
  program->count += count;
}

int bpf_program_load(const struct bpf_program *program, enum bpf_prog_type type, struct error *error) {
  char log[LOG_ROOM] = "";
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

int bpf_inject(int program, const uint8_t *frame, size_t length, unsigned interface, uint32_t count,
               struct error *error) {
  struct xdp_md context = {.data_end = (uint32_t)length, .ingress_ifindex = interface};
  union bpf_attr attributes = {0};
  attributes.test.prog_fd = (uint32_t)program;
  attributes.test.data_in = (uintptr_t)frame;
  attributes.test.data_size_in = (uint32_t)length;
  attributes.test.ctx_in = (uintptr_t)&context;
  attributes.test.ctx_size_in = sizeof(context);
  attributes.test.repeat = count;
  attributes.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  attributes.test.batch_size = count < BATCH ? count : BATCH;
  return bpf(BPF_PROG_TEST_RUN, &attributes) < 0
             ? error_set(error, errno, "frames cannot be injected: %s", strerror(errno))
             : 0;
}

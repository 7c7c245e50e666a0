/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "classic_bpf.h"

#include <stdbool.h>

struct machine {
  const struct classic_bpf_frame *frame;
  uint32_t a, x, memory[BPF_MEMWORDS];
  bool ended;
};

static uint32_t load_fact(struct machine *machine, uint32_t fact) {
  switch (fact) {
  case SKF_AD_VLAN_TAG_PRESENT:
    return machine->frame->vlan_tag_present;
  case SKF_AD_PKTTYPE:
    return machine->frame->packet_type;
  case SKF_AD_RANDOM:
    return machine->frame->random;
  }
  machine->ended = true;
  return 0;
}

static uint32_t load(struct machine *machine, uint16_t size, uint32_t at) {
  uint32_t count = size == BPF_W ? 4 : size == BPF_H ? 2 : 1, value = 0;
  if (at >= (uint32_t)SKF_AD_OFF)
    return load_fact(machine, at - (uint32_t)SKF_AD_OFF);
  if (at + count > machine->frame->captured || at + count < at) {
    machine->ended = true;
    return 0;
  }
  for (uint32_t i = 0; i < count; i++)
    value = value << 8 | machine->frame->bytes[at + i];
  return value;
}

static bool compute(struct machine *machine, const struct sock_filter *instruction) {
  uint32_t value = BPF_SRC(instruction->code) == BPF_X ? machine->x : instruction->k;
  switch (BPF_OP(instruction->code)) {
  case BPF_ADD:
    machine->a += value;
    return true;
  case BPF_AND:
    machine->a &= value;
    return true;
  case BPF_LSH:
    machine->a = value < 32 ? machine->a << value : 0;
    return true;
  case BPF_RSH:
    machine->a = value < 32 ? machine->a >> value : 0;
    return true;
  }
  return false;
}

static bool jump(const struct machine *machine, const struct sock_filter *instruction, size_t *at) {
  uint32_t value = BPF_SRC(instruction->code) == BPF_X ? machine->x : instruction->k;
  bool yes = false;
  switch (BPF_OP(instruction->code)) {
  case BPF_JA:
    *at += instruction->k;
    return true;
  case BPF_JEQ:
    yes = machine->a == value;
    break;
  case BPF_JGE:
    yes = machine->a >= value;
    break;
  case BPF_JSET:
    yes = (machine->a & value) != 0;
    break;
  default:
    return false;
  }
  *at += yes ? instruction->jt : instruction->jf;
  return true;
}

static bool load_into_a(struct machine *machine, const struct sock_filter *instruction) {
  switch (BPF_MODE(instruction->code)) {
  case BPF_ABS:
    machine->a = load(machine, BPF_SIZE(instruction->code), instruction->k);
    return true;
  case BPF_LEN:
    machine->a = machine->frame->length;
    return true;
  case BPF_MEM:
    machine->a = machine->memory[instruction->k % BPF_MEMWORDS];
    return true;
  }
  return false;
}

static bool step(struct machine *machine, const struct sock_filter *instruction, size_t *at) {
  switch (BPF_CLASS(instruction->code)) {
  case BPF_LD:
    return load_into_a(machine, instruction);
  case BPF_ST:
    machine->memory[instruction->k % BPF_MEMWORDS] = machine->a;
    return true;
  case BPF_ALU:
    return compute(machine, instruction);
  case BPF_MISC:
    machine->x = machine->a; /* TAX is all that is used */
    return BPF_MISCOP(instruction->code) == BPF_TAX;
  case BPF_JMP:
    return jump(machine, instruction, at);
  }
  return false;
}

size_t classic_bpf_run(const struct sock_filter *program, size_t count, const struct classic_bpf_frame *frame) {
  struct machine machine = {.frame = frame};
  for (size_t at = 0; at < count; at++) {
    if (program[at].code == (BPF_RET | BPF_K))
      return program[at].k;
    if (!step(&machine, &program[at], &at))
      return SIZE_MAX;
    if (machine.ended)
      return 0;
  }
  return SIZE_MAX;
}

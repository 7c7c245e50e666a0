/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_CLASSIC_BPF_H
#define KIDO_TESTS_SUPPORT_CLASSIC_BPF_H

#include <stddef.h>
#include <stdint.h>

#include <linux/filter.h>

/* A classic BPF program as the kernel's filter of a socket runs it, what it can ask the kernel about a frame included.
 */
struct classic_bpf_frame {
  const uint8_t *bytes;
  uint32_t captured, length; /* a load behind `captured` ends the program with 0 */
  uint32_t vlan_tag_present, packet_type, random;
};

/* Bytes of the frame that are given, 0 for none; SIZE_MAX for an instruction that it does not know. */
size_t classic_bpf_run(const struct sock_filter *program, size_t count, const struct classic_bpf_frame *frame);

#endif

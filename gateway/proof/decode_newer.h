/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_DECODE_NEWER_H
#define KIDO_PROOF_DECODE_NEWER_H

/*
 * Numbers of nf_tables that the kernel's headers of Debian 12 (6.1) do not have yet, each with the kernel that brought
 * it. Names of our own, so that newer headers do not clash.
 */
enum {
  NEWER_TABLE_PERSIST = 0x4, /* 6.9: NFT_TABLE_F_PERSIST */

  NEWER_BITWISE_AND = 3, /* 6.13: NFT_BITWISE_AND, _OR, _XOR */
  NEWER_BITWISE_OR = 4,
  NEWER_BITWISE_XOR = 5,
  NEWER_BITWISE_SREG2 = 8, /* 6.13: NFTA_BITWISE_SREG2 */

  NEWER_SET_TYPE = 19,  /* 6.16: NFTA_SET_TYPE */
  NEWER_SET_COUNT = 20, /* 6.16: NFTA_SET_COUNT */

  NEWER_PAYLOAD_TUNNEL = 4, /* 6.2: NFT_PAYLOAD_TUN_HEADER */

  NEWER_INNER_NUM = 1, /* 6.2: NFTA_INNER_* */
  NEWER_INNER_TYPE = 2,
  NEWER_INNER_FLAGS = 3,
  NEWER_INNER_HDRSIZE = 4,
  NEWER_INNER_EXPR = 5,

  NEWER_META_BRI_BROUTE = 35,    /* 6.4: NFT_META_BRI_BROUTE */
  NEWER_META_BRI_IIFHWADDR = 37, /* 6.18: NFT_META_BRI_IIFHWADDR */

  NEWER_DEVICE_PREFIX = 2, /* 6.18: NFTA_DEVICE_PREFIX */
};

#endif

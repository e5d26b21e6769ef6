/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's own lib/crc/x86, whose functions it does not export: see guards.c. */
#include "crc-pclmul-template.S"

DEFINE_CRC_PCLMUL_FUNCS(crc16_msb, /* bits= */ 16, /* lsb= */ 0)
DEFINE_CRC_PCLMUL_FUNCS(crc64_lsb, /* bits= */ 64, /* lsb= */ 1)

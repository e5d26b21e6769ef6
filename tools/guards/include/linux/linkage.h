/* SPDX-License-Identifier: GPL-2.0 */
/* What lib/crc/x86 wants of the kernel's headers, for a program. */
#define SYM_FUNC_START(name) .globl name; .type name, @function; .balign 16; name:
#define SYM_FUNC_END(name) .size name, . - name
#define RET ret

// SPDX-License-Identifier: GPL-2.0
/*
 * The guards of several intervals in one FPU section.
 *
 * crc_t10dif() and crc64_nvme() begin and end such a section for each interval, which for 512 bytes
 * takes about as many instructions as the sum itself. The kernel exports no function that sums up more
 * than one interval, so its own assembly for x86 is built into the module, from the source that the module
 * is built with. What it returns is compared with the exported functions' results when the module is loaded; where
 * it differs, or is not there, these are called.
 */
#include <linux/crc-t10dif.h>
#include <linux/crc64.h>
#include <linux/slab.h>
#include "helpers.h"

#ifdef SP_GUARDS_X86

#include <asm/fpu/api.h>
#include <linux/jump_label.h>
#include "crc-pclmul-template.h"

static DEFINE_STATIC_KEY_FALSE(sections);

DECLARE_CRC_PCLMUL_FUNCS(crc16_msb, u16);
DECLARE_CRC_PCLMUL_FUNCS(crc64_lsb, u64);

/* Two intervals at the least, since one takes a section in any case. */
static bool use_section(unsigned int count)
{
	return count > 1 && static_branch_likely(&sections) && irq_fpu_usable();
}

static void crc_t10dif_section(const u8 *data, unsigned int interval,
			       unsigned int count, u64 *guards)
{
	kernel_fpu_begin();
	for (; count; count--, data += interval)
		*guards++ = static_call(crc16_msb_pclmul)(0, data, interval,
			crc16_msb_0x8bb7_consts.fold_across_128_bits_consts);
	kernel_fpu_end();
}

static void crc64_nvme_section(const u8 *data, unsigned int interval,
			       unsigned int count, u64 *guards)
{
	kernel_fpu_begin();
	for (; count; count--, data += interval)
		*guards++ = ~static_call(crc64_lsb_pclmul)(~0ULL, data, interval,
			crc64_lsb_0x9a6c9329ac4bc9b5_consts.fold_across_128_bits_consts);
	kernel_fpu_end();
}

static bool sections_are_right(void)
{
	const unsigned int interval = 512, count = 2;
	u64 crc16[2], crc64[2];
	unsigned int i;
	bool right = true;
	u8 *data;

	data = kmalloc_array(count, interval, GFP_KERNEL);
	if (!data)
		return false;
	for (i = 0; i < count * interval; i++)
		data[i] = i * 167 >> 3;
	crc_t10dif_section(data, interval, count, crc16);
	crc64_nvme_section(data, interval, count, crc64);
	for (i = 0; i < count; i++)
		right = right &&
			crc16[i] == crc_t10dif(data + i * interval, interval) &&
			crc64[i] == crc64_nvme(0, data + i * interval, interval);
	kfree(data);
	return right;
}

void sp_guards_init(void)
{
	if (!boot_cpu_has(X86_FEATURE_PCLMULQDQ) || !irq_fpu_usable())
		return;
	/* As the kernel chooses. */
	if (have_vpclmul()) {
		if (have_avx512()) {
			static_call_update(crc16_msb_pclmul, crc16_msb_vpclmul_avx512);
			static_call_update(crc64_lsb_pclmul, crc64_lsb_vpclmul_avx512);
		} else {
			static_call_update(crc16_msb_pclmul, crc16_msb_vpclmul_avx2);
			static_call_update(crc64_lsb_pclmul, crc64_lsb_vpclmul_avx2);
		}
	}
	if (sections_are_right())
		static_branch_enable(&sections);
}

#else

void sp_guards_init(void)
{
}

#endif

void sp_crc_t10dif_each(const void *data, unsigned int interval,
			unsigned int count, u64 *guards)
{
#ifdef SP_GUARDS_X86
	if (use_section(count)) {
		crc_t10dif_section(data, interval, count, guards);
		return;
	}
#endif
	for (; count; count--, data += interval)
		*guards++ = crc_t10dif(data, interval);
}

void sp_crc64_nvme_each(const void *data, unsigned int interval,
			unsigned int count, u64 *guards)
{
#ifdef SP_GUARDS_X86
	if (use_section(count)) {
		crc64_nvme_section(data, interval, count, guards);
		return;
	}
#endif
	for (; count; count--, data += interval)
		*guards++ = crc64_nvme(0, data, interval);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The guards of several intervals in one FPU section.
 *
 * crc_t10dif() and crc64_nvme() begin and end such a section for each interval,
 * which for 512 bytes takes about as many instructions as the sum itself. The
 * kernel exports no function that sums up more than one interval, so its own
 * assembly for x86 is built into the module, from the source that the module is
 * built with. What it returns is compared with what the exported functions
 * return when the module is loaded; where it differs, or is not there, these are
 * called.
 */
#include <linux/crc-t10dif.h>
#include <linux/crc64.h>
#include <linux/slab.h>
#include "helpers.h"

/* The guard of one interval. */
typedef u64 guard_t(const u8 *data, unsigned int interval);

static u64 crc_t10dif_alone(const u8 *data, unsigned int interval)
{
	return crc_t10dif(data, interval);
}

static u64 crc64_nvme_alone(const u8 *data, unsigned int interval)
{
	return crc64_nvme(0, data, interval);
}

#ifdef SP_GUARDS_X86

#include <asm/fpu/api.h>
#include <linux/jump_label.h>
#include "crc-pclmul-template.h"

static DEFINE_STATIC_KEY_FALSE(sections);

DECLARE_CRC_PCLMUL_FUNCS(crc16_msb, u16);
DECLARE_CRC_PCLMUL_FUNCS(crc64_lsb, u64);

/* The same in an FPU section. */
static u64 crc_t10dif_in_section(const u8 *data, unsigned int interval)
{
	return static_call(crc16_msb_pclmul)(0, data, interval,
			crc16_msb_0x8bb7_consts.fold_across_128_bits_consts);
}

static u64 crc64_nvme_in_section(const u8 *data, unsigned int interval)
{
	return ~static_call(crc64_lsb_pclmul)(~0ULL, data, interval,
			crc64_lsb_0x9a6c9329ac4bc9b5_consts.fold_across_128_bits_consts);
}

static bool begin_section(void)
{
	if (!static_branch_likely(&sections) || !irq_fpu_usable())
		return false;
	kernel_fpu_begin();
	return true;
}

static void end_section(void)
{
	kernel_fpu_end();
}

static bool is_right(const u8 *data, unsigned int interval, guard_t *in_section, guard_t *alone)
{
	u64 guard;

	kernel_fpu_begin();
	guard = in_section(data, interval);
	kernel_fpu_end();
	return guard == alone(data, interval);
}

void sp_guards_init(void)
{
	const unsigned int interval = 512;
	unsigned int i;
	u8 *data;

	if (!boot_cpu_has(X86_FEATURE_PCLMULQDQ) || !irq_fpu_usable())
		return;
	data = kmalloc(interval, GFP_KERNEL);
	if (!data)
		return;
	for (i = 0; i < interval; i++)
		data[i] = i * 167 >> 3;
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
	if (is_right(data, interval, crc_t10dif_in_section, crc_t10dif_alone) &&
	    is_right(data, interval, crc64_nvme_in_section, crc64_nvme_alone))
		static_branch_enable(&sections);
	kfree(data);
}

#else

#define crc_t10dif_in_section crc_t10dif_alone
#define crc64_nvme_in_section crc64_nvme_alone

static bool begin_section(void)
{
	return false;
}

static void end_section(void)
{
}

void sp_guards_init(void)
{
}

#endif

/* For each kind of guard a copy, so that nothing is called through a pointer. */
static __always_inline void each(const u8 *data, unsigned int interval, unsigned int count,
				 u64 *guards, guard_t *in_section, guard_t *alone)
{
	unsigned int i;

	/* One interval takes a section in any case. */
	if (count > 1 && begin_section()) {
		for (i = 0; i < count; i++)
			guards[i] = in_section(data + i * interval, interval);
		end_section();
		return;
	}
	for (i = 0; i < count; i++)
		guards[i] = alone(data + i * interval, interval);
}

void sp_crc_t10dif_each(const void *data, unsigned int interval,
			unsigned int count, u64 *guards)
{
	each(data, interval, count, guards, crc_t10dif_in_section, crc_t10dif_alone);
}

void sp_crc64_nvme_each(const void *data, unsigned int interval,
			unsigned int count, u64 *guards)
{
	each(data, interval, count, guards, crc64_nvme_in_section, crc64_nvme_alone);
}

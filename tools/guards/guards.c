// SPDX-License-Identifier: GPL-2.0
/*
 * How fast the kernel's T10 DIF CRC is, and ISA-L's, over the same memory.
 *
 * Prints, for each size of an interval, nanoseconds for an interval by each of
 * the kernel's functions that the processor can run, and by ISA-L, and the
 * ratio; in place, and with a copy: memcpy() before the kernel's functions, as
 * stable-pi has it, and ISA-L's function that does both in one pass. Each takes turns with the other, and the least of many rounds counts,
 * so that other work of the machine does not.
 */

#include <cpuid.h>
#include <isa-l/crc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
#define ____cacheline_aligned __attribute__((aligned(64)))
#define __maybe_unused __attribute__((unused))
/* Of the kernel. */
#include "crc-pclmul-consts.h"

u16 crc16_msb_pclmul_sse(u16 crc, const u8 *p, size_t len, const void *consts);
u16 crc16_msb_vpclmul_avx2(u16 crc, const u8 *p, size_t len, const void *consts);
u16 crc16_msb_vpclmul_avx512(u16 crc, const u8 *p, size_t len, const void *consts);

#define BYTES (64 << 10)
#define ROUNDS 4000

static u8 *data, *copy;

struct function {
	const char *name;
	u16 (*crc)(u16 crc, const u8 *p, size_t len, const void *consts);
	int there;
	double best;
};

static u16 isal(u16 crc, const u8 *p, size_t len, const void *consts)
{
	(void)consts;
	return crc16_t10dif(crc, p, len);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static u16 copied(const struct function *f, size_t at, size_t interval, const void *consts)
{
	if (f->crc == isal)
		return crc16_t10dif_copy(0, copy + at, data + at, interval);
	memcpy(copy + at, data + at, interval);
	return f->crc(0, copy + at, interval, consts);
}

/* once: nanoseconds for an interval, each with a guard of its own. */
static double once(const struct function *f, size_t interval, int copies, u16 *sum)
{
	const void *consts = crc16_msb_0x8bb7_consts.fold_across_128_bits_consts;
	double start = now();

	for (size_t at = 0; at < BYTES; at += interval)
		*sum += copies ? copied(f, at, interval, consts) : f->crc(0, data + at, interval, consts);
	return (now() - start) * interval / BYTES;
}

int main(void)
{
	static const size_t intervals[] = { 512, 4096 };
	struct function functions[] = {
		{ "kernel, sse", crc16_msb_pclmul_sse, __builtin_cpu_supports("pclmul"), 0 },
		{ "kernel, avx2", crc16_msb_vpclmul_avx2,
		  __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2"), 0 },
		{ "kernel, avx512", crc16_msb_vpclmul_avx512,
		  __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512bw") &&
		  __builtin_cpu_supports("avx512vl"), 0 },
		{ "ISA-L", isal, 1, 0 },
	};
	const size_t count = sizeof(functions) / sizeof(*functions);
	struct function *last = &functions[count - 1];

	data = aligned_alloc(4096, BYTES);
	copy = aligned_alloc(4096, BYTES);
	if (!data || !copy)
		return 1;
	srand(1);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = rand();
	for (size_t i = 0; i < 4; i++) {
		const size_t interval = intervals[i % 2];
		const int copies = i / 2;
		u16 expected = 0;

		once(last, interval, copies, &expected);
		for (size_t j = 0; j < count; j++)
			functions[j].best = 1e9;
		for (int round = 0; round < ROUNDS; round++)
			for (struct function *f = functions; f <= last; f++) {
				u16 sum = 0;
				double taken;

				if (!f->there)
					continue;
				taken = once(f, interval, copies, &sum);
				if (sum != expected) {
					fprintf(stderr, "guards: %s is wrong\n", f->name);
					return 1;
				}
				if (taken < f->best)
					f->best = taken;
			}
		for (struct function *f = functions; f <= last; f++)
			if (f->there)
				printf("%4zu bytes %-9s %-16s %7.1f ns %6.2f GB/s %6.2f of ISA-L's time\n", interval,
				       copies ? "copied" : "in place", f->name, f->best, interval / f->best,
				       f->best / last->best);
	}
	return 0;
}

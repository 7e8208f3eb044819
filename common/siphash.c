// SPDX-License-Identifier: Apache-2.0
/* siphash.c - a hash that outsiders cannot make collide */
#include "common/siphash.h"

#include <sys/random.h>

#include "common/util.h"

void siphash_secret(uint64_t secret[2])
{
	/* Early at boot there may be no entropy: then the key is made of
	 * values that differ from boot to boot. */
	if (getrandom(secret, 2 * sizeof(secret[0]), GRND_NONBLOCK) < 0)
		secret[0] = monotonic_us() ^ (uintptr_t)secret;
}

static uint64_t rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint64_t siphash(const uint64_t secret[2], const uint64_t *words, size_t n)
{
	uint64_t v[4] = {
		secret[0] ^ UINT64_C(0x736f6d6570736575),
		secret[1] ^ UINT64_C(0x646f72616e646f6d),
		secret[0] ^ UINT64_C(0x6c7967656e657261),
		secret[1] ^ UINT64_C(0x7465646279746573),
	};

	for (size_t i = 0; i < n; i++) {
		v[3] ^= words[i];
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

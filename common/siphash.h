/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.h - a hash that outsiders cannot make collide */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/** siphash_secret() - makes a new secret; each table has one of its own */
void siphash_secret(uint64_t secret[2]);

/** siphash() - SipHash-1-3 of Aumasson and Bernstein, for whole 64-bit words */
uint64_t siphash(const uint64_t secret[2], const uint64_t *words, size_t n);

#endif

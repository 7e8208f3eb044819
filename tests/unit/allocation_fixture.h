/* SPDX-License-Identifier: Apache-2.0 */
/* allocation_fixture.h - lets one allocation of a unit test's program fail */
#ifndef TESTS_UNIT_ALLOCATION_FIXTURE_H
#define TESTS_UNIT_ALLOCATION_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static unsigned int fail_allocation; /* from now on; 1: the next; 0: none */
static bool allocation_failed;

#ifdef __SANITIZE_ADDRESS__

/* The sanitizer's allocator cannot be stood in front of. */
#define CAN_FAIL_ALLOCATIONS false

#else

#define CAN_FAIL_ALLOCATIONS true

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static bool allocation_fails(void)
{
	if (fail_allocation == 0 || --fail_allocation > 0)
		return false;
	return allocation_failed = true;
}

void *malloc(size_t size)
{
	return allocation_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return allocation_fails() ? NULL : __libc_realloc(old, size);
}

#endif

#endif

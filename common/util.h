/* SPDX-License-Identifier: Apache-2.0 */
/* util.h - scope-bound cleanup and the few macros that every layer uses */
#ifndef COMMON_UTIL_H
#define COMMON_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* Moves a pointer or descriptor out of a cleanup variable. The argument is
 * evaluated once. */
#define TAKE_PTR(p)                                 \
	({                                          \
		__typeof__(p) *take_place_ = &(p);  \
		__typeof__(p) take_ = *take_place_; \
		*take_place_ = NULL;                \
		take_;                              \
	})
#define TAKE_FD(fd)                       \
	({                                \
		int *take_place_ = &(fd); \
		int take_ = *take_place_; \
		*take_place_ = -1;        \
		take_;                    \
	})

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Closes *fd unless it is -1; errno is what it was before. */
static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing useful can be done on failure */
	errno = saved;
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* readers only: no data can be lost */
}

/* The monotonic clock in microseconds; never 0. */
static inline uint64_t monotonic_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail: Linux */
	return (uint64_t)ts.tv_sec * USEC_PER_SEC +
	       (uint64_t)ts.tv_nsec / 1000 + 1;
}

/* When a moment of the wall clock was, by the monotonic clock; never 0. One
 * before the boot, or after now, is taken for the boot: the wall clock was set
 * since then, and nobody knows how old the thing is. */
static inline uint64_t monotonic_of_us(int64_t sec, uint32_t nsec)
{
	const int64_t per_sec = (int64_t)USEC_PER_SEC;
	int64_t since_boot = (int64_t)monotonic_us(), age;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail: Linux */
	if (sec > now.tv_sec || now.tv_sec - sec > since_boot / per_sec)
		return 1;
	age = (now.tv_sec - sec) * per_sec +
	      (now.tv_nsec - (int64_t)nsec) / 1000;
	return age < 0 || age >= since_boot ? 1 : (uint64_t)(since_boot - age);
}

#endif

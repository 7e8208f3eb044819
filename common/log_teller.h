/* SPDX-License-Identifier: Apache-2.0 */
/* log_teller.h - log_subjects for a program with an event loop */
#ifndef COMMON_LOG_TELLER_H
#define COMMON_LOG_TELLER_H

#include <stdbool.h>
#include <stdint.h>

struct log_teller;
struct loop;

/**
 * log_teller_new() - allows @burst lines of each subject in @interval_us, and
 * says by a timer how many were held back
 *
 * Return: 0 or -ENOMEM.
 */
int log_teller_new(struct loop *loop, uint64_t interval_us, unsigned int burst,
		   struct log_teller **ret_teller);

/** log_teller_ok() - may another line be printed about what @fmt makes? */
bool log_teller_ok(struct log_teller *teller, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** log_teller_free() - returns NULL; NULL is fine */
struct log_teller *log_teller_free(struct log_teller *teller);

#endif

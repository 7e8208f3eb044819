/* SPDX-License-Identifier: Apache-2.0 */
/* top.h - `berthctl top`: what berth does, as it happens */
#ifndef CTL_TOP_TOP_H
#define CTL_TOP_TOP_H

#include <stdbool.h>

#include "ctl/exit_code.h"

/**
 * struct top_options - as on the command line
 * @view:	what stands behind the command, or NULL
 * @sort, @interval: of the options, or NULL
 * @json:	prints one sample, with the rates of one interval, and ends
 */
struct top_options {
	const char *view;
	const char *sort;
	const char *interval;
	bool json;
};

/**
 * top_run() - shows it until it is told to end, and says on stderr why it
 * cannot
 * @path:	of berthd's control socket
 *
 * The terminal is as it was when it returns.
 * Return: 0; -errno: berthd cannot be reached to begin with, of which nothing
 * was said.
 */
int top_run(const char *path, const struct top_options *options,
	    enum exit_code *ret_code);

#endif

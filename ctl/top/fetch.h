/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - asks berthd for a sample */
#ifndef CTL_TOP_FETCH_H
#define CTL_TOP_FETCH_H

#include "ctl/exit_code.h"
#include "ctl/top/model.h"

#define TOP_FAILURE_MAX 256

/**
 * struct top_failure - why there is no sample
 * @error:	-errno of talking to berthd; 0: it has answered, and refuses
 * @code:	what the exit status says of it
 * @text:	for people: what it says, or the errno in words; any bytes
 */
struct top_failure {
	int error;
	enum exit_code code;
	char text[TOP_FAILURE_MAX];
};

/**
 * top_fetch() - calls berthd and waits for its answers
 * @path:	of its control socket
 * @ret_sample:	the caller's, not finished; NULL on failure
 *
 * Blocks, for half a minute at most while nothing comes.
 * Return: 0; -1, with *@ret_failure filled in.
 */
int top_fetch(const char *path, struct top_sample **ret_sample,
	      struct top_failure *ret_failure);

#endif

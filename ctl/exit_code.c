// SPDX-License-Identifier: Apache-2.0
/* exit_code.c - what berthctl's exit status says */
#include "ctl/exit_code.h"

#include <stdio.h>
#include <string.h>

#include "common/util.h"

enum exit_code exit_code_finish(int r)
{
	if (fflush(stdout) != 0 || ferror(stdout) || r == -EIO) {
		(void)fprintf(stderr, "berthctl: cannot write: %s\n",
			      strerror(errno));
		return EXIT_BAD;
	}
	if (r < 0) {
		(void)fprintf(stderr, "berthctl: %s\n", strerror(-r));
		return EXIT_BAD;
	}
	return (enum exit_code)r;
}

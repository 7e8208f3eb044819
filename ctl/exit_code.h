/* SPDX-License-Identifier: Apache-2.0 */
/* exit_code.h - what berthctl's exit status says */
#ifndef CTL_EXIT_CODE_H
#define CTL_EXIT_CODE_H

enum exit_code {
	EXIT_OK = 0,
	EXIT_BAD = 1, /* problems were found, or what was asked for does not
			 exist */
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3, /* berthd did not answer */
	EXIT_NOT_READY = 4, /* not all listeners are listening */
	EXIT_NOT_PERMITTED = 5,
	EXIT_LIMIT = 6, /* berthd has as many as it takes */
};

/**
 * exit_code_finish() - writes out what is buffered for stdout
 * @r:		0; an exit code, for what was asked for is bad, not there or
 *		not ready; -errno of showing it
 *
 * Says on stderr what could not be shown.
 * Return: the exit code.
 */
enum exit_code exit_code_finish(int r);

#endif

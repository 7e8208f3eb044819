/* SPDX-License-Identifier: Apache-2.0 */
/* complain.h - the one line on stderr that says what went wrong */
#ifndef HOOK_COMPLAIN_H
#define HOOK_COMPLAIN_H

/**
 * complain() - says it, unless something was said before
 *
 * The first problem explains those behind it, and runtimes show the line to
 * people who started a container: it is one, and short. What is not printable
 * ASCII becomes '?', because names come from strangers.
 */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

#endif

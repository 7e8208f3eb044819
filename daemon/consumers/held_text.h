/* SPDX-License-Identifier: Apache-2.0 */
/* held_text.h - `held` as nearly all consumers write it, read where it lies
 *
 * After a restart it comes for each of thousands of listeners, and berthd is
 * ready when it has read them all. To make a tree of each takes a third of that
 * time.
 */
#ifndef DAEMON_CONSUMERS_HELD_TEXT_H
#define DAEMON_CONSUMERS_HELD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct held_members - what `held` says
 * @protocol, @address, @rule: borrowed
 */
struct held_members {
	int64_t id;
	int64_t netns_id;
	const char *protocol;
	const char *address;
	const char *rule;
	int64_t port;
	bool draining;
};

/** held_text_likely() - does the text look like a `held`? */
bool held_text_likely(const char *text, size_t len);

/**
 * held_text_read() - reads a plain `held`
 * @text:	is changed; strings in *@members lie in it
 * @members:	what is not said stays as it is
 *
 * Plain is an object of integers, booleans, and strings of printable ASCII
 * without escape sequences, no two of its members with the same name. Whatever
 * is plain, any JSON parser reads the same.
 * Return: 0; -EOPNOTSUPP: it is not plain, or no `held`: it may be JSON, and
 * @text and *@members are of no use.
 */
int held_text_read(char *text, size_t len, struct held_members *members);

#endif

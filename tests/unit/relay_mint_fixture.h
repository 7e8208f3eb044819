/* SPDX-License-Identifier: Apache-2.0 */
/* relay_mint_fixture.h - a relay that asks the test for sockets */
#ifndef TESTS_UNIT_RELAY_MINT_FIXTURE_H
#define TESTS_UNIT_RELAY_MINT_FIXTURE_H

#include "relay_fixture.h"

#define LISTENER_ID 7

/* Return: the number of the question that comes, or 0 when none does. */
static inline unsigned long long question(int wait_ms)
{
	unsigned long long request, id;
	unsigned int to;
	char text[256];

	if (!berthd_hears(text, sizeof(text), wait_ms))
		return 0;
	assert_int_equal(sscanf(text,
				"{\"type\":\"socket\",\"request\":%llu,"
				"\"id\":%llu,\"to\":%u}",
				&request, &id, &to),
			 3);
	assert_int_equal(id, LISTENER_ID);
	assert_int_equal(to, 0);
	return request;
}

/* Answers with a socket in namespace 5. Return: berthd's copy of it. */
static inline int answer_with(unsigned long long request, int type)
{
	char text[128];
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"netns\":5}",
		       request);
	berthd_says(text, fd);
	return fd;
}

static inline void expect_closed(const char *netns_id)
{
	char text[128], expected[128];

	(void)snprintf(expected, sizeof(expected),
		       "{\"type\":\"netns_closed\",\"netns\":%s}", netns_id);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_string_equal(text, expected);
}

#endif

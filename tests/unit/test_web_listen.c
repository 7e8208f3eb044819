// SPDX-License-Identifier: Apache-2.0
/* test_web_listen.c - where berth-web listens */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/util.h"
#include "web/listen.h"

static const struct {
	const char *text;
	int family; /* AF_UNSPEC: it is refused */
	bool local;
} addresses[] = {
	{ "127.0.0.1:10390", AF_INET, true },
	{ "127.9.9.9:1", AF_INET, true },
	{ "0.0.0.0:65535", AF_INET, false },
	{ "192.0.2.1:80", AF_INET, false },
	{ "[::1]:80", AF_INET6, true },
	{ "[::]:80", AF_INET6, false },
	{ "[fd00::1]:80", AF_INET6, false },
	{ "unix:/run/x.sock", AF_UNIX, true },
	{ "", AF_UNSPEC, false },
	{ "80", AF_UNSPEC, false },
	{ ":80", AF_UNSPEC, false },
	{ "127.0.0.1", AF_UNSPEC, false },
	{ "127.0.0.1:", AF_UNSPEC, false },
	{ "127.0.0.1:0", AF_UNSPEC, false },
	{ "127.0.0.1:65536", AF_UNSPEC, false },
	{ "127.0.0.1:8x", AF_UNSPEC, false },
	{ "127.0.0.1: 8", AF_UNSPEC, false },
	{ "localhost:80", AF_UNSPEC, false },
	{ "::1:80", AF_UNSPEC, false },
	{ "[::1]", AF_UNSPEC, false },
	{ "[::1", AF_UNSPEC, false },
	{ "[127.0.0.1]:80", AF_UNSPEC, false },
	{ "[0000:0000:0000:0000:0000:0000:0000:0000:0001]:80", AF_UNSPEC,
	  false },
	{ "unix:", AF_UNSPEC, false },
	{ "unix:x.sock", AF_UNSPEC, false },
	{ "unix:@x", AF_UNSPEC, false },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct listen_address address = { .len = 0 };
		int r = listen_address_parse(addresses[i].text, &address);

		if (r != (addresses[i].family ? 0 : -EINVAL) ||
		    address.storage.ss_family != addresses[i].family)
			fail_msg("'%s': %d", addresses[i].text, r);
		if (r == 0 && listen_is_local(&address) != addresses[i].local)
			fail_msg("'%s': local or not", addresses[i].text);
	}
}

static void test_long_path(void **state)
{
	struct listen_address address;
	char text[sizeof("unix:") + sizeof(struct sockaddr_un)] = "unix:/";
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	(void)state;
	memset(text + strlen(text), 'a', max);
	text[strlen("unix:") + max] = '\0';
	assert_int_equal(listen_address_parse(text, &address), 0);
	text[strlen("unix:") + max] = 'a';
	assert_int_equal(listen_address_parse(text, &address), -EINVAL);
}

/* One that nobody listens at is replaced, all else stays. */
static void test_unix(void **state)
{
	char dir[] = "/tmp/berth-test-XXXXXX", text[64];
	const char *path = text + strlen("unix:");
	struct listen_address address;
	struct stat info;
	int first, second;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(text, sizeof(text), "unix:%s/x.sock", dir);
	assert_int_equal(listen_address_parse(text, &address), 0);
	first = listen_open(&address);
	assert_true(first >= 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0660);
	assert_int_equal(listen_open(&address), -EADDRINUSE);
	(void)close(first);
	second = listen_open(&address);
	assert_true(second >= 0);
	(void)close(second);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(listen_open(&address), -EADDRINUSE);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(listen_open(&address), -ENOENT);
}

static void test_not_inherited(void **state)
{
	struct listen_address address;

	(void)state;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	assert_int_equal(listen_inherited(&address), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_not_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

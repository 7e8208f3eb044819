// SPDX-License-Identifier: Apache-2.0
/* test_varlink_server.c - the socket that a Varlink server's clients connect to
 */
#include "tests/unit/varlink_fixture.h"

#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/control/varlink_server.h"

static struct varlink_server *server;

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* Does the server answer what comes in at @fd? */
static void assert_served(int fd)
{
	static const char call[] = "{\"method\": \"org.example.test.Echo\"}";
	char reply[64];
	ssize_t n = -1;

	assert_int_equal(send(fd, call, sizeof(call), MSG_NOSIGNAL),
			 (ssize_t)sizeof(call));
	while (n < 0) {
		run_for_us(0);
		n = recv(fd, reply, sizeof(reply), MSG_DONTWAIT);
		assert_true(n > 0 || errno == EAGAIN);
	}
	assert_string_equal(reply, "{\"parameters\":{\"text\":null}}");
}

/* A directory, and what is in it, also when an assertion failed. */
static struct {
	char dir[sizeof("/tmp/berth-test-varlink-XXXXXX")];
	char path[64];
	char other[64];
	mode_t umask;
} place;

static int setup_place(void **state)
{
	strcpy(place.dir, "/tmp/berth-test-varlink-XXXXXX");
	assert_non_null(mkdtemp(place.dir));
	(void)sprintf(place.path, "%s/control.sock", place.dir);
	(void)sprintf(place.other, "%s/file", place.dir);
	place.umask = umask(0);
	setup(state);
	assert_int_equal(
		varlink_server_new(bench.loop, &interface, NULL, &server), 0);
	return 0;
}

static int teardown_place(void **state)
{
	server = varlink_server_free(server);
	(void)umask(place.umask);
	(void)unlink(place.path);
	(void)unlink(place.other);
	(void)rmdir(place.dir);
	return teardown(state);
}

static const struct socket_access ours = {
	.uid = (uid_t)-1,
	.gid = (gid_t)-1,
	.mode = SOCKET_MODE_PRIVATE,
};

#define USER 12345

/* Connects as the user, with the group. */
static int connect_as(const char *path, gid_t gid)
{
	int fd;

	assert_int_equal(setegid(gid), 0);
	assert_int_equal(seteuid(USER), 0);
	fd = connect_to(path);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	return fd;
}

static void assert_not_served(int fd)
{
	ssize_t n;
	char byte;

	assert_true(fd >= 0);
	run_for_us(10 * USEC_PER_MSEC);
	n = recv(fd, &byte, 1, MSG_DONTWAIT);
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	(void)close(fd);
}

/* A user of the group is let in as long as owner, group and mode say so. */
static void test_access(void **state)
{
	const struct socket_access group = { .uid = 0,
					     .gid = USER,
					     .mode = SOCKET_MODE_GROUP };
	struct stat st;
	int fd, waiting;

	(void)state;
	if (geteuid() != 0)
		skip();
	(void)chmod(place.dir, 0755);
	assert_int_equal(varlink_server_listen(server, place.path, &group), 0);
	assert_int_equal(stat(place.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, USER);
	assert_int_equal(connect_as(place.path, 77), -1);
	fd = connect_as(place.path, USER);
	assert_true(fd >= 0);
	assert_served(fd);
	/* The next one connects, and is looked at when the access is gone. */
	waiting = connect_as(place.path, USER);
	varlink_server_set_access(server, &ours);
	assert_int_equal(stat(place.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_gid, 0);
	assert_not_served(fd);
	assert_not_served(waiting);
	assert_int_equal(connect_as(place.path, USER), -1);
	fd = connect_to(place.path);
	assert_served(fd);
	(void)close(fd);
}

static void test_listen(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(varlink_server_listen(server, place.path, &ours), 0);
	assert_int_equal(stat(place.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(umask(0), 0);
	fd = connect_to(place.path);
	assert_true(fd >= 0);
	assert_served(fd);
	(void)close(fd);
	server = varlink_server_free(server);
	assert_int_equal(access(place.path, F_OK), -1);
}

/* What a killed server left makes way, and nothing else does. */
static void test_listen_in_place_of(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *f;

	(void)state;
	f = fopen(place.other, "w");
	assert_non_null(f);
	(void)fclose(f);
	assert_int_equal(varlink_server_listen(server, place.other, &ours),
			 -EADDRINUSE);
	assert_int_equal(access(place.other, F_OK), 0);

	strcpy(address.sun_path, place.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	(void)close(fd);
	assert_int_equal(connect_to(place.path), -1);
	assert_int_equal(varlink_server_listen(server, place.path, &ours), 0);
	fd = connect_to(place.path);
	assert_served(fd);
	(void)close(fd);
}

static void test_listen_fails(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(varlink_server_listen(server, path, &ours),
			 -ENAMETOOLONG);
	assert_int_equal(
		varlink_server_listen(server, "/nonexistent/berth/sock", &ours),
		-ENOENT);
}

#define PLACE_TEST(f) \
	cmocka_unit_test_setup_teardown(f, setup_place, teardown_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_listen),
		PLACE_TEST(test_access),
		PLACE_TEST(test_listen_in_place_of),
		PLACE_TEST(test_listen_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

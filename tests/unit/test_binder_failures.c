// SPDX-License-Identifier: Apache-2.0
/* test_binder_failures.c - the binder when the kernel or memory refuses
 *
 * The test defines the system calls that the binder makes for a listener, in
 * front of the real ones, so that each of them can be told to fail. SCTP
 * sockets are TCP sockets underneath: the tests look at which calls are made.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "allocation_fixture.h"
#include "binder_fixture.h"
#include "common/log.h"
#include "common/netns_enter.h"

/**
 * struct injected - positive errno of each call, 0: works
 * @socket_error: for sockets of @socket_domain, or of all if that is 0
 * @bind_error:	for wildcard IPv6 binds alone
 * @bindx_told:	"+10.0.0.1 -10.0.0.2": what sctp_bindx(3) was asked for
 * @visits:	calls of netns_sockets()
 * @visit_us:	how long each of them takes
 * @sysctl:	what each file of /proc/sys/net holds
 * @sctp_options: how many options of SCTP were set, but streams
 */
static struct injected {
	int enter_error;
	int socket_error;
	int socket_domain;
	int bind_error;
	int listen_error;
	int bindx_error;
	char bindx_told[256];
	unsigned int visits;
	uint64_t visit_us;
	int64_t sysctl;
	unsigned int sctp_options;
} injected;

int netns_enter_init(void)
{
	return 0;
}

int netns_cookie(int netns_fd, uint64_t *ret_cookie)
{
	(void)netns_fd;
	*ret_cookie = 1;
	return 0;
}

int netns_sockets(int netns_fd, struct netns_socket *sockets, size_t n)
{
	(void)netns_fd;
	injected.visits++;
	fixture_clock_us += injected.visit_us;
	if (injected.enter_error)
		return -injected.enter_error;
	for (size_t i = 0; i < n; i++) {
		sockets[i].error = 0;
		if (injected.socket_error &&
		    (!injected.socket_domain ||
		     sockets[i].domain == injected.socket_domain)) {
			sockets[i].fd = -1;
			sockets[i].error = injected.socket_error;
			continue;
		}
		if (sockets[i].protocol == IPPROTO_SCTP)
			sockets[i].protocol = IPPROTO_TCP;
		sockets[i].fd =
			socket(sockets[i].domain,
			       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			       sockets[i].protocol);
		assert_true(sockets[i].fd >= 0);
	}
	return 0;
}

int netns_numbers(int netns_fd, struct netns_number *numbers, size_t n)
{
	(void)netns_fd;
	if (injected.enter_error)
		return -injected.enter_error;
	for (size_t i = 0; i < n; i++)
		numbers[i].value = injected.sysctl;
	return 0;
}

int bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;

	if (injected.bind_error && sa->sa_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)) {
		errno = injected.bind_error;
		return -1;
	}
	return (int)syscall(SYS_bind, fd, sa, len);
}

int listen(int fd, int backlog)
{
	if (injected.listen_error) {
		errno = injected.listen_error;
		return -1;
	}
	return (int)syscall(SYS_listen, fd, backlog);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == IPPROTO_SCTP) {
		injected.sctp_options += option != SCTP_INITMSG;
		return 0;
	}
	return (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

int sctp_bindx(int fd, struct sockaddr *addrs, int n, int flags)
{
	size_t used = strlen(injected.bindx_told);
	const uint8_t *p = (const uint8_t *)addrs;

	(void)fd;
	if (injected.bindx_error) {
		errno = injected.bindx_error;
		return -1;
	}
	for (int i = 0; i < n; i++) {
		struct sockaddr_storage sa = { 0 };
		char text[IP_TEXT_MAX];
		struct ip_addr addr;
		uint16_t port;
		sa_family_t family;
		size_t len;

		memcpy(&family, p, sizeof(family));
		len = family == AF_INET ? sizeof(struct sockaddr_in)
					: sizeof(struct sockaddr_in6);
		memcpy(&sa, p, len);
		p += len;
		assert_int_equal(ip_addr_from_sockaddr(&sa, &addr, &port), 0);
		assert_int_equal(port, 36412);
		used += (size_t)snprintf(injected.bindx_told + used,
					 sizeof(injected.bindx_told) - used,
					 "%s%c%s", used ? " " : "",
					 flags == SCTP_BINDX_ADD_ADDR ? '+'
								      : '-',
					 ip_addr_fmt(&addr, text));
	}
	return 0;
}

static int setup(void **state)
{
	static struct fixture fixture;

	injected = (struct injected){ 0 };
	fixture_init(&fixture, 1000, FIXTURE_RETRY_MIN_US);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	injected = (struct injected){ 0 };
	fixture_done(*state);
	return 0;
}

static sa_family_t bound_family(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return sa.ss_family;
}

static void test_any_without_ipv6_in_the_kernel(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[2];

	injected.socket_error = EAFNOSUPPORT;
	injected.socket_domain = AF_INET6;
	specs[0] = spec_make(PROTOCOL_TCP, "any", 8080);
	specs[1] = spec_make(PROTOCOL_TCP, "any6", 8081);
	apply(f, 1, specs, 2);
	assert_told(f, "+8080");
	assert_int_equal(bound_family(first(f, 1)->fd), AF_INET);
	assert_int_equal(injected.visits, 2);
	/* any6 has nothing to fall back to. */
	assert_string_equal(binder_next(f->binder, first(f, 1))->reason,
			    "this kernel has no IPv6");
	/* It is known from now on. */
	apply_one(f, 3, spec_make(PROTOCOL_TCP, "any", 8082));
	assert_told(f, "+8082");
	assert_int_equal(injected.visits, 3);
}

static void test_any_without_ipv6_in_the_namespace(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[2];

	injected.bind_error = EADDRNOTAVAIL;
	specs[0] = spec_make(PROTOCOL_TCP, "any", 8080);
	specs[1] = spec_make(PROTOCOL_TCP, "any6", 8081);
	apply(f, 1, specs, 2);
	assert_told(f, "+8080");
	assert_int_equal(bound_family(first(f, 1)->fd), AF_INET);
	/* Another namespace may have it. */
	injected.bind_error = 0;
	apply_one(f, 3, spec_make(PROTOCOL_TCP, "any", 8082));
	assert_int_equal(bound_family(first(f, 3)->fd), AF_INET6);
}

static void test_reasons(void **state)
{
	static const struct {
		enum protocol protocol;
		struct injected injected;
		int error;
		const char *reason;
	} cases[] = {
		{ PROTOCOL_SCTP,
		  { .socket_error = EPROTONOSUPPORT },
		  EPROTONOSUPPORT,
		  "modprobe sctp" },
		{ PROTOCOL_SCTP_SEQPACKET,
		  { .socket_error = ESOCKTNOSUPPORT },
		  ESOCKTNOSUPPORT,
		  "modprobe sctp" },
		{ PROTOCOL_SCTP,
		  { .listen_error = ENOSYS },
		  ENOSYS,
		  "net.sctp.cookie_hmac_alg=none" },
		{ PROTOCOL_TCP,
		  { .listen_error = ENOSYS },
		  ENOSYS,
		  "cannot listen: Function not implemented" },
		{ PROTOCOL_MPTCP,
		  { .socket_error = EPROTONOSUPPORT },
		  EPROTONOSUPPORT,
		  "CONFIG_MPTCP" },
		{ PROTOCOL_MPTCP,
		  { .socket_error = ENOPROTOOPT },
		  ENOPROTOOPT,
		  "net.mptcp.enabled=1" },
		{ PROTOCOL_TCP,
		  { .socket_error = EMFILE },
		  EMFILE,
		  "LimitNOFILE=" },
		{ PROTOCOL_TCP,
		  { .socket_error = ENFILE },
		  ENFILE,
		  "fs.file-max" },
		{ PROTOCOL_TCP,
		  { .socket_error = ENOBUFS },
		  ENOBUFS,
		  "out of memory" },
		{ PROTOCOL_TCP,
		  { .enter_error = EPERM },
		  EPERM,
		  "CAP_SYS_ADMIN" },
		{ PROTOCOL_TCP,
		  { .enter_error = EINVAL },
		  EINVAL,
		  "cannot be entered: Invalid argument" },
	};
	struct fixture *f = *state;
	struct listener *l;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		injected = cases[i].injected;
		apply_one(f, 1, spec_make(cases[i].protocol, "any4", 8080));
		l = first(f, 1);
		assert_int_equal(l->state, LISTENER_WAITING);
		assert_int_equal(l->error, cases[i].error);
		assert_non_null(strstr(l->reason, cases[i].reason));
		assert_int_equal(l->fd, -1);
		/* What it waited for comes, and it needs nobody's help. */
		injected = (struct injected){ 0 };
		assert_true(fixture_run(f, 3 * USEC_PER_SEC, all_open));
		assert_told(f, "+8080");
		binder_forget(f->binder, 1);
		f->told[0] = '\0';
	}
}

/* Without descriptors, thousands of rows cost one attempt per pause. */
static void test_no_descriptors(void **state)
{
	struct fixture *f = *state;
	unsigned int visits;

	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 8000));
	injected.socket_error = EMFILE;
	for (uint16_t i = 0; i < 200; i++)
		apply_one(f, 10 + i, spec_make(PROTOCOL_TCP, "any", 9000 + i));
	visits = injected.visits;
	fixture_tick(f, 4 * FIXTURE_RETRY_MAX_US);
	/* After 20, 40, 80, 80 and 80 ms. */
	assert_int_equal(injected.visits - visits, 5);
	/* One of ours closes: the pause is over. */
	injected.socket_error = 0;
	f->told[0] = '\0';
	binder_forget(f->binder, 1);
	assert_true(fixture_run(f, FIXTURE_RETRY_MIN_US, all_open));
}

/* Events cause another attempt after ten times as long as the last one took. */
static void test_slow_attempts_are_rare(void **state)
{
	struct fixture patient, *f = &patient;

	(void)state;
	fixture_init(f, 10, 60 * USEC_PER_SEC);
	injected.enter_error = EPERM;
	injected.visit_us = 5 * USEC_PER_MSEC;
	for (int i = 0; i < 3; i++)
		apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 8080));
	assert_int_equal(injected.visits, 1);
	assert_int_equal(first(f, 1)->next_attempt_us,
			 loop_now_us(f->loop) + 10 * injected.visit_us);
	fixture_done(f);
}

static void test_open_netns_without_descriptors(void **state)
{
	struct fixture *f = *state;

	f->open_error = -EMFILE;
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 8080));
	assert_int_equal(first(f, 1)->error, EMFILE);
	assert_non_null(strstr(first(f, 1)->reason, "LimitNOFILE="));
	f->open_error = 0;
	assert_true(fixture_run(f, USEC_PER_SEC, all_open));
}

/* @list: addresses with spaces between */
static struct listener_spec spec_multihomed(const char *list)
{
	struct listener_spec spec = spec_make(PROTOCOL_SCTP, "any", 36412);
	_cleanup_free_ char *copy = strdup(list);

	spec.endpoint.multihomed = 1;
	for (char *text = strtok(copy, " "); text; text = strtok(NULL, " ")) {
		spec.addrs = reallocarray(spec.addrs, spec.n_addrs + 1,
					  sizeof(*spec.addrs));
		assert_non_null(spec.addrs);
		assert_int_equal(
			ip_addr_parse(text, &spec.addrs[spec.n_addrs++]), 0);
	}
	return spec;
}

static void test_multihomed(void **state)
{
	static const struct {
		const char *addrs, *bindx, *told;
		int bindx_error;
	} steps[] = {
		{ "10.0.0.1 10.0.0.2", "+10.0.0.1 +10.0.0.2", "+36412", 0 },
		{ "10.0.0.1 10.0.0.2", "", "", 0 },
		{ "10.0.0.2 10.0.0.3", "+10.0.0.3 -10.0.0.1", "~36412", 0 },
		/* The last old one goes only after the new one is there. */
		{ "fd00::1", "+fd00::1 -10.0.0.2 -10.0.0.3", "~36412", 0 },
		{ "fd00::1 10.0.0.9", "", "-36412", EADDRNOTAVAIL },
		{ "10.0.0.9", "+10.0.0.9", "+36412", 0 },
		{ "", "", "-36412", 0 },
	};
	struct fixture *f = *state;
	uint64_t id = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		fixture_tick(f, 11 * USEC_PER_MSEC); /* past the quiet time */
		/* An attempt meanwhile failed as the last one did. */
		injected.bindx_told[0] = '\0';
		injected.bindx_error = steps[i].bindx_error;
		apply_one(f, 1, spec_multihomed(steps[i].addrs));
		assert_string_equal(injected.bindx_told, steps[i].bindx);
		assert_told(f, steps[i].told);
		if (i == 0)
			id = first(f, 1)->id;
		else if (i < 4)
			assert_int_equal(first(f, 1)->id, id);
	}
	assert_null(binder_next(f->binder, NULL));
}

static bool sctp_options_set(struct fixture *f)
{
	(void)f;
	return injected.sctp_options > 0;
}

/* It could not be looked before the listener was opened: nobody knows which
 * ones it has. */
static void test_sctp_listeners_opened_before_the_first_look(void **state)
{
	struct fixture *f = *state;

	injected.sysctl = 10;
	f->open_error = -EMFILE;
	apply_one(f, 1, spec_make(PROTOCOL_SCTP, "any", 36412));
	f->open_error = 0;
	assert_true(fixture_run(f, USEC_PER_SEC, all_open));
	assert_false(sctp_options_set(f));
	injected.sysctl = 11;
	assert_true(fixture_run(f, 5 * USEC_PER_SEC, sctp_options_set));
}

static void test_sctp_listeners_follow_sysctls(void **state)
{
	struct fixture *f = *state;

	injected.sysctl = 10;
	apply_one(f, 1, spec_make(PROTOCOL_SCTP, "any", 36412));
	assert_told(f, "+36412");
	apply_one(f, 1, spec_make(PROTOCOL_SCTP, "any", 36412));
	assert_int_equal(injected.sctp_options, 0);
	/* An event of the namespace. */
	injected.sysctl = 11;
	apply_one(f, 1, spec_make(PROTOCOL_SCTP, "any", 36412));
	assert_true(sctp_options_set(f));
	/* A namespace that cannot be entered now is looked at again; and no
	 * event is needed for that. */
	injected.sctp_options = 0;
	injected.sysctl = 12;
	injected.enter_error = EMFILE;
	apply_one(f, 1, spec_make(PROTOCOL_SCTP, "any", 36412));
	assert_false(sctp_options_set(f));
	injected.enter_error = 0;
	assert_true(fixture_run(f, 5 * USEC_PER_SEC, sctp_options_set));
	assert_told(f, "");
	/* Other protocols have no such thing. */
	injected.sctp_options = 0;
	injected.sysctl = 13;
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 36412));
	assert_told(f, "-36412 +36412");
	fixture_tick(f, USEC_PER_SEC / 20);
	assert_int_equal(injected.sctp_options, 0);
}

static void make_specs(struct listener_spec *specs)
{
	specs[0] = spec_make(PROTOCOL_TCP, "any", 8080);
	specs[1] = spec_make(PROTOCOL_TCP, "any4", 8080);
	specs[2] = spec_multihomed("10.0.0.1 10.0.0.2");
}

/* Each allocation fails in turn; with memory back, everything is open. */
static void test_no_memory(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[3];
	struct binder_stats stats;
	unsigned int at = 0;
	int r;

	if (!CAN_FAIL_ALLOCATIONS)
		skip();
	do {
		make_specs(specs);
		allocation_failed = false;
		fail_allocation = ++at;
		r = binder_apply(f->binder, 1, specs, 3);
		fail_allocation = 0;
		assert_true(r == 0 || r == -ENOMEM);
		for (size_t i = 0; i < 3; i++)
			listener_spec_done(&specs[i]);
		fixture_tick(f, 11 * USEC_PER_MSEC);
		make_specs(specs);
		apply(f, 1, specs, 3);
		/* One of the first two is in the other's way. */
		binder_get_stats(f->binder, &stats);
		assert_int_equal(stats.open, 2);
		assert_int_equal(stats.waiting, 1);
		binder_forget(f->binder, 1);
	} while (allocation_failed);
	assert_in_range(at, 8, 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_any_without_ipv6_in_the_kernel),
		TEST(test_any_without_ipv6_in_the_namespace),
		TEST(test_reasons),
		TEST(test_no_descriptors),
		TEST(test_slow_attempts_are_rare),
		TEST(test_open_netns_without_descriptors),
		TEST(test_multihomed),
		TEST(test_sctp_listeners_follow_sysctls),
		TEST(test_sctp_listeners_opened_before_the_first_look),
		TEST(test_no_memory),
	};

	if (unshare(CLONE_NEWNET) < 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		puts("0 PASSED: all SKIPPED, no network namespace to bind in");
		return 0;
	}
	log_init("test_binder_failures", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

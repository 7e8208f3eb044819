// SPDX-License-Identifier: Apache-2.0
/* world.c - namespaces for the benchmark, made, counted and removed
 *
 *   world make DIR COUNT		nFIRST from 0, with lo up
 *   world remove DIR			all that are there
 *   world churn DIR FIRST SECONDS ALIVE
 *	makes and removes as fast as it can; prints the next FIRST
 *   world verify DIR PORT...
 *	connects to each port in each namespace, then waits for an answer on
 *	each connection; prints "tried T refused R answered A end NS", NS
 *	being the monotonic clock at the last answer
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>

#define NS_PER_SEC UINT64_C(1000000000)
#define ANSWER_TIMEOUT_MS 5000

static void name_of(char *name, unsigned int i)
{
	snprintf(name, BENCH_NAME_MAX, "n%u", i);
}

static void make(const char *dir, unsigned int n)
{
	char name[BENCH_NAME_MAX];

	for (unsigned int i = 0; i < n; i++) {
		name_of(name, i);
		bench_netns_make(dir, name);
	}
}

/* Calls @each with the name of every namespace in the directory. */
static void for_each(const char *path,
		     void (*each)(const char *path, const char *name,
				  char **argv),
		     char **argv)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		bench_die("%s", path);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			each(path, entry->d_name, argv);
	}
	closedir(dir);
}

static void remove_one(const char *path, const char *name, char **argv)
{
	(void)argv;
	bench_netns_remove(path, name);
}

static void churn(const char *dir, char **argv)
{
	unsigned int i = bench_number(argv[0]), alive = bench_number(argv[2]);
	uint64_t end_ns = bench_now_ns() + bench_number(argv[1]) * NS_PER_SEC;
	char name[BENCH_NAME_MAX];

	while (bench_now_ns() < end_ns) {
		name_of(name, i);
		bench_netns_make(dir, name);
		if (i >= alive) {
			name_of(name, i - alive);
			bench_netns_remove(dir, name);
		}
		i++;
	}
	printf("%u\n", i);
}

static struct {
	struct pollfd *conns;
	size_t n, tried, refused, answered;
	uint64_t end_ns;
} verified;

static void connect_one(const char *path, const char *name, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int netns_fd = bench_netns_open(path, name), fd;

	if (netns_fd < 0)
		bench_die("%s/%s", path, name);
	bench_netns_enter(netns_fd);
	for (; *argv; argv++) {
		sa.sin_port = htons((uint16_t)bench_number(*argv));
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		verified.tried++;
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
			verified.refused++;
			close(fd);
			continue;
		}
		verified.conns = reallocarray(verified.conns, verified.n + 1,
					      sizeof(*verified.conns));
		verified.conns[verified.n++] =
			(struct pollfd){ .fd = fd, .events = POLLIN };
	}
	close(netns_fd);
}

static void wait_answers(void)
{
	char answer[16];

	while (verified.answered < verified.n &&
	       poll(verified.conns, verified.n, ANSWER_TIMEOUT_MS) > 0) {
		for (size_t i = 0; i < verified.n; i++) {
			if (!verified.conns[i].revents)
				continue;
			if (read(verified.conns[i].fd, answer, sizeof(answer)) >
			    0)
				verified.answered++;
			verified.end_ns = bench_now_ns();
			verified.conns[i].fd = -1; /* poll(2) skips it */
			verified.conns[i].revents = 0;
		}
	}
}

static void verify(const char *dir, char **argv)
{
	bench_raise_files();
	for_each(dir, connect_one, argv);
	wait_answers();
	printf("tried %zu refused %zu answered %zu end %llu\n", verified.tried,
	       verified.refused, verified.answered,
	       (unsigned long long)verified.end_ns);
}

int main(int argc, char **argv)
{
	bench_init();
	if (argc == 4 && strcmp(argv[1], "make") == 0)
		make(argv[2], bench_number(argv[3]));
	else if (argc == 3 && strcmp(argv[1], "remove") == 0)
		for_each(argv[2], remove_one, NULL);
	else if (argc == 6 && strcmp(argv[1], "churn") == 0)
		churn(argv[2], argv + 3);
	else if (argc >= 4 && strcmp(argv[1], "verify") == 0)
		verify(argv[2], argv + 3);
	else
		bench_die("world make|remove|churn|verify ...");
	return 0;
}

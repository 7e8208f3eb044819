// SPDX-License-Identifier: Apache-2.0
/* relay_client.c - clients inside a namespace, for the relays' figures
 *
 *   relay_client DIR NAME ADDRESS PORT WORK...
 *
 * where WORK is
 *   connect COUNT IN_FLIGHT	connect, 64 bytes there and back, close
 *   pingpong COUNT		64 bytes there and back on one connection
 *   down MIB | up MIB		one connection, one direction
 *
 * Prints the nanoseconds that all took, then of each exchange the median and
 * the 99th percentile; see relay_backend.c for the other end. Blocking calls,
 * one thread for each connection in flight: fewest system calls.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>

#define MESSAGE_BYTES 64
#define THREADS_MAX 64
#define TIMEOUT_S 20 /* a relay that hangs ends the benchmark */
#define BUFFER_BYTES ((size_t)256 * 1024)

static struct sockaddr_in server = { .sin_family = AF_INET };
static uint64_t *samples_ns;
static unsigned int total, n_threads;
static char buffer[BUFFER_BYTES];

static int connect_server(void)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
				 sizeof(timeout)) < 0)
		bench_die("socket");
	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		bench_die("connect");
	return fd;
}

static void exchange(int fd)
{
	char message[MESSAGE_BYTES] = "e";

	if (send(fd, message, sizeof(message), MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(message))
		bench_die("send");
	if (recv(fd, message, sizeof(message), MSG_WAITALL) !=
		    (ssize_t)sizeof(message) ||
	    message[0] != 'e')
		bench_die("recv");
}

static void *connect_many(void *user_data)
{
	unsigned int begin = (unsigned int)(size_t)user_data;

	for (unsigned int i = begin; i < total; i += n_threads) {
		uint64_t begin_ns = bench_now_ns();
		int fd = connect_server();

		exchange(fd);
		close(fd);
		samples_ns[i] = bench_now_ns() - begin_ns;
	}
	return NULL;
}

static void run_connect(void)
{
	pthread_t threads[THREADS_MAX];

	if (n_threads < 1 || n_threads > THREADS_MAX)
		bench_die("in flight: 1 to %d", THREADS_MAX);
	for (size_t i = 1; i < n_threads; i++) {
		if (pthread_create(&threads[i], NULL, connect_many, (void *)i))
			bench_die("pthread_create");
	}
	connect_many(NULL);
	for (size_t i = 1; i < n_threads; i++)
		pthread_join(threads[i], NULL);
}

static void run_pingpong(int fd)
{
	for (unsigned int i = 0; i < total; i++) {
		uint64_t begin_ns = bench_now_ns();

		exchange(fd);
		samples_ns[i] = bench_now_ns() - begin_ns;
	}
}

static void run_down(int fd, uint64_t bytes)
{
	if (send(fd, "d", 1, MSG_NOSIGNAL) != 1)
		bench_die("send");
	while (bytes > 0) {
		size_t want = bytes < BUFFER_BYTES ? bytes : BUFFER_BYTES;
		/* Thrown away, not copied: the relay is to be the slowest. */
		ssize_t n = recv(fd, buffer, want, MSG_TRUNC);

		if (n <= 0)
			bench_die("recv");
		bytes -= (uint64_t)n;
	}
}

static void run_up(int fd, uint64_t bytes)
{
	buffer[0] = 'u';
	for (uint64_t done = 0; done < bytes; done += BUFFER_BYTES) {
		if (send(fd, buffer, BUFFER_BYTES, MSG_NOSIGNAL) !=
		    (ssize_t)BUFFER_BYTES)
			bench_die("send");
	}
	if (shutdown(fd, SHUT_WR) < 0 || recv(fd, buffer, 1, 0) != 1)
		bench_die("the end was not answered");
}

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void print(uint64_t took_ns)
{
	qsort(samples_ns, total, sizeof(*samples_ns), compare);
	printf("%llu %llu %llu\n", (unsigned long long)took_ns,
	       (unsigned long long)samples_ns[total / 2],
	       (unsigned long long)samples_ns[(uint64_t)total * 99 / 100]);
}

static void enter(const char *dir, const char *name)
{
	int netns_fd = bench_netns_open(dir, name);

	if (netns_fd < 0)
		bench_die("%s/%s", dir, name);
	bench_netns_enter(netns_fd); /* threads inherit it */
	close(netns_fd);
}

int main(int argc, char **argv)
{
	const char *work = argc >= 7 ? argv[5] : "";
	uint64_t begin_ns;
	int fd;

	bench_init();
	if (argc < 7 || inet_pton(AF_INET, argv[3], &server.sin_addr) != 1)
		bench_die("relay_client DIR NAME ADDRESS PORT WORK...");
	server.sin_port = htons((uint16_t)bench_number(argv[4]));
	total = bench_number(argv[6]);
	n_threads = argc > 7 ? bench_number(argv[7]) : 1;
	samples_ns = calloc(total, sizeof(*samples_ns));
	enter(argv[1], argv[2]);
	if (strcmp(work, "connect") == 0) {
		begin_ns = bench_now_ns();
		run_connect();
		print(bench_now_ns() - begin_ns);
		return 0;
	}
	fd = connect_server();
	begin_ns = bench_now_ns();
	if (strcmp(work, "pingpong") == 0)
		run_pingpong(fd);
	else if (strcmp(work, "down") == 0)
		run_down(fd, (uint64_t)total << 20);
	else if (strcmp(work, "up") == 0)
		run_up(fd, (uint64_t)total << 20);
	else
		bench_die("no work '%s'", work);
	print(bench_now_ns() - begin_ns);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* relay_client.c - clients inside a namespace, for the relays' figures
 *
 *   relay_client DIR NAME ADDRESS PORT WORK...
 *
 * where WORK is
 *   connect COUNT IN_FLIGHT [PORTS OTHER...]
 *				connect, 64 bytes there and back, close
 *   http COUNT IN_FLIGHT [PORTS OTHER...]
 *				connect, one request of HTTP and its answer,
 *				close
 *   pingpong COUNT		64 bytes there and back on one connection
 *   down MIB | up MIB		one connection, one direction
 *
 * With PORTS, each connection goes to another of as many ports from PORT on, in
 * the namespaces NAME and OTHER: all have their turn, in an order that is mixed
 * but the same in each run. Prints the nanoseconds that all took, then of each
 * exchange the median and the 99th percentile; see relay_backend.c for the
 * other end. Blocking calls, one thread for each connection in flight: fewest
 * system calls.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>

#define MESSAGE_BYTES 64
#define THREADS_MAX 64
#define MIX_SEED 1
#define TIMEOUT_S 20 /* a relay that hangs ends the benchmark */
#define BUFFER_BYTES ((size_t)256 * 1024)
#define ANSWER_BYTES 1024

struct target {
	int netns_fd;
	struct sockaddr_in sa;
};

static struct target *targets;
static uint64_t *samples_ns;
static unsigned int total, n_threads, n_targets;
static char buffer[BUFFER_BYTES];
static void (*exchange_one)(int fd); /* on each connection */

static int connect_to(const struct target *target)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
				 sizeof(timeout)) < 0)
		bench_die("socket");
	if (connect(fd, (const struct sockaddr *)&target->sa,
		    sizeof(target->sa)) < 0)
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

/* Takes the answer whole: what the server has not sent when the client closes
 * would be answered with a reset. */
static void ask(int fd)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
	static const char ok[] = "HTTP/1.1 200 ";
	char answer[ANSWER_BYTES], *body;
	size_t n_received = 0;
	ssize_t n;

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(request) - 1)
		bench_die("send");
	do {
		n = recv(fd, answer + n_received,
			 sizeof(answer) - 1 - n_received, 0);
		if (n <= 0)
			bench_die("recv");
		n_received += (size_t)n;
		answer[n_received] = '\0';
		body = strstr(answer, "\r\n\r\n");
	} while (!body || !strchr(body + strlen("\r\n\r\n"), '\n'));
	if (strncmp(answer, ok, strlen(ok)) != 0)
		bench_die("the answer begins with %.20s", answer);
}

static void *connect_many(void *user_data)
{
	unsigned int begin = (unsigned int)(size_t)user_data;

	for (unsigned int i = begin; i < total; i += n_threads) {
		const struct target *target = &targets[i % n_targets];
		uint64_t begin_ns;
		int fd;

		if (n_targets > 1)
			bench_netns_enter(target->netns_fd);
		begin_ns = bench_now_ns();
		fd = connect_to(target);
		exchange_one(fd);
		close(fd);
		samples_ns[i] = bench_now_ns() - begin_ns;
	}
	return NULL;
}

static void run_connect(void)
{
	pthread_t threads[THREADS_MAX] = { 0 };

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

static void add_targets(const char *dir, const char *name,
			struct sockaddr_in sa, unsigned int n_ports)
{
	unsigned int port = ntohs(sa.sin_port);
	int netns_fd = bench_netns_open(dir, name);

	if (netns_fd < 0)
		bench_die("%s/%s", dir, name);
	for (unsigned int i = 0; i < n_ports; i++) {
		sa.sin_port = htons((uint16_t)(port + i));
		targets[n_targets++] =
			(struct target){ .netns_fd = netns_fd, .sa = sa };
	}
}

/* Else the threads would take turns at the ports, as a relay's workers may. */
static void mix_targets(void)
{
	unsigned int seed = MIX_SEED;

	for (unsigned int i = n_targets - 1; i > 0; i--) {
		unsigned int other = (unsigned int)rand_r(&seed) % (i + 1);
		struct target kept = targets[i];

		targets[i] = targets[other];
		targets[other] = kept;
	}
}

static void find_targets(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	unsigned int n_ports = argc > 8 ? bench_number(argv[8]) : 1;

	if (inet_pton(AF_INET, argv[3], &sa.sin_addr) != 1 || n_ports < 1)
		bench_die("relay_client DIR NAME ADDRESS PORT WORK...");
	sa.sin_port = htons((uint16_t)bench_number(argv[4]));
	targets = calloc((size_t)n_ports * (size_t)argc, sizeof(*targets));
	if (!targets)
		bench_die("calloc");
	add_targets(argv[1], argv[2], sa, n_ports);
	for (int i = 9; i < argc; i++)
		add_targets(argv[1], argv[i], sa, n_ports);
	mix_targets();
	bench_netns_enter(targets[0].netns_fd); /* threads inherit it */
}

int main(int argc, char **argv)
{
	const char *work = argc >= 7 ? argv[5] : "";
	uint64_t begin_ns;
	int fd;

	bench_init();
	if (argc < 7)
		bench_die("relay_client DIR NAME ADDRESS PORT WORK...");
	total = bench_number(argv[6]);
	n_threads = argc > 7 ? bench_number(argv[7]) : 1;
	samples_ns = calloc(total, sizeof(*samples_ns));
	find_targets(argc, argv);
	if (strcmp(work, "connect") == 0)
		exchange_one = exchange;
	else if (strcmp(work, "http") == 0)
		exchange_one = ask;
	if (exchange_one) {
		begin_ns = bench_now_ns();
		run_connect();
		print(bench_now_ns() - begin_ns);
		return 0;
	}
	fd = connect_to(&targets[0]);
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

// SPDX-License-Identifier: Apache-2.0
/* main.c - berth-web: shows what berthd does */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "common/util.h"
#include "web/confine.h"
#include "web/listen.h"
#include "web/options.h"
#include "web/server.h"

#define EXIT_USAGE 2

/* Documents above this size are given back to the kernel when they are freed.
 */
#define MMAP_THRESHOLD (64 * 1024)

/* The descriptor, with in *@address where it listens; or -errno after a
 * message. */
static int listening_fd(const struct options *options,
			struct listen_address *address)
{
	int fd = listen_inherited(address);

	if (fd >= 0)
		return fd;
	if (fd != -ENOENT)
		return log_error_errno(fd, "expected one listening stream "
					   "socket of the service manager");
	*address = options->listen;
	fd = listen_open(address);
	if (fd < 0)
		log_error_errno(fd, "cannot listen at '%s'",
				options->listen_text);
	return fd;
}

static int serve(const struct options *options)
{
	char control[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct server_config config = {
		.berthd_path = control,
		.hosts = options->hosts,
		.n_hosts = options->n_hosts,
		.timeout_us = options->timeout_s * USEC_PER_SEC,
	};
	struct listen_address address;
	struct server *server;
	int r = web_options_control(options, control, sizeof(control));

	if (r < 0)
		return r;
	config.listen_fd = listening_fd(options, &address);
	if (config.listen_fd < 0)
		return config.listen_fd;
	if (!listen_is_local(&address))
		log_warning("listening on more than loopback: whoever reaches "
			    "the port sees all namespaces and rules");
	config.any_host = listen_is_unix(&address);
	r = web_confine_privileges();
	if (r < 0)
		return r;
	r = server_new(&config, &server);
	if (r < 0)
		return log_error_errno(r, "cannot start");
	/* It waits for berthd, nobody for it; nobody may be listening. */
	(void)sd_notify(0, "READY=1");
	r = web_confine_syscalls();
	if (r < 0)
		return r;
	r = server_run(server);
	return log_error_errno(r, "cannot go on");
}

int main(int argc, char **argv)
{
	struct options options;
	int r = web_options_parse(argc, argv, &options);

	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	log_init("berth-web", options.log_level);
	(void)signal(SIGPIPE, SIG_IGN); /* a viewer that goes is no reason */
	(void)mallopt(M_ARENA_MAX, 1); /* all three only save memory */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	(void)mallopt(M_TRIM_THRESHOLD, MMAP_THRESHOLD);
	return serve(&options) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

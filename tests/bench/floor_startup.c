// SPDX-License-Identifier: Apache-2.0
/* floor_startup.c - the least that opens listeners in all namespaces
 *
 * Lists a directory, and in each namespace listens on the ports.
 * Arguments: DIR PORT...
 */
#include "tests/bench/bench.h"

#include <dirent.h>

int main(int argc, char **argv)
{
	struct dirent *entry;
	DIR *dir;
	int fd;

	bench_init();
	bench_raise_files();
	dir = argc > 2 ? opendir(argv[1]) : NULL;
	if (!dir)
		bench_die("floor_startup DIR PORT...");
	while ((entry = readdir(dir))) {
		fd = bench_netns_open(argv[1], entry->d_name);
		if (fd < 0)
			continue;
		for (int i = 2; i < argc; i++)
			(void)bench_listen_in(fd, 0,
					      (uint16_t)bench_number(argv[i]));
		close(fd);
	}
	closedir(dir);
	bench_notify();
	for (;;)
		pause();
}

// SPDX-License-Identifier: Apache-2.0
/* fuzz_names.c - a link to anywhere in a watched directory
 *
 * The input is where the link leads. Whatever that is, looking at it neither
 * blocks nor keeps a descriptor.
 */
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"
#include "watcher/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/berth-fuzz-XXXXXX";
static char link_path[sizeof(dir) + sizeof("/link")];

static void remove_dir(void)
{
	(void)unlink(link_path); /* there may be none */
	(void)rmdir(dir);
}

static void make_dir(void)
{
	struct resolution host;

	assert(mkdtemp(dir));
	(void)snprintf(link_path, sizeof(link_path), "%s/link", dir);
	assert(atexit(remove_dir) == 0);
	assert(resolve_host(&host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	struct resolution resolution = { .pid_fd = -1 };
	const char *reason = NULL;
	char target[PATH_MAX];
	int fd;

	if (!made)
		make_dir();
	made = true;
	if (size >= sizeof(target))
		size = sizeof(target) - 1;
	memcpy(target, data, size);
	target[size] = '\0';
	(void)unlink(link_path); /* there may be none */
	if (symlink(target, link_path) < 0)
		return 0;
	fd = resolve_open(dir, "link", 0, &resolution, &reason);
	if (fd < 0) {
		assert(reason && resolution.pid_fd < 0);
		return 0;
	}
	assert(resolution.is_link && resolution.link && resolution.inode != 0);
	assert(resolution.pid_fd < 0 || resolution.task.number > 0);
	cleanup_close(&fd);
	cleanup_close(&resolution.pid_fd);
	return 0;
}

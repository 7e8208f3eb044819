// SPDX-License-Identifier: Apache-2.0
/* metrics_process.c - what /proc says of berthd and of its relay */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/util.h"
#include "daemon/control/metrics_report.h"

/* Of a file in /proc: one line, or some twenty. */
#define TEXT_MAX 4096

/* Fields of /proc/PID/stat, counted from 1 in proc(5). */
#define FIELD_STATE 3 /* the first behind the command */
#define FIELD_UTIME 14
#define FIELD_STIME 15
#define FIELD_STARTTIME 22
#define FIELD_VSIZE 23
#define FIELD_RSS 24

static int read_text(int pid, const char *name, char text[static TEXT_MAX])
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, TEXT_MAX - 1);
	if (n < 0)
		return -ESRCH;
	text[n] = '\0';
	return 0;
}

/* When the host was booted, in seconds since 1970. */
static double boot_seconds(void)
{
	struct timespec now, since;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* neither can fail */
	(void)clock_gettime(CLOCK_BOOTTIME, &since);
	return (double)(now.tv_sec - since.tv_sec) +
	       (double)(now.tv_nsec - since.tv_nsec) / 1e9;
}

/* One of the numbers; @fields begins with FIELD_STATE. */
static uint64_t stat_field(const char *fields, int number)
{
	for (int i = FIELD_STATE; fields && i < number; i++)
		fields = strchr(fields + 1, ' ');
	return fields ? strtoull(fields, NULL, 10) : 0;
}

static int read_stat(int pid, struct metrics_process *process)
{
	double ticks = (double)sysconf(_SC_CLK_TCK);
	char text[TEXT_MAX];
	const char *fields;

	if (read_text(pid, "stat", text) < 0)
		return -ESRCH;
	fields = strrchr(text, ')'); /* the command may have any bytes */
	if (!fields || *++fields != ' ')
		return -ESRCH;
	process->cpu_seconds = (double)(stat_field(fields, FIELD_UTIME) +
					stat_field(fields, FIELD_STIME)) /
			       ticks;
	process->start_seconds =
		boot_seconds() +
		(double)stat_field(fields, FIELD_STARTTIME) / ticks;
	process->virtual_bytes = stat_field(fields, FIELD_VSIZE);
	process->resident_bytes =
		stat_field(fields, FIELD_RSS) * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static uint64_t read_max_fds(int pid)
{
	static const char name[] = "Max open files";
	char text[TEXT_MAX];
	const char *line;

	if (read_text(pid, "limits", text) < 0)
		return 0;
	line = strstr(text, name);
	return line ? strtoull(line + strlen(name), NULL, 10) : 0;
}

/* Without looking at each: there may be a hundred thousand. */
static uint64_t read_open_fds(int pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid); /* fits */
	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

int metrics_process_read(int pid, struct metrics_process *ret_process)
{
	struct metrics_process process = { .program = ret_process->program };

	if (read_stat(pid, &process) < 0)
		return -ESRCH;
	process.open_fds = read_open_fds(pid);
	process.max_fds = read_max_fds(pid);
	*ret_process = process;
	return 0;
}

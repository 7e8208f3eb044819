// SPDX-License-Identifier: Apache-2.0
/* input.c - what runtimes give the hook to read, with limits */
#include "hook/input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "common/util.h"

#define FIRST_BYTES (64u * 1024)

/** struct input - @len bytes that were read */
struct input {
	char *text;
	size_t len;
	size_t capacity;
};

static int input_reserve(struct input *input)
{
	size_t capacity = input->capacity ? 2 * input->capacity : FIRST_BYTES;
	char *text;

	if (input->len < input->capacity)
		return 0;
	if (input->len >= INPUT_MAX)
		return -EFBIG;
	text = realloc(input->text, capacity);
	if (!text)
		return -ENOMEM;
	input->text = text;
	input->capacity = capacity;
	return 0;
}

static int input_wait(int fd, uint64_t deadline_us)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	for (;;) {
		uint64_t now = monotonic_us(), left_us;
		int n;

		if (now >= deadline_us)
			return -ETIMEDOUT;
		left_us = deadline_us - now;
		n = poll(&pollfd, 1, (int)(left_us / USEC_PER_MSEC) + 1);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* Return: 1; 0: the end; -errno. */
static int input_step(struct input *input, int fd, uint64_t deadline_us)
{
	int r = input_reserve(input);
	ssize_t n;

	if (r == 0)
		r = input_wait(fd, deadline_us);
	if (r < 0)
		return r;
	n = read(fd, input->text + input->len, input->capacity - input->len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	input->len += (size_t)n;
	return n > 0;
}

int input_read(int fd, uint64_t deadline_us, json_t **ret_json)
{
	struct input input = { .text = NULL };
	json_t *json;
	int r;

	do {
		r = input_step(&input, fd, deadline_us);
	} while (r > 0);
	if (r < 0) {
		free(input.text);
		return r;
	}
	json = json_loadb(input.text, input.len, 0, NULL);
	free(input.text);
	if (!json_is_object(json)) {
		json_decref(json);
		return -EPROTO;
	}
	*ret_json = json;
	return 0;
}

int input_read_file(const char *path, uint64_t deadline_us, json_t **ret_json)
{
	/* The type is asked of what was opened; a FIFO must not block here. */
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	return input_read(fd, deadline_us, ret_json);
}

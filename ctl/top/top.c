// SPDX-License-Identifier: Apache-2.0
/* top.c - `berthctl top`: what berth does, as it happens
 *
 * Theory of operation: one thread asks berthd (fetcher.c), the other one waits
 * for its samples, for keys and for signals. Signals come by a descriptor, so
 * that the terminal is given back whichever way it ends. The first sample is
 * waited for before the screen is taken: what is wrong from the beginning is
 * said as by every other command.
 */
#include "ctl/top/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/util.h"
#include "ctl/duration.h"
#include "ctl/text.h"
#include "ctl/top/fetcher.h"
#include "ctl/top/screen.h"
#include "ctl/top/top_json.h"
#include "ctl/top/ui.h"

#define INTERVAL_MIN_MS 100 /* berthd has more to do than to answer */
#define INTERVAL_MAX_MS 3600000

/**
 * struct top - all that the loop needs
 * @sample:	the last one that came
 * @trouble:	why it is an old one; "": it is not
 */
struct top {
	struct top_ui ui;
	struct top_fetcher *fetcher;
	struct top_sample *sample;
	char trouble[TOP_FAILURE_MAX + 64];
	int signal_fd;
	bool quits;
};

/* Prints what berthd refuses. */
static enum exit_code report(const struct top_failure *failure)
{
	_cleanup_free_ char *text = text_printable(failure->text, NULL);

	(void)fprintf(stderr, "berthctl: berthd refuses: %s\n",
		      text ? text : "?");
	return failure->code;
}

static int usage_error(const char *problem, const char *what)
{
	_cleanup_free_ char *text = text_printable(what, NULL);

	(void)fprintf(stderr, "berthctl: %s '%s'\n", problem,
		      text ? text : "?");
	return -EINVAL;
}

/* Return: 0; -EINVAL after a report. */
static int read_options(const struct top_options *options, struct top_ui *ui)
{
	int64_t *interval_ms = &ui->interval_ms;

	top_ui_init(ui);
	if (options->view && top_view_parse(options->view, &ui->query.view) < 0)
		return usage_error("top shows namespaces, containers, "
				   "listeners or backends, not",
				   options->view);
	if (options->sort &&
	    top_order_parse(options->sort, &ui->query.order) < 0)
		return usage_error("--sort is neither name, state, "
				   "connections, rate, bytes nor age:",
				   options->sort);
	if (options->interval &&
	    (duration_parse(options->interval, interval_ms) < 0 ||
	     *interval_ms < INTERVAL_MIN_MS || *interval_ms > INTERVAL_MAX_MS))
		return usage_error("--interval is no duration from 100ms to "
				   "1h:",
				   options->interval);
	return 0;
}

/* From now on these signals come by a descriptor. Return: it, or -errno. */
static int open_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	sigset_t set;
	int fd;

	(void)sigemptyset(&set); /* it cannot fail, nor the next one */
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void draw(struct top *top)
{
	/* Without memory the screen stays incomplete until the next time. */
	(void)top_screen_draw(&top->ui, top->sample,
			      *top->trouble ? top->trouble : NULL);
}

/* Return: has anything changed? */
static bool take(struct top *top, struct top_failure *failure)
{
	struct top_sample *sample;
	int r = top_fetcher_take(top->fetcher, &sample, failure);

	if (r > 0) {
		top_sample_finish(sample, top->sample);
		top_sample_free(top->sample);
		top->sample = sample;
		top->trouble[0] = '\0';
	} else if (r < 0 && failure->error) {
		(void)snprintf(top->trouble, sizeof(top->trouble),
			       "berthd cannot be reached: %s; trying again",
			       failure->text); /* fits */
	} else if (r < 0) {
		(void)snprintf(top->trouble, sizeof(top->trouble),
			       "berthd refuses: %s; trying again",
			       failure->text); /* fits */
	}
	return r != 0;
}

static void handle_signals(struct top *top)
{
	struct signalfd_siginfo info;

	while (read(top->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			top_screen_resize();
		else
			top->quits = true;
	}
}

static void handle_key(struct top *top, int key)
{
	switch (top_ui_key(&top->ui, key, top_screen_page())) {
	case TOP_NOTHING:
	case TOP_DRAW:
		break;
	case TOP_DRAW_ALL:
		top_screen_forget();
		break;
	case TOP_ASK:
		top_fetcher_set_interval(top->fetcher, top->ui.interval_ms);
		break;
	case TOP_QUIT:
		top->quits = true;
		break;
	}
}

static void loop(struct top *top)
{
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = top->signal_fd, .events = POLLIN },
		{ .fd = top_fetcher_fd(top->fetcher), .events = POLLIN },
	};
	struct top_failure failure;
	int key;

	while (!top->quits) {
		draw(top);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return;
		handle_signals(top);
		/* A key that is decoded by halves leaves nothing to be polled:
		 * all that ncurses has is taken. */
		while (!top->quits && (key = top_screen_key()) != -1)
			handle_key(top, key);
		if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			return; /* the terminal is gone */
		(void)take(top, &failure);
	}
}

/* Waits for the first answer, or a signal. Return: 0; 1: it ends, and
 * *@ret_code says how; -errno: berthd cannot be reached. */
static int await_first(struct top *top, enum exit_code *ret_code)
{
	struct pollfd fds[] = {
		{ .fd = top_fetcher_fd(top->fetcher), .events = POLLIN },
		{ .fd = top->signal_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	struct top_failure failure;

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return -errno;
		while (read(top->signal_fd, &info, sizeof(info)) ==
		       sizeof(info)) {
			if (info.ssi_signo != SIGWINCH) {
				*ret_code = EXIT_OK;
				return 1;
			}
		}
		if (!take(top, &failure))
			continue;
		if (top->sample)
			return 0;
		if (failure.error)
			return failure.error;
		*ret_code = report(&failure);
		return 1;
	}
}

static int run_screen(struct top *top, const char *path,
		      enum exit_code *ret_code)
{
	const char *problem;
	int r;

	top->signal_fd = open_signals();
	r = top->signal_fd < 0 ? top->signal_fd
			       : top_fetcher_start(path, top->ui.interval_ms,
						   &top->fetcher);
	if (r < 0) {
		(void)fprintf(stderr, "berthctl: top: %s\n", strerror(-r));
		*ret_code = EXIT_BAD;
		return 0;
	}
	r = await_first(top, ret_code);
	if (r != 0)
		return r < 0 ? r : 0;
	problem = top_screen_open();
	if (problem) {
		(void)fprintf(stderr, "berthctl: top: %s\n", problem);
		*ret_code = EXIT_BAD;
		return 0;
	}
	loop(top);
	top_screen_close();
	*ret_code = EXIT_OK;
	return 0;
}

static int run_json(const struct top_ui *ui, const char *path,
		    enum exit_code *ret_code)
{
	struct top_sample *first = NULL, *second = NULL;
	struct top_failure failure;
	int r = top_fetch(path, &first, &failure);

	if (r == 0) {
		/* A signal ends berthctl here. */
		(void)poll(NULL, 0, (int)ui->interval_ms);
		top_sample_finish(first, NULL);
		r = top_fetch(path, &second, &failure);
	}
	if (r == 0) {
		top_sample_finish(second, first);
		*ret_code = exit_code_finish(top_json_print(second, stdout));
	} else if (failure.error) {
		r = failure.error;
	} else {
		*ret_code = report(&failure);
		r = 0;
	}
	top_sample_free(first);
	top_sample_free(second);
	return r;
}

int top_run(const char *path, const struct top_options *options,
	    enum exit_code *ret_code)
{
	struct top top = { .signal_fd = -1 };
	int r;

	if (read_options(options, &top.ui) < 0) {
		*ret_code = EXIT_USAGE;
		return 0;
	}
	if (options->json)
		return run_json(&top.ui, path, ret_code);
	r = run_screen(&top, path, ret_code);
	top_sample_free(top.sample);
	if (top.signal_fd >= 0)
		(void)close(top.signal_fd);
	return r;
}

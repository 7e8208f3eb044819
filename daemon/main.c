// SPDX-License-Identifier: Apache-2.0
/* main.c - berthd: start-up as a list of steps */
#include <stdlib.h>

#include "common/log.h"
#include "common/netns_enter.h"
#include "common/util.h"
#include "daemon/berthd.h"
#include "daemon/check.h"
#include "daemon/options.h"
#include "daemon/privileges.h"

static int check(const struct options *options)
{
	if (options->n_check_paths > 0)
		return check_rules(options->check_paths, options->n_check_paths,
				   /* must_exist= */ true);
	return check_rules((const char *const *)options->rules_dirs,
			   options->n_rules_dirs, /* must_exist= */ false);
}

static int serve(const struct options *options)
{
	struct berthd *berthd = NULL;
	int r;

	r = privileges_check(/* starts_relay= */ true);
	if (r < 0)
		return r;
	r = netns_enter_init();
	if (r < 0)
		return log_error_errno(r, "cannot open the host's network "
					  "namespace");
	r = berthd_new(options, &berthd);
	if (r == 0)
		r = berthd_run(berthd);
	berthd_free(berthd);
	return r;
}

int main(int argc, char **argv)
{
	struct options options;
	int r;

	r = options_parse(argc, argv, &options);
	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : 2;
	log_init("berthd", options.log_level);
	r = options.check ? check(&options) : serve(&options);
	options_done(&options);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

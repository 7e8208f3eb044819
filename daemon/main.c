// SPDX-License-Identifier: Apache-2.0
/* main.c - berthd: start-up as a list of steps */
#include <stdlib.h>

#include "common/log.h"
#include "common/netns_enter.h"
#include "common/util.h"
#include "daemon/berthd.h"
#include "daemon/check.h"
#include "daemon/config_store.h"
#include "daemon/options.h"
#include "daemon/privileges.h"
#include "rules/rules.h"

#define EXIT_USAGE 2 /* the command line or berthd.yaml is wrong */

static int serve(struct config_store *config)
{
	struct berthd *berthd = NULL;
	int r;

	r = privileges_check(/* starts_relay= */
			     config_store_config(config)->relay ==
			     CONFIG_RELAY_OWN);
	if (r < 0)
		return r;
	r = netns_enter_init();
	if (r < 0)
		return log_error_errno(r, "cannot open the host's network "
					  "namespace");
	r = berthd_new(config, &berthd);
	if (r == 0)
		r = berthd_run(berthd);
	berthd_free(berthd);
	return r;
}

/* Reads berthd.yaml. Return: 0, with what could be read when there are
 * problems; -ENOMEM. */
static int configure(const struct options *options,
		     struct config_store **ret_store)
{
	const struct config_source source = {
		.path = options->config_path,
		.must_exist = options->config_named,
		.command_line = &options->given,
	};
	int r = config_store_new(&source, ret_store);

	if (r == 0 && config_store_load(*ret_store) == -ENOMEM)
		r = -ENOMEM;
	return r < 0 ? log_error_errno(r, "cannot read '%s'", source.path) : 0;
}

static void log_problems(const struct config_store *store)
{
	const struct rules_errors *problems = config_store_problems(store);

	for (size_t i = 0; i < problems->n; i++) {
		_cleanup_free_ char *text = rules_error_fmt(&problems->list[i]);

		log_error("%s", text ? text : "out of memory");
	}
}

/* Return: the exit status. */
static int run(const struct options *options, struct config_store *store)
{
	if (options->check)
		return check(options, store);
	if (config_store_problems(store)->n > 0) {
		log_problems(store);
		return EXIT_USAGE;
	}
	log_set_level(config_store_config(store)->log_level);
	log_set_format(config_store_config(store)->log_format);
	return serve(store) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct config_store *store = NULL;
	struct options options;
	int r;

	r = options_parse(argc, argv, &options);
	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	log_init("berthd", LOG_LEVEL_INFO);
	r = configure(&options, &store);
	r = r < 0 ? EXIT_FAILURE : run(&options, store);
	config_store_free(store);
	options_done(&options);
	return r;
}

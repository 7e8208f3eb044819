// SPDX-License-Identifier: Apache-2.0
/* startup_log.c - what people are told of the rules, and of a failed start */
#include "daemon/startup_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "rules/rules.h"

void startup_log_rules(const struct rule_store *rules)
{
	struct rule_file_info info;

	for (size_t i = 0; i < rule_store_files(rules); i++) {
		rule_store_file_info(rules, i, &info);
		for (size_t j = 0; j < info.errors->n; j++) {
			_cleanup_free_ char *text =
				rules_error_fmt(&info.errors->list[j]);

			log_error(
				"%s; %s", text ? text : info.path,
				info.last_good
					? "the file's last good version stays "
					  "in force"
					: "the file is ignored");
		}
	}
}

int startup_log_watch_error(int error, const char *what)
{
	if (error == -EMFILE)
		return log_error_errno(error,
				       "cannot watch %s: inotify instances are "
				       "used up, raise "
				       "fs.inotify.max_user_instances",
				       what);
	if (error == -ENOSPC)
		return log_error_errno(error,
				       "cannot watch %s: inotify watches are "
				       "used up, raise "
				       "fs.inotify.max_user_watches",
				       what);
	return log_error_errno(error, "cannot watch %s", what);
}

int startup_log_user_error(int error, const char *name)
{
	if (error != -ENOENT || !name)
		return log_error_errno(error, "--relay-user: user '%s'",
				       name ? name : "nobody");
	log_error("--relay-user: there is no user '%s' to run berth-relay as%s",
		  name,
		  name[strspn(name, "0123456789")] == '\0'
			  ? "; a number must be a user's, because berth-relay "
			    "gets the user's group"
			  : "");
	return error;
}

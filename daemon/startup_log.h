/* SPDX-License-Identifier: Apache-2.0 */
/* startup_log.h - what people are told of the rules, and of a failed start */
#ifndef DAEMON_STARTUP_LOG_H
#define DAEMON_STARTUP_LOG_H

struct rule_store;

/** startup_log_rules() - logs the problems of all files */
void startup_log_rules(const struct rule_store *rules);

/**
 * startup_log_watch_error() - logs why inotify cannot watch something
 * @error:	negative errno
 * @what:	for people
 *
 * Return: @error.
 */
int startup_log_watch_error(int error, const char *what);

/**
 * startup_log_user_error() - logs why there is no user for berth-relay
 * @error:	negative errno, of privileges_find_user()
 * @name:	as it was configured, or NULL
 *
 * Return: @error.
 */
int startup_log_user_error(int error, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* show.h - replies of berthd for people
 *
 * Each takes a reply's parameters, see doc/io.berth.varlink, and prints to
 * stdout. Members that an older berthd does not send show as empty.
 * Return: 0: all is well; 1: it shows problems, or an absence; -ENOMEM.
 */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>

int show_status(const json_t *reply);
int show_namespaces(const json_t *reply);
int show_listeners(const json_t *reply);
int show_rules(const json_t *reply);
int show_stats(const json_t *reply);
int show_check(const json_t *reply);
int show_reload(const json_t *reply);
int show_explain(const json_t *reply);

/* Parts that several of them show. */
int show_pending(const json_t *pending);
int show_lingering(const json_t *lingering);

/** show_silent() - a line for consumers that did not say what they counted */
void show_silent(const json_t *reply);

/** show_problems() - each problem in one line
 * @before:	printed before the first
 * Return: how many there are. */
size_t show_problems(const json_t *files, const char *before);

/** show_detail() - allocated: why a listener is not open, or not delivered */
char *show_detail(const json_t *listener);

/* Members of an object; empty, 0 or false when they are not there. */
const char *show_text(const json_t *object, const char *key);
json_int_t show_number(const json_t *object, const char *key);
bool show_flag(const json_t *object, const char *key);

#endif

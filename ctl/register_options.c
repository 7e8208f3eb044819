// SPDX-License-Identifier: Apache-2.0
/* register_options.c - the options of register, unregister and wait */
#include "ctl/register_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"
#include "common/util.h"
#include "ctl/duration.h"
#include "ctl/text.h"

static int report(const char *problem, const char *what)
{
	_cleanup_free_ char *text = text_printable(what, NULL);

	(void)fprintf(stderr,
		      "berthctl: %s '%s'; 'berthctl --help' lists what there "
		      "is\n",
		      problem, text ? text : "?");
	return -EINVAL;
}

/* Any bytes, as berthd understands them. NULL: no memory. */
static json_t *escaped(const char *text)
{
	_cleanup_free_ char *copy = utf8_escape(text);

	return copy ? json_string(copy) : NULL;
}

static int take_label(struct register_options *options, const char *value)
{
	const char *sign = strchr(value, '=');
	_cleanup_free_ char *raw = NULL, *key = NULL;

	if (!sign || sign == value)
		return report("expected KEY=VALUE after --label, found", value);
	raw = strndup(value, (size_t)(sign - value));
	key = raw ? utf8_escape(raw) : NULL;
	if (!options->labels)
		options->labels = json_object();
	if (!key ||
	    json_object_set_new(options->labels, key, escaped(sign + 1)) < 0)
		return -ENOMEM;
	return 0;
}

static int take_duration(struct register_options *options, const char *option,
			 const char *value)
{
	bool wait = strcmp(option, "wait") == 0;
	int64_t ms;

	if (duration_parse(value, &ms) < 0 ||
	    ms > (wait ? REGISTER_WAIT_MAX_MS : WAIT_TIMEOUT_MAX_MS))
		return report(wait ? "expected a duration such as 500ms, at "
				     "most 60s, after --wait, found"
				   : "expected a duration such as 500ms, at "
				     "most 1h, after --timeout, found",
			      value);
	options->wait_ms = ms;
	return 0;
}

int register_options_take(struct register_options *options, const char *option,
			  const char *value)
{
	const struct {
		const char *option;
		const char **value;
	} texts[] = {
		{ "netns", &options->netns },
		{ "name", &options->name },
		{ "pod-namespace", &options->pod_namespace },
		{ "id", &options->id },
		{ "runtime", &options->runtime },
	};

	options->last = option;
	if (strcmp(option, "label") == 0)
		return take_label(options, value);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(option, texts[i].option) == 0) {
			*texts[i].value = value;
			return 0;
		}
	}
	return take_duration(options, option, value);
}

void register_options_done(struct register_options *options)
{
	json_decref(options->labels);
	options->labels = NULL;
}

static int check_register(const struct register_options *options,
			  const char *argument, const char *pid)
{
	if (argument)
		return report("unexpected argument", argument);
	if (!options->name)
		return report("--name is missing after", "register");
	if (!options->netns && !pid)
		return report("--netns or --pid is missing after", "register");
	return 0;
}

static int check_unregister(const struct register_options *options,
			    const char *argument, const char *pid)
{
	if (pid || options->netns || options->name || options->runtime ||
	    options->labels || options->wait_ms >= 0)
		return report("expected NAME or --id after", "unregister");
	if ((argument != NULL) == (options->id != NULL))
		return report("expected either NAME or --id after",
			      "unregister");
	if (options->id && options->pod_namespace)
		return report("--pod-namespace has no meaning beside", "--id");
	return 0;
}

int register_options_check(const struct register_options *options,
			   const char *command, const char *argument,
			   const char *pid)
{
	if (strcmp(command, "register") == 0)
		return check_register(options, argument, pid);
	if (strcmp(command, "unregister") == 0)
		return check_unregister(options, argument, pid);
	if (options->last && !(strcmp(command, "wait") == 0 &&
			       strcmp(options->last, "timeout") == 0))
		return report("an option has no meaning here: --",
			      options->last);
	return 0;
}

/* Return: 0, also if there is no @text; -1. */
static int put(json_t *object, const char *key, const char *text)
{
	return text ? json_object_set_new(object, key, escaped(text)) : 0;
}

static json_t *finish(json_t *object, int failed)
{
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

json_t *register_parameters(const struct register_options *options,
			    const char *pid, bool fd)
{
	json_t *object = json_object();
	int failed = put(object, "path", fd ? NULL : options->netns) |
		     put(object, "name", options->name) |
		     put(object, "pod_namespace", options->pod_namespace) |
		     put(object, "id", options->id) |
		     put(object, "runtime", options->runtime);

	if (pid)
		failed |= json_object_set_new(
			object, "pid", json_integer(strtoll(pid, NULL, 10)));
	if (fd)
		failed |= json_object_set_new(object, "fd", json_integer(0));
	if (options->labels)
		failed |= json_object_set(object, "labels", options->labels);
	if (options->wait_ms >= 0)
		failed |= json_object_set_new(object, "wait_ms",
					      json_integer(options->wait_ms));
	return finish(object, failed);
}

json_t *unregister_parameters(const struct register_options *options,
			      const char *name)
{
	json_t *object = json_object();
	int failed = put(object, "name", name) |
		     put(object, "id", options->id) |
		     put(object, "pod_namespace", options->pod_namespace);

	return finish(object, failed);
}

json_t *wait_parameters(const struct register_options *options,
			const char *name)
{
	json_t *object = json_object();
	int failed = put(object, "name", name);

	if (options->wait_ms >= 0)
		failed |= json_object_set_new(object, "timeout_ms",
					      json_integer(options->wait_ms));
	return finish(object, failed);
}

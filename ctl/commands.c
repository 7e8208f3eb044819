// SPDX-License-Identifier: Apache-2.0
/* commands.c - what berthctl can be asked for, and who shows the answer */
#include "ctl/commands.h"

#include <string.h>

#include "client/prometheus.h"
#include "common/util.h"
#include "ctl/show.h"

#define TARGET "RULE|LISTENER"

/* Of a command and its argument, where the explanation begins beside them. */
#define WORDS_WIDTH 24

static const struct show_list list_listeners = {
	.array = "listeners",
	.begin = show_listeners_begin,
	.add = show_listeners_add,
	.end = show_listeners_end,
	.free = show_listeners_free,
};

static const struct show_list list_connections = {
	.array = "connections",
	.begin = show_connections_begin,
	.add = show_connections_add,
	.end = show_connections_end,
	.free = show_connections_free,
};

static const struct show_list list_metrics = {
	.begin = show_metrics_begin,
	.add = show_metrics_add,
	.end = show_metrics_end,
	.free = show_metrics_free,
};

static const struct command commands[] = {
	{ "status", INTERFACE "GetStatus", NULL, false, show_status, NULL,
	  "what berthd is doing, in numbers" },
	{ "namespaces", INTERFACE "ListNamespaces", NULL, false,
	  show_namespaces, NULL, "the namespaces berthd knows" },
	{ "listeners", INTERFACE "ListListeners", "NAMESPACE", false, NULL,
	  &list_listeners, "the listeners of all namespaces, or of one" },
	{ "connections", INTERFACE "ListConnections", "NAMESPACE|" TARGET,
	  false, NULL, &list_connections,
	  "the clients of all listeners, or of these" },
	{ "consumers", INTERFACE "ListConsumers", NULL, false, show_consumers,
	  NULL, "the programs that get the listeners" },
	{ "backends", INTERFACE "ListBackends", "RULE", false, show_backends,
	  NULL, "which backends work, of all rules or of one" },
	{ "top", NULL, "namespaces|containers|listeners|backends", false, NULL,
	  NULL, "these by rate or another order, as it happens" },
	{ "stats", INTERFACE "GetStats", NULL, false, show_stats, NULL,
	  "what was accepted and transferred, by rule" },
	{ "metrics", PROMETHEUS_METHOD, NULL, false, NULL, &list_metrics,
	  "what berthd counts, as Prometheus reads it" },
	{ "rules", INTERFACE "ListRules", NULL, false, show_rules, NULL,
	  "the rules in force" },
	{ "monitor", INTERFACE "Monitor", "NAMESPACE", false, show_nothing,
	  NULL, "what happens, a line for each event, until ^C" },
	{ "check", INTERFACE "ListRules", "FILE|DIR...", false, show_check,
	  NULL, "problems in what berthd reads, or in these files" },
	{ "reload", INTERFACE "Reload", NULL, false, show_reload, NULL,
	  "have berthd read its configuration and the rules again" },
	{ "drain", INTERFACE "Drain", TARGET, true, show_drain, NULL,
	  "close listeners; their connections may finish" },
	{ "close", INTERFACE "Close", TARGET "|CONNECTION", true, show_drain,
	  NULL, "close listeners, and reset connections, or one" },
	{ "undrain", INTERFACE "Undrain", TARGET, false, show_undrain, NULL,
	  "open again what was drained or closed, or this only" },
	{ "log-level", INTERFACE "SetLogLevel", "LEVEL", false, show_log_level,
	  NULL, "how much berthd and berth-relay log, or another level" },
	{ "restart-relay", INTERFACE "RestartRelay", NULL, false, show_nothing,
	  NULL, "have a new berth-relay take over" },
	{ "explain", INTERFACE "Explain", "NAMESPACE", true, show_explain, NULL,
	  "why a namespace has its listeners, and lacks others" },
	{ "register", INTERFACE "Register", NULL, false, show_registered, NULL,
	  "tell of a container, and of its namespace" },
	{ "unregister", INTERFACE "Unregister", "NAME", false,
	  show_unregistered, NULL, "end what was registered" },
	{ "wait", INTERFACE "Wait", "NAMESPACE|CONTAINER", true, show_waited,
	  NULL, "wait until the listeners of a namespace are open" },
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

void commands_print(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *command = &commands[i];
		char words[64];

		(void)snprintf(words, sizeof(words),
			       command->required   ? "%s %s"
			       : command->argument ? "%s [%s]"
						   : "%s",
			       command->name, command->argument);
		(void)fprintf(out,
			      strlen(words) > WORDS_WIDTH ? "  %s\n%*s%s\n"
							  : "  %s%*s%s\n",
			      words,
			      strlen(words) > WORDS_WIDTH
				      ? WORDS_WIDTH + 3
				      : WORDS_WIDTH + 1 - (int)strlen(words),
			      "", command->help);
	}
}

// SPDX-License-Identifier: Apache-2.0
/* control.c - the Varlink service io.berth
 *
 * Each method is in a file of its own, and is handed here what it asks.
 */
#include "daemon/control/control.h"

#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/config_store.h"
#include "daemon/consumers/consumers.h"
#include "daemon/control/caller.h"
#include "daemon/control/control_backends.h"
#include "daemon/control/control_connections.h"
#include "daemon/control/control_consumers.h"
#include "daemon/control/control_drain.h"
#include "daemon/control/control_explain.h"
#include "daemon/control/control_listeners.h"
#include "daemon/control/control_metrics.h"
#include "daemon/control/control_monitor.h"
#include "daemon/control/control_namespaces.h"
#include "daemon/control/control_register.h"
#include "daemon/control/control_rules.h"
#include "daemon/control/control_stats.h"
#include "daemon/control/control_status.h"
#include "daemon/control/control_wait.h"
#include "daemon/control/describe.h"
#include "daemon/control/interface.h"
#include "daemon/control/varlink_server.h"
#include "daemon/health_look.h"
#include "daemon/reconcile.h"

struct control {
	struct control_config config;
	struct loop *loop;
	struct varlink_server *server;
	struct varlink_server *report;
	struct control_wait *wait;
	struct control_register *reg;
	struct control_monitor *monitor;
};

static struct caller who_calls(const struct control *control,
			       const struct varlink_call *call)
{
	return caller_of(call,
			 &config_store_config(control->config.config)->control);
}

static const char *refuse(const struct varlink_call *call,
			  const struct varlink_method *method, void *user_data)
{
	const struct caller caller = who_calls(user_data, call);

	return caller_refuse(&caller, (enum control_access)method->access);
}

/* Which files there are is root's affair. */
static struct health_source health_source(const struct control *control,
					  const struct caller *caller)
{
	return (struct health_source){
		.watcher = control->config.watcher,
		.relay_user = caller->reads ? control->config.relay_user : NULL,
		.backends = consumers_backends(control->config.consumers),
		.names_backends = caller->reads,
	};
}

static void get_status(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct control_status status = {
		.watcher = control->config.watcher,
		.reconcile = control->config.reconcile,
		.binder = control->config.binder,
		.rules = control->config.rules,
		.consumers = control->config.consumers,
		.config = control->config.config,
		.containers_dir = control->config.containers_dir,
		.started_us = control->config.started_us,
	};

	control_status(call, &status);
}

static void list_namespaces(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct control_namespaces from = {
		.caller = who_calls(control, call),
		.watcher = control->config.watcher,
		.binder = control->config.binder,
		.reconcile = control->config.reconcile,
		.consumers = control->config.consumers,
	};

	control_namespaces(call, &from);
}

static void list_consumers(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;

	control_consumers(call, control->config.consumers);
}

static void list_listeners(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct caller caller = who_calls(control, call);

	const struct health_source source = health_source(control, &caller);

	control_listeners(call, &caller, control->config.binder, &source,
			  control->config.consumers, control->config.stats);
}

static void list_connections(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct control_connections from = {
		.watcher = control->config.watcher,
		.binder = control->config.binder,
		.rules = control->config.rules,
		.consumers = control->config.consumers,
	};

	control_connections(call, &from);
}

static void list_backends(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;

	control_backends(call, control->config.stats, control->config.rules,
			 consumers_backends(control->config.consumers));
}

static void get_stats(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;

	control_stats(call, control->config.stats);
}

static struct metrics_config metrics_of(const struct control *control)
{
	struct health_source health = health_source(control, &caller_root);

	health.relay_user = NULL; /* no file is looked at for metrics */
	health.brief = true;
	health.names_backends = false;
	return (struct metrics_config){
		.health = health,
		.watcher = control->config.watcher,
		.binder = control->config.binder,
		.rules = control->config.rules,
		.shadows = reconcile_shadows(control->config.reconcile),
		.consumers = control->config.consumers,
		.stats = control->config.stats,
		.relay = control->config.relay,
		.history = control->config.history,
	};
}

static void list_metrics(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct metrics_config from = metrics_of(control);

	control_metrics_list(call, control->loop, &from);
}

static void report_metrics(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct metrics_config from = metrics_of(control);

	control_metrics_report(call, control->loop, &from);
}

static void describe_metrics(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	control_metrics_describe(call);
}

static void list_rules(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;

	const struct control_rules from = {
		.rules = control->config.rules,
		.config = control->config.config,
		.containers_dir = control->config.containers_dir,
		.binder = control->config.binder,
	};

	control_rules(call, &from);
}

static void reload_all(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	struct control_reload reload = {
		.rules = control->config.rules,
		.config = control->config.config,
	};

	log_info("control: a client asks to reload");
	reload.result = control->config.reload(&reload.changed,
					       control->config.user_data);
	control_reloaded(call, &reload);
}

static const char *restart_problem(int error)
{
	if (error == -EBUSY)
		return "too many earlier ones still let their clients finish";
	if (error == -EOPNOTSUPP)
		return "berth-relay is a unit of its own here (relay: unit); "
		       "use systemctl reload berth-relay";
	return strerror(-error);
}

static void restart_relay(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	int r;

	log_info("control: a client asks to restart berth-relay");
	r = control->config.restart_relay(control->config.user_data);
	if (r == 0)
		varlink_reply(call, json_object());
	else
		varlink_error(call, "RestartFailed",
			      json_pack("{s:o, s:s}", "error",
					describe_errno(-r), "message",
					restart_problem(r)));
}

static void set_log_level(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const char *text = varlink_call_string(call, "level");
	enum log_level level = log_level();
	bool relay = false;

	if (text && log_level_parse(text, &level) < 0) {
		varlink_invalid_parameter(call, "level",
					  "expected error, warning, info or "
					  "debug");
		return;
	}
	if (text) {
		log_info("control: a client sets the log level to '%s'", text);
		relay = control->config.set_log_level(
			level, control->config.user_data);
	}
	varlink_reply(call,
		      json_pack("{s:s, s:b}", "level", log_level_name(level),
				"relay_told", relay));
}

static void explain(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct caller caller = who_calls(control, call);
	const struct control_explain from = {
		.caller = caller,
		.health = health_source(control, &caller),
		.stats = control->config.stats,
		.watcher = control->config.watcher,
		.binder = control->config.binder,
		.rules = control->config.rules,
		.reconcile = control->config.reconcile,
		.consumers = control->config.consumers,
		.containers_dir = control->config.containers_dir,
	};

	control_explain(call, &from);
}

static void monitor_call(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct caller caller = who_calls(control, call);

	control_monitor_call(call, control->monitor, &caller);
}

static void wait_call(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct caller caller = who_calls(control, call);

	control_wait_call(call, control->wait, &caller);
}

static void register_call(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct caller caller = who_calls(control, call);

	control_register_call(call, control->reg, &caller);
}

static void unregister_call(struct varlink_call *call, void *user_data)
{
	const struct control *control = user_data;
	const struct caller caller = who_calls(control, call);

	control_unregister_call(call, control->reg, &caller);
}

static void disconnected(uint64_t connection, void *user_data)
{
	const struct control *control = user_data;

	control_register_disconnected(control->reg, connection);
}

static struct control_drain drain_of(const struct control *control)
{
	return (struct control_drain){
		.binder = control->config.binder,
		.rules = control->config.rules,
		.reconcile = control->config.reconcile,
		.consumers = control->config.consumers,
	};
}

static void drain(struct varlink_call *call, void *user_data)
{
	const struct control_drain from = drain_of(user_data);

	control_drain(call, &from, /* reset= */ false);
}

static void close_now(struct varlink_call *call, void *user_data)
{
	const struct control_drain from = drain_of(user_data);

	control_drain(call, &from, /* reset= */ true);
}

static void undrain(struct varlink_call *call, void *user_data)
{
	const struct control_drain from = drain_of(user_data);

	control_undrain(call, &from);
}

static const struct varlink_parameter drain_parameters[] = {
	{ .name = "target", .required = true },
};

static const struct varlink_parameter undrain_parameters[] = {
	{ .name = "target" },
};

static const struct varlink_parameter listeners_parameters[] = {
	{ .name = "namespace" },
};

static const struct varlink_parameter connections_parameters[] = {
	{ .name = "target" },
	{ .name = "namespace" },
	{ .name = "rule" },
};

static const struct varlink_parameter backends_parameters[] = {
	{ .name = "rule" },
};

static const struct varlink_parameter metrics_parameters[] = {
	{ .name = "namespaces" },
};

static const struct varlink_parameter rules_parameters[] = {
	{ .name = "warnings", .is_bool = true },
};

static const struct varlink_parameter log_level_parameters[] = {
	{ .name = "level" },
};

static const struct varlink_parameter explain_parameters[] = {
	{ .name = "namespace", .required = true },
};

/* A method is root's alone unless it says otherwise. */
static const struct varlink_method methods[] = {
	{ .name = "GetStatus",
	  .access = CONTROL_FOR_READERS,
	  .handler = get_status },
	{ .name = "ListNamespaces",
	  .access = CONTROL_FOR_ALL,
	  .handler = list_namespaces },
	{ .name = "ListConsumers",
	  .access = CONTROL_FOR_READERS,
	  .handler = list_consumers },
	{ .name = "ListListeners",
	  .access = CONTROL_FOR_ALL,
	  .parameters = listeners_parameters,
	  .n_parameters = ARRAY_SIZE(listeners_parameters),
	  .handler = list_listeners },
	{ .name = "ListConnections",
	  .access = CONTROL_FOR_READERS,
	  .parameters = connections_parameters,
	  .n_parameters = ARRAY_SIZE(connections_parameters),
	  .handler = list_connections },
	{ .name = "ListBackends",
	  .access = CONTROL_FOR_READERS,
	  .parameters = backends_parameters,
	  .n_parameters = ARRAY_SIZE(backends_parameters),
	  .handler = list_backends },
	{ .name = "GetStats",
	  .access = CONTROL_FOR_READERS,
	  .handler = get_stats },
	{ .name = "ListMetrics",
	  .access = CONTROL_FOR_READERS,
	  .parameters = metrics_parameters,
	  .n_parameters = ARRAY_SIZE(metrics_parameters),
	  .handler = list_metrics },
	{ .name = "ListRules",
	  .access = CONTROL_FOR_READERS,
	  .parameters = rules_parameters,
	  .n_parameters = ARRAY_SIZE(rules_parameters),
	  .handler = list_rules },
	{ .name = "Monitor",
	  .access = CONTROL_FOR_READERS,
	  .takes_any = true,
	  .handler = monitor_call },
	{ .name = "Reload", .handler = reload_all },
	{ .name = "Drain",
	  .parameters = drain_parameters,
	  .n_parameters = ARRAY_SIZE(drain_parameters),
	  .handler = drain },
	{ .name = "Close",
	  .parameters = drain_parameters,
	  .n_parameters = ARRAY_SIZE(drain_parameters),
	  .handler = close_now },
	{ .name = "Undrain",
	  .parameters = undrain_parameters,
	  .n_parameters = ARRAY_SIZE(undrain_parameters),
	  .handler = undrain },
	{ .name = "RestartRelay", .handler = restart_relay },
	{ .name = "SetLogLevel",
	  .parameters = log_level_parameters,
	  .n_parameters = ARRAY_SIZE(log_level_parameters),
	  .handler = set_log_level },
	{ .name = "Explain",
	  .access = CONTROL_FOR_ALL,
	  .parameters = explain_parameters,
	  .n_parameters = ARRAY_SIZE(explain_parameters),
	  .handler = explain },
	{ .name = "Register",
	  .access = CONTROL_FOR_ALL,
	  .takes_any = true,
	  .handler = register_call },
	{ .name = "Unregister",
	  .access = CONTROL_FOR_ALL,
	  .takes_any = true,
	  .handler = unregister_call },
	{ .name = "Wait",
	  .access = CONTROL_FOR_ALL,
	  .takes_any = true,
	  .handler = wait_call },
};

static const struct varlink_method report_methods[] = {
	{ .name = "List",
	  .access = CONTROL_FOR_READERS,
	  .handler = report_metrics },
	{ .name = "Describe",
	  .access = CONTROL_FOR_READERS,
	  .handler = describe_metrics },
};

static const struct varlink_interface report_interface = {
	.name = "io.systemd.Metrics",
	.description = interface_metrics_text,
	.methods = report_methods,
	.n_methods = ARRAY_SIZE(report_methods),
	.refuse = refuse,
};

static const struct varlink_interface interface = {
	.name = "io.berth",
	.description = interface_text,
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
	.refuse = refuse,
	.disconnected = disconnected,
	.next = &report_interface,
};

int control_new(struct loop *loop, const char *path,
		const struct control_config *config,
		struct control **ret_control)
{
	struct control *control = malloc(sizeof(*control));
	struct control_wait_config wait_config;
	int r;

	if (!control)
		return -ENOMEM;
	*control = (struct control){ .config = *config, .loop = loop };
	wait_config = (struct control_wait_config){
		.watcher = config->watcher,
		.binder = config->binder,
		.reconcile = config->reconcile,
		.consumers = config->consumers,
	};
	r = control_wait_new(loop, &wait_config, &control->wait);
	if (r == 0)
		control->reg =
			control_register_new(config->watcher, control->wait);
	if (r == 0 && !control->reg)
		r = -ENOMEM;
	if (r == 0)
		r = control_monitor_new(loop, config->events, config->watcher,
					&control->monitor);
	if (r == 0)
		r = varlink_server_new(loop, &interface, control,
				       &control->server);
	if (r == 0)
		r = varlink_server_listen(
			control->server, path,
			&config_store_config(config->config)->control.access);
	if (r < 0) {
		control_free(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

static int report_listen(struct control *control, const char *dir)
{
	static const struct socket_access own = {
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.mode = SOCKET_MODE_PRIVATE,
	};
	_cleanup_free_ char *path = NULL;

	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (asprintf(&path, "%s/io.berth", dir) < 0) {
		path = NULL; /* it is undefined by now */
		return -ENOMEM;
	}
	return varlink_server_listen(control->report, path, &own);
}

void control_report(struct control *control, const char *dir)
{
	int r = varlink_server_new(control->loop, &report_interface, control,
				   &control->report);

	if (r == 0)
		r = report_listen(control, dir);
	if (r < 0)
		log_warning_errno(-r, "cannot report metrics in '%s'", dir);
}

void control_configured(struct control *control)
{
	const struct config *config =
		config_store_config(control->config.config);

	varlink_server_set_access(control->server, &config->control.access);
	control_monitor_configured(control->monitor);
}

struct control *control_free(struct control *control)
{
	if (!control)
		return NULL;
	varlink_server_free(control->report);
	varlink_server_free(control->server);
	control_register_free(control->reg);
	control_wait_free(control->wait);
	control_monitor_free(control->monitor);
	free(control);
	return NULL;
}

void control_netns_changed(struct control *control, const struct netns *netns)
{
	if (control)
		control_wait_netns_changed(control->wait, netns);
}

void control_netns_gone(struct control *control, uint64_t netns_id)
{
	if (control)
		control_wait_netns_gone(control->wait, netns_id);
}

void control_netns_settles(struct control *control, uint64_t netns_id)
{
	if (control)
		control_wait_look_again(control->wait, netns_id);
}

void control_registration_ended(struct control *control, uint64_t id)
{
	if (control)
		control_register_ended(control->reg, id);
}

void control_step(struct control *control)
{
	if (control)
		control_wait_step(control->wait);
}

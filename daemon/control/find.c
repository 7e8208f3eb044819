// SPDX-License-Identifier: Apache-2.0
/* find.c - namespaces by what people call them */
#include "daemon/control/find.h"

#include <string.h>

#include "common/netns.h"
#include "common/utf8.h"
#include "common/util.h"
#include "daemon/control/caller.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "watcher/watcher.h"

/* More than a directory of namespaces ever holds in passing. */
#define ABSENT_MAX 4096

/**
 * struct wanted - what is looked for
 * @text:	as it was given
 * @of_users:	what others than root told is looked through; else what root did
 * @plain:	with \xNN as the bytes they stand for, as replies write a name
 *		of any bytes; equal to @text for others; NULL: no memory
 */
struct wanted {
	const char *text;
	char *plain;
	bool of_users;
};

static void wanted_done(struct wanted *wanted)
{
	free(wanted->plain);
}

static struct wanted wanted_of(const char *text)
{
	return (struct wanted){ .text = text, .plain = utf8_unescape(text) };
}

/* Is @path the directory, a slash and the name? */
static bool path_is(const char *path, const char *dir, const char *name)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/' &&
	       strcmp(path + len + 1, name) == 0;
}

static bool name_matches(const char *dir, const char *name,
			 const struct wanted *wanted)
{
	return strcmp(name, wanted->plain) == 0 ||
	       strcmp(name, wanted->text) == 0 ||
	       path_is(wanted->plain, dir, name) ||
	       path_is(wanted->text, dir, name);
}

static bool netns_matches(const struct netns *netns,
			  const struct wanted *wanted)
{
	if (strcmp(wanted->text, "host") == 0)
		return netns->host;
	for (size_t i = 0; i < netns->n_names; i++) {
		if ((netns->names[i].uid != 0) == wanted->of_users &&
		    name_matches(netns->names[i].dir, netns->names[i].name,
				 wanted))
			return true;
	}
	return false;
}

static bool id_parse(const char *text, uint64_t *ret_id)
{
	char *end;

	if ((*text < '0' || *text > '9') && *text != '-')
		return false;
	errno = 0;
	/* Ids with the highest bit set are negative in JSON. */
	*ret_id = *text == '-' ? (uint64_t)strtoll(text, &end, 10)
			       : strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && end != text;
}

/** typedef matcher - does the text mean this namespace? */
typedef bool (*matcher)(const struct netns *netns, const struct wanted *wanted);

static size_t find_all(struct watcher *watcher, const struct caller *caller,
		       const struct wanted *wanted, matcher matches,
		       struct netns *ret_netns[FIND_MAX])
{
	struct netns *netns = NULL;
	size_t n = 0;

	while ((netns = watcher_next(watcher, netns))) {
		if (!caller_sees(caller, netns) || !matches(netns, wanted))
			continue;
		if (n < FIND_MAX)
			ret_netns[n] = netns;
		n++;
	}
	return n;
}

static bool container_is(const struct container *container,
			 const struct wanted *wanted)
{
	return strcmp(container->name, wanted->text) == 0 ||
	       path_is(wanted->text, container->pod_namespace,
		       container->name) ||
	       (*container->id && strcmp(container->id, wanted->text) == 0);
}

static bool container_matches(const struct netns *netns,
			      const struct wanted *wanted)
{
	for (size_t i = 0; i < netns->n_containers; i++) {
		if ((netns->containers[i]->uid != 0) == wanted->of_users &&
		    container_is(netns->containers[i], wanted))
			return true;
	}
	return false;
}

static size_t find_id(struct watcher *watcher, const struct caller *caller,
		      const char *text, struct netns *ret_netns[FIND_MAX])
{
	uint64_t id;

	if (!id_parse(text, &id))
		return 0;
	ret_netns[0] = watcher_find(watcher, id);
	return ret_netns[0] && caller_sees(caller, ret_netns[0]) ? 1 : 0;
}

static size_t find_path(struct watcher *watcher, const struct wanted *wanted,
			struct netns *ret_netns[FIND_MAX])
{
	const char *reason;

	return watcher_find_path(watcher, wanted->plain, &ret_netns[0],
				 &reason) == 0
		       ? 1
		       : 0;
}

int find_netns(struct watcher *watcher, const struct caller *caller,
	       const char *text, struct netns *ret_netns[FIND_MAX],
	       size_t *ret_n)
{
	_cleanup_(wanted_done) struct wanted wanted = wanted_of(text);
	size_t n;

	if (!wanted.plain)
		return -ENOMEM;
	n = find_all(watcher, caller, &wanted, netns_matches, ret_netns);
	if (n == 0)
		n = find_id(watcher, caller, text, ret_netns);
	if (n == 0)
		n = find_all(watcher, caller, &wanted, container_matches,
			     ret_netns);
	/* A path is followed with our power, not the caller's. */
	if (n == 0 && caller->rank == CALLER_ROOT)
		n = find_path(watcher, &wanted, ret_netns);
	wanted.of_users = true;
	if (n == 0)
		n = find_all(watcher, caller, &wanted, netns_matches,
			     ret_netns);
	if (n == 0)
		n = find_all(watcher, caller, &wanted, container_matches,
			     ret_netns);
	*ret_n = n;
	return 0;
}

bool find_is(const struct netns *netns, const char *text)
{
	_cleanup_(wanted_done) struct wanted wanted = wanted_of(text);
	bool found = !wanted.plain;
	uint64_t id;

	for (int users = 0; !found && users <= 1; users++) {
		wanted.of_users = users;
		found = netns_matches(netns, &wanted) ||
			container_matches(netns, &wanted);
	}
	return found || (id_parse(text, &id) && id == netns->id);
}

bool find_may_be(const struct netns *netns, const char *text)
{
	return text[0] == '/' || find_is(netns, text);
}

int find_pending(const struct watcher *watcher, const char *text,
		 struct watcher_pending *ret_pending)
{
	_cleanup_(wanted_done) struct wanted wanted = wanted_of(text);
	_cleanup_free_ struct watcher_pending *list =
		calloc(ABSENT_MAX, sizeof(*list));
	size_t n;

	if (!wanted.plain || !list)
		return -ENOMEM;
	n = watcher_pending_names(watcher, list, ABSENT_MAX);
	for (size_t i = 0; i < n && i < ABSENT_MAX; i++) {
		if (!name_matches(list[i].dir, list[i].name, &wanted))
			continue;
		*ret_pending = list[i];
		return 1;
	}
	return 0;
}

int find_lingering(const struct watcher *watcher, const char *text,
		   struct watcher_lingering *ret_lingering)
{
	_cleanup_(wanted_done) struct wanted wanted = wanted_of(text);
	_cleanup_free_ struct watcher_lingering *list =
		calloc(ABSENT_MAX, sizeof(*list));
	bool by_id;
	uint64_t id = 0;
	size_t n;

	if (!wanted.plain || !list)
		return -ENOMEM;
	by_id = id_parse(text, &id);
	n = watcher_lingering(watcher, list, ABSENT_MAX);
	for (size_t i = 0; i < n && i < ABSENT_MAX; i++) {
		if (!(by_id && list[i].netns_id == id) &&
		    !name_matches("", list[i].name, &wanted))
			continue;
		*ret_lingering = list[i];
		return 1;
	}
	return 0;
}

/* A container with this name that has no namespace. */
static bool find_pending_container(const struct watcher *watcher,
				   const char *text,
				   struct watcher_pending_container *ret)
{
	const struct wanted wanted = { .text = text };
	size_t n = watcher_pending_containers(watcher, NULL, 0);
	_cleanup_free_ struct watcher_pending_container *list =
		calloc(n + 1, sizeof(*list));

	if (!list)
		return false;
	n = watcher_pending_containers(watcher, list, n);
	for (size_t i = 0; i < n; i++) {
		if (!container_is(list[i].container, &wanted))
			continue;
		*ret = list[i];
		return true;
	}
	return false;
}

static void print_dirs(FILE *f, const struct watcher *watcher)
{
	size_t n = watcher_dir_count(watcher);

	for (size_t i = 0; i < n; i++) {
		bool exists = false;
		const char *path = watcher_dir(watcher, i, &exists);

		(void)fprintf(f, "%s %s%s", i > 0 ? "," : "", path,
			      exists ? "" : " (does not exist)");
	}
}

/* Where @text was looked for, in a sentence. Return: allocated, or NULL. */
static char *absence_text(struct watcher *watcher, const struct caller *caller,
			  const char *text)
{
	struct watcher_pending_container pending;
	struct watcher_pending name;
	struct netns *netns;
	const char *reason;
	char *message = NULL;
	size_t size;
	FILE *f = open_memstream(&message, &size);

	if (!f)
		return NULL;
	if (find_pending_container(watcher, text, &pending)) {
		(void)fprintf(f,
			      "container '%s' is in no network namespace: "
			      "%s (%s)",
			      text, pending.reason, pending.path);
	} else if (find_pending(watcher, text, &name) > 0) {
		(void)fprintf(f, "'%s' leads to no network namespace: %s", text,
			      name.reason);
	} else if (text[0] == '/' && caller->rank == CALLER_ROOT &&
		   watcher_find_path(watcher, text, &netns, &reason) < 0) {
		(void)fprintf(f, "'%s' is no network namespace with a name in",
			      text);
		print_dirs(f, watcher);
		(void)fprintf(f, ": %s", reason);
	} else {
		(void)fprintf(f, "no network namespace '%s' in", text);
		print_dirs(f, watcher);
		(void)fputs(", and no container with that name", f);
	}
	if (fclose(f) == 0)
		return message;
	free(message);
	return NULL;
}

/* For a caller who is not to hear of what others have. */
static char *unseen_text(const char *text)
{
	char *message;

	if (asprintf(&message, "you registered no network namespace '%s'",
		     text) < 0)
		return NULL;
	return message;
}

void find_error(struct varlink_call *call, struct watcher *watcher,
		const struct caller *caller, const char *text)
{
	_cleanup_free_ char *message =
		caller->reads ? absence_text(watcher, caller, text)
			      : unseen_text(text);

	varlink_error(call, "NoSuchNamespace",
		      json_pack("{s:s, s:o}", "namespace", text, "message",
				message ? json_text(message) : NULL));
}

/* "directory/name" of the one name that was meant, or of the first one. */
static json_t *describe_candidate(const struct netns *netns,
				  const struct wanted *wanted)
{
	_cleanup_free_ char *path = NULL;
	const struct netns_name *name = netns->names;

	if (netns->n_names == 0)
		return json_string("host");
	for (size_t i = 0; i < netns->n_names; i++) {
		if (name_matches(netns->names[i].dir, netns->names[i].name,
				 wanted)) {
			name = &netns->names[i];
			break;
		}
	}
	if (asprintf(&path, "%s/%s", name->dir, name->name) < 0) {
		path = NULL; /* asprintf(3) leaves it undefined */
		return NULL;
	}
	return json_text(path);
}

static json_t *describe_candidates(struct netns *const netns[], size_t n,
				   const char *text)
{
	_cleanup_(wanted_done) struct wanted wanted = wanted_of(text);
	json_t *array = wanted.plain ? json_array() : NULL;

	for (size_t i = 0; array && i < n && i < FIND_MAX; i++)
		json_add(&array, describe_candidate(netns[i], &wanted));
	return array;
}

void find_ambiguous(struct varlink_call *call, struct netns *const netns[],
		    size_t n, const char *text)
{
	varlink_error(call, "AmbiguousNamespace",
		      json_pack("{s:s, s:o}", "namespace", text, "candidates",
				describe_candidates(netns, n, text)));
}

// SPDX-License-Identifier: Apache-2.0
/* privileges.c - the capabilities berthd needs, and giving up the others */
#include "daemon/privileges.h"

#include <cap-ng.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/accounts.h"

#define DEFAULT_RELAY_USER "berth-relay"
#define FALLBACK_RELAY_USER "nobody"

static const struct {
	unsigned int capability;
	const char *name;
	bool only_for_relay;
	const char *purpose;
} needed[] = {
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", false,
	  "to enter network namespaces (setns)" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", false,
	  "to number namespaces and set socket options" },
	{ CAP_NET_BROADCAST, "CAP_NET_BROADCAST", false,
	  "to hear the events of all namespaces" },
	{ CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", false,
	  "to listen on ports below 1024" },
	{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", false,
	  "to open names that others created" },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false,
	  "to follow links into /proc/PID/ns/net" },
	{ CAP_CHOWN, "CAP_CHOWN", false, "to give consumers their sockets" },
	{ CAP_SETUID, "CAP_SETUID", true,
	  "to start berth-relay as its own user" },
	{ CAP_SETGID, "CAP_SETGID", true,
	  "to start berth-relay as its own user" },
	{ CAP_SETPCAP, "CAP_SETPCAP", true,
	  "to take all capabilities from berth-relay" },
	{ CAP_KILL, "CAP_KILL", true, "to end a berth-relay that hangs" },
};

int privileges_check(bool starts_relay)
{
	int r = 0;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (needed[i].only_for_relay && !starts_relay)
			continue;
		if (capng_have_capability(CAPNG_EFFECTIVE,
					  needed[i].capability))
			continue;
		log_error("berthd lacks the capability %s, needed %s",
			  needed[i].name, needed[i].purpose);
		r = -EPERM;
	}
	return r;
}

int privileges_drop(bool starts_relay)
{
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (needed[i].only_for_relay && !starts_relay)
			continue;
		if (capng_update(CAPNG_ADD,
				 CAPNG_EFFECTIVE | CAPNG_PERMITTED |
					 CAPNG_BOUNDING_SET,
				 needed[i].capability) < 0)
			return -EPERM;
	}
	/* Without CAP_SETPCAP the bounding set stays: it only matters for
	 * programs that berthd would start, and then it has CAP_SETPCAP. */
	if (capng_apply(starts_relay ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS) <
	    0)
		return -EPERM;
	return 0;
}

static int find_user(const char *name, struct relay_user *ret_user)
{
	struct account account;
	int r = accounts_system.user(name, &account);

	if (r < 0)
		return r;
	/* A number that is no user's has no group. */
	if (!account.known)
		return -ENOENT;
	*ret_user = (struct relay_user){
		.uid = account.uid,
		.gid = account.gid,
	};
	return 0;
}

int privileges_find_user(const char *name, struct relay_user *ret_user)
{
	int r;

	if (name)
		return find_user(name, ret_user);
	r = find_user(DEFAULT_RELAY_USER, ret_user);
	if (r == 0)
		return 0;
	log_info("there is no user '%s'; berth-relay runs as '%s'",
		 DEFAULT_RELAY_USER, FALLBACK_RELAY_USER);
	return find_user(FALLBACK_RELAY_USER, ret_user);
}

int privileges_become(const struct relay_user *user)
{
	/* The bounding set first: it needs CAP_SETPCAP. */
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return -EPERM;
	if (setgroups(0, NULL) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	/* The kernel has emptied the sets of anyone but root. */
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int privileges_bind_unprivileged(int fd, const struct sockaddr *address,
				 socklen_t len)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct all[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct less[_LINUX_CAPABILITY_U32S_3];
	int r = 0;

	/* Not by libcap-ng, which keeps one state for the whole process. */
	if (syscall(SYS_capget, &header, all) < 0)
		return -errno;
	memcpy(less, all, sizeof(less));
	less[CAP_TO_INDEX(CAP_NET_BIND_SERVICE)].effective &=
		~CAP_TO_MASK(CAP_NET_BIND_SERVICE);
	if (syscall(SYS_capset, &header, less) < 0)
		return -errno;
	if (bind(fd, address, len) < 0)
		r = -errno;
	if (syscall(SYS_capset, &header, all) < 0) {
		/* What is permitted can be made effective. Without it listeners
		 * would fail for a reason that nobody could find. */
		log_error_errno(errno, "cannot take a capability back");
		abort();
	}
	return r;
}

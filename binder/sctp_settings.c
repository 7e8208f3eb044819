// SPDX-License-Identifier: Apache-2.0
/* sctp_settings.c - a namespace's net.sctp sysctls, put on a socket
 *
 * SCTP copies the sysctls of the namespace to a socket when socket(2) makes it
 * (sctp_init_sock() in net/sctp/socket.c, sctp_endpoint_init()), and from a
 * listening socket to its associations. A container's sysctls are set after
 * berth has made the listener, so the listener has to get them later.
 */
#include "binder/sctp_settings.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <string.h>
#include <sys/socket.h>

#include "common/netns_enter.h"
#include "common/util.h"

#define FILE_OF(name) "/proc/sys/net/sctp/" name

static const char *const files[] = {
	[SCTP_SETTING_RTO_INITIAL] = FILE_OF("rto_initial"),
	[SCTP_SETTING_RTO_MIN] = FILE_OF("rto_min"),
	[SCTP_SETTING_RTO_MAX] = FILE_OF("rto_max"),
	[SCTP_SETTING_ASSOCIATION_MAX_RETRANS] =
		FILE_OF("association_max_retrans"),
	[SCTP_SETTING_VALID_COOKIE_LIFE] = FILE_OF("valid_cookie_life"),
	[SCTP_SETTING_HB_INTERVAL] = FILE_OF("hb_interval"),
	[SCTP_SETTING_PATH_MAX_RETRANS] = FILE_OF("path_max_retrans"),
	[SCTP_SETTING_SACK_TIMEOUT] = FILE_OF("sack_timeout"),
	[SCTP_SETTING_MAX_BURST] = FILE_OF("max_burst"),
	[SCTP_SETTING_AUTH_ENABLE] = FILE_OF("auth_enable"),
	[SCTP_SETTING_ADDIP_ENABLE] = FILE_OF("addip_enable"),
	[SCTP_SETTING_PRSCTP_ENABLE] = FILE_OF("prsctp_enable"),
	[SCTP_SETTING_RECONF_ENABLE] = FILE_OF("reconf_enable"),
	[SCTP_SETTING_ECN_ENABLE] = FILE_OF("ecn_enable"),
};
_Static_assert(ARRAY_SIZE(files) == SCTP_SETTING_COUNT, "a file each");

/* Settings that an option of one number sets. The order matters: if AUTH is on
 * when ADD-IP is turned on, AUTH covers the chunks of ADD-IP. */
static const struct {
	enum sctp_setting setting;
	int option;
} numbers[] = {
	{ SCTP_SETTING_MAX_BURST, SCTP_MAX_BURST },
	{ SCTP_SETTING_AUTH_ENABLE, SCTP_AUTH_SUPPORTED },
	{ SCTP_SETTING_ADDIP_ENABLE, SCTP_ASCONF_SUPPORTED },
	{ SCTP_SETTING_PRSCTP_ENABLE, SCTP_PR_SUPPORTED },
	{ SCTP_SETTING_RECONF_ENABLE, SCTP_RECONFIG_SUPPORTED },
	{ SCTP_SETTING_ECN_ENABLE, SCTP_ECN_SUPPORTED },
};

int sctp_settings_read(int netns_fd, struct sctp_settings *ret_settings)
{
	struct netns_number found[SCTP_SETTING_COUNT];
	int r;

	for (size_t i = 0; i < SCTP_SETTING_COUNT; i++)
		found[i].path = files[i];
	r = netns_numbers(netns_fd, found, SCTP_SETTING_COUNT);
	if (r < 0)
		return r;
	for (size_t i = 0; i < SCTP_SETTING_COUNT; i++)
		ret_settings->values[i] = found[i].value;
	return 0;
}

bool sctp_settings_equal(const struct sctp_settings *a,
			 const struct sctp_settings *b)
{
	return memcmp(a->values, b->values, sizeof(a->values)) == 0;
}

static int set(int fd, int option, const void *value, size_t size)
{
	return setsockopt(fd, IPPROTO_SCTP, option, value, (socklen_t)size) < 0
		       ? -errno
		       : 0;
}

/* Return: the value for the structure of an option, where 0 leaves the old one.
 */
static uint32_t number(const struct sctp_settings *settings,
		       enum sctp_setting setting)
{
	int64_t value = settings->values[setting];

	return value < 0 ? 0 : (uint32_t)value;
}

static int apply_times(int fd, const struct sctp_settings *s)
{
	struct sctp_rtoinfo rto = {
		.srto_initial = number(s, SCTP_SETTING_RTO_INITIAL),
		.srto_max = number(s, SCTP_SETTING_RTO_MAX),
		.srto_min = number(s, SCTP_SETTING_RTO_MIN),
	};
	struct sctp_assocparams association = {
		.sasoc_asocmaxrxt = (uint16_t)number(
			s, SCTP_SETTING_ASSOCIATION_MAX_RETRANS),
		.sasoc_cookie_life = number(s, SCTP_SETTING_VALID_COOKIE_LIFE),
	};
	struct sctp_paddrparams path = {
		.spp_hbinterval = number(s, SCTP_SETTING_HB_INTERVAL),
		.spp_pathmaxrxt =
			(uint16_t)number(s, SCTP_SETTING_PATH_MAX_RETRANS),
		.spp_flags = SPP_HB_ENABLE,
	};
	struct sctp_sack_info sack = {
		.sack_delay = number(s, SCTP_SETTING_SACK_TIMEOUT),
	};
	int r = set(fd, SCTP_RTOINFO, &rto, sizeof(rto)), result = r;

	r = set(fd, SCTP_ASSOCINFO, &association, sizeof(association));
	result = result < 0 ? result : r;
	r = set(fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
	result = result < 0 ? result : r;
	r = set(fd, SCTP_DELAYED_SACK, &sack, sizeof(sack));
	return result < 0 ? result : r;
}

int sctp_settings_apply(int fd, const struct sctp_settings *settings)
{
	int result = apply_times(fd, settings);

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int64_t value = settings->values[numbers[i].setting];
		struct sctp_assoc_value option = {
			.assoc_value = (uint32_t)value,
		};
		int r;

		if (value < 0)
			continue;
		r = set(fd, numbers[i].option, &option, sizeof(option));
		if (result == 0)
			result = r;
	}
	return result;
}

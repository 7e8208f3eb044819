// SPDX-License-Identifier: Apache-2.0
/* listener_spec.c - a wanted listener: where, with what, for whom */
#include "common/listener_spec.h"

#include "common/util.h"

void listener_spec_done(struct listener_spec *spec)
{
	spec->service = service_unref(spec->service);
	free(TAKE_PTR(spec->addrs));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* top_json.h - a sample of `berthctl top` as JSON */
#ifndef CTL_TOP_TOP_JSON_H
#define CTL_TOP_TOP_JSON_H

#include <stdio.h>

#include "ctl/top/model.h"

/** top_json_print() - prints all views as one object. @sample: finished.
 * Return: 0; -ENOMEM; -EIO: @out cannot be written to. */
int top_json_print(const struct top_sample *sample, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* json_scan.h - reads JSON text where it lies, without making a tree of it
 *
 * For lists that are too long for trees: of what jansson needs for an element,
 * this takes a tenth. It finds its way through any JSON, and takes some text
 * for JSON that is none. The text is changed, and may be looked at once.
 */
#ifndef CLIENT_JSON_SCAN_H
#define CLIENT_JSON_SCAN_H

#include <stddef.h>

/** struct json_span - a value's text, its quotes or brackets included */
struct json_span {
	char *text;
	size_t len;
};

enum json_kind {
	JSON_KIND_TEXT, /* const char *; "" for null */
	JSON_KIND_NUMBER, /* int64_t; 0 for null */
	JSON_KIND_FLAG, /* bool; false for null */
	JSON_KIND_OBJECT, /* its members are members of the same struct */
};

/**
 * struct json_member - a member of an object that is looked for
 * @offset:	of what gets it in the struct
 * @members:	of an object: the last one has no name
 */
struct json_member {
	const char *name;
	enum json_kind kind;
	size_t offset;
	const struct json_member *members;
};

/**
 * json_scan_find() - a member of an object
 * @span:	the object's text
 * Return: 1; 0: there is none of this name, or @span is no object; -EPROTO: it
 * is no JSON.
 */
int json_scan_find(struct json_span span, const char *name,
		   struct json_span *ret_value);

/**
 * json_scan_next() - the next element of an array
 * @at:		the array's text; gets what is left of it
 * Return: 1; 0: there are no more, or *@at was no array; -EPROTO: it is no
 * JSON.
 */
int json_scan_next(struct json_span *at, struct json_span *ret_element);

/**
 * json_scan_read() - an object's members into a struct
 * @span:	the object's text; strings in the struct lie in it
 * @members:	the last one has no name; quickest in the order of the text
 * @object:	what is not in the text stays as it is
 * Return: 0; -EPROTO: it is no object; -ENOMEM.
 */
int json_scan_read(struct json_span span, const struct json_member *members,
		   void *object);

#endif

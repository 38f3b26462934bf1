/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_JSON_H
#define OURO_HTTP_JSON_H

#include <jansson.h>

/* Read JSON, strictly: any value, but no key twice, and nothing nested so deep that it would not fit
 * onto a task's stack. NULL: @error says why. */
json_t *ouro__http_json_load(const char *text, size_t size, json_error_t *error);

/* Write it, to be given to free(3). 0, -EINVAL (nested too deep), -ENOMEM. */
int ouro__http_json_text(const json_t *json, char **ret_text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * JSON, by jansson, of what others have sent and for others to read.
 *
 * jansson calls itself for each level, 2048 at most: some 80 bytes of stack to read one, 300 to write
 * it. Tasks have 64 KiB, so depth is looked at before.
 */
#include "json.h"

#include <errno.h>
#include <stdbool.h>

#define DEPTH_MAX 100

/* How deep arrays and objects are in each other. Of what is no JSON it says anything. */
static size_t depth_of(const char *text, size_t size)
{
    size_t depth = 0, most = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (c == '[' || c == '{')
            most = ++depth > most ? depth : most;
        else if (c == ']' || c == '}')
            depth -= depth > 0;
    }
    return most;
}

json_t *ouro__http_json_load(const char *text, size_t size, json_error_t *error)
{
    if (depth_of(text, size) <= DEPTH_MAX)
        return json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, error);
    *error = (json_error_t){.line = 1, .text = "it is nested too deep"};
    return NULL;
}

/* Whether a value has no more than @left levels. */
static bool is_shallow(const json_t *json, int left)
{
    const json_t *inner;
    const char *key;
    size_t i;
    if (json_is_array(json))
        json_array_foreach(json, i,
                           inner) if (left == 0 || !is_shallow(inner, left - 1)) return false;
    if (json_is_object(json)) {
        json_t *object = (json_t *)json; /* which the macro takes, and does not change */
        json_t *value;
        json_object_foreach(object, key,
                            value) if (left == 0 || !is_shallow(value, left - 1)) return false;
    }
    return true;
}

int ouro__http_json_text(const json_t *json, char **ret_text)
{
    if (!is_shallow(json, DEPTH_MAX))
        return -EINVAL;
    *ret_text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    return *ret_text ? 0 : -ENOMEM;
}

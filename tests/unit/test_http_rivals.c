/* SPDX-License-Identifier: MIT */
/*
 * The table of requests, given to other parsers: good ones mean the same to them, and where they take
 * bad ones that is known, by name, in the table.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_examples.h"
#include "http_reading.h"
#include "http_rival.h"

TestSuite(http_rivals, .timeout = 60);

static const struct http_rival *const rivals[] = {
#ifdef HTTP_HAVE_LLHTTP
    &http_rival_llhttp,
#endif
#ifdef HTTP_HAVE_HTTP_PARSER
    &http_rival_http_parser,
#endif
};

#define COUNT (sizeof rivals / sizeof *rivals)

/* Our reading with the target as it came. */
static char *as_it_came(const struct http_example *e)
{
    const char *target = strchr(e->text, ' ') + 1, *rest = strchr(target, '\n');
    char *text = malloc(strlen(e->text) + (e->url ? strlen(e->url) : 0) + 1);
    sprintf(text, "%.*s%.*s%s", (int)(target - e->text), e->text,
            e->url ? (int)strlen(e->url) : (int)(rest - target), e->url ? e->url : target, rest);
    return text;
}

/* Whether @rival does with @e what is known: it @takes what @we take, but for what it is noted for.
 * A newer one may have changed its mind in our favour. */
static bool is_known(const struct http_rival *rival, const struct http_example *e, bool takes,
                     bool we)
{
    bool noted = e->differently & rival->bit;
    return takes == (noted ? !we : we) || (rival->newer && takes == we);
}

static void compare_good(const struct http_rival *rival, const struct http_example *e)
{
    struct http_reading r;
    char *want = as_it_came(e);
    bool takes = rival->read(e->bytes, e->size, &r);
    cr_expect(is_known(rival, e, takes, true), "%s %s %s", rival->name, takes ? "takes" : "refuses",
              e->name);
    if (takes)
        cr_expect(strcmp(r.text, want) == 0, "%s, %s reads\n%s\nrather than\n%s", e->name,
                  rival->name, r.text, want);
    http_reading_free(&r);
    free(want);
}

Test(http_rivals, good_requests_mean_the_same_to_others)
{
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < http_good_count; j++)
            compare_good(rivals[i], &http_good[j]);
}

Test(http_rivals, it_is_known_which_bad_requests_others_take)
{
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < http_bad_count; j++) {
            const struct http_example *e = &http_bad[j];
            struct http_reading r;
            bool takes = rivals[i]->read(e->bytes, e->size, &r);
            cr_expect(is_known(rivals[i], e, takes, false), "%s %s %s", rivals[i]->name,
                      takes ? "takes" : "refuses", e->name);
            http_reading_free(&r);
        }
}

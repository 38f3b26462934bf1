/* SPDX-License-Identifier: MIT */
/*
 * Points of time: of timestamps and dates, in ISO text or binary.
 *
 * Text is "2024-02-29", "2024-02-29 23:59:59.999999+05:30" or "0044-03-15 12:00:00 BC", with years
 * of four digits or more. The years before 1 are counted 0, -1, ... here, so that the calendar is
 * one arithmetic.
 *
 * Fails with -EBADMSG for what is none, which every DateStyle but ISO is found to be, and with
 * -ERANGE for what microseconds since 1970 cannot count: timestamps and dates reach farther.
 */
#include "cell.h"

#include <errno.h>
#include <string.h>

#define US_OF_SECOND   INT64_C(1000000)
#define SECONDS_OF_DAY INT64_C(86400)
/* From 1970-01-01 to 2000-01-01, where the server's own count begins. */
#define EPOCH_DAYS INT64_C(10957)

/* Seconds and the rest, so that nothing overflows on the way. */
struct moment {
    int64_t days; /* since 1970-01-01 */
    int64_t seconds;
    int64_t us;
};

static int us_of_moment(const struct moment *m, int64_t *ret)
{
    int64_t us;
    if (__builtin_mul_overflow(m->days * SECONDS_OF_DAY + m->seconds, US_OF_SECOND, &us) ||
        __builtin_add_overflow(us, m->us, &us))
        return -ERANGE;
    if (us == INT64_MIN || us == INT64_MAX) /* these stand for the infinities */
        return -ERANGE;
    *ret = us;
    return 0;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Take @least to @most digits; false: there are not so many. */
static bool number(const char **p, int least, int most, int64_t *ret)
{
    int n = 0;
    *ret = 0;
    for (; n < most && **p >= '0' && **p <= '9'; n++, (*p)++)
        *ret = 10 * *ret + (**p - '0');
    return n >= least;
}

static bool letter(const char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* Days from 1970-01-01. March begins the year here, so the leap day is its last; 400 years are
 * alike. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t cycle = (y >= 0 ? y : y - 399) / 400;
    int64_t in_cycle = y - 400 * cycle;
    int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return cycle * 146097 + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year - 719468;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2)
        return leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* 23:59:59.999999 */
static bool time_of_day(const char **p, struct moment *m)
{
    int64_t hour, minute, second;
    if (!number(p, 2, 2, &hour) || !letter(p, ':') || !number(p, 2, 2, &minute) ||
        !letter(p, ':') || !number(p, 2, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    m->seconds = hour * 3600 + minute * 60 + second;
    if (!letter(p, '.'))
        return true;
    const char *fraction = *p;
    if (!number(p, 1, 6, &m->us))
        return false;
    for (long digits = *p - fraction; digits < 6; digits++)
        m->us *= 10;
    return true;
}

/* +05, +05:30, -00:44:30; or nothing, which is UTC. */
static bool offset(const char **p, struct moment *m)
{
    int64_t hour, minute = 0, second = 0;
    bool west = **p == '-';
    if (!west && **p != '+')
        return true;
    ++*p;
    if (!number(p, 2, 2, &hour))
        return false;
    if (letter(p, ':') && !number(p, 2, 2, &minute))
        return false;
    if (letter(p, ':') && !number(p, 2, 2, &second))
        return false;
    if (hour > 15 || minute > 59 || second > 59)
        return false;
    int64_t ahead = hour * 3600 + minute * 60 + second;
    m->seconds += west ? ahead : -ahead;
    return true;
}

static int time_of_text(const char *p, size_t size, int64_t *ret)
{
    const char *end = p + size;
    struct moment m = {.days = 0};
    int64_t year, month, day;
    if (!number(&p, 4, 9, &year) || !letter(&p, '-') || !number(&p, 2, 2, &month) ||
        !letter(&p, '-') || !number(&p, 2, 2, &day))
        return -EBADMSG;
    if (p[0] == ' ' && p[1] != 'B') {
        p++;
        if (!time_of_day(&p, &m) || !offset(&p, &m))
            return -EBADMSG;
    }
    if (year == 0 || month < 1 || month > 12)
        return -EBADMSG;
    if (end - p == 3 && memcmp(p, " BC", 3) == 0) {
        year = 1 - year;
        p = end;
    }
    if (p != end || day < 1 || day > days_of_month(year, month))
        return -EBADMSG;
    m.days = days_of_date(year, month, day);
    return us_of_moment(&m, ret);
}

/* ---- Binary ---------------------------------------------------------------------------------- */

static int time_of_binary(const struct pg_cell *cell, int64_t *ret)
{
    bool is_date = cell->type == PG_TYPE_DATE;
    if (!is_date && cell->type != PG_TYPE_TIMESTAMP && cell->type != PG_TYPE_TIMESTAMPTZ)
        return -EBADMSG;
    if (cell->size != (is_date ? 4 : 8))
        return -EBADMSG;
    int64_t n = pg_signed_of(cell->data, cell->size);
    if (n == (is_date ? INT32_MIN : INT64_MIN) || n == (is_date ? INT32_MAX : INT64_MAX)) {
        *ret = n < 0 ? INT64_MIN : INT64_MAX;
        return 0;
    }
    struct moment m = {.days = EPOCH_DAYS};
    if (is_date) {
        m.days += n;
    } else {
        m.seconds = n / US_OF_SECOND;
        m.us = n % US_OF_SECOND;
    }
    return us_of_moment(&m, ret);
}

int ouro_pg_time_at(const ouro_pg_result *r, int64_t row, int column, int64_t *ret_us)
{
    struct pg_cell cell;
    int rc = ret_us ? ouro__pg_cell_find(r, row, column, &cell) : -EINVAL;
    if (rc < 0)
        return rc;
    if (!ouro__pg_cell_is_text(&cell))
        return time_of_binary(&cell, ret_us);
    if (strcmp(cell.data, "infinity") == 0)
        *ret_us = INT64_MAX;
    else if (strcmp(cell.data, "-infinity") == 0)
        *ret_us = INT64_MIN;
    else
        return time_of_text(cell.data, cell.size, ret_us);
    return 0;
}

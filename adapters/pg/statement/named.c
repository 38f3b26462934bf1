/* SPDX-License-Identifier: MIT */
/*
 * Statements with :names, which the server does not know.
 *
 * A name becomes the number that its value has among the values, wherever and how often it occurs.
 * All else of the text stays as it is, so places in both texts can be told from each other.
 *
 * Happy path: the names of the values go into a small hash table, then the text is read once to see
 * that every name has a value and every value a name, and once more to be written. The table is on
 * the stack, or where there are more than a few names, in memory that the caller has anyway.
 *
 * Fails: a name that is none, or two alike; a :name without a value, a value without a :name; a $1
 * among names, which would be some value by accident.
 */
#include "named.h"

#include "lexer.h"
#include "literal.h"
#include "text.h"

#include <ouro/memory.h>

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

/* So many values need no memory to be looked up. */
#define FEW 32

/* Values by name: open addressing, at most half full. A slot has 1 + the index of a value. */
struct names {
    const ouro_pg_value *params;
    uint16_t *slots;
    uint32_t mask;
};

static size_t slot_count(size_t count)
{
    size_t n = 4;
    while (n < 2 * count)
        n *= 2;
    return n;
}

static uint32_t hash_of(const char *name, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash ^ hash >> 15;
}

/* The slot in which a name is, or would be. */
static uint16_t *slot_of(const struct names *names, const char *name, size_t size)
{
    for (uint32_t i = hash_of(name, size);; i++) {
        uint16_t *slot = &names->slots[i & names->mask];
        if (!*slot)
            return slot;
        const char *other = names->params[*slot - 1].name;
        if (strncmp(other, name, size) == 0 && !other[size])
            return slot;
    }
}

static void complain(struct pg_complaint *complaint, const char *what, const char *name,
                     size_t size)
{
    size_t at = strlen(what);
    memcpy(complaint->text, what, at);
    ouro__pg_text_copy(complaint->text + at, sizeof complaint->text - at, name, size);
}

static bool is_name(const char *name)
{
    if (!pg_begins_name(*name))
        return false;
    while (pg_in_name(*name))
        name++;
    return !*name;
}

static void names_init(struct names *names, const ouro_pg_value *params, size_t count, void *slots)
{
    size_t n = slot_count(count);
    *names = (struct names){.params = params, .slots = slots, .mask = (uint32_t)(n - 1)};
    memset(slots, 0, n * sizeof *names->slots);
}

/* Fill the table. NULL: all is well. */
static const char *names_add(struct names *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = names->params[i].name;
        uint16_t *slot = slot_of(names, name, strlen(name));
        if (*slot)
            return name;
        *slot = (uint16_t)(i + 1);
    }
    return NULL;
}

/* Whether a number there would go on a word before it: a blank is due between. */
static bool is_glued(const char *sql, const char *at)
{
    return at > sql && pg_in_word(at[-1]);
}

/* ---- Measuring ------------------------------------------------------------------------------- */

/* Go through the text; note in @used what occurs. */
static int64_t measure(const char *sql, const struct names *names, unsigned char *used,
                       struct pg_complaint *complaint)
{
    struct pg_reference ref;
    const char *at = sql;
    const char *copied = sql;
    int64_t size = 0;
    while (ouro__pg_reference_next(&at, &ref)) {
        if (ref.numbered) {
            complain(complaint, "the values have names, so there can be no ", ref.start, ref.size);
            return -EINVAL;
        }
        uint16_t number = *slot_of(names, ref.start + 1, ref.size - 1);
        if (!number) {
            complain(complaint, "no value for ", ref.start, ref.size);
            return -ENOKEY;
        }
        used[number - 1] = 1;
        size += ref.start - copied + is_glued(sql, ref.start) + 1 + pg_digits(number);
        copied = at;
    }
    return size + (at - copied);
}

/* With room for the slots and a byte for each value. */
static int64_t check(const char *sql, const ouro_pg_value *params, size_t count, uint16_t *room,
                     struct pg_complaint *complaint)
{
    struct names names;
    names_init(&names, params, count, room);
    const char *twice = names_add(&names, count);
    if (twice) {
        complain(complaint, "two values for :", twice, strlen(twice));
        return -ENOTUNIQ;
    }
    unsigned char *used = (unsigned char *)(room + slot_count(count));
    memset(used, 0, count);
    int64_t size = measure(sql, &names, used, complaint);
    const unsigned char *unused = size < 0 ? NULL : memchr(used, 0, count);
    if (unused) {
        const char *name = params[unused - used].name;
        complain(complaint, "the statement has no :", name, strlen(name));
        return -EBADSLT;
    }
    return size;
}

int64_t ouro__pg_names_size(const char *sql, const ouro_pg_value *params, size_t count,
                            struct pg_complaint *complaint)
{
    for (size_t i = 0; i < count; i++)
        if (!is_name(params[i].name)) {
            complain(complaint, "not a name: ", params[i].name, strlen(params[i].name));
            return -EINVAL;
        }
    uint16_t few[2 * FEW + FEW / 2]; /* slots, and a byte for each value */
    if (count <= FEW)
        return check(sql, params, count, few, complaint);
    uint16_t *many = ouro_memory_alloc(ouro__pg_names_scratch(count) + count);
    if (!many)
        return -ENOMEM;
    int64_t size = check(sql, params, count, many, complaint);
    ouro_memory_release(many);
    return size;
}

/* ---- Writing --------------------------------------------------------------------------------- */

size_t ouro__pg_names_scratch(size_t count)
{
    return slot_count(count) * sizeof(uint16_t);
}

size_t ouro__pg_names_rewrite(const char *sql, const ouro_pg_value *params, size_t count,
                              void *scratch, char *to)
{
    struct names names;
    names_init(&names, params, count, scratch);
    names_add(&names, count);

    struct pg_reference ref;
    const char *at = sql;
    const char *copied = sql;
    char *p = to;
    while (ouro__pg_reference_next(&at, &ref)) {
        size_t before = (size_t)(ref.start - copied);
        memcpy(p, copied, before);
        p += before;
        if (is_glued(sql, ref.start))
            *p++ = ' ';
        *p++ = '$';
        uint16_t number = *slot_of(&names, ref.start + 1, ref.size - 1);
        assert(number > 0);
        p = pg_write_int(number, p);
        copied = at;
    }
    size_t rest = (size_t)(at - copied);
    memcpy(p, copied, rest + 1);
    return (size_t)(p - to) + rest;
}

/* ---- And back -------------------------------------------------------------------------------- */

static int64_t characters(const char *text, size_t size)
{
    int64_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* Characters of the number that stands at @sent, the blank before it included. */
static int64_t number_size(const char *sent)
{
    const char *p = sent + (*sent == ' ') + 1;
    while (pg_is_digit(*p))
        p++;
    return p - sent;
}

int64_t ouro__pg_statement_position(const struct pg_statement *s, int64_t position)
{
    if (s->given == s->sql || position < 1)
        return position;
    struct pg_reference ref;
    const char *at = s->given;
    const char *copied = s->given;
    const char *sent = s->sql;
    int64_t passed = 0; /* characters of the given text */
    int64_t left = position - 1;
    while (ouro__pg_reference_next(&at, &ref)) {
        size_t before = (size_t)(ref.start - copied);
        int64_t same = characters(copied, before);
        int64_t number = number_size(sent + before);
        if (left < same)
            break;
        passed += same;
        if (left < same + number)
            return passed + 1;
        left -= same + number;
        passed += characters(ref.start, ref.size);
        sent += before + (size_t)number;
        copied = at;
    }
    return passed + left + 1;
}

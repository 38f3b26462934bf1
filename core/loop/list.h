/* SPDX-License-Identifier: MIT */
#ifndef OURO_LIST_H
#define OURO_LIST_H

/*
 * Intrusive circular lists, and jobs: the callbacks that wait in them.
 *
 * A list head is a link that points at itself. A link that is in no list has next == NULL, so that
 * removal in O(1) can be asked of anything that might be queued.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct ouro__link {
    struct ouro__link *next;
    struct ouro__link *prev;
};

/* Something the loop will run: a task's next step, an observer, a call. */
struct ouro__job {
    struct ouro__link link;
    void (*run)(struct ouro__job *job);
};

/* The object around a member. */
#define OURO__CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define OURO__LIST_FOR(link, head) \
    for (struct ouro__link * (link) = (head)->next; (link) != (head); (link) = (link)->next)

static inline void ouro__list_init(struct ouro__link *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool ouro__list_empty(const struct ouro__link *head)
{
    return head->next == head;
}

static inline bool ouro__linked(const struct ouro__link *link)
{
    return link->next != NULL;
}

static inline void ouro__list_push(struct ouro__link *head, struct ouro__link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void ouro__list_push_front(struct ouro__link *head, struct ouro__link *link)
{
    ouro__list_push(head->next, link);
}

static inline void ouro__list_remove(struct ouro__link *link)
{
    assert(ouro__linked(link));
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = NULL;
}

/* The first link, removed; NULL when empty. */
static inline struct ouro__link *ouro__list_pop(struct ouro__link *head)
{
    struct ouro__link *link = head->next;
    if (link == head)
        return NULL;
    ouro__list_remove(link);
    return link;
}

/* Move all of @from behind the last of @to. */
static inline void ouro__list_splice(struct ouro__link *to, struct ouro__link *from)
{
    if (ouro__list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ouro__list_init(from);
}

#endif

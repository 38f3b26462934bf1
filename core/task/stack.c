/* SPDX-License-Identifier: MIT */
/*
 * The stack pool; stack.h says how it behaves.
 *
 * Stacks are cut from blocks of 4 MiB, which are only address space until touched. The guard is
 * made by MADV_GUARD_INSTALL (Linux 6.13), which costs no mapping; older kernels need mprotect(2),
 * which splits the block, so that vm.max_map_count bounds the number of stacks there. No memory, or
 * no mapping left, is the only failure.
 */
#include "stack.h"

#include "context.h"
#include "memory_int.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if OURO__ASAN
#    include <sanitizer/asan_interface.h>
#endif
#if defined(__has_include)
#    if __has_include(<valgrind/valgrind.h>)
#        include <valgrind/valgrind.h>
#    endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#    define VALGRIND_STACK_REGISTER(start, end) 0u
#    define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#endif

#ifndef MADV_GUARD_INSTALL
#    define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

#define BLOCK_SIZE ((size_t)4 << 20)
#define KEEP_WARM  16 /* free stacks of a class that always keep their pages */
#define PAINT      0xa5
#define PAINT_MAX  ((size_t)1 << 20)

/* The guard and some to use, where pages are 64 KiB as on some aarch64 systems. */
#define LEAST_PAGES 4

struct ouro__stack_block {
    struct ouro__stack_block *next;
    char *map;
    size_t size;
    size_t count;
    struct ouro__stack stacks[];
};

void ouro__stacks_init(struct ouro__stacks *stacks, bool paint)
{
    *stacks = (struct ouro__stacks){.paint = paint, .page = (size_t)sysconf(_SC_PAGESIZE)};
    for (size_t i = 0; i < OURO__STACK_CLASSES; i++) {
        ouro__list_init(&stacks->classes[i].warm);
        ouro__list_init(&stacks->classes[i].cold);
    }
}

void ouro__stacks_drop(struct ouro__stacks *stacks)
{
    while (stacks->blocks) {
        struct ouro__stack_block *block = stacks->blocks;
        stacks->blocks = block->next;
        for (size_t i = 0; i < block->count; i++)
            VALGRIND_STACK_DEREGISTER(block->stacks[i].valgrind_id);
#if OURO__ASAN
        __asan_unpoison_memory_region(block->map, block->size);
#endif
        munmap(block->map, block->size);
        ouro__release(block);
    }
    ouro__stacks_init(stacks, stacks->paint);
}

static bool guard(char *page, size_t size)
{
    static _Thread_local bool no_guard_install;
    if (!no_guard_install && madvise(page, size, MADV_GUARD_INSTALL) == 0)
        return true;
    no_guard_install = true;
    return mprotect(page, size, PROT_NONE) == 0;
}

/* Map a block of stacks of class @i into its cold list. */
static bool add_block(struct ouro__stacks *stacks, size_t i)
{
    size_t each = (size_t)1 << (i + OURO__STACK_MIN_LOG);
    size_t count = each < BLOCK_SIZE ? BLOCK_SIZE / each : 1;
    struct ouro__stack_block *block = ouro__alloc(sizeof(*block) + count * sizeof(*block->stacks));
    if (!block)
        return false;
    block->size = count * each;
    block->count = 0;
    block->map = mmap(NULL, block->size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (block->map == MAP_FAILED) {
        ouro__release(block);
        return false;
    }
    /* A huge page under 32 stacks would make each of them cost 64 KiB at the first touch. */
    madvise(block->map, block->size, MADV_NOHUGEPAGE);
    block->next = stacks->blocks;
    stacks->blocks = block;
    for (; block->count < count; block->count++) {
        struct ouro__stack *stack = &block->stacks[block->count];
        *stack = (struct ouro__stack){.map = block->map + block->count * each, .size = each};
        if (!guard(stack->map, stacks->page))
            break;
        stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->map + stacks->page, stack->map + each);
        ouro__list_push(&stacks->classes[i].cold, &stack->link);
    }
    if (block->count > 0)
        return true;
    stacks->blocks = block->next;
    munmap(block->map, block->size);
    ouro__release(block);
    return false;
}

static size_t class_of(size_t size)
{
    size_t i = 0;
    while (((size_t)1 << (i + OURO__STACK_MIN_LOG)) < size)
        i++;
    assert(i < OURO__STACK_CLASSES);
    return i;
}

static struct ouro__stack *take(struct ouro__stacks *stacks, size_t i)
{
    struct ouro__stack_class *class = &stacks->classes[i];
    struct ouro__link *link = ouro__list_pop(&class->warm);
    if (link) {
        class->warm_count--;
        if (class->warm_count < class->warm_low)
            class->warm_low = class->warm_count;
    } else {
        class->warm_low = 0;
        if (ouro__list_empty(&class->cold) && !add_block(stacks, i))
            return NULL;
        link = ouro__list_pop(&class->cold);
    }
    return OURO__CONTAINER(link, struct ouro__stack, link);
}

/* The part of a stack that is painted: all but the far end of a huge one. */
static size_t painted(const struct ouro__stacks *stacks, const struct ouro__stack *stack,
                      unsigned char **ret_start)
{
    size_t room = ouro__stack_room(stacks, stack);
    size_t size = room < PAINT_MAX ? room : PAINT_MAX;
    *ret_start = (unsigned char *)ouro__stack_base(stacks, stack) + room - size;
    return size;
}

struct ouro__stack *ouro__stack_get(struct ouro__stacks *stacks, size_t size)
{
    if (size < LEAST_PAGES * stacks->page)
        size = LEAST_PAGES * stacks->page;
    struct ouro__stack *stack = take(stacks, class_of(size));
    if (!stack)
        return NULL;
    if (stacks->paint) {
        unsigned char *start;
        size_t bytes = painted(stacks, stack, &start);
        memset(start, PAINT, bytes);
    }
    stacks->live++;
    return stack;
}

void ouro__stack_put(struct ouro__stacks *stacks, struct ouro__stack *stack)
{
    assert(stacks->live > 0);
    struct ouro__stack_class *class = &stacks->classes[class_of(stack->size)];
#if OURO__ASAN
    /* The frames of a task that left by a switch never unpoisoned what is theirs. */
    __asan_unpoison_memory_region(ouro__stack_base(stacks, stack), ouro__stack_room(stacks, stack));
#endif
    ouro__list_push_front(&class->warm, &stack->link);
    class->warm_count++;
    stacks->live--;
}

static void make_cold(struct ouro__stacks *stacks, struct ouro__stack_class *class)
{
    struct ouro__stack *stack = OURO__CONTAINER(class->warm.prev, struct ouro__stack, link);
    ouro__list_remove(&stack->link);
    class->warm_count--;
    madvise(ouro__stack_base(stacks, stack), ouro__stack_room(stacks, stack), MADV_DONTNEED);
    ouro__list_push_front(&class->cold, &stack->link);
}

void ouro__stacks_trim(struct ouro__stacks *stacks)
{
    for (size_t i = 0; i < OURO__STACK_CLASSES; i++) {
        struct ouro__stack_class *class = &stacks->classes[i];
        for (; class->warm_low > KEEP_WARM; class->warm_low--)
            make_cold(stacks, class);
        class->warm_low = class->warm_count;
    }
}

bool ouro__stacks_idle(const struct ouro__stacks *stacks)
{
    for (size_t i = 0; i < OURO__STACK_CLASSES; i++)
        if (stacks->classes[i].warm_count > KEEP_WARM)
            return true;
    return false;
}

size_t ouro__stack_depth(const struct ouro__stacks *stacks, const struct ouro__stack *stack)
{
    unsigned char *start;
    size_t bytes = painted(stacks, stack, &start);
    size_t unused = 0;
    while (unused < bytes && start[unused] == PAINT)
        unused++;
    return bytes - unused;
}

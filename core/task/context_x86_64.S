/* SPDX-License-Identifier: MIT */
/*
 * The stack switch for x86-64, System V calling convention: rbx, rbp, r12 to r15 and the control
 * words of SSE and x87 belong to the caller, everything else is already saved by it.
 */
        .text

/* void ouro__stack_switch(void **from_sp, void *to_sp) */
        .globl  ouro__stack_switch
        .hidden ouro__stack_switch
        .type   ouro__stack_switch, @function
        .p2align 4
ouro__stack_switch:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        /* Not a return: the processor would predict the caller on the stack that was left. */
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        notrack jmpq *%rcx
        .cfi_endproc
        .size   ouro__stack_switch, . - ouro__stack_switch

/* Where a new stack begins: entry in rbx, its argument in r12. No caller to unwind to. */
        .globl  ouro__stack_start
        .hidden ouro__stack_start
        .type   ouro__stack_start, @function
        .p2align 4
ouro__stack_start:
        .cfi_startproc
        .cfi_undefined %rip
        endbr64
        movq    %r12, %rdi
        callq   *%rbx
        ud2
        .cfi_endproc
        .size   ouro__stack_start, . - ouro__stack_start

        .section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: MIT */
typedef int nothing_yet;

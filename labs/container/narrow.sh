#!/bin/sh
# What lab 09 is on a 32-bit machine.
echo "09_full_container: needs a 64-bit machine: x86-64, arm64 or riscv64" >&2
[ -z "${LAB_MUST_RUN:-}" ] || exit 1
exit 77

# SPDX-License-Identifier: MIT
"""The parts of bench/run: one file a concern, in this order.

    proc     running, pinning and measuring processes
    build    compilers, flags, what goes to build/bench
    engines  the engines: how each is called, and what it needs
    table    tables of text, geometric means
    speed, compile, start, calls, polls, size, kern, boot    the sections of the report
"""

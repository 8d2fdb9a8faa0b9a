# SPDX-License-Identifier: MIT
"""The test suites, one file each: see test/run."""

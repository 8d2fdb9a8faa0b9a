// SPDX-License-Identifier: MIT
// The Internet's checksum (RFC 1071), not inverted, of at most 64 KiB that begin anywhere.
#pragma once

unsigned short net_checksum(const void *bytes, int size);
// The same, of what is copied on the way.
unsigned short net_checksum_copy(void *to, const void *bytes, int size);

// SPDX-License-Identifier: MIT
// The Internet's checksum (RFC 1071), not inverted, of at most 64 KiB that begin anywhere.
#pragma once

unsigned short net_checksum(const void *bytes, int size);

// SPDX-License-Identifier: MIT
// Devices by the names that manifests have for them.
#pragma once
#include <sip.h>

bool device_known(const char *name);
// The handle of the first of that name that nobody has, or an error.
int64_t device_take(const char *name);

// SPDX-License-Identifier: MIT
// Runs the services of a manifest until all are over.
#pragma once
#include "manifest.h"

// How many have failed for good. Only errors: what goes well is not said, the rest on standard
// error.
uint32_t supervise(struct manifest *m, bool only_errors);

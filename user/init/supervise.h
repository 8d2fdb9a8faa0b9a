// SPDX-License-Identifier: MIT
// Runs the services of a manifest until all are over.
#pragma once
#include "manifest.h"

// How many have failed for good.
uint32_t supervise(struct manifest *m);

// SPDX-License-Identifier: MIT
// The host module "nebulet": the platform's own calls. Handlers return an i64, negative for an
// error of base/errors.def.
#pragma once
#include "rt/rt.h"

// Makes the calls importable in a store.
status nebulet_register(struct store *s);

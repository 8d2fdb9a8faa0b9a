// SPDX-License-Identifier: MIT
// What we want to know from ACPI's static tables: the number of CPUs, and how to switch off.
#pragma once
#include "base/types.h"

u32 acpi_cpu_count(void);  // enabled ones; 0: no table says
void acpi_power_off(void); // returns if it is not known how

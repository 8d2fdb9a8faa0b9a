// SPDX-License-Identifier: MIT
// What we want to know from ACPI's static tables: the number of CPUs, how to switch off, and tables
// that others read.
#pragma once
#include "base/types.h"

const u8 *acpi_table(const char *signature, u32 *length); // NULL: there is none
u32 acpi_cpu_count(void);                                 // enabled ones; 0: no table says
void acpi_power_off(void);                                // returns if it is not known how

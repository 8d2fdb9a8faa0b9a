// SPDX-License-Identifier: MIT
// Included before everything else in each file whose variables are an execution's: they lie in
// sections of their own, which explore.c sets back before the next one. The kernel's files are
// among them; they also get the machine's counter and its pause from the model.
#pragma once
#pragma clang section bss = "model_bss" data = "model_data"

unsigned long model_ticks(void);
void model_pause(void);
#define __builtin_readcyclecounter() model_ticks()
#define __builtin_ia32_pause() model_pause()

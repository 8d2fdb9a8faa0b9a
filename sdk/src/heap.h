// SPDX-License-Identifier: MIT
// The lock around malloc. It costs nothing before the first thread is started: until then nobody
// could hold it.
#pragma once

void sip_heap_lock(void);
void sip_heap_unlock(void);
void sip_heap_shared(void); // from now on there are threads

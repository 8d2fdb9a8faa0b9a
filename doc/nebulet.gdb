# SPDX-License-Identifier: MIT
# Commands for GDB at the kernel; doc/debugging.md shows them. gdb -x doc/nebulet.gdb build/nebulet.elf

define processes
  set $p = kern.all
  while $p
    printf "process %u %s, ", $p->id, $p->name
    output (enum nebulet_state)$p->state
    printf ", threads %u, handles %u\n", $p->nthreads, $p->handles.used
    set $p = $p->next_all
  end
end
document processes
Lists all processes: number, name, state, and how many threads and handles each has.
end

define threads
  set $p = kern.all
  while $p
    set $t = $p->threads
    while $t
      printf "process %u %s, thread %u, ", $p->id, $p->name, $t->id
      output (enum thread_status)$t->status
      printf "\n"
      set $t = $t->next_thread
    end
    set $p = $p->next_all
  end
end
document threads
Lists the threads of all processes, with what each does.
end

define handles
  set $p = kern.all
  while $p
    set $i = 0
    while $i < $p->handles.capacity
      set $h = &$p->handles.at[$i]
      if ($h->number & $p->handles.mask) == $i
        printf "process %u %s, handle %u, ", $p->id, $p->name, $h->number
        output (enum object_type)$h->type
        printf " at %p, rights 0x%x\n", $h->object, $h->rights
      end
      set $i = $i + 1
    end
    set $p = $p->next_all
  end
end
document handles
Lists the handles of all processes: number, type, object and rights.
end

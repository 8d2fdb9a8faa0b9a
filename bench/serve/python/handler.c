// SPDX-License-Identifier: MIT
// A handler in Python: MicroPython as a library, a script of some size, and what it says of a
// request. With -DONCE the script has run once and for all.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <py/compile.h>
#include <py/gc.h>
#include <py/runtime.h>
#include <py/stackctrl.h>

static char heap[1 << 20];
static mp_obj_t answer = MP_OBJ_NULL;

static const char script[] =
    "words = []\n"
    "for i in range(300):\n"
    "    words.append('word' + hex(i * 7919 % 300))\n"
    "words.sort()\n"
    "index = {}\n"
    "for i in range(len(words)):\n"
    "    index[words[i]] = i\n"
    "class Page:\n"
    "    def __init__(self, title):\n"
    "        self.title = title\n"
    "        self.lines = []\n"
    "    def add(self, text):\n"
    "        self.lines.append('<p>' + text.replace('<', '') + '</p>')\n"
    "    def text(self):\n"
    "        return '<title>' + self.title + '</title>' + '\\n'.join(self.lines)\n"
    "def answer(query):\n"
    "    page = Page('At ' + query)\n"
    "    for w in words[:20]:\n"
    "        page.add(w + ' is ' + str(index[w]))\n"
    "    text = page.text()\n"
    "    return (text + '.' * 612)[:612]\n";

// --- What it wants: no request lasts long enough to collect anything

void gc_collect(void)
{
}

void mp_hal_stdout_tx_strn_cooked(const char *text, size_t n)
{
    fwrite(text, 1, n, stderr);
}

_Noreturn void nlr_jump_fail(void *value)
{
    (void)value;
    abort();
}

// --- The handler

static void must_fail(nlr_buf_t *nlr)
{
    mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr->ret_val));
    abort();
}

static void prepare(void)
{
    nlr_buf_t nlr;
    mp_stack_set_limit(64 << 10);
    gc_init(heap, heap + sizeof heap);
    mp_init();
    if (nlr_push(&nlr))
        must_fail(&nlr);
    mp_lexer_t *lexer =
        mp_lexer_new_from_str_len(MP_QSTR__lt_stdin_gt_, script, sizeof script - 1, 0);
    mp_parse_tree_t tree = mp_parse(lexer, MP_PARSE_FILE_INPUT);
    mp_call_function_0(mp_compile(&tree, MP_QSTR__lt_stdin_gt_, true));
    answer = mp_load_global(qstr_from_str("answer"));
    nlr_pop();
}

#ifdef ONCE
extern void __wasm_call_ctors(void);

__attribute__((export_name("wizer.initialize"))) void initialize(void)
{
    __wasm_call_ctors();
    mp_stack_ctrl_init();
    prepare();
}
#endif

int main(void)
{
    nlr_buf_t nlr;
    const char *query = getenv("QUERY_STRING");
    mp_stack_ctrl_init();
    if (answer == MP_OBJ_NULL)
        prepare();
    if (nlr_push(&nlr))
        must_fail(&nlr);
    query = query ? query : "";
    mp_obj_t page = mp_call_function_1(answer, mp_obj_new_str(query, strlen(query)));
    printf("Content-Type: text/html\n\n%s", mp_obj_str_get_str(page));
    nlr_pop();
    return fflush(stdout); // nothing else does, where an initialize() calls the constructors
}

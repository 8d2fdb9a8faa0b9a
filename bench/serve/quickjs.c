// SPDX-License-Identifier: MIT
// A handler in JavaScript: QuickJS as a library, a script of some size, and what it says of a
// request. With -DONCE the context is made, and the script has run, once and for all.
#include <quickjs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static JSRuntime *runtime;
static JSContext *context;

static const char script[] =
    "const words = [];\n"
    "for (let i = 0; i < 2000; i++) words.push('word' + (i * 7919 % 2000).toString(36));\n"
    "words.sort();\n"
    "const index = new Map(words.map((w, i) => [w, i]));\n"
    "class Page {\n"
    "  constructor(title) { this.title = title; this.lines = []; }\n"
    "  add(text) { this.lines.push('<p>' + text.replace(/[<>&]/g, '') + '</p>'); return this; }\n"
    "  toString() { return `<title>${this.title}</title>` + this.lines.join('\\n'); }\n"
    "}\n"
    "function answer(query) {\n"
    "  const page = new Page('At ' + query);\n"
    "  for (const w of words.slice(0, 20)) page.add(w + ' is ' + index.get(w));\n"
    "  return page.toString().padEnd(612, '.').slice(0, 612);\n"
    "}\n";

static void prepare(void)
{
    runtime = JS_NewRuntime();
    context = JS_NewContext(runtime);
    JSValue v = JS_Eval(context, script, strlen(script), "handler.js", JS_EVAL_TYPE_GLOBAL);
    if (JS_IsException(v))
        abort();
    JS_FreeValue(context, v);
}

#ifdef ONCE
extern void __wasm_call_ctors(void);

__attribute__((export_name("wizer.initialize"))) void initialize(void)
{
    __wasm_call_ctors();
    prepare();
}
#endif

int main(void)
{
    const char *query = getenv("QUERY_STRING");
    if (!context)
        prepare();
    JS_UpdateStackTop(runtime);
    JSValue global = JS_GetGlobalObject(context);
    JSValue answer = JS_GetPropertyStr(context, global, "answer");
    JSValue argument = JS_NewString(context, query ? query : "");
    JSValue page = JS_Call(context, answer, global, 1, &argument);
    const char *text = JS_ToCString(context, page);
    if (!text)
        abort();
    printf("Content-Type: text/html\n\n%s", text);
    return fflush(stdout); // nothing else does, where an initialize() calls the constructors
}

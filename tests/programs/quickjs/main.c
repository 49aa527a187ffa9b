/* A front for the QuickJS library: runs the script of its first argument, with print() and scriptArgs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

static JSValue print(JSContext *context, JSValueConst self, int count, JSValueConst *arguments)
{
    (void)self;
    for (int i = 0; i < count; i++) {
        const char *text = JS_ToCString(context, arguments[i]);
        if (!text)
            return JS_EXCEPTION;
        printf("%s%s", i ? " " : "", text);
        JS_FreeCString(context, text);
    }
    putchar('\n');
    return JS_UNDEFINED;
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    size_t capacity = 1 << 20;
    char *text = malloc(capacity);
    *size = text ? fread(text, 1, capacity - 1, file) : 0;
    fclose(file);
    if (text)
        text[*size] = 0;
    return text;
}

int main(int argc, char **argv)
{
    size_t size = 0;
    char *script = argc > 1 ? read_file(argv[1], &size) : NULL;
    if (!script) {
        fprintf(stderr, "usage: quickjs SCRIPT ARGUMENT...\n");
        return 2;
    }
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *context = JS_NewContext(runtime);
    JSValue global = JS_GetGlobalObject(context), words = JS_NewArray(context);
    for (int i = 1; i < argc; i++)
        JS_SetPropertyUint32(context, words, (uint32_t)(i - 1), JS_NewString(context, argv[i]));
    JS_SetPropertyStr(context, global, "scriptArgs", words);
    JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, print, "print", 1));
    JSValue result = JS_Eval(context, script, size, argv[1], JS_EVAL_TYPE_GLOBAL);
    int status = 0;
    if (JS_IsException(result)) {
        JSValue exception = JS_GetException(context);
        const char *text = JS_ToCString(context, exception);
        fprintf(stderr, "%s\n", text ? text : "exception");
        JS_FreeCString(context, text);
        JS_FreeValue(context, exception);
        status = 1;
    }
    JS_FreeValue(context, result);
    JS_FreeValue(context, global);
    JS_FreeContext(context);
    JS_FreeRuntime(runtime);
    free(script);
    return status;
}

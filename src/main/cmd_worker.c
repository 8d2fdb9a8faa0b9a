// SPDX-License-Identifier: MIT
// nebulet worker: programs behind NATS (doc/worker.md).
#include <stdlib.h>
#include <string.h>

#include "main/host.h"
#include "main/serve.h"
#include "main/worker.h"

enum { SERVERS_MAX = 16, PROCESSES_MAX = 1024, DELIVERIES_MAX = 1000000 };

static bool sensible(const struct options *o)
{
    if (o->argc > 1)
        complain("worker takes one FILE");
    else if (o->subject && strpbrk(o->subject, " \t\r\n"))
        complain("--subject '%s': it has no spaces", o->subject);
    else if (!o->subject && !o->jetstream)
        complain("which messages? --subject SUBJECT, or --jetstream STREAM --durable NAME");
    else if (o->jetstream && !o->durable)
        complain("--jetstream needs --durable NAME: the consumer that workers share");
    else if (o->durable && !o->jetstream)
        complain("--durable NAME is a consumer of --jetstream STREAM");
    else if (o->jetstream && o->group)
        complain("--queue: workers of a stream share its consumer, --durable");
    else if ((o->deliveries || o->retry) && !o->jetstream)
        complain("only messages of a stream (--jetstream) are tried again");
    else if (o->deliveries > DELIVERIES_MAX)
        complain("--deliveries: %d at most", DELIVERIES_MAX);
    else if (!o->tls_cert != !o->tls_key)
        complain("--tls-cert and --tls-key go together");
    else if (o->servers > SERVERS_MAX)
        complain("--servers: %d at most", SERVERS_MAX);
    else if (o->max_processes > PROCESSES_MAX)
        complain("--max-processes: %d at most", PROCESSES_MAX);
    else
        return true;
    hint("nebulet help worker");
    return false;
}

int cmd_worker(struct options *o)
{
    struct worker *w = NULL;
    if (!sensible(o))
        return EXIT_USAGE;
    int code = worker_open(o, &w) ? serve(o, w) : EXIT_ERROR;
    return worker_close(w) || code ? code : EXIT_ERROR;
}

/* SPDX-License-Identifier: MIT */
#ifndef OURO_OURO_H
#define OURO_OURO_H

/**
 * @file ouro.h
 * Everything but <ouro/uring.h>. For programs; the library's own files include what they use.
 */

#include <ouro/address.h>
#include <ouro/base.h>
#include <ouro/connect.h>
#include <ouro/datagram.h>
#include <ouro/dir.h>
#include <ouro/error.h>
#include <ouro/file.h>
#include <ouro/future.h>
#include <ouro/group.h>
#include <ouro/inspect.h>
#include <ouro/listener.h>
#include <ouro/loop.h>
#include <ouro/memory.h>
#include <ouro/notify.h>
#include <ouro/pass.h>
#include <ouro/path.h>
#include <ouro/pipe.h>
#include <ouro/pool.h>
#include <ouro/process.h>
#include <ouro/procpool.h>
#include <ouro/queue.h>
#include <ouro/relay.h>
#include <ouro/resolve.h>
#include <ouro/restart.h>
#include <ouro/scope.h>
#include <ouro/select.h>
#include <ouro/serve.h>
#include <ouro/signals.h>
#include <ouro/sockopt.h>
#include <ouro/stream.h>
#include <ouro/sync.h>
#include <ouro/task.h>
#include <ouro/temp.h>
#include <ouro/thread.h>
#include <ouro/time.h>
#include <ouro/whole.h>

#endif

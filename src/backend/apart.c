#include "backend/apart.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "backend/process.h"

#define MOST_ALONE 64 /* threads that nobody waits for any more */

typedef struct job {
  tc_apart task;
  pthread_mutex_t mutex;
  pthread_cond_t is_over;
  bool done, alone;
} job;

static atomic_int alone_count;
static _Atomic pid_t alone_in; /* the process that counts; a forked child has none of the threads */

static atomic_int *count_alone(void) {
  pid_t here = tc_process_id();
  if (atomic_exchange(&alone_in, here) != here) atomic_store(&alone_count, 0);
  return &alone_count;
}

static job *new_job(const tc_apart *task) {
  pthread_condattr_t clock;
  job *made = malloc(sizeof *made);
  if (made == NULL) return NULL;
  *made = (job){.task = *task};
  (void)pthread_condattr_init(&clock);
  (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&made->mutex, NULL);
  (void)pthread_cond_init(&made->is_over, &clock);
  (void)pthread_condattr_destroy(&clock);
  return made;
}

static void free_job(job *it) {
  (void)pthread_cond_destroy(&it->is_over);
  (void)pthread_mutex_destroy(&it->mutex);
  free(it);
}

static void *run(void *data) {
  job *it = data;
  it->task.work(it->task.data);
  (void)pthread_mutex_lock(&it->mutex);
  bool alone = it->alone;
  it->done = true;
  (void)pthread_cond_signal(&it->is_over);
  (void)pthread_mutex_unlock(&it->mutex);
  if (alone) {
    it->task.drop(it->task.data);
    free_job(it);
    (void)atomic_fetch_sub(count_alone(), 1);
  }
  return NULL;
}

/* The program's signals are for the threads that it knows. */
static bool start(job *it, pthread_t *thread) {
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = pthread_create(thread, NULL, run, it) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

/* False: the job is its thread's alone from now on. */
static bool await(job *it, double deadline) {
  struct timespec end = {(time_t)deadline, (long)((deadline - (double)(time_t)deadline) * 1e9)};
  int problem = 0;
  (void)pthread_mutex_lock(&it->mutex);
  while (!it->done && problem == 0) {
    problem = pthread_cond_timedwait(&it->is_over, &it->mutex, &end);
  }
  bool done = it->done;
  it->alone = !done;
  if (!done) (void)atomic_fetch_add(count_alone(), 1);
  (void)pthread_mutex_unlock(&it->mutex);
  return done;
}

int tc_apart_do(const tc_apart *task, double deadline) {
  pthread_t thread;
  if (atomic_load(count_alone()) >= MOST_ALONE) {
    task->drop(task->data);
    return TC_ERR_TIMEOUT;
  }
  job *it = new_job(task);
  if (it == NULL) return TC_ERR_NOMEM;
  if (!start(it, &thread)) { /* a limit of the process's, or a sandbox */
    free_job(it);
    task->work(task->data);
    return 0;
  }
  if (!await(it, deadline)) {
    (void)pthread_detach(thread);
    return TC_ERR_TIMEOUT;
  }
  (void)pthread_join(thread, NULL);
  free_job(it);
  return 0;
}

/// State behind a lock that a worker thread can wait on: the border between tasks, which only ever hold the lock for a
/// moment, and a thread that may sleep.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// `state` is touched with the mutex held only; the two pointers are set once and live as long as this object.
package final class Monitor<State: Sendable>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        #if canImport(Glibc)
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            // A wall clock that is set back must not lengthen a wait.
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            pthread_cond_init(condition, &attributes)
            pthread_condattr_destroy(&attributes)
        #else
            pthread_cond_init(condition, nil)
        #endif
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the state and wakes the waiting thread.
    package func signal<R>(_ body: (inout State) -> R) -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_signal(condition)
            pthread_mutex_unlock(mutex)
        }
        return body(&state)
    }

    /// Changes the state, and wakes the waiting thread if `body` says so: a wake-up that finds nothing to do costs more
    /// than the change.
    package func change<R>(_ body: (inout State) -> (result: R, wakes: Bool)) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let (result, wakes) = body(&state)
        if wakes { pthread_cond_signal(condition) }
        return result
    }

    package func withLock<R>(_ body: (inout State) -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Waits until `body` gives a value; nil when `milliseconds` have passed before. For one waiting thread.
    package func wait<R>(milliseconds: Int? = nil, _ body: (inout State) -> R?) -> R? {
        wait(microseconds: milliseconds.map { $0 * 1000 }, body)
    }

    package func wait<R>(microseconds: Int?, _ body: (inout State) -> R?) -> R? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var limit = microseconds.map { deadline(in: $0) }
        while true {
            if let result = body(&state) { return result }
            if limit == nil {
                pthread_cond_wait(condition, mutex)
            } else if waitTimed(&limit!) != 0 {
                return body(&state)
            }
        }
    }

    #if canImport(Glibc)
        private func waitTimed(_ limit: inout timespec) -> Int32 { pthread_cond_timedwait(condition, mutex, &limit) }
        private let clock = CLOCK_MONOTONIC
    #else
        private func waitTimed(_ limit: inout timespec) -> Int32 { pthread_cond_timedwait(condition, mutex, &limit) }
        private let clock = CLOCK_REALTIME
    #endif

    private func deadline(in microseconds: Int) -> timespec {
        var now = timespec()
        clock_gettime(clock, &now)
        let nanoseconds = Int(now.tv_nsec) + microseconds % 1_000_000 * 1000
        return timespec(
            tv_sec: now.tv_sec + microseconds / 1_000_000 + nanoseconds / 1_000_000_000,
            tv_nsec: nanoseconds % 1_000_000_000)
    }
}

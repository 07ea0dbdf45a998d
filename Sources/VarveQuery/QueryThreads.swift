/// Threads on which SQLite runs, so that no thread of Swift's pool is ever held by a query.
///
/// Threads are started when work waits and none is idle, up to a bound, and stay until the last reference goes. What
/// waits beyond that waits in order; each query's own deadline bounds for how long.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

import VarveModel

package final class QueryThreads: Sendable {
    private let queue: WorkQueue

    /// - Parameter countMax: most queries that run at the same time.
    package init(countMax: Int = 32) { queue = WorkQueue(countMax: max(1, countMax)) }

    deinit { queue.close() }

    /// Runs `work` on one of the threads.
    func perform<R: Sendable>(_ work: @escaping @Sendable () throws(VarveError) -> R) async -> Result<R, VarveError> {
        await withCheckedContinuation { continuation in
            queue.add {
                do throws(VarveError) {
                    continuation.resume(returning: .success(try work()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
    }
}

// A queue guarded by a condition variable, which Swift's `Mutex` does not have: every access to the variables below is
// between `lock` and `unlock`.
private final class WorkQueue: @unchecked Sendable {
    private typealias Job = @Sendable () -> Void

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let countMax: Int
    private var jobs: [Job] = []
    private var nextJob = 0
    private var idle = 0
    private var count = 0
    private var isClosed = false

    init(countMax: Int) {
        self.countMax = countMax
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    func add(_ job: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        jobs.append(job)
        let startsThread = idle < jobs.count - nextJob && count < countMax
        if startsThread { count += 1 }
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        guard startsThread, !startThread() else { return }
        pthread_mutex_lock(mutex)
        count -= 1
        let isAlone = count == 0
        pthread_mutex_unlock(mutex)
        // Not one thread to be had: better late on the caller's than never.
        if isAlone { runAvailable() }
    }

    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// The next job; waits for one, nil when closed and empty.
    private func take(waits: Bool) -> Job? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while nextJob == jobs.count {
            if isClosed || !waits { return nil }
            idle += 1
            pthread_cond_wait(condition, mutex)
            idle -= 1
        }
        let job = jobs[nextJob]
        nextJob += 1
        if nextJob == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            nextJob = 0
        }
        return job
    }

    private func runAvailable() {
        while let job = take(waits: false) { job() }
    }

    private func runUntilClosed() {
        while let job = take(waits: true) { job() }
    }

    /// SQLite's parser and deep expressions recurse.
    private static let stackBytes = 8 << 20

    private func startThread() -> Bool {
        let own = Unmanaged.passRetained(self)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, Self.stackBytes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        #if canImport(Glibc)
            var thread = pthread_t()
            let code = pthread_create(
                &thread, &attributes,
                { argument in
                    if let argument { Unmanaged<WorkQueue>.fromOpaque(argument).takeRetainedValue().runUntilClosed() }
                    return nil
                }, own.toOpaque())
        #else
            var thread: pthread_t?
            let code = pthread_create(
                &thread, &attributes,
                { argument in
                    Unmanaged<WorkQueue>.fromOpaque(argument).takeRetainedValue().runUntilClosed()
                    return nil
                }, own.toOpaque())
        #endif
        if code != 0 { own.release() }
        return code == 0
    }
}

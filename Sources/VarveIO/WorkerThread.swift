/// Runs a blocking loop on a thread of its own, so that no thread of Swift's pool ever waits for a disk.
///
/// The body says when it ends; whoever must know that it has ended is told by the body's last act.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

package enum WorkerThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    package static func start(_ body: @escaping @Sendable () -> Void) throws(IOError) {
        let box = Unmanaged.passRetained(Body(body))
        #if canImport(Glibc)
            var thread = pthread_t()
        #else
            var thread: pthread_t?
        #endif
        let code = pthread_create(&thread, nil, threadMain, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw IOError(code: code, operation: "pthread_create", path: "")
        }
        #if canImport(Glibc)
            pthread_detach(thread)
        #else
            if let thread { pthread_detach(thread) }
        #endif
    }

    #if canImport(Glibc)
        private static let threadMain: @Sendable @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
            { run($0) }
    #else
        private static let threadMain: @Sendable @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? =
            { run($0) }
    #endif

    private static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument else { return nil }
        Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
    }
}

import CRdKafka

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Runs a blocking loop on a thread of its own, so that no thread of Swift's pool ever waits for C.
///
/// The body says when it ends; whoever must know that it has ended is told by the body's last act.
enum WorkerThread {
    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(_ name: String, _ run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// - Parameter name: what debuggers, profilers and `top -H` show; at most 15 bytes.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(RdKafkaError) {
        let box = Unmanaged.passRetained(Body(name, body))
        #if canImport(Glibc)
            var thread = pthread_t()
        #else
            var thread: pthread_t?
        #endif
        let code = pthread_create(&thread, nil, threadMain, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw RdKafkaError(.invalidArgument, "no thread can be started (error \(code))")
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
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        varve_name_thread(body.name)
        body.run()
        return nil
    }
}

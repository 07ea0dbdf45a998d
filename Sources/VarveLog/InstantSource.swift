/// Where an in-process log takes the time from that it stamps on records. An embedding program may give its own: a test's
/// clock, a replay's.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

public import VarveModel

public protocol InstantSource: Sendable {
    /// May go back; the log does not.
    func now() -> Instant
}

/// The machine's clock.
public struct SystemInstantSource: InstantSource {
    public init() {}

    public func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}

/// Log time in milliseconds that never goes back.
struct LogClock: Sendable {
    private let source: any InstantSource
    private(set) var last: Int64

    init(_ source: any InstantSource, last: Int64 = .min) {
        self.source = source
        self.last = last
    }

    mutating func stamp() -> Int64 {
        let microseconds = source.now().microseconds
        last = max(last, microseconds / 1000)
        return last
    }
}

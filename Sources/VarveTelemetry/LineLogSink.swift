// The sink of the program: text or JSON lines to standard error.
//
// Invariant: a line is handed to the system in one `write`, under a lock, so lines of several threads never mix. What a
// short write leaves over follows under the same lock.

import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Writes each entry as one line.
public final class LineLogSink: LogSink {
    private let format: LogFormat
    private let now: @Sendable () -> Int64
    private let output: Mutex<@Sendable ([UInt8]) -> Void>

    /// `now` gives microseconds since 1970; `output` gets one whole line at a time, never two at once.
    public init(
        format: LogFormat, now: @escaping @Sendable () -> Int64 = LineLogSink.systemClock,
        output: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.format = format
        self.now = now
        self.output = Mutex(output)
    }

    /// Lines to standard error. A closed or full standard error loses lines and nothing else.
    public static func standardError(format: LogFormat) -> LineLogSink {
        LineLogSink(format: format) { writeWhole($0, to: 2) }
    }

    public func write(_ entry: LogLine) {
        // The time is taken under the lock: lines appear in the order of their times.
        output.withLock { $0(format.line(entry, microseconds: now())) }
    }

    /// Microseconds of the system's real-time clock.
    @Sendable
    public static func systemClock() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}

private func writeWhole(_ bytes: [UInt8], to descriptor: Int32) {
    bytes.withUnsafeBytes { buffer in
        var rest = buffer[...]
        while !rest.isEmpty {
            let written = write(descriptor, rest.base.baseAddress.map { $0 + rest.startIndex }, rest.count)
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if errno == EAGAIN {
                // A non-blocking pipe that is full: wait a little for its reader, then give the line up.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                if poll(&wait, 1, 100) <= 0 { return }
            } else if errno != EINTR {
                return
            }
        }
    }
}

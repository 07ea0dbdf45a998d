/// How much a line matters. `error` means a person must look; `critical` that the node stops.
public enum LogLevel: String, Sendable, CaseIterable, Comparable {
    case trace, debug, info, notice, warning, error, critical

    private var rank: Int {
        switch self {
        case .trace: 0
        case .debug: 1
        case .info: 2
        case .notice: 3
        case .warning: 4
        case .error: 5
        case .critical: 6
        }
    }

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }
}

/// One line of the log, before it has a time and a form: both belong to the sink.
public struct LogLine: Sendable, Equatable {
    public var level: LogLevel
    public var label: String
    public var message: String
    public var metadata: [String: String]

    public init(level: LogLevel, label: String, message: String, metadata: [String: String] = [:]) {
        self.level = level
        self.label = label
        self.message = message
        self.metadata = metadata
    }
}

/// Where log lines go. An embedding program gives its own.
///
/// `write` may be called from any thread at any time, must not wait for long, and has nobody to report an error to: a
/// sink that cannot write drops the line.
public protocol LogSink: Sendable {
    func write(_ entry: LogLine)
}

/// A value through which a part of the program speaks. Copies share the sink; level, label and metadata are their own.
///
/// A message below `level` costs one comparison: its text is never built.
public struct Logger: Sendable {
    public var level: LogLevel
    public var label: String
    public var metadata: [String: String]
    public var sink: any LogSink

    public init(label: String, level: LogLevel = .info, metadata: [String: String] = [:], sink: any LogSink) {
        self.label = label
        self.level = level
        self.metadata = metadata
        self.sink = sink
    }

    /// Says nothing.
    public static let disabled = Logger(label: "", level: .critical, sink: SilentLogSink())

    public subscript(metadataKey key: String) -> String? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// A copy that adds to what every line of it says.
    public func with(_ more: [String: String]) -> Logger {
        var copy = self
        copy.metadata.merge(more) { $1 }
        return copy
    }

    @inlinable
    public func log(
        _ level: LogLevel, _ message: @autoclosure () -> String,
        metadata more: @autoclosure () -> [String: String] = [:]
    ) {
        guard level >= self.level else { return }
        emit(level, message(), more())
    }

    @usableFromInline
    func emit(_ level: LogLevel, _ message: String, _ more: [String: String]) {
        let all = more.isEmpty ? metadata : metadata.merging(more) { $1 }
        sink.write(LogLine(level: level, label: label, message: message, metadata: all))
    }
}

extension Logger {
    @inlinable
    public func trace(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> [String: String] = [:]
    ) { log(.trace, message(), metadata: metadata()) }

    @inlinable
    public func debug(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> [String: String] = [:]
    ) { log(.debug, message(), metadata: metadata()) }

    @inlinable
    public func info(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> [String: String] = [:]
    ) { log(.info, message(), metadata: metadata()) }

    @inlinable
    public func notice(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> [String: String] = [:]
    ) { log(.notice, message(), metadata: metadata()) }

    @inlinable
    public func warning(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> [String: String] = [:]
    ) { log(.warning, message(), metadata: metadata()) }

    @inlinable
    public func error(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> [String: String] = [:]
    ) { log(.error, message(), metadata: metadata()) }

    @inlinable
    public func critical(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> [String: String] = [:]
    ) { log(.critical, message(), metadata: metadata()) }
}

/// Drops everything.
public struct SilentLogSink: LogSink {
    public init() {}
    public func write(_ entry: LogLine) {}
}

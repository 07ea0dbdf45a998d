/// Local logs under one directory: a directory for each epoch, `e0000`, `e0001` …

package import VarveIO
public import VarveModel

public final class LocalLogProvider: LogProvider {
    public static let defaultBufferSize = 4096
    public static let defaultPollSleepDuration = Duration.milliseconds(100)
    /// A segment is closed at the first batch behind this many bytes.
    package static let segmentBytes = 64 << 20

    private let path: String
    private let pollSleepDuration: Duration
    private let options: LocalLog.Options

    /// - Parameters:
    ///   - path: directory of the log; made, with its parents, when an epoch is created.
    ///   - bufferSize: most records in flight, that is written and not yet synced (and at most 8 MiB of them); further
    ///     callers wait.
    ///   - pollSleepDuration: how often a reader of a log that another process writes looks again.
    ///   - instantSource: gives the log time.
    public convenience init(
        path: String, bufferSize: Int = defaultBufferSize, pollSleepDuration: Duration = defaultPollSleepDuration,
        instantSource: any InstantSource = SystemInstantSource()
    ) {
        self.init(
            path: path, bufferSize: bufferSize, pollSleepDuration: pollSleepDuration, instantSource: instantSource,
            segmentBytes: Self.segmentBytes)
    }

    package init(
        path: String, bufferSize: Int = defaultBufferSize, pollSleepDuration: Duration = defaultPollSleepDuration,
        instantSource: any InstantSource = SystemInstantSource(), segmentBytes: Int, faults: FileFaults? = nil
    ) {
        self.path = path
        self.pollSleepDuration = pollSleepDuration
        options = LocalLog.Options(
            bufferSize: bufferSize, segmentBytes: segmentBytes, instants: instantSource, faults: faults)
    }

    public let isEphemeral = false
    public let impliesEphemeral = false
    public let warnings: [String] = []

    public func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference {
        LogReference(kind: .local, topic: LocalLayout.directory(of: epoch))
    }

    public func named(_ name: String) -> any LogProvider { self }

    public func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence {
        try onDisk { () throws(IOError) in try FileSystem.exists(directory(epoch)) } ? .present : .missing
    }

    /// Throws `LOG_LOCKED` while another handle, in this process or another, has it open; `LOG_CORRUPT` when what was
    /// acknowledged is damaged.
    public func open(_ epoch: Epoch) async throws(VarveError) -> any Log {
        guard try await probe(epoch) == .present else { throw missing(epoch) }
        return try LocalLog(directory(epoch), epoch, options)
    }

    /// Opens the log of an epoch to read only, also while another process writes it: appends are refused, and tails look
    /// for more every `pollSleepDuration`. What the writer has not yet stated to be durable is not delivered, so the end
    /// is up to 100 ms behind the writer's.
    public func openToRead(_ epoch: Epoch) async throws(VarveError) -> any Log {
        guard try await probe(epoch) == .present else { throw missing(epoch) }
        return try LocalFollower(directory(epoch), epoch, interval: pollSleepDuration)
    }

    /// What can be read of a log that is damaged, as `damage` says.
    package func remains(_ epoch: Epoch, _ damage: VarveError) throws(VarveError) -> LocalRemains {
        try LocalRemains(directory(epoch), epoch, damage)
    }

    public func create(_ epoch: Epoch) async throws(VarveError) {
        try onDisk { () throws(IOError) in try Directory.create(directory(epoch)) }
    }

    private func directory(_ epoch: Epoch) -> String {
        Directory.join(path, LocalLayout.directory(of: epoch))
    }

    private func missing(_ epoch: Epoch) -> VarveError {
        VarveError(.logMissing, "there is no local log of epoch \(epoch) at \(directory(epoch))")
    }
}

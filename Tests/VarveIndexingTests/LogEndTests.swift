import Testing
import VarveIndexing
import VarveLog
import VarveModel

/// A log whose last offset is no record, as a topic is behind the marker of somebody's aborted transaction.
private struct Marked: LogProvider {
    let base: MemoryLogProvider

    var isEphemeral: Bool { base.isEphemeral }
    var impliesEphemeral: Bool { base.impliesEphemeral }
    var warnings: [String] { base.warnings }
    func reference(_ epoch: Epoch) async throws(VarveError) -> LogReference { try await base.reference(epoch) }
    func named(_ name: String) -> any LogProvider { self }
    func create(_ epoch: Epoch) async throws(VarveError) { try await base.create(epoch) }
    func probe(_ epoch: Epoch) async throws(VarveError) -> LogPresence { try await base.probe(epoch) }
    func open(_ epoch: Epoch) async throws(VarveError) -> any Log { MarkedLog(base: try await base.open(epoch)) }
}

private struct MarkedLog: Log {
    let base: any Log
    static let markers: Int64 = 3

    var reference: LogReference { base.reference }
    var recordBytesMax: Int { base.recordBytesMax }
    func append(_ records: [Bytes]) async -> [AppendResult] { await base.append(records) }
    func purge() { base.purge() }
    func range() async throws(VarveError) -> Range<Offset> {
        let range = try await base.range()
        return range.lowerBound..<Offset(range.upperBound.value + Self.markers)
    }
    func read(at offset: Offset) async throws(VarveError) -> LogEntry? {
        try await offset < base.range().upperBound ? base.read(at: offset) : nil
    }
    func tail(from offset: Offset) async throws(VarveError) -> any LogTail { try await base.tail(from: offset) }
    func trim(below offset: Offset) async { await base.trim(below: offset) }
    func close() async { await base.close() }
}

@Suite struct LogEndTests {
    @Test func aNodeIsReadyBehindTheLastRecordThoughTheLogEndsWithWhatIsNone() async throws {
        try await Nodes.run("first") { nodes in
            for i in 0..<5 { try await nodes.put(0, i) }
            // Nobody writes meanwhile: `run` waits until the node is ready.
            try await Nodes.run("late", views: ["late": { Marked(base: $0) }], over: nodes) { late in
                #expect(late[0].snapshot.position == nodes[0].snapshot.position)
                try await late.put(0, 6)
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func whatIsReadToTheEndComesToOne() async throws {
        try await Nodes.run("first") { nodes in
            for i in 0..<5 { try await nodes.put(0, i) }
            let log = try await Marked(base: nodes.provider).open(.first)
            let range = try await log.range()
            var offsets: [Offset] = []
            try await log.forEachBatch(from: range.lowerBound, to: range.upperBound) { (entries) throws(VarveError) in
                offsets += entries.map(\.offset)
                return true
            }
            #expect(offsets.last?.value == range.upperBound.value - 1 - MarkedLog.markers)
            #expect(
                try await log.deliveredEnd(from: try #require(offsets.last).next, to: range.upperBound)
                    == offsets.last?.next)
            // Nothing but markers is left.
            try await log.forEachBatch(from: try #require(offsets.last).next, to: range.upperBound) {
                _ throws(VarveError) in
                Issue.record("there is no record")
                return true
            }
            await log.close()
        }
    }
}

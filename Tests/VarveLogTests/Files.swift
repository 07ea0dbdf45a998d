import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

/// A local log's files, opened and planted by tests.
struct LogFiles: Sendable {
    let scratch: Scratch

    init(inMemory: Bool = false) throws { scratch = try Scratch(inMemory: inMemory) }

    var directory: String { scratch.path + "/e0000" }
    var segment: String { directory + "/0000000000000000.log" }
    func remove() { scratch.remove() }

    func provider(segmentBytes: Int = 1 << 20, faults: FileFaults? = nil) -> LocalLogProvider {
        LocalLogProvider(
            path: scratch.path, pollSleepDuration: .milliseconds(5), segmentBytes: segmentBytes, faults: faults)
    }

    func open(segmentBytes: Int = 1 << 20, faults: FileFaults? = nil) async throws -> any Log {
        let provider = provider(segmentBytes: segmentBytes, faults: faults)
        try await provider.create(.first)
        return try await provider.open(.first)
    }

    /// A closed log: its genesis, then these batches of records.
    func write(_ batches: [[String]], segmentBytes: Int = 1 << 20) async throws {
        let log = try await open(segmentBytes: segmentBytes)
        for batch in [[LogContract.genesis(.first)]] + batches.map({ $0.map { Bytes($0) } }) {
            for case .refused(let error) in await log.append(batch) { throw error }
        }
        await log.close()
    }

    struct Batch {
        let start: Int
        let end: Int
    }

    /// The first segment's bytes, and where its batches that hold records are. (On a slow machine a header that states
    /// durability may stand between any two of them, and one always stands at the end.)
    func batches() throws -> (bytes: [UInt8], batches: [Batch]) {
        let bytes = try FileSystem.read(segment) ?? []
        func number(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) } }
        var batches: [Batch] = []
        var at = 64
        while at + 48 <= bytes.count {
            let end = at + 48 + number(at + 8)
            if number(at + 4) > 0 { batches.append(Batch(start: at, end: end)) }
            at = end
        }
        return (bytes, batches)
    }

    /// Puts `bytes` in place of the first segment, with no other file beside it.
    func replaceSegment(_ bytes: [UInt8], path: String? = nil) throws {
        for entry in try Directory.list(directory) where entry.name.hasSuffix(".torn") {
            try FileSystem.remove(Directory.join(directory, entry.name))
        }
        let file = try File(path ?? segment, .createOrUpdate)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
    }
}

/// The texts a log holds from its first offset on.
func texts(_ log: any Log, from offset: Offset = .zero) async throws -> [String] {
    let end = try await log.range().upperBound
    var texts: [String] = []
    guard offset < end else { return [] }
    let tail = try await log.tail(from: offset)
    while Int64(texts.count) < end.value - offset.value, let batch = try await tail.next() {
        texts += batch.entries.map { $0.offset == .zero ? "genesis" : $0.bytes.utf8 ?? "?" }
    }
    return texts
}

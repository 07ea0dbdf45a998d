/// A node in this process, on a local log and a directory: from JSON text to durable, applied and answered.

internal import VarveIO
internal import VarveModel
internal import VarveNode

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// What one loading took.
struct Run {
    var seconds: Double
    /// Of all threads of this process.
    var processorSeconds: Double
}

struct InProcess: Sendable {
    let directory: String

    private var configuration: Configuration {
        Configuration(
            log: .local(LocalLogConfiguration(path: directory + "/log")),
            storage: .local(path: directory + "/storage"),
            node: NodeConfiguration(id: "bench", directory: directory + "/node"))
    }

    /// Loads `lines` in transactions of `batch` documents by `inFlight` clients that each await their own. With `flush` all of it is in
    /// blocks afterwards, which is not timed.
    func load(_ lines: [Bytes], batch: Int, inFlight: Int, flush: Bool = false) async throws -> Run {
        let node = try await Node.start(configuration)
        let table = try TableName("packages")
        let count = (lines.count + batch - 1) / batch
        let began = ContinuousClock.now
        let processorBegan = Machine.processorSeconds
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<min(inFlight, count) {
                group.addTask {
                    var scanner = JSONScanner()
                    for number in stride(from: client, to: count, by: inFlight) {
                        var rows: [Operation.Row] = []
                        for line in lines[(number * batch)..<min(number * batch + batch, lines.count)] {
                            rows.append(
                                try line.withUnsafeBytes { text throws(JSONFault) in try scanner.document(text) })
                        }
                        let outcome = try await node.submit(Transaction([.put(table, rows)]), timeout: .seconds(60))
                        guard outcome.outcome == .committed else {
                            throw Fault("a transaction was \(outcome.outcome)")
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let run = Run(
            seconds: (ContinuousClock.now - began).inSeconds,
            processorSeconds: Machine.processorSeconds - processorBegan)
        if flush { _ = try await node.flush(awaitAdoption: true, timeout: .seconds(60)) }
        await node.stop()
        return run
    }

    /// Seconds until a node on what `load` left serves.
    func restart() async throws -> Double {
        let began = ContinuousClock.now
        let node = try await Node.start(configuration)
        let seconds = (ContinuousClock.now - began).inSeconds
        await node.stop()
        return seconds
    }
}

/// A directory beside the results, so on the disk the repository is on; gone when it is done with.
enum Scratch {
    static func with<R>(_ body: (String) async throws -> R) async throws -> R {
        var template = Array(".build/bench/scratch-XXXXXX".utf8CString)
        mkdir(".build", 0o755)
        mkdir(".build/bench", 0o755)
        guard mkdtemp(&template) != nil else { throw Fault("no scratch directory in .build/bench") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { remove(path) }
        return try await body(path)
    }

    private static func remove(_ path: String) {
        for entry in (try? Directory.list(path)) ?? [] {
            let inner = Directory.join(path, entry.name)
            if entry.isDirectory { remove(inner) } else { _ = try? FileSystem.remove(inner) }
        }
        _ = try? Directory.remove(path)
    }
}

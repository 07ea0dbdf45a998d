/// The local log against a C loop that writes and syncs the same batches, and its reading against the number to reach.

internal import CVarveYardstick
internal import VarveLog
internal import VarveModel

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

struct LocalLogBenchmark {
    let samples: Int

    private static let bytes = 100
    private static let writers = 64
    private static let alone = 1_500
    private static let together = 96_000
    private static let reading = 1_000_000

    func figures() async throws -> [Figure] {
        var alone = Figure(
            name: "local log: one awaited writer, 100 B", unit: "records/s", yardstick: "C, write and fdatasync",
            target: 0.9)
        var together = Figure(
            name: "local log: 64 writers, 100 B", unit: "records/s", yardstick: "C, batches of 64", target: 0.9)
        var reading = Figure(
            name: "local log: reading from the start, 100 B", unit: "records/s", yardstick: "to reach", target: 1)
        for round in 0..<samples {
            let oursFirst = round % 2 == 0
            for (figure, writers, count) in [(0, 1, Self.alone), (1, Self.writers, Self.together)] {
                let ours: Double
                let theirs: Double
                if oursFirst {
                    ours = try await append(writers, count)
                    theirs = try await inC(writers, count)
                } else {
                    theirs = try await inC(writers, count)
                    ours = try await append(writers, count)
                }
                let sample = Figure.Sample(ours: Double(count) / ours, yardstick: Double(count) / theirs)
                if figure == 0 { alone.samples.append(sample) } else { together.samples.append(sample) }
            }
            reading.samples.append(.init(ours: Double(Self.reading) / (try await read()), yardstick: 3_000_000))
            print("  round \(round + 1)")
            Progress.flush()
        }
        return [alone, together, reading]
    }

    private func withLog<R>(_ body: (any Log) async throws -> R) async throws -> R {
        try await Scratch.with { directory in
            let provider = LocalLogProvider(path: directory)
            try await provider.create(.first)
            let log = try await provider.open(.first)
            let genesis = Record(
                header: RecordHeader(type: .genesis, logTag: .none, id: Bytes16(high: 1, low: 2)),
                payload: Genesis(
                    database: DatabaseID(high: 3, low: 4), epoch: .first,
                    log: LogReference(kind: .local, topic: "e0000"), began: .initial, settings: Settings()
                ).encoded()
            ).encoded()
            guard case .stored? = await log.append([genesis]).first else { throw Fault("the genesis was not stored") }
            let result = try await body(log)
            await log.close()
            return result
        }
    }

    private func append(_ writers: Int, _ count: Int) async throws -> Double {
        try await withLog { log in
            let record = [Bytes([UInt8](repeating: 1, count: Self.bytes))]
            let began = ContinuousClock.now
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<writers {
                    group.addTask { for _ in 0..<(count / writers) { _ = await log.append(record) } }
                }
            }
            return (ContinuousClock.now - began).inSeconds
        }
    }

    private func inC(_ writers: Int, _ count: Int) async throws -> Double {
        try await Scratch.with { directory in
            var result = yardstick_result()
            var error = [CChar](repeating: 0, count: 256)
            guard
                yardstick_file(
                    directory + "/file", Int64(count / writers), Int64(writers), Self.bytes, &result, &error) == 0
            else { throw Fault("the yardstick cannot write \(directory)/file") }
            return result.seconds
        }
    }

    /// Everything is written first, with the log opened anew, so that reading is from files.
    private func read() async throws -> Double {
        try await Scratch.with { directory in
            try await fill(directory)
            let log = try await LocalLogProvider(path: directory).open(.first)
            let end = try await log.range().upperBound
            let began = ContinuousClock.now
            let tail = try await log.tail(from: .zero)
            var next = Offset.zero
            var sum = 0
            while next < end, let batch = try await tail.next() {
                for entry in batch.entries { sum &+= entry.bytes.count }
                if let last = batch.entries.last { next = last.offset.next }
            }
            let seconds = (ContinuousClock.now - began).inSeconds
            if sum == 1 { print("") }
            await log.close()
            return seconds
        }
    }

    private func fill(_ directory: String) async throws {
        let provider = LocalLogProvider(path: directory)
        try await provider.create(.first)
        let log = try await provider.open(.first)
        let genesis = Record(
            header: RecordHeader(type: .genesis, logTag: .none, id: Bytes16(high: 1, low: 2)),
            payload: Genesis(
                database: DatabaseID(high: 3, low: 4), epoch: .first,
                log: LogReference(kind: .local, topic: "e0000"), began: .initial, settings: Settings()
            ).encoded()
        ).encoded()
        _ = await log.append([genesis])
        let batch = Array(repeating: Bytes([UInt8](repeating: 1, count: Self.bytes)), count: 4_000)
        for _ in 0..<(Self.reading / batch.count) { _ = await log.append(batch) }
        await log.close()
    }
}

/// `log`: our three logs against the same loops in C, on bare librdkafka and on a bare file.
///
/// Broker and client share the machine, and the embedded broker keeps about 5 MiB of a topic: what is read from it is that
/// much, what is read from a real one is all of it. Ours and C's take turns in one process, so a slow minute falls on both;
/// processor time is the steadier figure.

internal import CVarveYardstick
internal import VarveKafka
internal import VarveLog
internal import VarveModel
internal import VarveTestSupport

struct LogBenchmark {
    static let samplesDefault = 5
    static let secondsDefault = 60

    let samples: Int
    /// How long appending and tailing go on for the memory figure.
    let seconds: Int

    /// What is appended in one call.
    private static let batch = 500
    /// How many calls are under way: as the submitting side of a node does it.
    private static let callsInFlight = 24
    /// The loop in C has as many records under way. With more, librdkafka's queue is never empty and its requests are fuller:
    /// that is another loop, whose rate is reported beside.
    private static var window: Int64 { Int64(batch * callsInFlight) }
    /// Records that are read from a real broker: so many that connecting, a millisecond or two, counts little.
    private static let realTail = 1_000_000

    /// - Parameter part: one alone; nil is all of them.
    func run(_ part: String?) async throws {
        if let part, !["embedded", "kafka", "tail", "local", "decode", "memory"].contains(part) {
            throw Fault("unknown part \"\(part)\"\n\(Main.usage)")
        }
        func isWanted(_ name: String) -> Bool { part == nil || part == name }
        var figures: [Figure] = []
        if isWanted("embedded") {
            print("\(samples) rounds; the embedded broker")
            figures += try await embedded { try await kafka($0, "embedded", isReal: false) }
        }
        if isWanted("kafka") || part == "tail" {
            if let reason = KafkaAvailability.skipReason {
                print("a real broker: skipped: \(reason)")
            } else {
                print("a real broker")
                let broker = try await KafkaBroker.shared()
                figures +=
                    part == "tail"
                    ? try await tailing(broker.bootstrapServers)
                    : try await kafka(broker.bootstrapServers, "Kafka", isReal: true)
            }
        }
        if isWanted("local") {
            print("local log")
            figures += try await LocalLogBenchmark(samples: samples).figures()
        }
        if isWanted("decode") { figures += try decoding() }
        if isWanted("memory") {
            print("memory: \(seconds) s of append and tail")
            figures += try await embedded { try await memory($0) }
        }
        let report = Report(
            name: part.map { "log-\($0)" } ?? "log",
            dataSet:
                "records of 100 and 1,000 bytes; a call appends \(Self.batch), \(Self.callsInFlight) at once; as many under way in C",
            figures: figures)
        report.print()
        print("\n\(try report.write())")
    }

    // MARK: Kafka

    private func embedded(_ body: (String) async throws -> [Figure]) async throws -> [Figure] {
        // In a process of its own: its work is not the client's.
        let broker = try BrokerProcess.start()
        defer { broker.end() }
        return try await body(broker.servers)
    }

    /// Appending and tailing at full rate: from a fifth of the time on memory stays.
    private func memory(_ servers: String) async throws -> [Figure] {
        var growth = Figure(
            name: "resident memory, appending and tailing for \(seconds) s", unit: "times", yardstick: "at most",
            target: 1)
        var resident = Figure(name: "resident memory at the end of it", unit: "MB", yardstick: "", target: nil)
        let log = try await KafkaPlace(servers: servers, isReal: false).open()
        let tail = try await log.tail(from: try await log.range().upperBound)
        let began = ContinuousClock.now
        let end = began + .seconds(seconds)
        let first = try await withThrowingTaskGroup(of: Double?.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let records = Array(repeating: Bytes([UInt8](repeating: 1, count: 100)), count: Self.batch)
                    while ContinuousClock.now < end {
                        _ = await log.append(records)
                        // The mock keeps 5 MiB: the reader must not fall out of it.
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    return nil
                }
            }
            group.addTask {
                var first: Double?
                while ContinuousClock.now < end, try await tail.next() != nil {
                    if first == nil, ContinuousClock.now - began > .seconds(Double(seconds) / 5) {
                        first = Machine.memory(of: processID)?.now
                    }
                }
                return first
            }
            return try await group.reduce(nil) { $0 ?? $1 }
        }
        let now = Machine.memory(of: processID)?.now ?? 0
        await log.close()
        growth.samples.append(.init(ours: now / (first ?? now), yardstick: 1.05))
        resident.samples.append(.init(ours: now, yardstick: 0))
        return [growth, resident]
    }

    func kafka(_ servers: String, _ name: String, isReal: Bool) async throws -> [Figure] {
        var small = Figure(
            name: "\(name): append pipelined, 100 B", unit: "records/s", yardstick: "C", target: 0.95)
        var smallTime = Figure(
            name: "\(name): append pipelined, 100 B, processor time", unit: "µs each", yardstick: "C", target: nil)
        smallTime.reportsYardstick = true
        var unbounded = Figure(
            name: "\(name): append pipelined, 100 B, against as much as fits", unit: "records/s",
            yardstick: "C, 100,000 under way", target: nil)
        unbounded.reportsYardstick = true
        var large = Figure(name: "\(name): append pipelined, 1 KB", unit: "records/s", yardstick: "C", target: nil)
        var largeTime = Figure(
            name: "\(name): append pipelined, 1 KB, processor time", unit: "µs each", yardstick: "C", target: 1.15)
        var tail = Figure(name: "\(name): tail, 100 B", unit: "records/s", yardstick: "C", target: 0.95)
        var tailTime = Figure(
            name: "\(name): tail, 100 B, processor time", unit: "µs each", yardstick: "C", target: nil)
        tailTime.reportsYardstick = true
        var awaited = Figure(name: "\(name): one awaited append, p50", unit: "µs", yardstick: "C", target: 1.3)
        var readBack = Figure(
            name: "\(name): append and read back, p50", unit: "µs", yardstick: "C", target: nil)
        let smallCount = isReal ? 200_000 : 1_000_000
        let largeCount = isReal ? 50_000 : 300_000
        // The mock drops what is more than 5 MiB old.
        let tailCount = isReal ? Self.realTail : 30_000
        let place = KafkaPlace(servers: servers, isReal: isReal)
        try await place.fill(tailCount)
        for round in 0..<samples {
            try await measure(
                &small, &unbounded, &smallTime, &large, &largeTime, place, smallCount, largeCount,
                oursFirst: round % 2 == 0)
            try await measureTail(&tail, &tailTime, place, tailCount, oursFirst: round % 2 == 0)
            try await measureAwaited(&awaited, &readBack, place, isReal ? 150 : 1_000, oursFirst: round % 2 == 0)
            print("  round \(round + 1)")
            Progress.flush()
        }
        readBack.reportsYardstick = true
        large.reportsYardstick = true
        return [small, unbounded, smallTime, large, largeTime, tail, tailTime, awaited, readBack]
    }

    /// The tail of a real broker alone: a short round, and something for a profiler.
    private func tailing(_ servers: String) async throws -> [Figure] {
        var tail = Figure(name: "Kafka: tail, 100 B", unit: "records/s", yardstick: "C", target: 0.95)
        let place = KafkaPlace(servers: servers, isReal: true)
        var time = Figure(name: "Kafka: tail, 100 B, processor time", unit: "µs each", yardstick: "C", target: nil)
        time.reportsYardstick = true
        for round in 0..<samples {
            try await measureTail(&tail, &time, place, Self.realTail, oursFirst: round % 2 == 0)
        }
        return [tail, time]
    }

    private func measure(
        _ small: inout Figure, _ unbounded: inout Figure, _ smallTime: inout Figure, _ large: inout Figure,
        _ largeTime: inout Figure,
        _ place: KafkaPlace, _ smallCount: Int,
        _ largeCount: Int, oursFirst: Bool
    ) async throws {
        for (size, count) in [(100, smallCount), (1_000, largeCount)] {
            let (ours, theirs) = try await inTurn(oursFirst) {
                try await append(place, count, size)
            } theirs: {
                try place.yardstick { yardstick_append_window($0, Int64(count), size, Self.window, $1, $2) }
            }
            let rate = Figure.Sample(ours: Double(count) / ours.seconds, yardstick: Double(count) / theirs.seconds)
            let time = Figure.Sample(
                ours: ours.processorSeconds / Double(count) * 1e6,
                yardstick: theirs.processor_seconds / Double(count) * 1e6)
            if size == 100 {
                small.samples.append(rate)
                let free = try place.yardstick { yardstick_append($0, Int64(count), size, $1, $2) }
                unbounded.samples.append(.init(ours: rate.ours, yardstick: Double(count) / free.seconds))
                smallTime.samples.append(time)
            } else {
                large.samples.append(rate)
                largeTime.samples.append(time)
            }
        }
    }

    private func measureTail(
        _ tail: inout Figure, _ time: inout Figure, _ place: KafkaPlace, _ count: Int, oursFirst: Bool
    ) async throws {
        try await place.fillAgain(count)
        let start = try await place.start(count)
        let (ours, theirs) = try await inTurn(oursFirst) {
            try await read(place, from: start, count)
        } theirs: {
            try place.yardstick { yardstick_tail($0, start.value, Int64(count), $1, $2) }
        }
        tail.samples.append(.init(ours: Double(count) / ours.seconds, yardstick: Double(count) / theirs.seconds))
        time.samples.append(
            .init(
                ours: ours.processorSeconds / Double(count) * 1e6,
                yardstick: theirs.processor_seconds / Double(count) * 1e6))
    }

    private func measureAwaited(
        _ awaited: inout Figure, _ readBack: inout Figure, _ place: KafkaPlace, _ count: Int, oursFirst: Bool
    ) async throws {
        let (ours, theirs) = try await inTurn(oursFirst) {
            try await oneByOne(place, count, readsBack: false)
        } theirs: {
            try place.yardstick { yardstick_awaited($0, Int64(count), 100, $1, $2) }
        }
        awaited.samples.append(.init(ours: ours * 1e6, yardstick: theirs.median_seconds * 1e6))
        let (oursBack, theirsBack) = try await inTurn(oursFirst) {
            try await oneByOne(place, count / 2, readsBack: true)
        } theirs: {
            try place.yardstick { yardstick_read_back($0, Int64(count / 2), 100, $1, $2) }
        }
        readBack.samples.append(.init(ours: oursBack * 1e6, yardstick: theirsBack.median_seconds * 1e6))
    }

    private func inTurn<Ours, Theirs>(
        _ oursFirst: Bool, ours: () async throws -> Ours, theirs: () throws -> Theirs
    ) async throws -> (Ours, Theirs) {
        if oursFirst {
            let first = try await ours()
            return (first, try theirs())
        }
        let first = try theirs()
        return (try await ours(), first)
    }

    // MARK: Ours

    func append(_ place: KafkaPlace, _ count: Int, _ size: Int) async throws -> Run {
        let log = try await place.open()
        // A connection that stands, as in C.
        _ = await log.append([Bytes([0])])
        let record = Bytes((0..<size).map { UInt8(truncatingIfNeeded: $0 * 31 + 7) })
        let records = Array(repeating: record, count: Self.batch)
        let calls = count / Self.batch
        let began = ContinuousClock.now
        let processorBegan = Machine.processorSeconds
        await withTaskGroup(of: Void.self) { group in
            for call in 0..<calls {
                if call >= Self.callsInFlight { await group.next() }
                group.addTask { _ = await log.append(records) }
            }
        }
        let run = Run(
            seconds: (ContinuousClock.now - began).inSeconds,
            processorSeconds: Machine.processorSeconds - processorBegan)
        await log.close()
        return run
    }

    func read(_ place: KafkaPlace, from start: Offset, _ count: Int) async throws -> Run {
        let log = try await place.open()
        let began = ContinuousClock.now
        let processorBegan = Machine.processorSeconds
        let tail = try await log.tail(from: start)
        var next = start.value
        var sum: UInt64 = 0
        var left = count
        while left > 0, let batch = try await tail.next() {
            for entry in batch.entries {
                guard entry.offset.value == next else { throw Fault("offset \(entry.offset) instead of \(next)") }
                next += 1
                sum &+= UInt64(bitPattern: entry.time) &+ UInt64(entry.bytes[entry.bytes.count - 1])
            }
            left -= batch.entries.count
        }
        let run = Run(
            seconds: (ContinuousClock.now - began).inSeconds,
            processorSeconds: Machine.processorSeconds - processorBegan)
        if sum == 1 { print("") }
        await log.close()
        return run
    }

    /// Median seconds of one.
    private func oneByOne(_ place: KafkaPlace, _ count: Int, readsBack: Bool) async throws -> Double {
        let log = try await place.open()
        _ = await log.append([Bytes([0])])
        let end = try await log.range().upperBound
        let tail = readsBack ? try await log.tail(from: end) : nil
        let record = [Bytes([UInt8](repeating: 1, count: 100))]
        var times: [Double] = []
        for _ in 0..<count {
            let began = ContinuousClock.now
            guard case .stored? = await log.append(record).first else { throw Fault("a record was not stored") }
            if let tail { _ = try await tail.next() }
            times.append((ContinuousClock.now - began).inSeconds)
        }
        await log.close()
        return times.sorted()[times.count / 2]
    }

    // MARK: Decoding

    func decoding() throws -> [Figure] {
        var figure = Figure(name: "decoding records, 200 B", unit: "records/s", yardstick: "to reach", target: 1)
        let tag = LogTag(raw: 7)
        let records = (0..<10_000).map { i in
            Record(
                header: RecordHeader(
                    type: .transaction, logTag: tag, id: Bytes16(high: UInt64(i), low: 1), expiresAt: Int64(i)),
                payload: Bytes([UInt8](repeating: UInt8(truncatingIfNeeded: i), count: 112))
            ).encoded()
        }
        for _ in 0..<samples {
            let began = ContinuousClock.now
            var sum: Int64 = 0
            for _ in 0..<100 {
                for bytes in records {
                    guard case .record(let record) = Record.decode(bytes, tag: tag) else { throw Fault("no record") }
                    sum &+= record.header.expiresAt
                }
            }
            let seconds = (ContinuousClock.now - began).inSeconds
            if sum == 1 { print("") }
            figure.samples.append(.init(ours: 1_000_000 / seconds, yardstick: 3_000_000))
        }
        return [figure]
    }
}

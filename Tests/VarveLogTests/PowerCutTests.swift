import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

/// Whatever a power cut may leave of what was written and not synced: every acknowledged record is there afterwards, and
/// of the others a beginning, whole.
@Suite struct PowerCutTests {
    private struct Life {
        /// Every record that was handed over, in order; its number is its offset.
        var texts: [String] = []
        var recorder = DiskRecorder()
    }

    @Test func `at every cut in the life of a log, in every state tried, acknowledged records are there`() async throws
    {
        let scratch = try Scratch(inMemory: true)
        defer { scratch.remove() }
        let path = scratch.path + "/log"
        let life = try await live(path)
        var images = 0
        var cut = PowerCut()
        for (index, event) in life.recorder.events.enumerated() {
            cut.take(event)
            if case .promise = event { continue }
            for fate in PowerCut.fates(random: 10, seed: UInt64(index)) {
                try await verify(
                    cut.image(fate), cut.promises, life, path, "\(fate) after change \(index), \(event.name)")
                images += 1
            }
        }
        #expect(images > 600)
    }

    /// Opening repairs what a cut left; the power may go while it does.
    @Test func `a power cut while the log is opened after a power cut`() async throws {
        try await openTwice { cut, index in
            let image = cut.image(.random(seed: UInt64(index)))
            return (seen: image, onDisk: image)
        }
    }

    /// After a failed sync the system may show what the disk will never hold, and call it clean.
    @Test func `a power cut while the log is opened after a failed sync`() async throws {
        try await openTwice { cut, _ in (seen: cut.image(.everything), onDisk: cut.image(.nothing)) }
    }

    private func openTwice(
        _ state: (PowerCut, Int) -> (seen: [String: [UInt8]], onDisk: [String: [UInt8]])
    ) async throws {
        let scratch = try Scratch(inMemory: true)
        defer { scratch.remove() }
        let path = scratch.path + "/log"
        let life = try await live(path)
        var cut = PowerCut()
        var images = 0
        for (index, event) in life.recorder.events.enumerated() {
            cut.take(event)
            guard case .write(let file, _, _) = event, file.hasSuffix(".log") else { continue }
            let (seen, onDisk) = state(cut, index)
            guard segments(seen) == segments(onDisk) else { continue }
            try plant(seen, at: path)
            let recorder = DiskRecorder()
            DiskWatch.begin(under: path, recorder)
            let provider = LocalLogProvider(path: path, segmentBytes: 1500)
            let log = try await provider.open(.first)
            // What is delivered now is promised, acknowledged or not.
            let found = try await texts(log)
            recorder.promise("\(found.count)")
            await log.close()
            DiskWatch.end(under: path)
            var second = PowerCut(onDisk)
            for (number, event) in recorder.events.enumerated() {
                second.take(event)
                for fate in PowerCut.fates(random: 2, seed: UInt64(index * 100 + number)) {
                    let place = "\(fate) after change \(number) of opening after change \(index)"
                    try await verify(second.image(fate), cut.promises + second.promises, life, path, place)
                    images += 1
                }
            }
        }
        #expect(images > 100)
    }

    private func segments(_ image: [String: [UInt8]]) -> Set<String> { Set(image.keys.filter { $0.hasSuffix(".log") }) }

    // MARK: Parts

    /// Batches of several sizes over some segments, one opening in the middle; after each batch the number of records that
    /// are promised.
    private func live(_ path: String) async throws -> Life {
        var life = Life()
        let provider = LocalLogProvider(path: path, segmentBytes: 1500)
        DiskWatch.begin(under: path, life.recorder)
        defer { DiskWatch.end(under: path) }
        try await provider.create(.first)
        for opening in 0..<2 {
            let log = try await provider.open(.first)
            for batch in 0..<5 {
                let count = opening + batch == 0 ? 0 : 1 + batch % 3
                var records = (0..<count).map { number in
                    Bytes(
                        "\(opening)/\(batch)/\(number) "
                            + String(repeating: "x", count: (batch * 97 + number * 41) % 700))
                }
                if opening + batch == 0 { records = [LogContract.genesis(.first)] }
                life.texts += opening + batch == 0 ? ["genesis"] : records.compactMap(\.utf8)
                let results = await log.append(records)
                try #require(results.allSatisfy { $0.offset != nil })
                life.recorder.promise("\(life.texts.count)")
            }
            await log.close()
        }
        return life
    }

    private func plant(_ image: [String: [UInt8]], at path: String) throws {
        let directory = path + "/e0000"
        try Directory.create(directory)
        for entry in try Directory.list(directory) { try FileSystem.remove(Directory.join(directory, entry.name)) }
        for (name, bytes) in image { try File(name, .createNew).write(bytes, at: 0) }
    }

    private func verify(
        _ image: [String: [UInt8]], _ promises: [String], _ life: Life, _ path: String, _ place: String
    ) async throws {
        try plant(image, at: path)
        let promised = promises.compactMap { Int($0) }.max() ?? 0
        let provider = LocalLogProvider(path: path, segmentBytes: 1500)
        do {
            var log = try await provider.open(.first)
            var found = try await texts(log)
            #expect(found.count >= promised, "lost, \(place)")
            #expect(found == Array(life.texts.prefix(found.count)), "\(place)")
            if found.isEmpty { found = ["genesis"] }
            let next = try await log.range().isEmpty ? [LogContract.genesis(.first)] : []
            _ = await log.append(next + [Bytes("afterwards")])
            await log.close()
            log = try await provider.open(.first)
            #expect(try await texts(log) == found + ["afterwards"], "\(place)")
            await log.close()
        } catch {
            Issue.record("\(place): \(error)")
        }
    }
}

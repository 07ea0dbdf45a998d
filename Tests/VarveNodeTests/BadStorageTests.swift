import Foundation
import Testing
import VarveCore
import VarveLog
import VarveModel
import VarveStorage

@testable import VarveNode

/// Storage that is not as it was left. Whatever is done to an object of it, a node names what is wrong and what comes
/// next, or answers what was true before; never anything else.
@Suite struct BadStorageTests {
    private func configuration(_ path: String, log: String = "log") -> Configuration {
        Configuration(
            log: .local(LocalLogConfiguration(path: "\(path)/\(log)")), storage: .local(path: "\(path)/storage"))
    }

    /// Three blocks of a document each, one version of `both` in the first and the last of them, and a tail in the log.
    private func fill(_ configuration: Configuration, _ name: String) async throws {
        try await withNode(configuration) { (node: Node) async throws in
            for i in 0..<3 {
                try await node.submit(.put(into: "t", ["_id": .text("\(i)"), "of": .text(name)]))
                if i != 1 { try await node.submit(.put(into: "t", ["_id": "both", "n": .integer(Int64(i))])) }
                _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10))
            }
            try await node.submit(.put(into: "t", ["_id": "tail", "of": .text(name)]))
        }
    }

    private func objects(_ storage: String) -> [String] {
        let names = FileManager.default.enumerator(atPath: storage)?.compactMap { $0 as? String } ?? []
        return names.sorted().filter { name in
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: "\(storage)/\(name)", isDirectory: &isDirectory)
            return !isDirectory.boolValue && !name.hasPrefix("tmp/") && !name.hasSuffix(".reserve")
        }
    }

    enum Damage: CaseIterable {
        case missing, empty, cut, flipped, foreign
    }

    private func apply(_ damage: Damage, to name: String, in storage: String, other: String) throws {
        let file = URL(filePath: "\(storage)/\(name)")
        var bytes = try Data(contentsOf: file)
        switch damage {
        case .missing: return try FileManager.default.removeItem(at: file)
        case .empty: bytes = Data()
        case .cut: bytes = bytes.prefix(bytes.count / 2)
        case .flipped: bytes[bytes.count / 2] ^= 0x10
        case .foreign:
            // The same object of another database; of files, which are named by their digest, any other one.
            let same = "\(other)/\(name)"
            let table = objects(other).first { $0.hasPrefix("tables/") && $0.hasSuffix(".arrow") }
            bytes = try Data(
                contentsOf: URL(
                    filePath: FileManager.default.fileExists(atPath: same) ? same : "\(other)/\(try #require(table))"))
        }
        try bytes.write(to: file)
    }

    /// What a start and every read come to: nil when all answers are those from before.
    private func outcome(_ configuration: Configuration) async throws -> [VarveError] {
        var errors: [VarveError] = []
        do {
            try await withNode(configuration) { (node: Node) async throws in
                let expected: [(String, Value)] = [
                    ("0", ["of": "one"]), ("1", ["of": "one"]), ("2", ["of": "one"]), ("both", ["n": 2]),
                    ("tail", ["of": "one"]),
                ]
                for (id, document) in expected {
                    do {
                        #expect(try await node.document("t", id) == document, "\(id)")
                    } catch {
                        errors.append(try #require(error as? VarveError))
                    }
                }
            }
        } catch {
            errors.append(try #require(error as? VarveError))
        }
        return errors
    }

    @Test(arguments: Damage.allCases)
    func whateverIsDoneToAnObjectIsNamedOrHarmless(_ damage: Damage) async throws {
        try await withScratch { path in
            for name in ["one", "two"] {
                try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
                try await fill(configuration("\(path)/\(name)"), name)
            }
            // Storage without FORMAT is an empty one: `StartTests` has it.
            for name in objects("\(path)/one/storage") where damage != .missing || name != "FORMAT" {
                try copyTree("\(path)/one", "\(path)/copy")
                try apply(damage, to: name, in: "\(path)/copy/storage", other: "\(path)/two/storage")
                let errors = try await outcome(configuration("\(path)/copy"))
                try removeTree("\(path)/copy")
                let codes = Set(errors.map(\.code))
                let place = "\(damage) \(name): \(errors)"
                #expect(errors.allSatisfy { $0.next != nil }, "\(place)")
                if name.hasPrefix("nodes/") || name.hasSuffix(".idx") {
                    #expect(errors.isEmpty, "\(place)")
                } else if name.hasSuffix(".arrow") {
                    // The node starts, and what other files hold is read.
                    #expect(codes == [.blockCorrupt] && errors.count < 5, "\(place)")
                    #expect(errors.allSatisfy { $0.message.contains(name) }, "\(place)")
                } else if damage == .missing,
                    name == objects("\(path)/one/storage").last(where: { $0.hasPrefix("blocks/") })
                {
                    // The newest block comes out of the log once more.
                    #expect(errors.isEmpty, "\(place)")
                } else {
                    #expect(
                        codes.count == 1
                            && codes.isSubset(of: [
                                .blockCorrupt, .chainBroken, .storageForeign, .storageMissing, .logReplaced,
                            ]),
                        "\(place)")
                }
            }
        }
    }

    /// Byte 2 of FORMAT, epoch records and manifests is their format in every version: key 0, its first value.
    @Test(arguments: ["FORMAT", "epochs/e0000.cbor", "blocks/e0000/b0000000000000001.cbor"])
    func anObjectOfALaterVersionIsNamedAsSuch(_ name: String) async throws {
        try await withScratch { path in
            try await fill(configuration(path), "one")
            let file = URL(filePath: "\(path)/storage/\(name)")
            var bytes = try Data(contentsOf: file)
            let format: UInt8 = name.hasPrefix("blocks/") ? 2 : 1
            #expect(bytes[1] == 0 && bytes[2] == format)
            bytes[2] = format + 1
            try bytes.write(to: file)
            let error = try #require(try await outcome(configuration(path)).first)
            #expect(error.code == .unsupportedRecord)
            #expect(error.message.contains(name) && error.message.contains("format \(format + 1)"), "\(error)")
            #expect(error.next?.contains("newer version of varve") == true, "\(error)")
            #expect(try Data(contentsOf: file) == bytes)
        }
    }

    /// Clusters with logs of their own that name one directory: the first keeps it, the other is told, and nothing of it
    /// gets into the storage.
    @Test func twoClustersOnOneDirectoryAreToldApart() async throws {
        try await withScratch { path in
            try await fill(configuration(path), "one")
            let before = objects("\(path)/storage").filter { !$0.hasPrefix("nodes/") }
            let alone = Configuration(
                log: .local(LocalLogConfiguration(path: "\(path)/used")), storage: .local(path: "\(path)/elsewhere"))
            try await withNode(alone) { (node: Node) async throws in
                // Longer than the first one's, or it would only be LOG_BEHIND.
                for i in 0..<12 { try await node.submit(.put(into: "t", ["_id": .integer(Int64(i))])) }
            }
            let errors = try await outcome(configuration(path, log: "used"))
            #expect(errors.map(\.code) == [.logReplaced], "\(errors)")
            #expect(errors.first?.next != nil)
            #expect(objects("\(path)/storage").filter { !$0.hasPrefix("nodes/") } == before)
            #expect(try await outcome(configuration(path)).isEmpty)
        }
    }

    @Test func twoClustersThatBeginAtOnceOnOneDirectoryDoNotMix() async throws {
        try await withScratch { path in
            let told = await withTaskGroup(of: VarveError?.self) { group in
                for log in ["left", "right"] {
                    var own = configuration(path, log: log)
                    // Two nodes of one id would clear away what the other tries the file system with.
                    own.node.id = log
                    group.addTask { [own] in
                        do {
                            let node = try await Node.start(own)
                            _ = try await node.submit(.put(into: "t", ["_id": .text(log)]))
                            await node.stop()
                            return nil
                        } catch {
                            return (error as? VarveError) ?? VarveError(.internal, "\(error)")
                        }
                    }
                }
                return await group.reduce(into: [VarveError]()) { list, error in
                    if let error { list.append(error) }
                }
            }
            #expect(told.count == 1, "\(told)")
            let allowed: Set<ErrorCode> = [.storageForeign, .logReplaced, .logMissing]
            #expect(told.allSatisfy { allowed.contains($0.code) && $0.next != nil }, "\(told)")
        }
    }

    /// A log clock that a test sets.
    private struct Clock: InstantSource {
        let instant: Instant
        func now() -> Instant { instant }
    }

    @Test func clocksAYearOffLeaveTimeInOrder() async throws {
        try await withScratch { path in
            let now: Int64 = 1_700_000_000
            let year: Int64 = 365 * 86_400
            var times: [Instant] = []
            for (i, seconds) in [now, now - year, now + year, now, now - year, now + 2 * year].enumerated() {
                let clock = Clock(instant: Instant(microseconds: seconds * 1_000_000))
                let node = try await Node.start(configuration(path), instantSource: clock)
                for n in 0..<2 {
                    let decision = try await node.decided(.put(into: "t", ["_id": .text("\(i)-\(n)")]))
                    #expect(decision.outcome == .committed, "\(seconds)")
                    times.append(decision.systemTime)
                }
                if i.isMultiple(of: 2) { _ = try await node.flush(awaitAdoption: true, timeout: .seconds(10)) }
                // The past is where it was: as of each write, it is there and the next one is not. That is known at
                // once, though the clock may be a year behind.
                for k in 0...i {
                    #expect(try await node.document("t", "\(k)-0", asOf: .instant(times[2 * k])) != nil)
                    #expect(try await node.document("t", "\(k)-1", asOf: .instant(times[2 * k])) == nil)
                }
                await node.stop()
            }
            #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 }, "\(times)")
        }
    }
}

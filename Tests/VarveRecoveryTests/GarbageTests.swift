import Synchronization
import Testing
import VarveCore
import VarveModel
import VarveRecovery
import VarveStorage

/// A store in memory with a clock of its own, where something happens, or fails, before a call.
private final class SteeredStore: ObjectStore {
    private struct State {
        var now = Duration.zero
        var writtenAt: [String: Duration] = [:]
        var calls = 0
        var before: @Sendable (Int) throws -> Void = { _ in }
    }

    let base = MemoryObjectStore()
    private let state = Mutex(State())

    var calls: Int { state.withLock { $0.calls } }
    func pass(_ time: Duration) { state.withLock { $0.now += time } }

    /// Counts calls from 0 and does this before each.
    func before(_ body: @escaping @Sendable (Int) throws -> Void) {
        state.withLock { ($0.calls, $0.before) = (0, body) }
    }

    private func enter() throws(VarveError) {
        let (call, body) = state.withLock { state in
            defer { state.calls += 1 }
            return (state.calls, state.before)
        }
        do {
            try body(call)
        } catch {
            throw (error as? VarveError) ?? VarveError(.internal, "\(error)")
        }
    }

    var isShared: Bool { true }

    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        try enter()
        let outcome = try base.putIfAbsent(name, bytes)
        if outcome == .created { state.withLock { $0.writtenAt[name] = $0.now } }
        return outcome
    }

    func persist(_ name: String) throws(VarveError) { try base.persist(name) }

    func get(_ name: String) throws(VarveError) -> Bytes? {
        try enter()
        return try base.get(name)
    }

    func size(of name: String) throws(VarveError) -> UInt64? { try base.size(of: name) }

    func list(_ prefix: String) throws(VarveError) -> [String] {
        try enter()
        return try base.list(prefix)
    }

    func parts(_ prefix: String) throws(VarveError) -> [String] { try base.parts(prefix) }
    func open(_ name: String) throws(VarveError) -> (any ObjectContents)? { try base.open(name) }

    func age(of name: String) throws(VarveError) -> Duration? {
        try base.size(of: name) == nil ? nil : state.withLock { $0.now - ($0.writtenAt[name] ?? .zero) }
    }

    func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) {
        try base.overwrite(name, bytes)
        state.withLock { $0.writtenAt[name] = $0.now }
    }

    func remove(_ name: String) throws(VarveError) {
        try enter()
        try base.remove(name)
    }

    func progress(of node: String) throws(VarveError) -> UInt64 { 0 }
}

/// Runs a job where it is enqueued.
private final class HereExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }
}

/// Runs, within a call that cannot wait, a procedure that does not.
private func runHere(_ body: @escaping @Sendable () async throws -> Void) throws {
    let outcome = Mutex<Result<Void, any Error>?>(nil)
    _ = Task(executorPreference: HereExecutor()) {
        do {
            try await body()
            outcome.withLock { $0 = .success(()) }
        } catch {
            outcome.withLock { $0 = .failure(error) }
        }
    }
    try #require(outcome.withLock { $0 }, "it waited").get()
}

/// A storage with blocks 0 to 5 of one table, and whatever else a test puts there.
private struct Yard: Sendable {
    let objects = SteeredStore()
    let blocks: BlockStore
    let database = Bytes16(high: 1, low: 2)
    let table: TableName
    var previous: Digest

    init() throws {
        blocks = BlockStore(objects)
        table = try TableName("t")
        let epoch = EpochRecord(
            epoch: .first, parent: .zero, began: .initial,
            log: LogReference(
                kind: .memory, topic: "e0000", genesis: Bytes16(high: 3, low: 4), genesisOffset: .zero),
            parentEnd: nil, reason: "")
        _ = try blocks.publishFormat(StorageFormat(database: database))
        _ = try blocks.publishEpochRecord(epoch)
        previous = Digest(of: epoch.encoded())
        for number in 0..<6 { try publish(number) }
    }

    func file(_ block: Int, _ text: String = "published") -> (name: String, digest: Digest) {
        let (number, digest) = (BlockNumber(UInt64(block)), Digest(of: Bytes("\(text) \(block)")))
        return (BlockFileWriter.name(table: table, first: number, last: number, digest: digest), digest)
    }

    func manifest(_ block: Int, previous: Digest, _ text: String = "published") -> Manifest {
        let (name, digest) = file(block, text)
        func at(_ offset: Int) -> Position { Position(.first, Offset(Int64(offset))) }
        return Manifest(
            database: database, number: BlockNumber(UInt64(block)), previous: previous, first: at(block * 10),
            last: at(block * 10 + 9), logTime: 0, effectiveTime: 0, systemTime: Instant(microseconds: 0),
            inputChain: .zero, effectChain: .zero, recordDigest: .zero, horizon: .zero, anchors: [], cut: .rows,
            counts: .init(), settings: Settings(),
            tables: [
                .init(
                    name: table, newFields: [], erasures: [],
                    files: [
                        .init(name: name, size: 4, digest: digest, rows: 1, firstKey: Key(1), lastKey: Key(1))
                    ])
            ])
    }

    mutating func publish(_ block: Int) throws {
        try put(file(block).name)
        let manifest = manifest(block, previous: previous)
        _ = try blocks.publishManifest(manifest)
        previous = Digest(of: manifest.encoded())
    }

    func put(_ name: String) throws {
        _ = try objects.putIfAbsent(name, Bytes("file"))
        _ = try objects.putIfAbsent(name + ".idx", Bytes("side"))
    }

    /// Names of manifests' files that are not there.
    func missing() throws -> [String] {
        var missing: [String] = []
        for number in try blocks.manifestNumbers(of: .first) {
            for file in try blocks.manifest(.first, number)?.manifest.tables.flatMap(\.files) ?? [] {
                if try objects.base.size(of: file.name) == nil { missing.append(file.name) }
            }
        }
        return missing
    }

    func collect() async throws -> GarbageCollection.Report { try await GarbageCollection(blocks).run() }
    func has(_ name: String) throws -> Bool { try objects.base.size(of: name) != nil }
}

@Suite struct GarbageTests {
    @Test func aFileOfALostPublicationGoesAfterTheGraceAndNotBefore() async throws {
        let yard = try Yard()
        let lost = yard.file(1, "another node's").name
        try yard.put(lost)
        #expect(try await GarbageCollection(yard.blocks).look().garbage.files.map(\.name) == [lost, lost + ".idx"])
        let first = try await yard.collect()
        #expect(first.removed.isEmpty && first.waiting.count == 2 && first.wait == .seconds(3600))
        yard.objects.pass(.seconds(3599))
        #expect(try await yard.collect().removed.isEmpty)
        #expect(try yard.has(lost))
        yard.objects.pass(.seconds(1))
        #expect(try await yard.collect().removed.map(\.name) == [lost, lost + ".idx"])
        #expect(try !yard.has(lost) && !yard.has(lost + ".idx"))
        #expect(try yard.objects.list("gc/").isEmpty)
        #expect(try yard.missing().isEmpty)
    }

    @Test func whatTheNewestBlocksOrLaterOnesMayNeedStays() async throws {
        let yard = try Yard()
        // Of the newest blocks, of one that is being written, of another version, of a person.
        let kept = [
            yard.file(3, "lost").name, yard.file(5, "lost").name, yard.file(6, "begun").name,
            "tables/t/l01-b00000000-b00000003-c-0123456789abcdef.arrow", "tables/t/notes.txt",
            "tables/t/l00-b00000000-b00000000-c-0123456789ABCDEF.arrow",
        ]
        for name in kept { try yard.put(name) }
        #expect(try await yard.collect().garbage.files.isEmpty)
        yard.objects.pass(.seconds(1_000_000))
        #expect(try await yard.collect().removed.isEmpty)
        for name in kept { #expect(try yard.has(name)) }
    }

    @Test func whatWasWrittenDownAndIsNamedByNowStays() async throws {
        let yard = try Yard()
        let lost = yard.file(1, "another node's").name
        try yard.put(lost)
        _ = try await yard.collect()
        // An intent that is wrong about what is there, of a collector that read an old state, say.
        let named = yard.file(2).name
        _ = try yard.objects.putIfAbsent(
            GarbageIntent([named]).name, GarbageIntent([named]).encoded())
        yard.objects.pass(.seconds(3600))
        #expect(try await yard.collect().removed.map(\.name) == [lost, lost + ".idx"])
        #expect(try yard.missing().isEmpty)
        #expect(try yard.objects.list("gc/").isEmpty)
    }

    @Test func aFileOfABlockOffTheChainIsEvidence() async throws {
        var yard = try Yard()
        // Epoch 0 was given up behind block 1; epoch 1 goes on with other blocks.
        let ended = yard.manifest(1, previous: .zero)
        let epochs = try yard.blocks.epochRecords()
        let next = EpochRecord(
            epoch: Epoch(1)!, parent: epochs[0].digest, began: .lost, log: epochs[0].record.log,
            parentEnd: ParentEnd(ended), reason: "test")
        _ = try yard.blocks.publishEpochRecord(next)
        yard.previous = Digest(of: try #require(try yard.blocks.manifest(.first, BlockNumber(1))).manifest.encoded())
        for number in 2..<8 {
            var manifest = yard.manifest(number, previous: yard.previous, "second")
            manifest.first = Position(Epoch(1)!, Offset(Int64(number)))
            manifest.last = manifest.first
            try yard.put(yard.file(number, "second").name)
            _ = try yard.blocks.publishManifest(manifest)
            yard.previous = Digest(of: manifest.encoded())
        }
        #expect(try await yard.collect().garbage.files.isEmpty)
        #expect(try yard.missing().isEmpty)
    }

    /// A publisher, or one that slept for days and was overtaken, between any two calls of two collectors; the grace long over.
    @Test func noFileThatAManifestNamesIsEverRemoved() async throws {
        func run(_ write: Int, _ name: Int, block: Int, text: String) async throws -> Int {
            let yard = try Yard()
            let lost = yard.file(0, "lost").name
            try yard.put(lost)
            // Written down by an earlier run, together with what the publisher will write: as bad as it can be.
            let own = yard.file(block, text).name
            for intent in [GarbageIntent([lost, lost + ".idx"]), .init([own, own + ".idx"])] {
                _ = try yard.objects.putIfAbsent(intent.name, intent.encoded())
            }
            yard.objects.pass(.seconds(1_000_000))
            let (base, previous) = (BlockStore(yard.objects.base), yard.previous)
            let other = GarbageCollection(base, grace: .zero)
            yard.objects.before { call in
                // A file left by a dead publisher is not written again, only made durable.
                if call == write { _ = try yard.objects.base.putIfAbsent(own, Bytes("file")) }
                if call == name {
                    let last = block <= 5 ? try base.manifest(.first, BlockNumber(4))!.digest : previous
                    _ = try base.publishManifest(yard.manifest(block, previous: last, text))
                }
                if call == write / 2 + name / 2 { try runHere { _ = try await other.run() } }
            }
            _ = try await GarbageCollection(yard.blocks).run()
            let calls = yard.objects.calls
            yard.objects.before { _ in }
            _ = try await GarbageCollection(yard.blocks).run()
            #expect(try yard.missing().isEmpty, "file before call \(write), manifest before call \(name)")
            #expect(try !yard.has(lost))
            return calls
        }
        var calls = try await run(.max, .max, block: 6, text: "published")
        #expect(calls > 10)
        // The next block; then one that is published already: by a zombie with the same bytes, by one with others.
        for (block, text) in [(6, "published"), (5, "published"), (5, "diverged")] {
            for write in 0..<calls {
                for name in stride(from: write, to: calls, by: 2) {
                    calls = max(calls, try await run(write, name, block: block, text: text))
                }
            }
        }
    }

    @Test func aCollectorThatEndsAnywhereIsFollowedByOneThatGoesOn() async throws {
        var end = 0
        while true {
            let yard = try Yard()
            let lost = (0..<3).map { yard.file($0, "lost").name }
            for name in lost { try yard.put(name) }
            _ = try await yard.collect()
            yard.objects.pass(.seconds(3600))
            let at = end
            yard.objects.before { call in
                if call == at { throw VarveError(.storageUnreachable, "cut off") }
            }
            let broken = try? await yard.collect()
            yard.objects.before { _ in }
            _ = try await yard.collect()
            yard.objects.pass(.seconds(3600))
            _ = try await yard.collect()
            for name in lost { #expect(try !yard.has(name) && !yard.has(name + ".idx"), "ended before call \(at)") }
            #expect(try yard.objects.list("gc/").isEmpty)
            #expect(try yard.missing().isEmpty)
            if broken != nil { break }
            end += 1
        }
        #expect(end > 10)
    }

    @Test func aStorageThatCannotBeReadWholeIsLeftAlone() async throws {
        let yard = try Yard()
        try yard.put(yard.file(0, "lost").name)
        try yard.objects.base.remove(BlockStore.manifestName(.first, BlockNumber(2)))
        let error = await #expect(throws: VarveError.self) { try await yard.collect() }
        #expect(error?.code == .chainBroken)
        #expect(try yard.objects.list("gc/").isEmpty)
    }

    @Test(arguments: ["compactions/x.cbor", "rewrites/e0000/x.cbor"])
    func whatALaterVersionMayNameIsLeftToIt(name: String) async throws {
        let yard = try Yard()
        try yard.put(yard.file(0, "rewritten").name)
        _ = try await yard.collect()
        yard.objects.pass(.seconds(3600))
        _ = try yard.objects.putIfAbsent(name, Bytes("later"))
        let error = await #expect(throws: VarveError.self) { try await yard.collect() }
        #expect(error?.code == .unsupportedRecord)
        #expect(try yard.has(yard.file(0, "rewritten").name))
    }

    @Test func onAFullDiskAReserveIsGivenUpForTheIntent() async throws {
        let yard = try Yard()
        let lost = yard.file(0, "lost").name
        try yard.put(lost)
        try yard.objects.overwrite("nodes/n1.reserve", Bytes("room"))
        let base = yard.objects.base
        let isFull = Mutex(true)
        yard.objects.before { _ in
            let hasRoom = try base.size(of: "nodes/n1.reserve") == nil
            if hasRoom { isFull.withLock { $0 = false } }
        }
        let store = FullStore(yard.objects) { isFull.withLock { $0 } }
        let report = try await GarbageCollection(BlockStore(store)).run()
        #expect(report.waiting.map(\.name) == [lost, lost + ".idx"])
        #expect(try yard.objects.list("gc/").count == 1)
        #expect(try !yard.has("nodes/n1.reserve"))
    }

    @Test func claimsOnPublishedBlocksGoAndOthersStay() async throws {
        let yard = try Yard()
        for block in [2, 5, 6] {
            _ = try yard.objects.putIfAbsent(
                BlockStore.claimName(.first, BlockNumber(UInt64(block)), 0), Claim(node: "n", processStart: 1).encoded()
            )
        }
        #expect(try await yard.collect().garbage.claims.count == 2)
        #expect(try yard.blocks.newestClaim(.first, BlockNumber(6)) != nil)
        #expect(try yard.blocks.newestClaim(.first, BlockNumber(5)) == nil)
    }

    @Test func signsOfNodesThatAreLongGoneGoWhenStorageHoldsWhatTheySaw() async throws {
        let yard = try Yard()
        // One that was killed may have applied more than it came to say, and a bump asks for that.
        for (node, offset, hasStopped) in [("old", 9, true), ("ahead", 1_000, true), ("killed", 9, false)] {
            var heartbeat = Heartbeat(node: node, processStart: 1)
            heartbeat.applied = Position(.first, Offset(Int64(offset)))
            heartbeat.stopped = hasStopped ? heartbeat.applied : nil
            try yard.objects.overwrite("nodes/\(node).cbor", heartbeat.encoded())
            try yard.objects.overwrite("nodes/\(node).reserve", Bytes("room"))
        }
        yard.objects.pass(.seconds(31 * 24 * 3600))
        try yard.objects.overwrite("nodes/young.cbor", Heartbeat(node: "young", processStart: 1).encoded())
        #expect(
            try await yard.collect().garbage.nodes.map(\.name) == [
                "nodes/ahead.reserve", "nodes/killed.reserve", "nodes/old.cbor", "nodes/old.reserve",
            ])
        #expect(try yard.objects.list("nodes/") == ["nodes/ahead.cbor", "nodes/killed.cbor", "nodes/young.cbor"])
    }
}

/// Puts fail while it is full.
private final class FullStore: ObjectStore {
    private let base: SteeredStore
    private let isFull: @Sendable () -> Bool

    init(_ base: SteeredStore, _ isFull: @escaping @Sendable () -> Bool) { (self.base, self.isFull) = (base, isFull) }

    var isShared: Bool { true }
    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        guard !isFull() else { throw VarveError(.storageFull, "full") }
        return try base.putIfAbsent(name, bytes)
    }
    func persist(_ name: String) throws(VarveError) {}
    func get(_ name: String) throws(VarveError) -> Bytes? { try base.get(name) }
    func size(of name: String) throws(VarveError) -> UInt64? { try base.size(of: name) }
    func list(_ prefix: String) throws(VarveError) -> [String] { try base.list(prefix) }
    func parts(_ prefix: String) throws(VarveError) -> [String] { try base.parts(prefix) }
    func open(_ name: String) throws(VarveError) -> (any ObjectContents)? { try base.open(name) }
    func age(of name: String) throws(VarveError) -> Duration? { try base.age(of: name) }
    func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) { try base.overwrite(name, bytes) }
    func remove(_ name: String) throws(VarveError) {
        try base.remove(name)
        // The next call of the base sees that there is room.
        _ = try base.list("nodes/")
    }
    func progress(of node: String) throws(VarveError) -> UInt64 { 0 }
}

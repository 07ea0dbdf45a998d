import Testing
import VarveCore
import VarveModel

/// A store as several publications see it: what the shell would do, one effect at a time.
private final class Shelf {
    var manifest: (Manifest, Digest)?
    var claims: [Claim] = []
    var progress: UInt64 = 0
    var files: Set<String> = []
    var written: [String] = []
    var isFull = false
    var epochHasEnded = false

    static func file(_ table: TableName, _ digest: UInt64 = 1) -> Manifest.File {
        Manifest.File(
            name: "tables/\(table)/x", size: 10, digest: Digest(first: Bytes16(high: digest, low: 0), second: .zero),
            rows: 1, firstKey: Key("a")!, lastKey: Key("a")!)
    }
}

/// One node's publication with its own clock.
private struct Runner {
    var publication: Publication
    let shelf: Shelf
    var now: Int64 = 1_000_000
    var pending: [Publication.Effect] = []
    var digest: UInt64 = 1
    var ends: Publication.Effect?

    init(_ node: String, _ block: FrozenBlock, _ shelf: Shelf, others: [String] = []) {
        publication = Publication(block, previous: .zero, as: Claim(node: node, processStart: 1))
        self.shelf = shelf
        pending = publication.step(.begin(others: others), now: now)
    }

    /// The effect that waits to be carried out.
    var next: Publication.Effect? { pending.first { if case .trouble = $0 { false } else { true } } }

    static let cannot = VarveError(.poison, "it ends the process")
    var cannotEncode = false

    /// Carries the next effect out.
    mutating func advance() {
        guard let effect = next else { return }
        let input: Publication.Input
        switch effect {
        case .wait(let until):
            now = max(now, until)
            input = .woke
        case .look: input = shelf.manifest.map { .manifest($0.0, $0.1) } ?? .noManifest
        case .claim(let attempt):
            if shelf.isFull {
                input = .failed(VarveError(.storageFull, "full"))
            } else if shelf.claims.count > attempt {
                input = standing
            } else {
                shelf.claims.append(publication.claim)
                input = .claimed
            }
        case .watch: input = standing
        case .write(let table):
            let file = Shelf.file(table, digest)
            if cannotEncode {
                input = .failed(Self.cannot)
            } else if shelf.isFull {
                input = .failed(VarveError(.storageFull, "full"))
            } else {
                if shelf.files.insert(file.name).inserted { shelf.written.append(file.name) }
                input = .file(file)
            }
        case .compare(let table): input = cannotEncode ? .failed(Self.cannot) : .file(Shelf.file(table, digest))
        case .checkEpoch, .checkEnd: input = shelf.epochHasEnded ? .epochEnded : .epochStands
        case .put(let manifest):
            if let standing = shelf.manifest {
                input = .manifest(standing.0, standing.1)
            } else {
                let digest = Digest(of: manifest.encoded())
                shelf.manifest = (manifest, digest)
                input = .created(digest)
            }
        case .adopt, .superseded, .stop:
            ends = effect
            pending = []
            return
        case .trouble: return
        }
        pending = publication.step(input, now: now)
    }

    private var standing: Publication.Input {
        .standing(attempt: shelf.claims.count - 1, shelf.claims.last, progress: shelf.progress)
    }

    /// Until the effect is one that `isWanted` wants, or the end.
    mutating func run(until isWanted: (Publication.Effect) -> Bool = { _ in false }) {
        for _ in 0..<1000 {
            guard ends == nil, let effect = next, !isWanted(effect) else { return }
            advance()
        }
    }

    var hasAdopted: Bool { if case .adopt = ends { true } else { false } }
    var stop: VarveError? { if case .stop(let error) = ends { error } else { nil } }
}

@Suite struct PublicationTests {
    private func block(number: Int = 0) throws -> FrozenBlock {
        var script = try Script(Settings(rowsPerBlock: 2))
        for _ in 0...number {
            try script.submit([put("a", "x", []), put("b", "y", [])])
        }
        return script.machine.frozen[number]
    }

    private func isWrite(_ effect: Publication.Effect) -> Bool { if case .write = effect { true } else { false } }
    private func isPut(_ effect: Publication.Effect) -> Bool { if case .put = effect { true } else { false } }

    /// A node whose share of compared blocks does not hold this one, unless asked for.
    private func node(_ block: FrozenBlock, compares: Bool = false) -> String {
        for i in 0..<1000 {
            var hash = SHA256()
            hash.update(Array("n\(i)".utf8) + [0])
            hash.update(block.number.value)
            if (hash.digest().first.high % 16 == 0) == compares { return "n\(i)" }
        }
        fatalError("no such node")
    }

    @Test func aLoneNodeWritesAtOnce() throws {
        let shelf = Shelf()
        var runner = Runner("one", try block(), shelf)
        runner.run()
        #expect(runner.hasAdopted && runner.now == 1_000_000)
        #expect(shelf.written.count == 3)
        #expect(shelf.claims.map(\.node) == ["one"])
    }

    @Test func ranksAreAnOrderAndOnlyTheFirstWrites() throws {
        let block = try block()
        let nodes = ["n1", "n2", "n3", "n4"]
        let ranks = nodes.map { node in Publication.rank(of: node, among: nodes.filter { $0 != node }, block.number) }
        #expect(ranks.sorted() == [0, 1, 2, 3])
        let shelf = Shelf()
        for rank in 0..<4 {
            let node = nodes[ranks.firstIndex(of: rank)!]
            var runner = Runner(node, block, shelf, others: nodes.filter { $0 != node })
            runner.run()
            #expect(runner.hasAdopted)
            // Each for itself, with nobody who publishes: it waits its turn.
            var alone = Runner(node, block, Shelf(), others: nodes.filter { $0 != node })
            alone.run { if case .claim = $0 { true } else { false } }
            #expect(alone.now == 1_000_000 + Int64(rank) * 500)
        }
        #expect(shelf.written.count == 3 && shelf.claims.count == 1)
    }

    @Test func ranksChangeFromBlockToBlock() {
        let first = Set((0..<64).map { Publication.rank(of: "n1", among: ["n2", "n3"], BlockNumber($0)) })
        #expect(first == [0, 1, 2])
    }

    @Test func aClaimWithProgressIsWaitedFor() throws {
        let (block, shelf) = (try block(), Shelf())
        shelf.claims = [Claim(node: "other", processStart: 5)]
        var runner = Runner("one", block, shelf)
        for _ in 0..<40 {
            runner.run { if case .watch = $0 { true } else { false } }
            shelf.progress += 1
            runner.advance()
        }
        #expect(runner.now >= 1_000_000 + 30 * 500)
        #expect(shelf.written.isEmpty && shelf.claims.count == 1)
        #expect(runner.publication.counters.lost == 1)
    }

    @Test func aClaimantWithoutProgressIsOvertakenAfterThreeSecondsOfTheObserversClock() throws {
        let (block, shelf) = (try block(), Shelf())
        shelf.claims = [Claim(node: "other", processStart: 5)]
        var runner = Runner("one", block, shelf)
        runner.run(until: isWrite)
        #expect(runner.now == 1_000_000 + 3_000)
        #expect(shelf.claims.map(\.node) == ["other", "one"])
        #expect(runner.publication.counters.overtaken == 1)
    }

    @Test func whatAnEarlierProcessOfTheSameNodeClaimedIsTakenAtOnce() throws {
        let (block, shelf) = (try block(), Shelf())
        shelf.claims = [Claim(node: "one", processStart: 0)]
        var runner = Runner("one", block, shelf)
        runner.run()
        #expect(runner.hasAdopted && runner.now == 1_000_000 && shelf.claims.count == 2)
    }

    @Test func anOvertakenNodeThatGoesOnLaterAdoptsWhatStands() throws {
        let (block, shelf) = (try block(), Shelf())
        var sleeper = Runner("other", block, shelf)
        sleeper.run(until: isPut)
        var second = Runner("one", block, shelf)
        second.run()
        #expect(second.hasAdopted && shelf.claims.count == 2)
        let standing = shelf.manifest!.1
        sleeper.now += 3_600_000
        sleeper.run()
        #expect(sleeper.hasAdopted && shelf.manifest!.1 == standing)
        #expect(shelf.written.count == 3, "files that are there are not written again")
    }

    @Test func aPublishedBlockIsAdoptedWithoutWriting() throws {
        let (block, shelf) = (try block(), Shelf())
        var first = Runner("one", block, shelf)
        first.run()
        shelf.claims = []
        var late = Runner(node(block), block, shelf, others: ["one", "x", "y"])
        late.run()
        #expect(late.hasAdopted && late.now == 1_000_000 && shelf.claims.isEmpty)
    }

    @Test func aClaimHadAfterThePublisherTookItsOwnAwayWritesNothing() throws {
        let (block, shelf) = (try block(), Shelf())
        var late = Runner(node(block), block, shelf)
        late.run { if case .claim = $0 { true } else { false } }
        var first = Runner("one", block, shelf)
        first.run()
        shelf.claims = []
        late.run(until: isWrite)
        #expect(late.hasAdopted)
    }

    @Test func aFullStorageRefusesTheClaimButNotTheBlock() throws {
        let (block, shelf) = (try block(), Shelf())
        shelf.isFull = true
        var runner = Runner("one", block, shelf)
        runner.run(until: isWrite)
        #expect(runner.publication.counters.without == 1)
        #expect(runner.next.map(isWrite) == true)
        shelf.isFull = false
        runner.run()
        #expect(runner.hasAdopted && shelf.claims.isEmpty)
    }

    @Test func aFullStorageIsToldAndHealsByItself() throws {
        let (block, shelf) = (try block(), Shelf())
        shelf.isFull = true
        var runner = Runner("one", block, shelf)
        var troubles = 0
        for _ in 0..<100 {
            runner.advance()
            if case .trouble(let error)? = runner.pending.first, error.code == .storageFull { troubles += 1 }
        }
        #expect(troubles > 3 && runner.ends == nil)
        #expect(runner.now >= 1_000_000 + 3_000)
        shelf.isFull = false
        runner.run()
        #expect(runner.hasAdopted)
    }

    @Test func anUnreachableStorageIsAskedAgainAndItsFilesAreWrittenAnew() throws {
        let (block, shelf) = (try block(), Shelf())
        var runner = Runner("one", block, shelf)
        runner.run { $0 == .write(TableName.transactions) }
        #expect(shelf.written.count == 2)
        runner.pending = runner.publication.step(.failed(VarveError(.storageUnreachable, "gone")), now: runner.now)
        #expect(runner.pending.contains(.wait(until: runner.now + 1_000)))
        shelf.files = []
        runner.run()
        #expect(runner.hasAdopted && shelf.written.count == 5)
    }

    @Test func aFailedSyncIsTriedOnceMoreOnAnotherFile() throws {
        let (block, shelf) = (try block(), Shelf())
        var runner = Runner("one", block, shelf)
        runner.run(until: isWrite)
        runner.pending = runner.publication.step(.failed(VarveError(.ioFatal, "fsync")), now: runner.now)
        #expect(runner.stop == nil && !runner.publication.hasEnded)
        runner.run(until: isWrite)
        runner.pending = runner.publication.step(.failed(VarveError(.ioFatal, "fsync")), now: runner.now)
        runner.run()
        #expect(runner.stop?.code == .ioFatal)
    }

    @Test func whatStandsInAFilesPlaceIsWaitedFor() throws {
        let (block, shelf) = (try block(), Shelf())
        var runner = Runner("one", block, shelf)
        runner.run(until: isWrite)
        runner.pending = runner.publication.step(.failed(VarveError(.blockCorrupt, "bytes")), now: runner.now)
        #expect(runner.stop == nil && !runner.publication.hasEnded)
        // Somebody has moved it away.
        runner.run()
        #expect(runner.stop == nil && shelf.manifest != nil)
    }

    @Test func anEpochThatEndedIsNotPublishedInto() throws {
        let (block, shelf) = (try block(), Shelf())
        shelf.epochHasEnded = true
        var runner = Runner("one", block, shelf)
        runner.run()
        #expect(runner.ends == .superseded && shelf.manifest == nil)
    }

    @Test func anotherBlockBehindAnEndThatThisNodeDidNotKnowIsNoDivergence() throws {
        var script = try Script(Settings(rowsPerBlock: 2))
        try script.submit([put("a", "x", []), put("b", "y", [])])
        let shelf = Shelf()
        var shorter = script.machine.frozen[0].manifest(previous: .zero, files: [:])
        shorter.effectChain = Bytes16(high: 1, low: 1)
        shelf.manifest = (shorter, Digest(of: shorter.encoded()))
        shelf.epochHasEnded = true
        var runner = Runner("one", script.machine.frozen[0], shelf)
        runner.run()
        #expect(
            runner.ends == .superseded, "its log went on where the epoch had ended: nothing is wrong with this node")
    }

    @Test func oneBlockInSixteenIsEncodedByItsAdopterToo() throws {
        let blocks = 4_096
        let compared = (0..<blocks).count { number in
            var hash = SHA256()
            hash.update(Array("one".utf8) + [0])
            hash.update(UInt64(number))
            return hash.digest().first.high % Publication.comparedOneIn == 0
        }
        #expect((blocks / 16 * 3 / 4...blocks / 16 * 5 / 4).contains(compared))
        let (block, shelf) = (try block(), Shelf())
        var first = Runner("one", block, shelf)
        first.run()
        var adopter = Runner(node(block, compares: true), block, shelf)
        adopter.run()
        #expect(adopter.hasAdopted && adopter.publication.counters.compared == 3)
    }

    @Test func aNodeThatCannotEncodeTheBlockWaitsForOthersAndComparesNothing() throws {
        let (block, shelf) = (try block(), Shelf())
        var sick = Runner(node(block, compares: true), block, shelf)
        sick.cannotEncode = true
        sick.run()
        #expect(sick.ends == nil && shelf.manifest == nil && shelf.written.isEmpty, "it tries again, and does not stop")
        var other = Runner("one", block, shelf)
        // The claim of one that makes no progress is taken over.
        other.run()
        #expect(other.hasAdopted)
        sick.run()
        #expect(sick.hasAdopted && sick.publication.counters.compared == 0)
    }

    @Test func anotherEncodingOfTheSameBlockIsDivergence() throws {
        let (block, shelf) = (try block(), Shelf())
        var first = Runner("one", block, shelf)
        first.run()
        var adopter = Runner(node(block, compares: true), block, shelf)
        adopter.digest = 2
        adopter.run()
        #expect(adopter.stop?.code == .divergence)
        #expect(adopter.stop?.message.contains("table a") == true)
    }

    @Test func aWriterThatFindsOtherFilesPublishedDiverges() throws {
        let (block, shelf) = (try block(), Shelf())
        var slow = Runner("other", block, shelf)
        slow.digest = 2
        slow.run(until: isPut)
        var first = Runner("one", block, shelf)
        first.run()
        slow.run()
        #expect(slow.stop?.code == .divergence)
    }

    @Test func anotherBlockUnderTheNameIsHandedToTheMachineWhichStops() throws {
        var script = try Script(Settings(rowsPerBlock: 2))
        try script.submit([put("a", "x", []), put("b", "y", [])])
        let shelf = Shelf()
        var foreign = script.machine.frozen[0].manifest(previous: .zero, files: [:])
        foreign.effectChain = Bytes16(high: 1, low: 1)
        shelf.manifest = (foreign, Digest(of: foreign.encoded()))
        var runner = Runner("one", script.machine.frozen[0], shelf)
        runner.run()
        guard case .adopt(let manifest, let digest, isOurs: false) = runner.ends else {
            Issue.record("ended with \(String(describing: runner.ends))")
            return
        }
        let effects = try script.machine.step(.published(manifest, digest), reading: script.blocks)
        guard case .stopped(let error)? = effects.first else {
            Issue.record("the machine did not stop")
            return
        }
        #expect(error.code == .divergence)
    }
}

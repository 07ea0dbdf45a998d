import Testing
import VarveCore
import VarveModel

/// Every row of the start-up table with its outcome, and beside each refusal the nearest healthy state, which is not
/// refused.
@Suite struct StartUpTests {
    static let database = DatabaseID(high: 1, low: 1)

    static func epoch(_ number: Int) -> Epoch { Epoch(number)! }
    static func position(_ epoch: Int, _ offset: Int64) -> Position { Position(Epoch(epoch)!, Offset(offset)) }
    static func genesis(_ number: Int) -> GenesisID { GenesisID(high: 77, low: UInt64(number)) }

    static let place = LogPlace(kind: .kafka, clusterID: "c", base: "log")

    static func record(
        _ number: Int, _ began: EpochBeginning = .sealed, place: LogPlace = place, end: ParentEnd? = nil,
        cluster: String? = nil
    ) -> EpochRecord {
        var log = place.reference(of: epoch(number))
        log.genesis = genesis(number)
        log.genesisOffset = .zero
        log.cluster = cluster
        return EpochRecord(
            epoch: epoch(number), parent: .zero, began: number == 0 ? .initial : began, log: log,
            parentEnd: number == 0 ? nil : end ?? Self.end(number - 1, 100), reason: "")
    }

    static func end(_ epoch: Int, _ offset: Int64) -> ParentEnd {
        ParentEnd(
            position: position(epoch, offset), inputChain: Digest(of: Bytes([1])),
            effectChain: Bytes16(high: 5, low: 5),
            block: BlockNumber(3), effectiveTime: 10, systemTime: Instant(microseconds: 10_000))
    }

    /// Block 3, which ends at `end`.
    static func newest(_ end: ParentEnd = end(0, 100)) -> Manifest {
        Manifest(
            database: database, number: BlockNumber(3), previous: .zero, first: end.position, last: end.position,
            logTime: 10, effectiveTime: end.effectiveTime, systemTime: end.systemTime, inputChain: end.inputChain,
            effectChain: end.effectChain, recordDigest: .zero, horizon: .zero, anchors: [], cut: .request,
            counts: Manifest.Counts(), settings: Settings(), tables: [])
    }

    /// One epoch on `log-e0`, a block up to 0-100.
    static func start(_ configured: Int?, _ epochs: [EpochRecord] = [record(0)]) -> StartUp {
        StartUp(
            configuredEpoch: configured.map { epoch($0) }, configured: place, database: database, epochs: epochs,
            newest: newest())
    }

    static func read(_ rest: StartUp.Rest, end: Int64 = 101) -> StartUp.Finding {
        .present(StartUp.Contents(range: .zero..<Offset(end), rest: rest))
    }

    static func peer(_ name: String, alive: Bool = false, stopped: Position? = nil, effects: UInt64 = 0) -> StartUp.Peer
    {
        StartUp.Peer(
            node: name, epoch: .first, isAlive: alive, stopped: stopped,
            effectChain: Bytes16(high: effects, low: effects))
    }

    static let bump = StartUp.Bump(
        epoch: epoch(1), way: .seal, end: end(0, 100), reason: "by configuration",
        proof: "the old log was read to its end and holds no transaction behind 0-100; it is sealed")

    func refusal(_ start: StartUp) -> VarveError? {
        if case .decided(.refuse(let error)) = start.decide() { return error }
        return nil
    }

    func isBump(_ start: StartUp) -> Bool { way(start) != nil }

    /// How the old epoch is ended; nil when it is not.
    func way(_ start: StartUp) -> StartUp.Way? {
        if case .decided(.bump(let bump)) = start.decide() { return bump.way }
        return nil
    }

    // MARK: Storage is empty

    @Test func anEmptyStorageBeginsWithoutAnEpochOrWithZero() {
        #expect(Self.start(nil, []).decide() == .decided(.begin))
        #expect(Self.start(0, []).decide() == .decided(.begin))
    }

    @Test func anEmptyStorageUnderALaterEpochIsRefused() {
        #expect(refusal(Self.start(1, []))?.code == .epochAhead)
    }

    // MARK: No epoch, or the recorded one

    @Test func withoutAnEpochStoragesIsFollowed() {
        #expect(Self.start(nil).decide() == .decided(.follow(warning: nil)))
        #expect(Self.start(nil, [Self.record(0), Self.record(1, .lost)]).decide() == .decided(.follow(warning: nil)))
    }

    @Test func theRecordedEpochOnTheRecordedLogIsNormal() {
        #expect(Self.start(0).decide() == .decided(.follow(warning: nil)))
        #expect(Self.start(1, [Self.record(0), Self.record(1)]).decide() == .decided(.follow(warning: nil)))
    }

    @Test(arguments: [
        LogPlace(kind: .kafka, clusterID: "c", base: "other"), LogPlace(kind: .kafka, clusterID: "d", base: "log"),
        LogPlace(kind: .local),
    ])
    func anotherTopicClusterOrKindIsReplacedAndNamesBoth(_ configured: LogPlace) throws {
        for epoch in [nil, 0] {
            var start = Self.start(epoch)
            start.configured = configured
            let error = try #require(refusal(start))
            #expect(error.code == .logReplaced)
            #expect(error.message.contains(configured.reference(of: .first).place))
            #expect(error.message.contains("kafka log-e0 on cluster c"))
        }
    }

    @Test func aPlaceThatWasMigratedAwayFromIsStillTheConfigurations() {
        let moved = LogPlace(kind: .kafka, clusterID: "d", base: "new")
        let epochs = [Self.record(0), Self.record(1, place: moved, cluster: "b")]
        #expect(Self.start(nil, epochs).decide() == .decided(.follow(warning: nil)))
        // An assertion about epoch 1 is one about its log, unless the name it moved under is configured.
        #expect(refusal(Self.start(1, epochs))?.code == .logReplaced)
        var named = Self.start(1, epochs)
        named.knownClusters = ["b"]
        #expect(named.decide() == .decided(.follow(warning: nil)))
    }

    @Test func aPlaceThatWasGivenUpIsNotTheConfigurations() {
        let moved = LogPlace(kind: .kafka, clusterID: "d", base: "new")
        let epochs = [Self.record(0), Self.record(1, .lost, place: moved), Self.record(2, place: moved)]
        #expect(refusal(Self.start(nil, epochs))?.code == .logReplaced)
    }

    // MARK: An earlier epoch

    @Test func anEarlierEpochLinkedBySealsIsFollowedWithAWarning() throws {
        let epochs = [Self.record(0), Self.record(1), Self.record(2)]
        for epoch in [0, 1] {
            guard case .decided(.follow(let warning?)) = Self.start(epoch, epochs).decide() else {
                Issue.record("epoch \(epoch) is not followed")
                return
            }
            #expect(warning.contains("epoch: 2"))
        }
        #expect(Self.start(2, epochs).decide() == .decided(.follow(warning: nil)))
    }

    @Test func anEarlierEpochThatWasGivenUpIsStale() throws {
        let epochs = [Self.record(0), Self.record(1, .lost), Self.record(2)]
        let error = try #require(refusal(Self.start(0, epochs)))
        #expect(error.code == .epochStale)
        #expect(error.next?.contains("epoch: 2") == true)
        guard case .decided(.follow(_?)) = Self.start(1, epochs).decide() else {
            Issue.record("epoch 1 is linked to 2 by a seal")
            return
        }
    }

    // MARK: The next epoch

    /// Everything found as it should be for `epoch: 1`.
    func ready(_ old: StartUp.Finding = read(StartUp.Rest())) -> StartUp {
        var start = Self.start(1)
        start.old = old
        start.target = .missing
        start.peers = []
        start.writing = .taken
        return start
    }

    @Test func theNextEpochAsksForTheOldLogThenTheTargetThenTheNodesThenWhetherASealIsTaken() {
        var start = Self.start(1)
        #expect(start.decide() == .look(.old))
        start.old = Self.read(StartUp.Rest())
        #expect(start.decide() == .look(.target(Self.epoch(1))))
        start.target = .missing
        #expect(start.decide() == .look(.peers))
        start.peers = []
        #expect(start.decide() == .look(.writing))
        start.writing = .taken
        #expect(start.decide() == .decided(.bump(Self.bump)))
    }

    @Test func barriersBehindTheNewestBlockAreNoLoss() {
        #expect(isBump(ready(Self.read(StartUp.Rest(last: Self.position(0, 105)), end: 106))))
    }

    @Test func oneUnindexedTransactionIsRefusedAndCounted() throws {
        let error = try #require(
            refusal(ready(Self.read(StartUp.Rest(submissions: 1, last: Self.position(0, 101)), end: 102))))
        #expect(error.code == .epochAhead)
        #expect(error.message.contains("1 transactions behind storage's newest position 0-100, up to 0-101"))
        #expect(error.next?.contains("varve epoch plan") == true)
    }

    @Test func anOldLogThatTakesNoSealNeedsNodesThatStoppedInOrder() throws {
        var start = ready()
        start.writing = .refused(VarveError(.storageFull, "no space"))
        let error = try #require(refusal(start))
        #expect(error.code == .epochAhead)
        #expect(error.message.contains("STORAGE_FULL"))
        #expect(error.next == "varve epoch plan --config node.yaml")
        start.peers = [Self.peer("a", stopped: Self.position(0, 100))]
        #expect(way(start) == .declare)
        start.peers?.append(Self.peer("b"))
        #expect(refusal(start)?.code == .epochAhead)
        start.writing = .taken
        #expect(way(start) == .seal)
    }

    @Test func aMissingOldLogIsNoProof() throws {
        var start = ready(.missing)
        #expect(start.decide() == .look(.again))
        start.hasLookedAgain = true
        let error = try #require(refusal(start))
        #expect(error.code == .logMissing)
        #expect(error.next == "varve epoch plan --config node.yaml")
    }

    @Test func anUnreachableOldLogIsNoProof() throws {
        let error = try #require(refusal(ready(.unreachable("no broker answers"))))
        #expect(error.code == .epochAhead)
        #expect(error.message.contains("0-100"))
        #expect(error.next == "varve epoch plan --config node.yaml")
    }

    @Test func anOldLogThatEndsEarlyIsNoProof() throws {
        let error = try #require(refusal(ready(.refuted(VarveError(.logBehind, "it ends at 50")))))
        #expect(error.code == .epochAhead)
        #expect(error.message.contains("LOG_BEHIND"))
    }

    @Test(arguments: [
        StartUp.Finding.missing, .unreachable("no broker"), .refuted(VarveError(.logReplaced, "another")),
    ])
    func nodesThatAllStoppedWithNothingUnindexedAreProof(_ old: StartUp.Finding) {
        var start = ready(old)
        start.peers = [Self.peer("a", stopped: Self.position(0, 100)), Self.peer("b", stopped: Self.position(0, 90))]
        #expect(way(start) == .declare)
        // A barrier behind the block moved the position and left the effects as they were.
        start.peers?.append(Self.peer("c", stopped: Self.position(0, 103), effects: 5))
        #expect(isBump(start))
    }

    @Test func nodesThatStoppedWithMoreOrDiedAreNoProof() {
        var start = ready(.missing)
        start.hasLookedAgain = true
        start.peers = [Self.peer("a", stopped: Self.position(0, 100)), Self.peer("b")]
        #expect(refusal(start)?.code == .logMissing)
        start.peers = [Self.peer("a", stopped: Self.position(0, 101), effects: 6)]
        #expect(refusal(start)?.code == .logMissing)
    }

    @Test func theOwnEarlierProcessProvesNothingAloneAndRefutesWhatOthersProve() {
        var start = ready(.missing)
        start.hasLookedAgain = true
        start.peers = []
        start.own = Self.peer("n", stopped: Self.position(0, 100))
        #expect(refusal(start)?.code == .logMissing)
        start.peers = [Self.peer("a", stopped: Self.position(0, 100))]
        #expect(isBump(start))
        start.own = Self.peer("n")
        #expect(refusal(start)?.code == .logMissing, "it was killed, and may have applied more")
        start.own = Self.peer("n", stopped: Self.position(0, 101), effects: 6)
        #expect(refusal(start)?.code == .logMissing)
    }

    @Test func anotherNodeThatLivesInTheOldEpochIsNamed() throws {
        var start = ready()
        start.peers = [Self.peer("node-7", alive: true)]
        let error = try #require(refusal(start))
        #expect(error.code == .epochAhead)
        #expect(error.message.contains("node-7"))
        start.peers = [Self.peer("node-7")]
        #expect(isBump(start))
    }

    @Test func anotherNodeThatLivesInTheNewEpochIsNoHindrance() {
        var start = ready()
        var peer = Self.peer("node-7", alive: true)
        peer.epoch = Self.epoch(1)
        start.peers = [peer]
        #expect(isBump(start))
    }

    // MARK: What stands in the new epoch's place

    /// - Parameter end: nil is a genesis behind a seal.
    func target(_ end: ParentEnd?, database: DatabaseID = database, parent: GenesisID = genesis(0)) -> StartUp.Finding {
        let genesis = Genesis(
            database: database, epoch: Self.epoch(1), log: Self.place.reference(of: Self.epoch(1)),
            began: end == nil ? .sealed : .lost,
            settings: Settings(), parent: Genesis.Parent(genesis: parent, end: end))
        return .present(StartUp.Contents(range: .zero..<Offset(1), genesis: genesis))
    }

    @Test func anEmptyTargetAndAGenesisBehindThisVeryEndAreTaken() {
        var start = ready()
        start.target = .present(StartUp.Contents(range: .zero..<Offset.zero))
        #expect(way(start) == .seal)
        start.target = target(nil)
        #expect(way(start) == .seal)
        // The old log is gone, and its end is declared.
        start = declaring
        start.target = .present(StartUp.Contents(range: .zero..<Offset.zero))
        #expect(way(start) == .declare)
        start.target = target(Self.end(0, 100))
        #expect(way(start) == .declare)
    }

    /// No old log, and a node that stopped in order.
    var declaring: StartUp {
        var start = ready(.missing)
        start.peers = [Self.peer("a", stopped: Self.position(0, 100))]
        return start
    }

    @Test func aGenesisThatBeganInTheOtherWayIsRefused() {
        var start = ready()
        start.target = target(Self.end(0, 100))
        #expect(refusal(start)?.code == .epochAhead)
        start = declaring
        start.target = target(nil)
        #expect(refusal(start)?.code == .epochAhead)
    }

    @Test func aStaleGenesisIsRefusedWithBothPositions() throws {
        var start = declaring
        start.target = target(Self.end(0, 50))
        let error = try #require(refusal(start))
        #expect(error.code == .epochAhead)
        #expect(error.message.contains("0-50") && error.message.contains("0-100"))
    }

    @Test func foreignRecordsInTheTargetAreRefused() {
        var start = ready()
        start.target = .present(StartUp.Contents(range: .zero..<Offset(9)))
        #expect(refusal(start)?.code == .epochAhead)
        start.target = target(nil, database: DatabaseID(high: 9, low: 9))
        #expect(refusal(start)?.code == .epochAhead)
        start.target = target(nil, parent: Self.genesis(5))
        #expect(refusal(start)?.code == .epochAhead)
        // A topic from which everything has expired was not empty.
        start.target = .present(StartUp.Contents(range: Offset(9)..<Offset(9)))
        #expect(refusal(start)?.code == .epochAhead)
    }

    @Test func aTargetThatDoesNotAnswerIsWaitedFor() {
        var start = ready()
        start.target = .unreachable("no broker")
        #expect(refusal(start)?.code == .logUnreachable)
    }

    // MARK: Further ahead, and a seal without its record

    @Test func twoEpochsAheadIsRefusedWithPositions() throws {
        let error = try #require(refusal(Self.start(2)))
        #expect(error.code == .epochAhead)
        #expect(error.message.contains("0-100"))
    }

    @Test func aSealThatNobodyRecordedIsFollowedToItsEnd() {
        var log = Self.place.reference(of: Self.epoch(1))
        (log.genesis, log.genesisOffset) = (Self.genesis(1), .zero)
        let seal = (Self.position(0, 107), Seal(next: Self.epoch(1), log: log))
        var start = Self.start(1)
        start.old = Self.read(StartUp.Rest(submissions: 4, last: seal.0, seal: seal), end: 110)
        #expect(start.decide() == .decided(.follow(warning: nil)))
    }

    @Test func anEndThatIsInNoBlockYetCannotBeFollowedByAnotherEpoch() {
        var start = Self.start(2, [Self.record(0), Self.record(1)])
        start.newest = Self.newest(Self.end(0, 100))
        start.epochs[1].parentEnd?.block = BlockNumber(4)
        start.old = Self.read(StartUp.Rest())
        #expect(refusal(start)?.code == .epochAhead)
        start.epochs[1].parentEnd?.block = BlockNumber(3)
        start.target = .missing
        start.peers = []
        start.writing = .taken
        #expect(isBump(start))
    }

    @Test func anEpochWithoutABlockLeavesWhatItBeganWith() {
        var start = ready()
        start.newest = nil
        guard case .decided(.bump(let bump)) = start.decide() else {
            Issue.record("refused")
            return
        }
        #expect(bump.end.block == nil)
        #expect(bump.end.inputChain == .zero)
        #expect(bump.end.position == .zero)
    }

    // MARK: Logs that end with their process

    @Test func anEphemeralLogThatIsGoneIsFollowedByTheNextEpoch() {
        var start = Self.start(nil)
        start.isEphemeral = true
        #expect(start.decide() == .look(.old))
        start.old = .missing
        #expect(start.decide() == .look(.target(Self.epoch(1))))
        start.target = .missing
        #expect(isBump(start))
        start.old = Self.read(StartUp.Rest(submissions: 9))
        #expect(start.decide() == .decided(.follow(warning: nil)))
    }

    @Test func anotherEmbeddedBrokerIsAnotherLog() {
        var start = Self.start(nil)
        start.isEphemeral = true
        start.configured = LogPlace(kind: .kafka, clusterID: "mock2", base: "log")
        start.target = target(Self.end(0, 100))
        #expect(isBump(start))
        start.target = target(Self.end(0, 50))
        #expect(refusal(start)?.code == .epochAhead)
    }
}

import Testing
import VarveCore
import VarveModel

@Suite struct NodeMachineTests {
    let users = "users"

    @Test func aPutIsThereForTheNextOperationAndTheNextTransaction() throws {
        var script = try Script()
        let first = try script.submit([
            put(users, "ada", [.init("age", 36)]),
            .assert(try TableName(users), Key("ada")!, .exists(true)),
        ])
        #expect(first?.outcome == .committed)
        #expect(first?.position == Position(.first, Offset(1)))
        let second = try script.submit([.assert(try TableName(users), Key("ada")!, .version(first!.position))])
        #expect(second?.outcome == .committed)
    }

    @Test func aFailedAssertUndoesTheWholeTransaction() throws {
        var script = try Script()
        let decision = try script.submit([
            put(users, "ada", [.init("age", 36)]),
            .assert(try TableName(users), Key("eve")!, .exists(true)),
        ])
        #expect(decision?.outcome == .aborted)
        #expect(decision?.failure?.code == .assertFailed)
        #expect(decision?.failure?.operation == 1)
        #expect(try script.document(users, "ada") == nil)
    }

    @Test func aPatchMergesFieldsAndReadsWhatBlocksHold() throws {
        var script = try Script(Settings(rowsPerBlock: 1))
        try script.submit([put(users, "ada", [.init("age", 36), .init("name", "Ada")])])
        try script.adopt()
        try script.submit([patch(users, "ada", [.init("age", 37), .init("name", .absent)])])
        #expect(try script.document(users, "ada") == .object([.init("age", 37)]))
    }

    @Test func aPatchOfAMissingDocumentCreatesIt() throws {
        var script = try Script()
        try script.submit([patch(users, "new", [.init("a", 1)])])
        #expect(try script.document(users, "new") == .object([.init("a", 1)]))
    }

    @Test func whatPatchesMakeCountsTowardsTheBlocksBytes() throws {
        var script = try Script(Settings(bytesPerBlock: 20_000))
        let text = Value.text(String(repeating: "x", count: 4_000))
        try script.submit([put(users, "ada", [.init("text", text)])])
        let before = script.machine.open.counts.bytes
        #expect(before < 4_500)
        try script.submit([patch(users, "ada", [.init("n", 1)])])
        #expect(script.machine.open.counts.bytes > before + 4_000)
        for n in 2..<5 { try script.submit([patch(users, "ada", [.init("n", .integer(Int64(n)))])]) }
        #expect(script.machine.frozen.map(\.draft.cut) == [.bytes])
        // A patch that makes its document shorter than itself takes nothing off.
        try script.submit([patch(users, "eve", [.init("text", .absent)])])
        #expect(script.machine.open.counts.bytes > 0)
    }

    @Test func aTransactionWhosePatchesMakeTooMuchIsAborted() throws {
        var script = try Script()
        let text = Value.text(String(repeating: "x", count: 1 << 20))
        try script.submit([put(users, "ada", [.init("text", text)])])
        let small = try (0..<60).map { try patch(users, "ada", [.init("n", .integer(Int64($0)))]) }
        #expect(try script.submit(small)?.outcome == .committed)
        let large = try (0..<70).map { try patch(users, "ada", [.init("n", .integer(Int64($0)))]) }
        let decision = try script.submit(large)
        #expect(decision?.outcome == .aborted && decision?.failure?.code == .oversize)
        #expect(decision?.failure?.operation == 63)
    }

    @Test func whatWasAppliedBeforeABlockThatCannotBeReadIsTold() throws {
        struct Away: BlockLookup {
            func newest(_ table: TableName, _ key: Key) throws(VarveError) -> StoredVersion? {
                throw VarveError(.storageUnreachable, "away")
            }
        }
        var script = try Script()
        func record(_ operation: Operation) -> NodeMachine.LoggedRecord {
            let header = RecordHeader(
                type: .transaction, logTag: script.tag, id: script.nextID(), observed: script.machine.applied ?? .zero)
            defer { script.offset += 1 }
            return NodeMachine.LoggedRecord(
                offset: Offset(script.offset), time: 2_000,
                bytes: Record(header: header, payload: Transaction([operation]).encoded().payload).encoded())
        }
        let records = [
            record(try put(users, "ada", [.init("n", 1)])), record(try patch(users, "old", [.init("n", 2)])),
            record(try put(users, "eve", [.init("n", 3)])),
        ]
        var machine = script.machine
        let effects = try machine.step(.records(.first, records), reading: Away())
        #expect(effects.count == 1 && machine.applied?.offset == records[0].offset)
        let stands = machine
        #expect(throws: VarveError.self) { try machine.step(.records(.first, Array(records[1...])), reading: Away()) }
        #expect(machine.applied == stands.applied && machine.inputChain == stands.inputChain)
        #expect(try machine.step(.records(.first, Array(records[1...])), reading: KeptBlocks()).count == 2)
    }

    @Test func theSameIdIsDecidedOnce() throws {
        var script = try Script()
        let id = script.nextID()
        let first = try script.submit([put(users, "ada", [.init("n", 1)])], id: id)
        let again = try script.submit([put(users, "ada", [.init("n", 1)])], id: id)
        #expect(first == again)
        #expect(script.machine.open.counts.rows == 1)
        #expect(script.machine.open.counts.transactions == 1)
    }

    @Test func aCancelThatComesFirstDecides() throws {
        var script = try Script()
        let id = script.nextID()
        try script.append(.cancel, id: id)
        #expect(try script.submit([put(users, "ada", [])], id: id)?.outcome == .cancelled)
        #expect(try script.document(users, "ada") == nil)
    }

    @Test func aRecordBehindItsExpiryIsDecidedExpired() throws {
        var script = try Script()
        let decision = try script.submit([put(users, "ada", [])], expiresAt: script.clock + 9)
        #expect(decision?.outcome == .expired)
        #expect(try script.submit([put(users, "ada", [])], expiresAt: script.clock + 10)?.outcome == .committed)
    }

    @Test func aForgottenIdIsNeverAppliedTwice() throws {
        var script = try Script(Settings(idsRemembered: 2))
        let id = script.nextID()
        let before = script.machine.applied!
        try script.submit([put(users, "ada", [.init("n", 1)])], id: id, observed: before)
        for i in 0..<3 { try script.submit([put(users, "other\(i)", [])]) }
        let effects = try script.append(
            .transaction, id: id, payload: Transaction([put(users, "ada", [.init("n", 2)])]).encoded().payload,
            observed: before)
        guard case .void(id)? = effects.first else {
            Issue.record("a late duplicate was decided: \(effects)")
            return
        }
        #expect(try script.document(users, "ada") == .object([.init("n", 1)]))
    }

    @Test func anEraseHidesEveryOlderVersion() throws {
        var script = try Script(Settings(rowsPerBlock: 1))
        try script.submit([put(users, "eve", [.init("n", 1)])])
        try script.adopt()
        try script.submit([.erase(try TableName(users), [Key("eve")!])])
        #expect(try script.document(users, "eve") == nil)
        let erased = script.machine.frozen[0].draft.tables.first { $0.name.text == users }?.erasures
        #expect(erased?.map(\.key) == [Key("eve")!])
    }

    @Test func foreignRecordsChangeTheInputChainAndNothingElse() throws {
        var script = try Script()
        try script.submit([put(users, "ada", [.init("n", 1)])])
        let (input, effect) = (script.machine.inputChain, script.machine.effectChain.value)
        try script.append(Bytes(Array("not ours".utf8)))
        try script.append(.barrier, id: .zero, tag: LogTag(raw: 5))
        #expect(script.machine.inputChain != input)
        #expect(script.machine.effectChain.value == effect)
        #expect(script.machine.counters.foreign == 2)
        #expect(script.machine.applied == Position(.first, Offset(3)))
    }

    @Test func aDamagedRecordStopsTheBatchBeforeItself() throws {
        var script = try Script()
        var bytes = Record(
            header: RecordHeader(type: .barrier, logTag: script.tag, id: .zero), payload: Bytes([1, 2, 3])
        ).encoded().array
        bytes[bytes.count - 1] ^= 1
        let applied = script.machine.applied
        let effects = try script.append(Bytes(bytes))
        guard case .damaged(Offset(1), _)? = effects.first else {
            Issue.record("damage was not seen: \(effects)")
            return
        }
        #expect(script.machine.applied == applied)
    }

    @Test func anUnknownCriticalTypeStopsTheNodeBeforeIt() throws {
        var script = try Script()
        // A barrier whose type became one that nobody knows, with the checksum that fits.
        let barrier = Record(
            header: RecordHeader(type: .barrier, logTag: script.tag, id: .zero), payload: Bytes())
        var bytes = barrier.encoded().withUnsafeBytes { Array($0) }
        bytes[4] = 99
        let crc = bytes[0..<84].withUnsafeBytes { crc32c($0) }
        for i in 0..<4 { bytes[84 + i] = UInt8(truncatingIfNeeded: crc >> (8 * i)) }
        let effects = try script.append(Bytes(bytes))
        guard case .stopped(let error)? = effects.first else {
            Issue.record("it was applied")
            return
        }
        #expect(error.code == .unsupportedRecord)
        #expect(script.machine.applied == Position(.first, Offset(0)))
    }

    /// What an SQL write would be: its guards name all that it read. A version that does not know them executes nothing of it.
    @Test func aTransactionWithGuardsIsOfALaterVersion() throws {
        var script = try Script()
        let header = RecordHeader(
            type: .transaction, flags: [.critical, .attempt], logTag: script.tag, id: Bytes16(high: 1, low: 1))
        let effects = try script.append(Record(header: header, payload: Bytes()).encoded())
        guard case .stopped(let error)? = effects.first else {
            Issue.record("it was applied")
            return
        }
        #expect(error.code == .unsupportedRecord && error.message.contains("guards"))
        #expect(script.machine.applied == Position(.first, Offset(0)))
    }

    @Test func systemTimeRisesStrictlyEvenWhenTheLogsClockGoesBack() throws {
        var script = try Script()
        let first = try script.submit([])!
        script.clock -= 500
        let second = try script.submit([])!
        #expect(second.systemTime > first.systemTime)
    }

    @Test func aMalformedTransactionAborts() throws {
        var script = try Script()
        let id = script.nextID()
        let effects = try script.append(.transaction, id: id, payload: Bytes([0xff]))
        guard case .decided(let decision)? = effects.first else {
            Issue.record("nothing was decided")
            return
        }
        #expect(decision.outcome == .aborted)
        #expect(decision.failure?.code == .badRequest)
    }

    @Test func anotherManifestInOurPlaceIsDivergence() throws {
        var script = try Script(Settings(rowsPerBlock: 1))
        try script.submit([put(users, "ada", [])])
        var manifest = script.machine.frozen[0].manifest(previous: script.machine.expectedPrevious, files: [:])
        manifest.effectChain = .zero
        let effects = try script.machine.step(.published(manifest, .zero), reading: script.blocks)
        guard case .stopped(let error)? = effects.first else {
            Issue.record("it was adopted")
            return
        }
        #expect(error.code == .divergence)
        #expect(error.message.contains("other effects"))
    }
}

@Suite struct CutTests {
    @Test func thresholdsCutAtTheRecordThatReachesThem() throws {
        var script = try Script(Settings(transactionsPerBlock: 3))
        for i in 0..<7 { try script.submit([put("t", "k\(i)", [])]) }
        #expect(script.machine.frozen.map(\.draft.last.offset.value) == [3, 6])
        #expect(script.machine.frozen.map(\.draft.cut) == [.transactions, .transactions])
        #expect(script.machine.open.number == BlockNumber(2))
    }

    @Test func rowsAndBytesAndTimeCutToo() throws {
        var rows = try Script(Settings(rowsPerBlock: 2))
        try rows.submit([put("t", "a", []), put("t", "b", [])])
        #expect(rows.machine.frozen.map(\.draft.cut) == [.rows])
        var bytes = try Script(Settings(bytesPerBlock: 1_000))
        try bytes.submit([put("t", "a", [.init("x", .text(String(repeating: "x", count: 1_000)))])])
        #expect(bytes.machine.frozen.map(\.draft.cut) == [.bytes])
        var time = try Script(Settings(flushDurationMs: 50))
        for _ in 0..<5 { try time.submit([]) }
        #expect(time.machine.frozen.map(\.draft.cut) == [.time])
    }

    @Test func aFlushRequestClosesTheOpenBlockAndAnOldOneClosesNothing() throws {
        var script = try Script()
        try script.submit([put("t", "a", [])])
        let request = FlushRequest(block: .first).encoded()
        try script.append(.flushRequest, id: .zero, payload: request)
        #expect(script.machine.frozen.map(\.draft.cut) == [.request])
        try script.submit([put("t", "b", [])])
        try script.append(.flushRequest, id: .zero, payload: request)
        #expect(script.machine.frozen.count == 1)
    }

    @Test func anEmptyBlockIsNotCutByARequest() throws {
        var script = try Script(Settings(rowsPerBlock: 1))
        try script.submit([put("t", "a", [])])
        try script.append(.flushRequest, id: .zero, payload: FlushRequest(block: BlockNumber(1)).encoded())
        #expect(script.machine.frozen.count == 1)
    }

    /// Finding 11 of the protocol review: a manifest must not depend on where a node started from.
    @Test(arguments: [3, 10, 64]) func aNodeStartedFromAnyBlockComputesTheSameManifests(_ perBlock: UInt64) throws {
        var script = try Script(Settings(transactionsPerBlock: perBlock, idsRemembered: 5))
        for i in 0..<200 {
            try script.submit([put("t", "k\(i % 17)", [.init("f\(i % 23)", .integer(Int64(i)))])])
            if i.isMultiple(of: 13) { try script.append(Bytes([1, 2, 3])) }
            if i.isMultiple(of: 31) { try script.submit([.erase(try TableName("t"), [Key("k3")!])]) }
        }
        var reference: [Manifest] = []
        var decisions: [Decision] = []
        var blocks = KeptBlocks()
        while let block = script.machine.frozen.first {
            reference.append(block.manifest(previous: script.machine.expectedPrevious, files: [:]))
            block.decisions.forEach { decisions.append($1) }
            try script.adopt()
            blocks.blocks.append(block)
        }
        #expect(reference.count > 2)
        for (i, manifest) in reference.dropLast().enumerated() {
            var catalog: [TableName: FieldCatalog] = [:]
            for table in reference[...i].flatMap(\.tables) {
                for field in table.newFields { catalog[table.name, default: FieldCatalog()].see(field) }
            }
            let decoded = try Manifest.decode(manifest.encoded())
            #expect(decoded == manifest)
            var machine = NodeMachine(
                after: decoded, digest: Digest(of: manifest.encoded()), genesis: script.genesis,
                decisions: decisions.filter { $0.position <= manifest.last && $0.position > manifest.horizon },
                catalog: catalog)
            var kept = KeptBlocks()
            kept.blocks = Array(blocks.blocks[...i])
            let rest = script.entries.filter { $0.offset > manifest.last.offset }
            _ = try machine.step(.records(.first, rest), reading: kept)
            let next = machine.frozen[0].manifest(previous: machine.expectedPrevious, files: [:])
            #expect(next.encoded() == reference[i + 1].encoded(), "block \(i + 1) from block \(i)")
        }
    }

    @Test func twoMachinesThatReadTheSameRecordsInOtherBatchesAreEqual() throws {
        var script = try Script(Settings(transactionsPerBlock: 7))
        for i in 0..<50 { try script.submit([put("t", "k\(i % 5)", [.init("n", .integer(Int64(i)))])]) }
        var other = NodeMachine(
            database: script.database, genesis: script.genesis, settings: Settings(transactionsPerBlock: 7),
            epochRecord: .zero)
        _ = try other.step(.records(.first, script.entries), reading: KeptBlocks())
        #expect(other.inputChain == script.machine.inputChain)
        #expect(other.effectChain.value == script.machine.effectChain.value)
        #expect(other.frozen.map(\.draft) == script.machine.frozen.map(\.draft))
    }
}

import Testing
import VarveCore
import VarveModel

/// Random logs with random poison, read by nodes that skip it, that start from any block, and that are told too late.
@Suite struct QuarantineModelTests {
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    /// One history of a log: its records and which of them end processes, with what a node that meets each makes of it.
    private struct History {
        var script: Script
        var poison: Set<Int64> = []
        var published: [(manifest: Manifest, digest: Digest, block: FrozenBlock)] = []

        init(seed: UInt64) throws {
            var random = Random(state: seed)
            func below(_ n: Int) -> Int { Int.random(in: 0..<n, using: &random) }
            script = try Script(
                Settings(
                    transactionsPerBlock: UInt64(2 + below(6)), rowsPerBlock: UInt64(3 + below(8)),
                    idsRemembered: UInt64(2 + below(20))))
            var ids: [SubmissionID] = []
            for offset in Int64(1)..<60 {
                if below(8) == 0 { try quarantine(at: offset) }
                let id = below(5) == 0 && !ids.isEmpty ? ids[below(ids.count)] : script.nextID()
                ids.append(id)
                let observed = below(3) == 0 ? Position.zero : script.machine.applied
                switch below(10) {
                case 0: try script.append(.cancel, id: id, observed: observed)
                case 1: try script.append(.barrier, id: script.nextID())
                case 2:
                    try script.append(
                        .flushRequest, id: script.nextID(),
                        payload: FlushRequest(block: script.machine.open.number).encoded())
                default:
                    _ = try script.submit(
                        [
                            put("t", "k\(below(6))", [.init("n", .integer(Int64(below(100))))]),
                            patch("t", "k\(below(6))", [.init("m\(below(9))", .integer(offset))]),
                        ], id: id, observed: observed)
                }
                if below(3) == 0 { try publish() }
            }
            try publish()
        }

        private mutating func quarantine(at offset: Int64) throws {
            poison.insert(offset)
            _ = try script.machine.step(
                .quarantine(script.machine.open.number, Position(.first, Offset(offset))), reading: script.blocks)
        }

        mutating func publish() throws {
            while let block = script.machine.frozen.first {
                let manifest = block.manifest(previous: script.machine.expectedPrevious, files: [:])
                published.append((manifest, Digest(of: manifest.encoded()), block))
                try script.adopt()
            }
        }

        /// A node that starts behind the first `count` blocks and reads the rest; storage tells it what to skip.
        func node(behind count: Int) throws -> NodeMachine {
            var machine = NodeMachine(
                database: script.database, genesis: script.genesis, settings: Settings(), epochRecord: .zero)
            var blocks = KeptBlocks()
            if let last = published.prefix(count).last {
                var catalog: [TableName: FieldCatalog] = [:]
                var decisions: [Decision] = []
                for one in published.prefix(count) {
                    blocks.blocks.append(one.block)
                    one.block.decisions.forEach { _, decision in
                        if decision.position > last.manifest.horizon { decisions.append(decision) }
                    }
                    for table in one.manifest.tables {
                        for field in table.newFields { catalog[table.name, default: FieldCatalog()].see(field) }
                    }
                }
                machine = NodeMachine(
                    after: last.manifest, digest: last.digest, genesis: script.genesis,
                    decisions: decisions.sorted { $0.position < $1.position }, catalog: catalog)
            } else {
                machine = try Script(script.machine.settings).machine
            }
            for entry in script.entries where Position(.first, entry.offset) > machine.applied ?? .zero {
                let open = Int(machine.open.number.value)
                if open < published.count, published[open].manifest.cut == .quarantine {
                    _ = try machine.step(
                        .quarantine(machine.open.number, published[open].manifest.last), reading: blocks)
                }
                for case .stopped(let error) in try machine.step(.records(.first, [entry]), reading: blocks) {
                    throw error
                }
                while let block = machine.frozen.first, Int(block.number.value) < published.count {
                    let standing = published[Int(block.number.value)]
                    for case .stopped(let error) in try machine.step(
                        .published(standing.manifest, standing.digest), reading: blocks)
                    {
                        throw error
                    }
                    blocks.blocks.append(standing.block)
                }
            }
            return machine
        }
    }

    @Test func whereverANodeStartsItSkipsTheSameRecordsAndComesToTheSameState() throws {
        var skipped = 0
        for seed in 1...60 as ClosedRange<UInt64> {
            let history = try History(seed: seed)
            let quarantined = history.published.filter { $0.manifest.cut == .quarantine }
            #expect(
                Set(quarantined.map(\.manifest.last.offset.value))
                    == history.poison.filter { $0 <= history.published.last?.manifest.last.offset.value ?? 0 },
                "seed \(seed)")
            skipped += quarantined.count
            for count in 0...history.published.count {
                let node = try history.node(behind: count)
                let expected = history.script.machine
                #expect(node.inputChain.value == expected.inputChain.value, "seed \(seed), behind \(count) blocks")
                #expect(node.effectChain.value == expected.effectChain.value, "seed \(seed), behind \(count) blocks")
                #expect(node.adopted == expected.adopted && node.open.counts == expected.open.counts, "seed \(seed)")
                #expect(node.window.horizon == expected.window.horizon, "seed \(seed)")
            }
            // An id is decided once; a poison record decides nothing but that its submission is aborted.
            var decided: [SubmissionID: Decision] = [:]
            for one in history.published {
                one.block.decisions.forEach { position, decision in
                    if let earlier = decided[decision.id] {
                        #expect(earlier.position <= one.manifest.horizon, "seed \(seed): \(decision.id) twice")
                    }
                    decided[decision.id] = decision
                    let isPoison = history.poison.contains(position.offset.value)
                    #expect((decision.failure?.code == .poison) == isPoison, "seed \(seed)")
                }
            }
        }
        #expect(skipped > 200)
    }
}

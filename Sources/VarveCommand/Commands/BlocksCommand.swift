// `varve blocks`: what storage holds, asked of a node or read from storage itself.

import VarveClient
import VarveModel
import VarveRecovery
import VarveStorage
import VarveTerminal
import VarveWire

struct BlocksCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func list() async throws -> ExitCode {
        let answer = try await blocks(limit: invocation[Parameters.limit], below: nil)
        if invocation[Parameters.json] {
            try surroundings.output.json(answer.json)
            return .success
        }
        guard !answer.blocks.isEmpty else {
            try surroundings.output.line("no blocks yet: everything is in the log; next: varve blocks flush")
            return .success
        }
        var table = Table([
            .init("block", .right), .init("first"), .init("last"), .init("transactions", .right), .init("rows", .right),
            .init("size", .right), .init("files", .right), .init("cut"), .init("newest write"), .init("digest", .left),
        ])
        table.rows = answer.blocks.map { block in
            [
                block.number.description, block.first?.description ?? "", block.last.description,
                Quantity.count(block.transactions), Quantity.count(block.rows), Quantity.bytes(block.bytes),
                String(block.files.count), block.cut, seconds(block.systemTime), String(block.digest.prefix(16)),
            ]
        }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
        return .success
    }

    /// `2026-11-21T10:00:00Z`: a table has no room for more.
    private func seconds(_ instant: Instant?) -> String {
        instant.map { $0.description.prefix { $0 != "." && $0 != "Z" } + "Z" } ?? ""
    }

    func show() async throws -> ExitCode {
        let number = BlockNumber(UInt64(invocation[Parameters.block]))
        let answer = try await blocks(limit: 1, below: number.next)
        guard let block = answer.blocks.first, block.number == number else {
            throw Failure("NOT_FOUND: there is no block \(number); next: varve blocks list", .failure)
        }
        if invocation[Parameters.json] {
            try surroundings.output.json(block.json)
            return .success
        }
        let output = surroundings.output
        let first = block.first.map { "\($0) to " } ?? "up to "
        let newest = block.systemTime.map { ", newest write \($0)" } ?? ""
        try output.line("block \(number): \(first)\(block.last), cut by \(block.cut)\(newest)")
        try output.line(
            "transactions: \(Quantity.count(block.transactions)), rows: \(Quantity.count(block.rows)), "
                + "payload: \(Quantity.bytes(block.bytes))")
        try output.line("manifest \(block.digest)\n")
        var table = Table([
            .init("table", .left), .init("rows", .right), .init("size", .right), .init("file", .left),
            .init("sha-256", .left),
        ])
        table.rows = block.files.map {
            [$0.table, Quantity.count($0.rows), Quantity.bytes($0.bytes), $0.name, String($0.digest.prefix(16))]
        }
        try output.write(table.render(width: surroundings.width, palette: surroundings.palette))
        return .success
    }

    func flush() async throws -> ExitCode {
        let waiting = Waiting(surroundings)
        let client = try invocation.client(waiting)
        let answer = try await waiting.during("the node to publish the open block and to use its files") {
            try await self.flush(client, waiting)
        }
        if invocation[Parameters.json] {
            try surroundings.output.json(answer.json)
        } else if answer.isNoop {
            let newest = answer.block.map { "; the newest block is \($0)" } ?? ""
            try surroundings.output.line("nothing to cut\(newest)")
        } else {
            try surroundings.output.line(
                "block \(answer.block?.description ?? "") holds everything up to \(answer.position)")
        }
        return .success
    }

    /// The node answers when it is done; why that takes longer, its status says.
    private func flush(_ client: Client, _ waiting: Waiting) async throws -> FlushAnswer {
        try await withThrowingTaskGroup(of: FlushAnswer?.self) { group in
            group.addTask { try await client.flush() }
            group.addTask {
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(1))
                    if let problem = try? await client.status().error { waiting.because(problem.error) }
                }
                return nil
            }
            defer { group.cancelAll() }
            while let answer = try await group.next() {
                if let answer { return answer }
            }
            throw CancellationError()
        }
    }

    func verify() throws -> ExitCode {
        let configuration = try surroundings.configuration(invocation[Parameters.config])
        let store: BlockStore
        do throws(VarveError) {
            store = try Composition.blocks(configuration, needsRoom: false)
        } catch {
            guard error.code == .storageDenied || error.code == .storageFull else { throw error }
            // Sidecars are not built again then.
            store = try Composition.blocks(configuration, isReader: true)
        }
        // Before storage is read: what a node says by then stands there by then.
        let evidence = try AdoptionEvidence(store)
        let report = try StorageVerifier(store).verify()
        let contradictions = try evidence.contradictions().map(named)
        let exit = report.damages.isEmpty && contradictions.isEmpty ? ExitCode.success : .failure
        if invocation[Parameters.json] {
            try surroundings.output.json(report.json(contradictions))
            return exit
        }
        let output = surroundings.output
        for contradiction in contradictions {
            try output.line(
                "CHAIN_BROKEN: \(contradiction.name): \(contradiction.reason) (\(contradiction.nodes.joined(separator: ", "))); "
                    + "next: \(contradiction.next)")
        }
        for damage in report.damages {
            try output.line(
                "BLOCK_CORRUPT: block \(damage.block), table \(damage.table)\(Self.spoken(damage.batches)): \(damage.reason). "
                    + "What can still be read of the file: \(damage.readable)")
        }
        for name in report.unnamed {
            try output.line(
                surroundings.naming(
                    "no manifest names \(name): of a publication that never ended; next: varve blocks gc --config node.yaml"
                ))
        }
        for name in report.sidecarsRebuilt { try output.line("built again: \(name)") }
        for name in report.sidecarsWanting {
            try output.line(
                "missing or wrong, and not built again: \(name); reads of its file are slower, no less right")
        }
        let lost = contradictions.isEmpty ? "" : ", \(contradictions.count) not what its nodes saw"
        try output.line(
            "\(Quantity.count(report.epochs, "epoch")), \(Quantity.count(report.blocks, "block")), "
                + "\(Quantity.count(report.files, "file")), \(Quantity.count(Int(clamping: report.rows), "row")), "
                + "\(Quantity.bytes(Int(clamping: report.bytes))): "
                + (report.damages.isEmpty
                    ? lost.isEmpty ? "all whole" : "files whole" : "\(report.damages.count) damaged") + lost)
        if !report.damages.isEmpty {
            try output.line(
                "next: restore the damaged files from a backup or another copy of the storage, and verify again")
        }
        return exit
    }

    /// Batches have numbers from 0 on, which nobody should take for how many they are.
    static func spoken(_ batches: [Int]?) -> String {
        guard let batches, !batches.isEmpty else { return "" }
        let numbers = batches.map { "#\($0)" }.joined(separator: ", ")
        return batches.count == 1 ? ", batch \(numbers)" : ", batches \(numbers)"
    }

    private func named(_ contradiction: AdoptionEvidence.Contradiction) -> AdoptionEvidence.Contradiction {
        var contradiction = contradiction
        contradiction.next = surroundings.naming(contradiction.next)
        return contradiction
    }

    // MARK: Where they come from

    private func blocks(limit: Int, below: BlockNumber?) async throws -> BlocksAnswer {
        guard let path = invocation[Parameters.coldConfig] else {
            let waiting = Waiting(surroundings)
            let client = try invocation.client(waiting)
            return try await waiting.during("the node's answer") {
                try await client.blocks(limit: limit, before: below)
            }
        }
        let store = try Composition.blocks(surroundings.configuration(path), isReader: true)
        guard let format = try store.readFormat() else {
            throw VarveError(
                .storageMissing, "the storage holds no database yet", next: "check storage.path in \(path)")
        }
        let manifests = try store.manifests(of: try store.epochRecords(), database: format.database)
        let wanted = manifests.reversed().filter { stored in below.map { stored.manifest.number < $0 } ?? true }
        return BlocksAnswer(blocks: wanted.prefix(limit).map { BlocksAnswer.Block($0) })
    }
}

extension BlocksAnswer.Block {
    init(_ stored: BlockStore.StoredManifest) {
        let manifest = stored.manifest
        let files = manifest.tables.flatMap { table in
            table.files.map {
                BlocksAnswer.File(
                    table: table.name.text, name: $0.name, bytes: Int(clamping: $0.size), rows: Int(clamping: $0.rows),
                    digest: $0.digest.description)
            }
        }
        self.init(
            number: manifest.number, first: manifest.first, last: manifest.last,
            transactions: Int(clamping: manifest.counts.transactions), rows: Int(clamping: manifest.counts.rows),
            bytes: Int(clamping: manifest.counts.bytes), cut: manifest.cut.description,
            systemTime: manifest.systemTime, digest: stored.digest.description, files: files)
    }
}

extension StorageReport {
    func json(_ contradictions: [AdoptionEvidence.Contradiction]) -> Value {
        func list(_ names: [String]) -> Value { .array(names.map { .text($0) }) }
        let seen = contradictions.map { contradiction -> Value in
            [
                "code": "CHAIN_BROKEN", "object": .text(contradiction.name), "reason": .text(contradiction.reason),
                "nodes": list(contradiction.nodes), "next": .text(contradiction.next),
            ]
        }
        let damages = damages.map { damage in
            Value.object([
                Value.Field("code", "BLOCK_CORRUPT"), Value.Field("file", .text(damage.name)),
                Value.Field("block", .integer(Int64(damage.block.value))),
                Value.Field("table", .text(damage.table.text)), Value.Field("reason", .text(damage.reason)),
                Value.Field(
                    "batches", damage.batches.map { .array($0.map { .integer(Int64($0)) }) } ?? .null),
                Value.Field("readable", .text(damage.readable)),
            ])
        }
        return .object([
            Value.Field("database", .text(database.uuidText)), Value.Field("epochs", .integer(Int64(epochs))),
            Value.Field("blocks", .integer(Int64(blocks))), Value.Field("files", .integer(Int64(files))),
            Value.Field("rows", .integer(Int64(clamping: rows))),
            Value.Field("bytes", .integer(Int64(clamping: bytes))),
            Value.Field("damages", .array(damages)), Value.Field("contradictions", .array(seen)),
            Value.Field("unnamed", list(unnamed)),
            Value.Field("sidecarsRebuilt", list(sidecarsRebuilt)),
            Value.Field("sidecarsWanting", list(sidecarsWanting)),
        ])
    }
}
